/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When the supervisor samples its links, and what follows from a sample: a simulated device that is
 * sampled exactly when it says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "supervisor/core/sampling.h"

#define LIVENESS_MS 30000
#define AES_LIMIT (1ULL << 24)
#define RECORDS_PER_MS 50 /* as fast as any link is expected to be */

/* A device whose links do what the test says between two samples. */
struct device {
	struct sampling sampling;
	struct sampling_input links[LINKS_MAX];
	unsigned link_count;
	bool in_flight, awaits_idle;
	int64_t now_ms, next_sample_ms;
	unsigned verdicts[LINKS_MAX];
};

static struct device begin(int64_t liveness_ms, unsigned link_count)
{
	struct device device = {.link_count = link_count, .now_ms = 5000000};

	sampling_init(&device.sampling, liveness_ms, -1, link_count, device.now_ms);
	device.next_sample_ms = device.now_ms;
	return device;
}

/* One sample, now; returns how long it is until the next. */
static int64_t sample(struct device *device)
{
	sampling_begin(&device->sampling, device->in_flight, device->now_ms);
	for (unsigned i = 0; i < device->link_count; i++)
		device->verdicts[i] =
			sampling_link(&device->sampling, i, &device->links[i], device->now_ms);
	device->next_sample_ms =
		sampling_finish(&device->sampling, device->now_ms, device->awaits_idle);
	assert_true(device->next_sample_ms > device->now_ms);
	return device->next_sample_ms - device->now_ms;
}

static int64_t sample_when_due(struct device *device)
{
	device->now_ms = device->next_sample_ms;
	return sample(device);
}

static void pass_traffic(struct device *device, unsigned link)
{
	device->links[link].sent_bytes += 28;
	device->links[link].received_bytes += 4112;
}

/* --- intervals */

static void an_idle_device_is_soon_left_alone(void **state)
{
	struct device device = begin(LIVENESS_MS, 1);
	int64_t began_ms = device.now_ms;

	(void)state;
	device.in_flight = true;
	for (int i = 0; i < 10; i++) {
		pass_traffic(&device, 0);
		began_ms = device.now_ms;
		sample_when_due(&device);
	}
	device.in_flight = false;
	while (sample_when_due(&device) < SAMPLING_IDLE_MS)
		assert_true(device.now_ms - began_ms <= 45000);
	assert_true(device.now_ms - began_ms <= 45000);
	for (int i = 0; i < 10; i++)
		assert_int_equal(sample_when_due(&device), SAMPLING_IDLE_MS);
}

static void an_idle_tls_link_is_left_alone_too(void **state)
{
	struct device device = begin(LIVENESS_MS, 2);

	(void)state;
	device.links[0] = device.links[1] = (struct sampling_input){1000, 1000, 5000, AES_LIMIT};
	sample_when_due(&device);
	while (sample_when_due(&device) < SAMPLING_IDLE_MS)
		assert_true(device.now_ms <= 5000000 + 45000);
	assert_int_equal(sample_when_due(&device), SAMPLING_IDLE_MS);
}

static void a_busy_device_is_sampled_often_enough(void **state)
{
	static const int64_t liveness_ms[] = {1, 100, 1000, 8000, LIVENESS_MS, 86400000};

	(void)state;
	for (size_t i = 0; i < sizeof(liveness_ms) / sizeof(liveness_ms[0]); i++) {
		struct device device = begin(liveness_ms[i], 1);

		device.in_flight = true;
		for (int k = 0; k < 100; k++) {
			int64_t interval_ms = sample_when_due(&device);

			assert_in_range(interval_ms, 10, 4000);
			assert_true(interval_ms <= liveness_ms[i] / 8 || interval_ms == 10);
			pass_traffic(&device, 0);
		}
	}
}

static void data_makes_an_idle_device_active_again(void **state)
{
	struct device device = begin(LIVENESS_MS, 2);

	(void)state;
	for (int i = 0; i < 5; i++)
		sample_when_due(&device);
	pass_traffic(&device, 1); /* nothing is in flight any more, but it was */
	assert_int_equal(sample_when_due(&device), LIVENESS_MS / 8);
}

