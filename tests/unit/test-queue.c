/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a device's queue is asked for, in a folder that plays /sys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "nbd/nbd-protocol.h"
#include "device/queue.h"
#include "kernel/block-attr.h"
#include "fake-root.h"

#define TIMEOUT_MS 10000
#define ALL_FLAGS                                                                                  \
	(NBD_TFLAG_SEND_FLUSH | NBD_TFLAG_SEND_FUA | NBD_TFLAG_SEND_TRIM |                         \
		NBD_TFLAG_SEND_WRITE_ZEROES)

static struct error err;

static void put(const char *attribute, const char *value)
{
	char name[64];

	snprintf(name, sizeof(name), "/sys/block/nbd3/queue/%s", attribute);
	fake_root_put(name, value);
}

static void drop(const char *attribute)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/sys/block/nbd3/queue/%s", fake_root, attribute);
	remove(path);
}

static const char *get(const char *attribute)
{
	static char text[64];
	char path[64];

	snprintf(path, sizeof(path), "queue/%s", attribute);
	return block_attr_read(3, path, text, sizeof(text)) < 0 ? "-" : text;
}

static int setup(void **state)
{
	(void)state;
	memset(&err, 0, sizeof(err));
	put("scheduler", "[none] mq-deadline\n");
	put("iostats", "1\n");
	put("write_zeroes_max_bytes", "4294966784\n");
	put("discard_max_bytes", "4294966784\n");
	put("fua", "1\n");
	put("write_cache", "write back\n");
	put("rotational", "0\n");
	return 0;
}

static void the_scheduler_in_use_is_the_one_in_brackets(void **state)
{
	static const struct {
		const char *text;
		bool none;
	} table[] = {
		{"[none] mq-deadline\n", true},
		{"none\n", true},
		{"mq-deadline [none] bfq\n", true},
		{"none [mq-deadline]\n", false},
		{"[mq-deadline] none\n", false},
		{"[bfq] nonesuch\n", false},
		{"[nonesuch]\n", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		put("scheduler", table[i].text);
		assert_int_equal(queue_has_scheduler_none(3), table[i].none);
	}
	drop("scheduler"); /* a kernel that does not tell has none to be changed */
	assert_true(queue_has_scheduler_none(3));
	assert_int_equal(queue_set_scheduler_none(3, TIMEOUT_MS, &err), 0);
}

static void a_scheduler_is_taken_away(void **state)
{
	(void)state;
	/* longer than what is written over it: the file keeps its end, as a kernel that refuses
	 * would */
	put("scheduler", "[mq-deadline]");
	assert_int_equal(queue_set_scheduler_none(3, TIMEOUT_MS, &err), -EIO);
	assert_int_equal(err.kind, ERROR_KERNEL);
	assert_non_null(strstr(err.text, "queue/scheduler cannot be set to \"none\""));
	put("scheduler", "[x]\n");
	assert_int_equal(queue_set_scheduler_none(3, TIMEOUT_MS, &err), 0);
	assert_string_equal(get("scheduler"), "none");
}

static void requests_in_flight_are_counted(void **state)
{
	(void)state;
	put("iostats", "0\n");
	assert_false(queue_has_iostats(3));
	assert_int_equal(queue_set_iostats(3, TIMEOUT_MS, &err), 0);
	assert_true(queue_has_iostats(3));
}

static void what_the_server_offers_fits(void **state)
{
	(void)state;
	assert_int_equal(queue_check_offer(3, ALL_FLAGS, TIMEOUT_MS, &err), 0);
	put("write_zeroes_max_bytes", "0\n");
	put("discard_max_bytes", "0\n");
	put("fua", "0\n");
	assert_int_equal(queue_check_offer(3, ALL_FLAGS, TIMEOUT_MS, &err), 0);
	assert_int_equal(queue_check_offer(3, 0, TIMEOUT_MS, &err), 0);
	/* an older kernel */
	drop("write_zeroes_max_bytes");
	drop("fua");
	assert_int_equal(queue_check_offer(3, 0, TIMEOUT_MS, &err), 0);
}

static void what_it_does_not_offer_is_refused(void **state)
{
	static const struct {
		unsigned flag;
		const char *word;
	} table[] = {
		{NBD_TFLAG_SEND_WRITE_ZEROES, "write zeroes"},
		{NBD_TFLAG_SEND_TRIM, "discards"},
		{NBD_TFLAG_SEND_FUA, "FUA"},
		{NBD_TFLAG_SEND_FLUSH, "FUA"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		assert_int_equal(queue_check_offer(3, ALL_FLAGS & ~table[i].flag, TIMEOUT_MS, &err),
			-ENOTSUP);
		assert_non_null(strstr(err.text, table[i].word));
		assert_non_null(strstr(err.hint, "auto"));
		assert_int_equal(queue_has_stale_zeroes(3, ALL_FLAGS & ~table[i].flag),
			table[i].flag == NBD_TFLAG_SEND_WRITE_ZEROES);
	}
}

static void what_can_be_set_is(void **state)
{
	(void)state;
	put("write_cache", "none\n");
	put("rotational", "1\n");
	assert_int_equal(queue_check_offer(3, ALL_FLAGS, TIMEOUT_MS, &err), 0);
	assert_string_equal(get("write_cache"), "write back");
	assert_string_equal(get("rotational"), "0");
	put("write_cache", "write through\n");
	put("rotational", "1\n");
	assert_int_equal(queue_check_offer(3,
				 (ALL_FLAGS & ~NBD_TFLAG_SEND_FLUSH & ~NBD_TFLAG_SEND_FUA) |
					 NBD_TFLAG_ROTATIONAL,
				 TIMEOUT_MS, &err),
		-ENOTSUP);
	put("fua", "0\n");
	assert_int_equal(queue_check_offer(3,
				 (ALL_FLAGS & ~NBD_TFLAG_SEND_FLUSH & ~NBD_TFLAG_SEND_FUA) |
					 NBD_TFLAG_ROTATIONAL,
				 TIMEOUT_MS, &err),
		0);
	assert_string_equal(get("write_cache"), "write through");
	assert_string_equal(get("rotational"), "1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_scheduler_in_use_is_the_one_in_brackets, setup),
		cmocka_unit_test_setup(a_scheduler_is_taken_away, setup),
		cmocka_unit_test_setup(requests_in_flight_are_counted, setup),
		cmocka_unit_test_setup(what_the_server_offers_fits, setup),
		cmocka_unit_test_setup(what_it_does_not_offer_is_refused, setup),
		cmocka_unit_test_setup(what_can_be_set_is, setup),
	};
	int failed;

	if (fake_root_make())
		return 1;
	failed = cmocka_run_group_tests_name("queue", tests, NULL, NULL);
	return fake_root_remove() ? 1 : failed;
}
