/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A device whose server is away for too long fails: when, and what keeps it from that. */
#include "machine-script.h"

static void the_device_fails_exactly_at_its_dead_timeout(void **state)
{
	struct script script = begin(1);

	(void)state;
	expect(&script, 0, HANGUP, 0, "");
	expect(&script, 1, NOTICE, 0, "negotiate");
	expect(&script, DEAD_MS - 2, TICK, 0, "");
	assert_int_equal(script.machine.phase, PHASE_RUNNING);
	assert_int_equal(machine_deadline_ms(&script.machine), script.now_ms + 1);
	expect(&script, 1, TICK, 0, "cancel, fail device");
	assert_given_up(&script);
}

static void a_pause_does_not_outlast_the_dead_timeout(void **state)
{
	struct script script = begin(1);

	(void)state;
	expect(&script, 0, HANGUP, 0, "");
	expect(&script, 1, NOTICE, 0, "negotiate");
	expect(&script, DEAD_MS - 51, NOT_NEGOTIATED, 0, "");
	expect_deadline(&script, 50, "fail device");
	assert_given_up(&script);
}

static void a_link_under_proof_is_shut_at_the_dead_timeout(void **state)
{
	struct script script = begin(1);

	(void)state;
	expect(&script, 0, HANGUP, 0, "");
	expect(&script, 1, NOTICE, 0, "negotiate");
	expect(&script, DEAD_MS - 1001, NEGOTIATED, 0, "hand over 0");
	expect(&script, 0, HANDED_OVER, 0, "probe");
	expect_deadline(&script, 1000, "sample 0");
	expect_facts(&script, 0, SAMPLED, 0, FACT_COUNTED | FACT_USED, "shut 0");
	assert_int_equal(script.machine.phase, PHASE_FAILED);
	/* as soon as there is a slot to put the end into */
	expect_deadline(&script, SETTLE_MS, "fail device");
	assert_given_up(&script);
}

static void a_spare_socket_is_dropped_at_the_dead_timeout(void **state)
{
	struct script script = begin(1);

	(void)state;
	script.machine.config.dead_timeout_ms = 100;
	go_to_spare(&script);
	expect(&script, 0, HANGUP, 0, "");
	expect_deadline(&script, 50, "probe");
	expect_deadline(&script, 50, "sample 0");
	expect(&script, 0, SAMPLED, 0, "drop spare");
	expect_deadline(&script, SETTLE_MS - 100, "fail device");
	assert_given_up(&script);
}

static void a_proof_begins_the_dead_timeout_anew(void **state)
{
	struct script script = begin(1);

	(void)state;
	go_to_negotiate(&script);
	expect(&script, DEAD_MS - 1000, NOT_NEGOTIATED, 0, "");
	expect_deadline(&script, BACKOFF_MIN_MS, "negotiate");
	expect_reconnect(&script, 0);
	expect(&script, 5000, HANGUP, 0, "");
	expect(&script, 1, NOTICE, 0, "negotiate");
	expect(&script, DEAD_MS - 2, TICK, 0, "");
	expect(&script, 1, TICK, 0, "cancel, fail device");
}

static void an_infinite_dead_timeout_never_comes(void **state)
{
	struct script script = begin(1);

	(void)state;
	script.machine.config.dead_timeout_ms = -1;
	go_to_negotiate(&script);
	assert_int_equal(machine_deadline_ms(&script.machine), -1); /* the attempt has its own */
	expect(&script, 10LL * 365 * 86400 * 1000, NOT_NEGOTIATED, 0, "");
	expect_deadline(&script, BACKOFF_MIN_MS, "negotiate");
	expect(&script, 10LL * 365 * 86400 * 1000, NOT_NEGOTIATED, 0, "");
	expect_deadline(&script, BACKOFF_MAX_MS, "negotiate");
	expect_reconnect(&script, 0);
	assert_at_rest(&script);
}

static void a_device_is_not_failed_under_a_receiver(void **state)
{
	struct script script = begin(1);

	(void)state;
	script.keeps_receivers = true;
	expect(&script, 0, HANGUP, 0, "");
	expect(&script, 1, NOTICE, 0, "negotiate");
	expect(&script, DEAD_MS, TICK, 0, "cancel");
	assert_int_equal(script.machine.phase, PHASE_FAILED);
	expect(&script, 1, RECEIVER_ENDED, 0, "fail device");
	assert_given_up(&script);
}

static void a_device_with_a_link_left_is_never_given_up(void **state)
{
	struct script script = begin(2);

	(void)state;
	expect(&script, 0, HANGUP, 1, "");
	expect(&script, 1, NOTICE, 0, "negotiate");
	for (int i = 0; i < 300; i++) {
		int64_t pause_ms;

		expect(&script, 10, NOT_NEGOTIATED, 0, "");
		pause_ms = machine_deadline_ms(&script.machine) - script.now_ms;
		assert_in_range(pause_ms, 1, PAUSE_LIMIT_MS);
		expect_deadline(&script, pause_ms, "negotiate");
		assert_int_equal(script.machine.outage_since_ms, -1);
	}
	assert_true(script.now_ms > 1000000 + 2 * DEAD_MS);
	/* Its time begins when the last one is lost. */
	expect(&script, 0, HANGUP, 0, "");
	expect(&script, 1, NOTICE, 0, "");
	expect(&script, DEAD_MS - 2, TICK, 0, "");
	expect(&script, 1, TICK, 0, "cancel, fail device");
}