static void a_request_in_flight_makes_an_idle_device_active_again(void **state)
{
	struct device device = begin(LIVENESS_MS, 1);

	(void)state;
	for (int i = 0; i < 5; i++)
		sample_when_due(&device);
	device.in_flight = true;
	assert_int_equal(sample_when_due(&device), LIVENESS_MS / 8);
}

/* Checks for an idle moment while so many records a millisecond are made, until LEFT are left;
 * returns the last interval. */
static int64_t check_for_idle(uint64_t records_per_ms, uint64_t left)
{
	struct device device = begin(LIVENESS_MS, 1);
	const uint64_t hard = AES_LIMIT / 8 * 7;
	int64_t interval_ms;

	device.links[0].record_limit = AES_LIMIT;
	device.links[0].records = hard - left - 1000 * records_per_ms;
	device.awaits_idle = device.in_flight = true;
	interval_ms = sample(&device);
	while (device.links[0].records + left < hard) {
		device.links[0].records += (uint64_t)interval_ms * records_per_ms;
		pass_traffic(&device, 0);
		interval_ms = sample_when_due(&device);
		assert_in_range(interval_ms, 2, 100);
	}
	return interval_ms;
}

static void an_idle_moment_is_checked_for_the_more_often_the_less_is_left(void **state)
{
	(void)state;
	/* Dozens of checks fit in between here and the mark. */
	assert_int_equal(check_for_idle(50, 1 << 20), 100);
	assert_in_range(check_for_idle(50, 100000), 20, 32);
	assert_in_range(check_for_idle(50, 20000), 2, 7);
	/* And at a slow pace there is time. */
	assert_int_equal(check_for_idle(1, 100000), 100);
	assert_in_range(check_for_idle(10, 20000), 20, 32);
}

static void an_idle_moment_is_checked_for_without_a_limit_too(void **state)
{
	struct device device = begin(LIVENESS_MS, 1);

	(void)state;
	device.awaits_idle = true; /* a link of a former supervisor */
	for (int i = 0; i < 10; i++)
		assert_int_equal(sample_when_due(&device), 100);
}

/* --- records */

/* At RECORDS_PER_MS from RECORDS on: are both marks seen before the limit? The device may have been
 * idle for long. */
static void use_up(uint64_t limit, uint64_t records, unsigned idle_looks)
{
	struct device device = begin(LIVENESS_MS, 1);
	bool renew = false;

	device.links[0].record_limit = limit;
	device.links[0].records = records;
	for (unsigned i = 0; i < idle_looks; i++)
		sample_when_due(&device);
	for (;;) {
		device.links[0].records +=
			(uint64_t)(device.next_sample_ms - device.now_ms) * RECORDS_PER_MS;
		pass_traffic(&device, 0);
		device.in_flight = true;
		device.awaits_idle = renew;
		sample_when_due(&device);
		assert_true(device.links[0].records < limit);
		assert_int_equal(!!(device.verdicts[0] & SAMPLING_REKEY),
			device.links[0].records >= limit / 2);
		assert_int_equal(!!(device.verdicts[0] & SAMPLING_REKEY_NOW),
			device.links[0].records >= limit / 8 * 7);
		renew = renew || device.verdicts[0] & SAMPLING_REKEY;
		if (device.verdicts[0] & SAMPLING_REKEY_NOW)
			break;
	}
	/* In time: what is left must do for a negotiation. */
	assert_true(device.links[0].records <= limit / 8 * 7 + 2 * 10 * RECORDS_PER_MS);
}

static void the_end_of_a_key_is_seen_before_it_is_reached(void **state)
{
	static const uint64_t used_permille[] = {0, 100, 499, 500, 700, 860, 874};

	(void)state;
	for (size_t i = 0; i < sizeof(used_permille) / sizeof(used_permille[0]); i++)
		for (unsigned idle_looks = 0; idle_looks < 8; idle_looks++) {
			use_up(AES_LIMIT, AES_LIMIT / 1000 * used_permille[i], idle_looks);
			use_up(100000, 100 * used_permille[i], idle_looks);
		}
}

