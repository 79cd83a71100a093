/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>
#include "supervisor/attachment.h"
#include "nbd/nbd-protocol.h"
#include "kernel/block-attr.h"
#include "fake-root.h"

static struct attachment *attachment;

/* "Infinite" is a number for the driver, too, which counts it in jiffies. */
#define A_CENTURY_SEC (100ULL * 365 * 86400)

static void the_timer_of_a_request_runs_out_within_whole_seconds(void **state)
{
	static const struct {
		size_t links;
		int override_ms, want_ms;
	} table[] = {
		{1, 0, 750},
		{1, 1000, 750},
		{1, 2000, 1750},
		{1, 60000, 59750},
		/* a fraction, as it stands */
		{1, 1, 1},
		{1, 200, 200},
		{1, 750, 750},
		{1, 1500, 1500},
		{2, 0, 180000},
		{2, 1000, 1000},
		{4, 200, 200},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		attachment->link_count = table[i].links;
		attachment->policy.io_timeout_ms = table[i].override_ms;
		assert_int_equal(attachment_io_timeout_ms(attachment), table[i].want_ms);
	}
}

/* Not before the supervisor, which is to say why. */
static void the_driver_waits_longer_than_the_supervisor(void **state)
{
	static const int64_t waits_sec[] = {1, 600, 86400, 10000000};

	(void)state;
	for (size_t i = 0; i < sizeof(waits_sec) / sizeof(waits_sec[0]); i++) {
		attachment->policy.dead_timeout_sec = waits_sec[i];
		assert_true(attachment_dead_conn_timeout_sec(attachment) > (uint64_t)waits_sec[i]);
	}
	attachment->policy.dead_timeout_sec = POLICY_INFINITE_SEC;
	assert_true(attachment_dead_conn_timeout_sec(attachment) > 10000000 &&
		attachment_dead_conn_timeout_sec(attachment) < A_CENTURY_SEC);
}

static void only_a_larger_disk_fits_instead(void **state)
{
	struct export_geometry offer = {0};
	struct error err;
	bool grown;

	(void)state;
	attachment->export_known = true;
	attachment->export.has_size = offer.has_size = true;
	attachment->export.size_bytes = 1 << 20;
	offer.size_bytes = 1 << 20;
	assert_int_equal(attachment_check_offer(attachment, &offer, &grown, &err), 0);
	assert_false(grown);
	offer.size_bytes = 2 << 20;
	assert_int_equal(attachment_check_offer(attachment, &offer, &grown, &err), 0);
	assert_true(grown);
	offer.size_bytes = (1 << 20) - 512;
	assert_int_equal(attachment_check_offer(attachment, &offer, &grown, &err), -ESTALE);
	assert_false(grown);
	/* Grown, and another disk. */
	offer.size_bytes = 2 << 20;
	offer.flags = attachment->export.flags ^ NBD_TFLAG_READ_ONLY;
	assert_int_equal(attachment_check_offer(attachment, &offer, &grown, &err), -ESTALE);
}

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
	assert_int_equal(attachment_check_single(attachment, 1, &err), 0);
	put(4, "pid", "1\n");
	assert_int_equal(attachment_check_single(attachment, 4, &err), 0);
	assert_int_equal(attachment_check_single(attachment, 1, &err), -EBUSY);
	assert_int_equal(err.kind, ERROR_BUSY);
	assert_non_null(strstr(err.text, "/dev/nbd4 "));
	assert_non_null(strstr(err.hint, "--shared"));
	attachment->policy.shared = true;
	assert_int_equal(attachment_check_single(attachment, 1, &err), 0);
	attachment->policy.shared = false;
	attachment->flags = NBD_TFLAG_READ_ONLY;
	assert_int_equal(attachment_check_single(attachment, 1, &err), 0);
	attachment->flags = 0;
	put(4, "ro", "1\n");
	assert_int_equal(attachment_check_single(attachment, 1, &err), 0);
}

static int make_root(void **state)
{
	char path[PATH_MAX];

	(void)state;
	if (fake_root_make())
		return -1;
	fake_root_path(path, "/sys/block/");
	return 0;
}

static int remove_root(void **state)
{
	(void)state;
	return fake_root_remove();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_timer_of_a_request_runs_out_within_whole_seconds),
		cmocka_unit_test(the_driver_waits_longer_than_the_supervisor),
		cmocka_unit_test(only_a_larger_disk_fits_instead),
		cmocka_unit_test_setup_teardown(
			two_writers_are_one_too_many, make_root, remove_root),
	};
	int failed;

	attachment = calloc(1, sizeof(*attachment)); /* large */
	if (!attachment)
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	free(attachment);
	return failed;
}
