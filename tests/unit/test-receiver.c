/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When a slot may be given another socket: not while the driver's receiver may still read from the
 * former one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "supervisor/core/receiver.h"

static struct receiver receiver;
static struct receiver_sample sample;

static int setup(void **state)
{
	(void)state;
	receiver_begin(&receiver);
	sample = (struct receiver_sample){.now_ms = 5000, .log_is_read = true};
	return 0;
}

/* How long it takes from now on, sampled every 2 ms; -1: longer than LIMIT_MS. */
static int64_t takes(int64_t limit_ms)
{
	int64_t began_ms = sample.now_ms;

	for (; sample.now_ms - began_ms <= limit_ms; sample.now_ms += 2)
		if (receiver_has_ended(&receiver, &sample))
			return sample.now_ms - began_ms;
	return -1;
}

static void the_log_says_so_and_a_moment_later_it_is_so(void **state)
{
	(void)state;
	assert_int_equal(takes(100), -1);
	sample.log_says_ended = true;
	assert_in_range(takes(100), 3, 4);
	setup(state);
	sample.log_says_ended = sample.in_flight = true; /* senders take the same lock */
	assert_in_range(takes(100), 20, 21);
}

static void as_long_as_less_and_less_is_left_to_read_it_reads(void **state)
{
	(void)state;
	for (sample.unread_bytes = 40 << 20; sample.unread_bytes > 0;
		sample.unread_bytes -= 4096 * 64)
		assert_int_equal(takes(250), -1);
	sample.unread_bytes = 0;
	sample.log_says_ended = true;
	assert_in_range(takes(100), 3, 4);
}

static void a_stall_with_data_left_is_sampled_again_and_again(void **state)
{
	(void)state;
	sample.unread_bytes = 65536;
	assert_int_equal(takes(2900), -1);
	sample.unread_bytes = 61440; /* it goes on, on a busy machine */
	assert_int_equal(takes(2900), -1);
	assert_in_range(takes(500), 0, 200); /* in a way that is not known: 10 stalls */
}

static void silence_of_the_log_is_believed_after_a_second_sample(void **state)
{
	(void)state;
	assert_int_equal(takes(590), -1);
	assert_in_range(takes(100), 0, 40);
}

static void without_the_log_what_is_left_decides(void **state)
{
	(void)state;
	sample.log_is_read = false;
	sample.unread_bytes = 4096;
	assert_int_equal(takes(590), -1);
	sample.unread_bytes = 0;
	assert_int_equal(takes(590), -1);
	assert_in_range(takes(100), 0, 40);
}

/* The log does not say whose receiver it was. */
static void of_several_one_with_data_left_has_not_ended(void **state)
{
	(void)state;
	sample.several = sample.log_says_ended = true;
	sample.unread_bytes = 4096;
	assert_int_equal(takes(2900), -1);
	sample.unread_bytes = 0;
	assert_in_range(takes(100), 3, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_log_says_so_and_a_moment_later_it_is_so, setup),
		cmocka_unit_test_setup(as_long_as_less_and_less_is_left_to_read_it_reads, setup),
		cmocka_unit_test_setup(a_stall_with_data_left_is_sampled_again_and_again, setup),
		cmocka_unit_test_setup(silence_of_the_log_is_believed_after_a_second_sample, setup),
		cmocka_unit_test_setup(without_the_log_what_is_left_decides, setup),
		cmocka_unit_test_setup(of_several_one_with_data_left_has_not_ended, setup),
	};

	return cmocka_run_group_tests_name("receiver", tests, NULL, NULL);
}