static void a_server_that_answers_nothing_for_the_dead_timeout_fails_the_device(void **state)
{
	struct script script = begin(1);

	(void)state;
	expect(&script, 0, SILENT, 0, "negotiate");
	expect(&script, 20000, NOT_NEGOTIATED, 0, "");
	expect(&script, DEAD_MS - 1, TICK, 0, "negotiate");
	expect(&script, 1, TICK, 0, "sample 0");
	expect(&script, 0, SAMPLED, 0, "cancel, shut 0");
	assert_int_equal(script.machine.phase, PHASE_FAILED);
	expect(&script, SETTLE_MS, TICK, 0, "fail device");
}

static void a_server_that_has_answered_in_the_last_moment_keeps_the_device(void **state)
{
	struct script script = begin(1);

	(void)state;
	expect(&script, 0, SILENT, 0, "negotiate");
	expect(&script, 20000, NOT_NEGOTIATED, 0, "");
	expect(&script, DEAD_MS - 1, TICK, 0, "negotiate");
	expect(&script, 1, TICK, 0, "sample 0");
	expect_facts(&script, 0, SAMPLED, 0, FACT_MOVED, "cancel");
	assert_at_rest(&script);
}

/* Of a Unix socket, say, that the driver had dropped unseen. */
static void a_device_that_gets_something_done_is_not_failed(void **state)
{
	struct script script = begin(1);
	int64_t since_ms = script.now_ms;

	(void)state;
	expect(&script, 0, HANGUP, 0, "");
	expect_deadline(&script, SETTLE_MS, "negotiate");
	while (script.now_ms < since_ms + DEAD_MS - 1) {
		expect(&script, 1, REFUSED, 0, "");
		script.now_ms += BACKOFF_MAX_MS;
		if (script.now_ms > since_ms + DEAD_MS - 1 - BACKOFF_MAX_MS)
			script.now_ms = since_ms + DEAD_MS - 1;
		expect(&script, 0, TICK, 0,
			script.now_ms < since_ms + DEAD_MS - MACHINE_LAST_PROBE_MS ?
				"negotiate" :
				"negotiate, probe");
	}
	expect(&script, 1, TICK, 0, "sample 0");
	expect_facts(&script, 0, SAMPLED, 0, FACT_MOVED, "");
	expect(&script, DEAD_MS - 1, NOT_NEGOTIATED, 0, "probe");
	expect(&script, 1, TICK, 0, "sample 0");
	expect(&script, 0, SAMPLED, 0, "fail device");
}

/* Of whatever link: its own is lost by then. */
static void a_read_that_was_done_is_service(void **state)
{
	struct script script = begin(1);
	int64_t lost_ms;

	(void)state;
	go_to_pause(&script);
	lost_ms = script.machine.outage_since_ms;
	script.compares_all = true;
	expect_facts(&script, 1, PROBED, 0, 0, "");
	assert_int_equal(script.machine.outage_since_ms, lost_ms);
	expect_facts(&script, 1, PROBED, 0, FACT_DONE, "save");
	assert_int_equal(script.machine.outage_since_ms, script.now_ms);
}

static void io_that_the_driver_fails_by_itself_is_the_end(void **state)
{
	struct script script = begin(1);

	(void)state;
	go_to_pause(&script);
	expect(&script, 1, IO_FAILED, 0, "fail device");
	assert_int_equal(script.machine.phase, PHASE_FAILED);
	expect(&script, DEAD_MS, TICK, 0, "");
}

/* No link can serve: the driver fails a request that it had sent half of, say. */
static void an_error_that_comes_late_does_not_begin_an_outage_anew(void **state)
{
	struct script script = begin(1);

	(void)state;
	expect(&script, 0, HANGUP, 0, "");
	expect(&script, 5, NOTICE, 0, "negotiate");
	script.compares_all = true;
	expect_facts(&script, 1000, SERVED, 0, FACT_DONE, "probe");
	expect(&script, 5, PROBED, 0, "");
	assert_int_equal(script.machine.outage_since_ms, script.now_ms - 1010);
	/* one that was taken for another serves all the same */
	expect_facts(&script, 4000, SERVED, 0, FACT_DONE, "probe");
	expect_facts(&script, 5, PROBED, 0, FACT_DONE | FACT_COUNTED, "save");
	assert_int_equal(script.machine.outage_since_ms, script.now_ms);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_device_fails_exactly_at_its_dead_timeout),
		cmocka_unit_test(a_pause_does_not_outlast_the_dead_timeout),
		cmocka_unit_test(a_link_under_proof_is_shut_at_the_dead_timeout),
		cmocka_unit_test(a_spare_socket_is_dropped_at_the_dead_timeout),
		cmocka_unit_test(a_proof_begins_the_dead_timeout_anew),
		cmocka_unit_test(an_infinite_dead_timeout_never_comes),
		cmocka_unit_test(a_device_is_not_failed_under_a_receiver),
		cmocka_unit_test(a_device_with_a_link_left_is_never_given_up),
		cmocka_unit_test(
			a_server_that_answers_nothing_for_the_dead_timeout_fails_the_device),
		cmocka_unit_test(a_server_that_has_answered_in_the_last_moment_keeps_the_device),
		cmocka_unit_test(a_device_that_gets_something_done_is_not_failed),
		cmocka_unit_test(a_read_that_was_done_is_service),
		cmocka_unit_test(io_that_the_driver_fails_by_itself_is_the_end),
		cmocka_unit_test(an_error_that_comes_late_does_not_begin_an_outage_anew),
	};

	return cmocka_run_group_tests_name("machine-dead-timeout", tests, NULL, NULL);
}
