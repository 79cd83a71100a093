/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "supervisor/core/backoff.h"

#define MIDDLE 0x80000000

static void the_first_pause_is_the_shortest(void **state)
{
	(void)state;
	assert_int_equal(backoff_delay_ms(0, MIDDLE), BACKOFF_MIN_MS);
	assert_int_equal(backoff_delay_ms(8 * BACKOFF_MIN_MS, MIDDLE), BACKOFF_MIN_MS);
	assert_true(backoff_delay_ms(8 * BACKOFF_MIN_MS + 80, MIDDLE) > BACKOFF_MIN_MS);
}

static void a_pause_is_an_eighth_of_the_time_that_was_tried(void **state)
{
	(void)state;
	assert_int_equal(backoff_delay_ms(8000, MIDDLE), 1000);
	assert_int_equal(backoff_delay_ms(16000, MIDDLE), 2000);
	assert_int_equal(backoff_delay_ms(39200, MIDDLE), 4900);
}

static void pauses_never_shrink_while_an_outage_lasts(void **state)
{
	int64_t last_ms = 0;

	(void)state;
	for (int64_t elapsed_ms = 0; elapsed_ms < 100000; elapsed_ms++) {
		int64_t delay_ms = backoff_delay_ms(elapsed_ms, 12345);

		assert_true(delay_ms >= last_ms);
		last_ms = delay_ms;
	}
}

static void a_long_outage_has_bounded_pauses(void **state)
{
	static const int64_t elapsed_ms[] = {8 * BACKOFF_MAX_MS, 86400000, INT64_MAX};

	(void)state;
	for (size_t i = 0; i < sizeof(elapsed_ms) / sizeof(elapsed_ms[0]); i++) {
		assert_int_equal(backoff_delay_ms(elapsed_ms[i], 0), BACKOFF_MAX_MS * 3 / 4);
		assert_int_equal(backoff_delay_ms(elapsed_ms[i], MIDDLE), BACKOFF_MAX_MS);
		assert_in_range(backoff_delay_ms(elapsed_ms[i], UINT32_MAX),
			BACKOFF_MAX_MS * 5 / 4 - 1, BACKOFF_MAX_MS * 5 / 4);
	}
}

static void the_jitter_is_a_quarter_more_or_less_and_evenly_spread(void **state)
{
	unsigned lower = 0, quarter = 0;

	(void)state;
	for (uint32_t i = 0; i < 4096; i++) {
		int64_t delay_ms = backoff_delay_ms(8000, i << 20);

		assert_in_range(delay_ms, 750, 1249);
		lower += delay_ms < 1000;
		quarter += delay_ms < 875;
	}
	assert_int_equal(lower, 2048);
	assert_int_equal(quarter, 1024);
}

static void a_clock_that_was_set_back_does_no_harm(void **state)
{
	(void)state;
	assert_int_equal(backoff_delay_ms(-1000000, MIDDLE), BACKOFF_MIN_MS);
	assert_int_equal(backoff_delay_ms(INT64_MIN, MIDDLE), BACKOFF_MIN_MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_pause_is_the_shortest),
		cmocka_unit_test(a_pause_is_an_eighth_of_the_time_that_was_tried),
		cmocka_unit_test(pauses_never_shrink_while_an_outage_lasts),
		cmocka_unit_test(a_long_outage_has_bounded_pauses),
		cmocka_unit_test(the_jitter_is_a_quarter_more_or_less_and_evenly_spread),
		cmocka_unit_test(a_clock_that_was_set_back_does_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