static void renewals_are_requested_at_a_half_and_at_seven_eighths(void **state)
{
	static const struct {
		uint64_t records;
		unsigned verdict;
	} cases[] = {
		{0, 0},
		{AES_LIMIT / 2 - 1, 0},
		{AES_LIMIT / 2, SAMPLING_REKEY},
		{AES_LIMIT / 8 * 7 - 1, SAMPLING_REKEY},
		{AES_LIMIT / 8 * 7, SAMPLING_REKEY | SAMPLING_REKEY_NOW},
		{AES_LIMIT + 5, SAMPLING_REKEY | SAMPLING_REKEY_NOW},
		{UINT64_MAX, SAMPLING_REKEY | SAMPLING_REKEY_NOW},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct device device = begin(LIVENESS_MS, 1);

		device.links[0].record_limit = AES_LIMIT;
		device.links[0].records = cases[i].records;
		device.now_ms += 1000000;
		assert_true(sample(&device) <=
			((cases[i].verdict & SAMPLING_REKEY_NOW) ? 10 : SAMPLING_IDLE_MS));
		assert_int_equal(device.verdicts[0], cases[i].verdict);
	}
}

static void a_key_without_a_limit_is_never_renewed(void **state)
{
	struct device device = begin(LIVENESS_MS, 1);

	(void)state;
	device.links[0].records = UINT64_MAX;
	sample(&device);
	assert_int_equal(device.verdicts[0], 0);
	sample_when_due(&device);
	sample_when_due(&device);
	assert_int_equal(device.sampling.interval_ms, SAMPLING_IDLE_MS);
}

static void limits_of_any_size_are_borne(void **state)
{
	static const uint64_t numbers[] = {
		0, 1, 7, 8, 1000, AES_LIMIT, INT64_MAX, UINT64_MAX - 1, UINT64_MAX};
	const size_t count = sizeof(numbers) / sizeof(numbers[0]);

	(void)state;
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < count; k++) {
			struct device device = begin(LIVENESS_MS, 1);

			device.awaits_idle = true;
			for (size_t again = 0; again < 4; again++) {
				device.links[0] = (struct sampling_input){numbers[k], numbers[i],
					numbers[(i + again) % count], numbers[k]};
				assert_in_range(sample_when_due(&device), 2, SAMPLING_IDLE_MS);
			}
		}
}

/* --- silence */

/* A request waits from here on; when is its link called silent? */
static int64_t silent_after_ms(struct device *device, unsigned link)
{
	int64_t began_ms = 0;

	for (int i = 0; i < 1000; i++) {
		sample_when_due(device);
		if (!began_ms && device->in_flight)
			began_ms = device->now_ms;
		if (device->verdicts[link] & SAMPLING_SILENT)
			return device->now_ms - began_ms;
	}
	return -1;
}

static void a_server_that_says_nothing_is_silent_after_its_time(void **state)
{
	static const int64_t liveness_ms[] = {800, 8000, LIVENESS_MS, 12345};

	(void)state;
	for (size_t i = 0; i < sizeof(liveness_ms) / sizeof(liveness_ms[0]); i++) {
		struct device device = begin(liveness_ms[i], 1);
		int64_t after_ms;

		sample_when_due(&device);
		device.in_flight = true;
		device.links[0].sent_bytes += 28;
		after_ms = silent_after_ms(&device, 0);
		assert_true(after_ms >= liveness_ms[i]);
		/* The sample at or behind that time. */
		assert_true(after_ms <
			liveness_ms[i] + (liveness_ms[i] / 8 < 4000 ? liveness_ms[i] / 8 : 4000));
		if (liveness_ms[i] % 8 == 0 && liveness_ms[i] < 32000)
			assert_int_equal(after_ms, liveness_ms[i]);
	}
}

static void a_link_is_given_its_whole_time_however_late_its_sample(void **state)
{
	struct device device = begin(LIVENESS_MS, 1);

	(void)state;
	while (sample_when_due(&device) < SAMPLING_IDLE_MS)
		;
	device.in_flight = true; /* perhaps a millisecond ago */
	assert_int_equal(silent_after_ms(&device, 0), LIVENESS_MS);
}

static void a_slow_server_is_not_a_silent_one(void **state)
{
	struct device device = begin(LIVENESS_MS, 1);

	(void)state;
	device.in_flight = true;
	for (int i = 0; i < 1000; i++) {
		sample_when_due(&device);
		assert_int_equal(device.verdicts[0], 0);
		if (i % 7 == 0)
			device.links[0].received_bytes++; /* a byte in 26 s */
	}
}

