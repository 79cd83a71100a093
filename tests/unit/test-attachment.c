/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "supervisor/attachment.h"
#include "nbd/nbd-protocol.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_timer_of_a_request_runs_out_within_whole_seconds),
		cmocka_unit_test(the_driver_waits_longer_than_the_supervisor),
		cmocka_unit_test(only_a_larger_disk_fits_instead),
	};
	int failed;

	attachment = calloc(1, sizeof(*attachment)); /* large */
	if (!attachment)
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	free(attachment);
	return failed;
}
