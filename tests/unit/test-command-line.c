/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where a subcommand stands, and lines as they are typed again. What is said of mistakes is in
 * tests/messages/table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "options/retype.h"

#define WORDS_MAX 12

static char *argv[WORDS_MAX + 2];
static int argc;

static void type(const char *const *words)
{
	argv[0] = (char *)"nbd-attach";
	for (argc = 1; words[argc - 1]; argc++)
		argv[argc] = (char *)words[argc - 1];
	argv[argc] = NULL;
}

#define TYPE(...) type((const char *const[]){__VA_ARGS__, NULL})

static void first(const char *wanted)
{
	int at = options_first_argument(argc, argv);

	if (!wanted)
		assert_int_equal(at, 0);
	else
		assert_string_equal(argv[at], wanted);
}

static void the_first_argument_is_no_option_and_no_value(void **state)
{
	(void)state;
	TYPE("info", "h");
	first("info");
	TYPE("--port", "10810", "-v", "--tls-ca=ca.pem", "info", "h");
	first("info");
	TYPE("-p10810", "-vp", "10810", "status");
	first("status");
	TYPE("--bogus", "list", "h");
	first("list");
	TYPE("--tls", "--help");
	first(NULL);
	TYPE("--port");
	first(NULL);
	type((const char *const[]){NULL});
	first(NULL);
}

static void behind_two_dashes_all_are_arguments(void **state)
{
	struct options options;
	struct error err;

	(void)state;
	TYPE("nbd0", "--tls", "--", "host", "--tls");
	assert_int_equal(options_parse(&options, argc, argv, FOR_ATTACH, "attach", &err), 0);
	assert_int_equal(options.argument_count, 3);
	assert_string_equal(options.arguments[2], "--tls");
	/* unless they are a value */
	TYPE("nbd0", "--tls-hostname", "--", "host", "--read-only");
	assert_int_equal(options_parse(&options, argc, argv, FOR_ATTACH, "attach", &err), 0);
	assert_int_equal(options.argument_count, 2);
	assert_true(options.settings.policy.read_only);
}

static void an_abbreviation_is_of_what_the_subcommand_takes(void **state)
{
	struct options options;
	struct error err;

	(void)state;
	TYPE("nbd0", "--f"); /* --force; not --foreground of attach, not --files of boot */
	assert_int_equal(options_parse(&options, argc, argv, FOR_DETACH, "detach", &err), 0);
	assert_true(options.force);
}

static void a_hint_has_what_was_typed(void **state)
{
	struct options options;
	struct error err;

	(void)state;
	TYPE("nbd0", "storage.example.com", "my disk", "--port", "10810", "--tls-ca", "my ca.pem",
		"--tls-min", "1.2", "--read-only");
	assert_int_equal(options_parse(&options, argc, argv, FOR_ATTACH, "attach", &err), 0);
	error_set(&err, ERROR_SERVER, 5, "no such export");
	error_hint(&err, 0, "see: nbd-attach list HOST; or ask");
	retype_hint(&err, &options, 1);
	assert_string_equal(err.hint,
		"see: nbd-attach list storage.example.com --tls-ca 'my ca.pem' --tls-min 1.2 "
		"--port 10810; or ask");
	/* nothing to put in */
	error_hint(&err, 0, "see: nbd-attach list HOST");
	retype_hint(&err, &options, 3);
	assert_string_equal(err.hint, "see: nbd-attach list HOST");
	error_hint(&err, 0, "try again");
	retype_hint(&err, &options, 1);
	assert_string_equal(err.hint, "try again");
}

static void an_argument_is_quoted_for_a_shell(void **state)
{
	struct retyped line = {""};

	(void)state;
	retype_word(&line, "plain");
	retype_word(&line, "it's");
	retype_word(&line, "");
	retype_word(&line, "nbds://h/$(reboot)");
	assert_string_equal(line.s, "plain 'it'\\''s' '' 'nbds://h/$(reboot)'");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_argument_is_no_option_and_no_value),
		cmocka_unit_test(behind_two_dashes_all_are_arguments),
		cmocka_unit_test(an_abbreviation_is_of_what_the_subcommand_takes),
		cmocka_unit_test(a_hint_has_what_was_typed),
		cmocka_unit_test(an_argument_is_quoted_for_a_shell),
	};

	return cmocka_run_group_tests_name("command-line", tests, NULL, NULL);
}