static void a_server_that_is_asked_nothing_is_not_silent(void **state)
{
	struct device device = begin(LIVENESS_MS, 1);

	(void)state;
	device.links[0].sent_bytes = 28;
	assert_int_equal(silent_after_ms(&device, 0), -1);
	for (int i = 0; i < 100; i++) {
		/* keepalives and acknowledgements are not counted, and if they were */
		device.links[0].sent_bytes++;
		sample_when_due(&device);
		assert_int_equal(device.verdicts[0], 0);
	}
}

static void an_answer_ends_the_waiting(void **state)
{
	struct device device = begin(LIVENESS_MS, 1);

	(void)state;
	sample_when_due(&device);
	device.in_flight = true;
	for (int i = 0; i < 8; i++)
		sample_when_due(&device);
	assert_int_equal(device.verdicts[0], 0);
	device.links[0].received_bytes++;
	assert_int_equal(sample_when_due(&device), LIVENESS_MS / 8);
	assert_int_equal(silent_after_ms(&device, 0), LIVENESS_MS);
}

static void of_several_links_only_the_one_that_owes_an_answer_is_silent(void **state)
{
	struct device device = begin(LIVENESS_MS, 3);
	int64_t until_ms;

	(void)state;
	sample_when_due(&device);
	device.in_flight = true; /* of the device: it does not say over which link */
	device.links[0].sent_bytes += 28;
	pass_traffic(&device, 1);
	sample_when_due(&device);
	until_ms = device.now_ms + LIVENESS_MS;
	while (device.now_ms < until_ms) {
		assert_int_equal(device.verdicts[0] | device.verdicts[1] | device.verdicts[2], 0);
		pass_traffic(&device, 1);
		sample_when_due(&device);
	}
	assert_int_equal(device.verdicts[0], SAMPLING_SILENT);
	assert_int_equal(device.verdicts[1], 0);
	assert_int_equal(device.verdicts[2], 0); /* idle, and it may stay so */
	device.links[0].received_bytes++;        /* an answer, and now this one is idle */
	for (int i = 0; i < 100; i++) {
		pass_traffic(&device, 1);
		sample_when_due(&device);
		assert_int_equal(device.verdicts[0], 0);
	}
}

static void a_link_that_was_replaced_begins_anew(void **state)
{
	struct device device = begin(LIVENESS_MS, 1);

	(void)state;
	sample_when_due(&device);
	device.in_flight = true;
	for (int i = 0; i < 8; i++)
		sample_when_due(&device);
	sampling_forget(&device.sampling, 0, device.now_ms);
	sample_when_due(&device); /* the same numbers, but of another socket */
	assert_int_equal(device.verdicts[0], 0);
	assert_int_equal(silent_after_ms(&device, 0), LIVENESS_MS);
}

/* A flush, or a queue without statistics: the kernel counts nothing in flight, the link itself
 * knows better. */
static void what_the_link_owes_counts_without_anything_in_flight(void **state)
{
	struct device device = begin(LIVENESS_MS, 1);
	int64_t began_ms;

	(void)state;
	pass_traffic(&device, 0);
	sample_when_due(&device);
	device.links[0].sent_bytes += 28;
	device.links[0].owed = true;
	sample(&device);
	began_ms = device.now_ms;
	while (!(device.verdicts[0] & SAMPLING_SILENT)) {
		sample_when_due(&device);
		assert_true(device.now_ms - began_ms <= LIVENESS_MS + 4000);
	}
	assert_true(device.now_ms - began_ms >= LIVENESS_MS);
	assert_in_range(sampling_silent_ms(&device.sampling, 0, device.now_ms), LIVENESS_MS,
		LIVENESS_MS + 4000);
	device.links[0].received_bytes += 16;
	device.links[0].owed = false;
	sample_when_due(&device);
	assert_int_equal(device.verdicts[0], 0);
	assert_int_equal(sampling_silent_ms(&device.sampling, 0, device.now_ms), 0);
}

/* The driver says every two seconds that a request is stuck. */
static void be_stuck_until_silent(struct device *device)
{
	int64_t began_ms = device->now_ms, stuck_at_ms = began_ms;

	while (!(device->verdicts[0] & SAMPLING_SILENT)) {
		if (device->next_sample_ms > stuck_at_ms) {
			device->now_ms = stuck_at_ms;
			sampling_stuck(&device->sampling, device->now_ms);
			stuck_at_ms += 2000;
			if (!device->sampling.active)
				sample(device);
			continue;
		}
		sample_when_due(device);
		assert_true(device->now_ms - began_ms <= LIVENESS_MS + 4000);
	}
	assert_true(device->now_ms - began_ms >= LIVENESS_MS);
}

