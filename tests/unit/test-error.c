/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include "base/error.h"

static void what_lies_here_is_lasting(void **state)
{
	static const enum error_kind lasting[] = {
		ERROR_USAGE, ERROR_KERNEL, ERROR_PERMISSION, ERROR_BUSY, ERROR_ATTACHED};
	static const enum error_kind passing[] = {
		ERROR_OTHER, ERROR_TLS, ERROR_UNREACHABLE, ERROR_SERVER};

	(void)state;
	for (size_t i = 0; i < sizeof(lasting) / sizeof(lasting[0]); i++)
		assert_true(error_kind_is_lasting(lasting[i]));
	for (size_t i = 0; i < sizeof(passing) / sizeof(passing[0]); i++)
		assert_false(error_kind_is_lasting(passing[i]));
}

static void a_prefix_goes_before_what_was_said(void **state)
{
	struct error err;

	(void)state;
	assert_int_equal(error_set(&err, ERROR_OTHER, EIO, "it %s", "fails"), -EIO);
	error_prefix(&err, "link %d", 2);
	assert_string_equal(err.text, "link 2: it fails");
	memset(err.text, 'x', sizeof(err.text) - 1);
	err.text[sizeof(err.text) - 1] = 0;
	error_prefix(&err, "long");
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
	assert_memory_equal(err.text, "long: x", 7);
}

/* Whatever a peer, a file or a command line brought into it. */
static void an_error_is_one_printable_line(void **state)
{
	struct error err;

	(void)state;
	error_set(&err, ERROR_OTHER, EIO, "no host %s", "a\x1b[2J\nb\xe2\x80\xae");
	assert_string_equal(err.text, "no host a?[2J?b?");
	error_hint(&err, 0, "ask %s", "\x9b\x07");
	assert_string_equal(err.hint, "ask ??");
	error_prefix(&err, "nbd0%s", "\r");
	assert_string_equal(err.text, "nbd0?: no host a?[2J?b?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_lies_here_is_lasting),
		cmocka_unit_test(a_prefix_goes_before_what_was_said),
		cmocka_unit_test(an_error_is_one_printable_line),
	};

	return cmocka_run_group_tests_name("error", tests, NULL, NULL);
}
