/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "fake-root.h"
#include "nbd/nbd-protocol.h"
#include "supervisor/configure.h"

static struct attachment *attachment;

static void put(int index, const char *attribute, const char *value)
{
	char name[64], path[PATH_MAX];

	snprintf(name, sizeof(name), "/sys/block/nbd%d/%s", index, attribute);
	fake_root_path(path, name);
	if (value)
		fake_root_put(name, value);
	else
		remove(path);
}

#define OURS "0123456789abcdef0123456789abcdef"

static void two_writers_are_one_too_many(void **state)
{
	struct error err = {0};

	(void)state;
	strcpy(attachment->backend, OURS);
	put(0, "backend", "fedcba9876543210fedcba9876543210\n");
	put(0, "pid", "1\n");
	put(0, "ro", "0\n");
	put(4, "backend", OURS "\n");
	put(4, "ro", "0\n");
	put(7, "ro", "0\n");
	put(7, "pid", "1\n"); /* a client that sets none */
	/* the last of them is not attached */
	assert_int_equal(configure_check_single(attachment, 1, &err), 0);
	put(4, "pid", "1\n");
	assert_int_equal(configure_check_single(attachment, 4, &err), 0);
	assert_int_equal(configure_check_single(attachment, 1, &err), -EBUSY);
	assert_int_equal(err.kind, ERROR_BUSY);
	assert_non_null(strstr(err.text, "/dev/nbd4 "));
	assert_non_null(strstr(err.hint, "--shared"));
	attachment->policy.shared = true;
	assert_int_equal(configure_check_single(attachment, 1, &err), 0);
	attachment->policy.shared = false;
	attachment->flags = NBD_TFLAG_READ_ONLY;
	assert_int_equal(configure_check_single(attachment, 1, &err), 0);
	attachment->flags = 0;
	put(4, "ro", "1\n");
	assert_int_equal(configure_check_single(attachment, 1, &err), 0);
}

static int make_root(void **state)
{
	char path[PATH_MAX];

	(void)state;
	if (fake_root_make())
		return -1;
	fake_root_path(path, "/sys/block/");
	attachment = calloc(1, sizeof(*attachment)); /* large */
	return attachment ? 0 : -1;
}

static int remove_root(void **state)
{
	(void)state;
	free(attachment);
	return fake_root_remove();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			two_writers_are_one_too_many, make_root, remove_root),
	};

	return cmocka_run_group_tests_name("configure", tests, NULL, NULL);
}