/* A flush that was sent in the tick of the write's answer: neither the block layer nor TCP tells of
 * it. */
static void what_the_driver_calls_stuck_counts_though_nothing_else_tells(void **state)
{
	struct device device = begin(LIVENESS_MS, 1);

	(void)state;
	pass_traffic(&device, 0);
	while (sample_when_due(&device) < SAMPLING_IDLE_MS)
		assert_int_equal(device.verdicts[0], 0);
	pass_traffic(&device, 0);
	sample(&device);
	be_stuck_until_silent(&device);
	assert_true(sampling_is_stuck(&device.sampling, device.now_ms));
	device.links[0].received_bytes += 16;
	sample_when_due(&device);
	assert_int_equal(device.verdicts[0], 0);
	assert_false(sampling_is_stuck(&device.sampling, device.now_ms));
	while (sample_when_due(&device) < SAMPLING_IDLE_MS)
		assert_int_equal(device.verdicts[0], 0);
}

/* It was read just after the answer had been counted: the driver does not say so again. */
static void what_was_stuck_once_does_not_count_for_long(void **state)
{
	struct device device = begin(LIVENESS_MS, 1);

	(void)state;
	pass_traffic(&device, 0);
	sample_when_due(&device);
	sampling_stuck(&device.sampling, device.now_ms);
	while (sample_when_due(&device) < SAMPLING_IDLE_MS)
		assert_int_equal(device.verdicts[0], 0);
}

static void a_request_has_a_limit_only_where_one_is_asked_for(void **state)
{
	struct device device = begin(LIVENESS_MS, 1);

	(void)state;
	device.in_flight = true;
	for (int i = 0; i < 10000; i++) {
		sample_when_due(&device);
		assert_false(device.verdicts[0] & SAMPLING_OVERTIME);
	}
	device.sampling.request_ms = 600000;
	device.links[0].received_bytes += 16;
	sample_when_due(&device);
	for (int64_t began_ms = device.now_ms; device.now_ms - began_ms < 600000;
		sample_when_due(&device))
		assert_false(device.verdicts[0] & SAMPLING_OVERTIME);
	sample_when_due(&device);
	assert_true(device.verdicts[0] & SAMPLING_OVERTIME);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_the_link_owes_counts_without_anything_in_flight),
		cmocka_unit_test(what_the_driver_calls_stuck_counts_though_nothing_else_tells),
		cmocka_unit_test(what_was_stuck_once_does_not_count_for_long),
		cmocka_unit_test(a_request_has_a_limit_only_where_one_is_asked_for),
		cmocka_unit_test(an_idle_device_is_soon_left_alone),
		cmocka_unit_test(an_idle_tls_link_is_left_alone_too),
		cmocka_unit_test(a_busy_device_is_sampled_often_enough),
		cmocka_unit_test(data_makes_an_idle_device_active_again),
		cmocka_unit_test(a_request_in_flight_makes_an_idle_device_active_again),
		cmocka_unit_test(an_idle_moment_is_checked_for_the_more_often_the_less_is_left),
		cmocka_unit_test(an_idle_moment_is_checked_for_without_a_limit_too),
		cmocka_unit_test(the_end_of_a_key_is_seen_before_it_is_reached),
		cmocka_unit_test(renewals_are_requested_at_a_half_and_at_seven_eighths),
		cmocka_unit_test(a_key_without_a_limit_is_never_renewed),
		cmocka_unit_test(limits_of_any_size_are_borne),
		cmocka_unit_test(a_server_that_says_nothing_is_silent_after_its_time),
		cmocka_unit_test(a_link_is_given_its_whole_time_however_late_its_sample),
		cmocka_unit_test(a_slow_server_is_not_a_silent_one),
		cmocka_unit_test(a_server_that_is_asked_nothing_is_not_silent),
		cmocka_unit_test(an_answer_ends_the_waiting),
		cmocka_unit_test(of_several_links_only_the_one_that_owes_an_answer_is_silent),
		cmocka_unit_test(a_link_that_was_replaced_begins_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
