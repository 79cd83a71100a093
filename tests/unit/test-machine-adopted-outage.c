/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Links of a former supervisor of which it is not known whether they serve: since when the device
 * is away, and what shows that it is not. */
#include "machine-script.h"

/* --- an outage that is older than its supervisor */

static void an_outage_may_be_older_than_the_supervisor(void **state)
{
	struct script script = begin(1);

	(void)state;
	machine_adopt_link(&script.machine, 0, ADOPTED_GONE);
	machine_set_outage(&script.machine, script.now_ms - DEAD_MS + 500, script.now_ms);
	expect(&script, 0, RECEIVER_ENDED, 0, "negotiate");
	expect_deadline(&script, 500, "cancel, fail device");
	/* One that is not known to be dead may have served without a supervisor. */
	script = begin(1);
	machine_adopt_link(&script.machine, 0, ADOPTED_UNKNOWN);
	machine_set_outage(&script.machine, script.now_ms - DEAD_MS + 500, script.now_ms);
	expect(&script, 0, RECEIVER_ENDED, 0, "negotiate");
	expect_deadline(&script, MACHINE_SPARED_MS - MACHINE_LAST_PROBE_MS, "probe");
	expect_deadline(&script, MACHINE_LAST_PROBE_MS, "sample 0");
	expect(&script, 0, SAMPLED, 0, "cancel, fail device");
	/* It did until now. */
	script = begin(1);
	machine_adopt_link(&script.machine, 0, ADOPTED_UNKNOWN);
	machine_set_outage(&script.machine, script.now_ms - DEAD_MS + 500, script.now_ms);
	expect(&script, 0, RECEIVER_ENDED, 0, "negotiate");
	script.compares_all = true;
	expect(&script, 1000, NOTICE, 0, "save, await receiver 0");
	assert_int_equal(script.machine.outage_since_ms, script.now_ms);
	script = begin(1);
	machine_set_outage(&script.machine, script.now_ms - 2 * DEAD_MS, script.now_ms);
	expect(&script, 0, TICK, 0, "");
	assert_at_rest(&script);
}

/* It was handed over in the last moment of the former supervisor, and nobody uses the device: a
 * sample would show nothing, a read does. */
static void a_link_that_nobody_used_yet_is_asked_before_its_device_fails(void **state)
{
	struct script script = begin(1);

	(void)state;
	machine_adopt_link(&script.machine, 0, ADOPTED_UNPROVEN);
	machine_set_outage(&script.machine, script.now_ms - 2 * DEAD_MS, script.now_ms);
	expect(&script, 0, TICK, 0, "probe");
	expect_facts(&script, 5, PROBED, 0, FACT_DONE | FACT_COUNTED | FACT_USED | FACT_MOVED, "");
	assert_at_rest(&script);
}

/* A link that was adopted unseen serves for ten minutes, its server takes no second connection, and
 * then it dies: the server was not away for as long as nobody knew. */
static void an_outage_begins_when_the_device_ceases_to_be_served(void **state)
{
	struct script script = begin(2);

	(void)state;
	machine_adopt_link(&script.machine, 0, ADOPTED_UNKNOWN);
	machine_adopt_link(&script.machine, 1, ADOPTED_UNKNOWN);
	expect(&script, 0, TICK, 0, "negotiate");
	script.compares_all = true;
	expect_facts(&script, DEAD_MS - 1, SERVED, 0, FACT_DONE, "save");
	assert_int_equal(script.machine.outage_since_ms, script.now_ms);
	script.compares_all = false;
	expect_deadline(&script, DEAD_MS - MACHINE_LAST_PROBE_MS, "probe");
	expect_deadline(&script, MACHINE_LAST_PROBE_MS, "sample 0, sample 1");
	expect(&script, 0, SAMPLED, 0, "");
	expect(&script, 0, SAMPLED, 1, "cancel");
	assert_int_equal(script.machine.phase, PHASE_FAILED);
	/* what is answered now is answered with an error */
	expect_facts(&script, 0, SERVED, 0, FACT_DONE, "");
	assert_true(script.machine.outage_since_ms < script.now_ms);
}

/* No sample shows that it serves. */
static void a_device_that_nobody_uses_is_read_before_it_fails(void **state)
{
	struct script script = begin(1);

	(void)state;
	machine_adopt_link(&script.machine, 0, ADOPTED_UNKNOWN);
	expect(&script, 0, TICK, 0, "negotiate");
	for (int i = 0; i < 3; i++) {
		expect_deadline(&script, DEAD_MS - MACHINE_LAST_PROBE_MS, "probe");
		expect_facts(&script, 5, PROBED, 0, FACT_DONE | FACT_COUNTED, "");
	}
	expect_deadline(&script, DEAD_MS - MACHINE_LAST_PROBE_MS, "probe");
	expect(&script, 5, PROBED, 0, "");
	expect_deadline(&script, MACHINE_LAST_PROBE_MS - 5, "sample 0");
	expect(&script, 0, SAMPLED, 0, "cancel");
	/* not at once and again, however short the time is */
	script = begin(1);
	script.machine.config.dead_timeout_ms = 1000;
	machine_adopt_link(&script.machine, 0, ADOPTED_UNKNOWN);
	expect(&script, 0, TICK, 0, "negotiate");
	expect_deadline(&script, 500, "probe");
	expect_facts(&script, 0, PROBED, 0, FACT_DONE | FACT_COUNTED, "");
	expect_deadline(&script, 500, "probe");
	/* under swap, too: nothing else helps */
	script = begin(1);
	script.machine.config.is_isolated = true;
	machine_adopt_link(&script.machine, 0, ADOPTED_UNKNOWN);
	expect(&script, 0, TICK, 0, "negotiate");
	expect_deadline(&script, DEAD_MS - MACHINE_LAST_PROBE_MS, "probe");
}

/* Nobody reads the kernel's log, and the driver may have begun to fail what waits. */
static void what_may_be_errors_is_no_service_until_a_read_is_done(void **state)
{
	struct script script = begin(1);
	int64_t since_ms;

	(void)state;
	machine_adopt_link(&script.machine, 0, ADOPTED_UNKNOWN);
	expect(&script, 0, TICK, 0, "negotiate");
	since_ms = script.now_ms;
	expect(&script, 1000, SERVED, 0, "probe");
	expect(&script, 5, PROBED, 0, "");
	assert_int_equal(script.machine.outage_since_ms, since_ms);
	expect(&script, 4000, SERVED, 0, "probe");
	expect_facts(&script, 5, PROBED, 0, FACT_DONE | FACT_COUNTED, "");
	assert_int_equal(script.machine.outage_since_ms, script.now_ms);
	/* no process is started for it under swap */
	script.machine.config.is_isolated = true;
	expect(&script, 4000, SERVED, 0, "");
	assert_int_equal(script.machine.outage_since_ms, script.now_ms);
}

/* It was begun when none seemed to be up. */
static void an_attempt_at_any_host_is_given_up_for_a_link_that_cannot_be_shut(void **state)
{
	struct script script = begin(2);

	(void)state;
	script.compares_all = true;
	machine_set_link(&script.machine, 0, 1, 0);
	machine_set_link(&script.machine, 1, 1, 0);
	machine_adopt_link(&script.machine, 0, ADOPTED_ANSWERING);
	expect(&script, 0, HANGUP, 1, "save, tell lost 1, probe");
	expect_facts(&script, 0, PROBED, 0, FACT_DONE | FACT_RECENT, "save");
	expect(&script, 1, NOTICE, 0, "await receiver 1, negotiate only 1");
	expect(&script, 1, NOT_NEGOTIATED, 0, "");
	expect(&script, BACKOFF_MIN_MS, SERVER_ENDS, 0,
		"save, shut 0, tell lost 0, negotiate from 1");
	/* nor is it known any more whether it serves */
	expect(&script, 0, CANNOT_SHUT, 0, "cancel, probe, negotiate only 1");
	expect_facts(&script, 5, PROBED, 0, FACT_DONE | FACT_RECENT, "save");
}

/* --- what shows that they serve */

static void a_device_whose_slot_was_not_free_is_not_failed(void **state)
{
	struct script script = begin(1);

	(void)state;
	script.machine.config.dead_timeout_ms = 5000;
	machine_adopt_link(&script.machine, 0, ADOPTED_UNKNOWN);
	expect(&script, 0, TICK, 0, "negotiate");
	expect(&script, 0, RECEIVER_ENDED, 0, "");
	expect_hand_over(&script, 0);
	expect_facts(&script, 5, PROBED, 0, FACT_DONE | FACT_COUNTED, "drop link 0");
	expect(&script, 5000, TICK, 0, "");
	assert_int_equal(script.machine.phase, PHASE_RUNNING);
	assert_int_equal(script.machine.outage_since_ms, -1);
}

/* Two links over a Unix socket, adopted in an outage: the notices of both were sent before anybody
 * listened, so that none is owed. */
static void a_notice_of_another_link_does_not_shut_one_that_serves(void **state)
{
	struct script script = begin(2);

	(void)state;
	machine_adopt_link(&script.machine, 0, ADOPTED_UNKNOWN);
	machine_adopt_link(&script.machine, 1, ADOPTED_UNKNOWN);
	machine_set_outage(&script.machine, script.now_ms, script.now_ms);
	expect(&script, 0, TICK, 0, "negotiate");
	expect(&script, 0, RECEIVER_ENDED, 0, "");
	expect(&script, 0, RECEIVER_ENDED, 1, "");
	expect(&script, 30, NEGOTIATED, 0, "hand over 0");
	expect(&script, 0, HANDED_OVER, 0, "probe");
	expect_facts(&script, 5, PROBED, 0, FACT_DONE | FACT_USED, "negotiate");
	expect(&script, 30, NEGOTIATED, 0, "hand over 1");
	expect(&script, 0, HANDED_OVER, 1, "probe");
	expect_facts(&script, 5, PROBED, 1, FACT_DONE | FACT_USED, "");
	assert_at_rest(&script);
	/* An hour later the driver gives link 1 up: it says so, then shuts it
	 * (kernel fact early-notice). */
	expect(&script, 3600000, NOTICE, 0, "");
	expect(&script, SETTLE_MS - 1, HANGUP, 1, "negotiate");
	assert_state(&script, 0, LINK_ALIVE);
	expect_reconnect(&script, 1);
	assert_at_rest(&script);
}

/* --- several, of which nobody knows which one serves */

static struct script begin_presumed(void)
{
	struct script script = begin(2);

	script.machine.config.sample_ms = SAMPLE_MS;
	machine_set_link(&script.machine, 0, 1, 0);
	machine_set_link(&script.machine, 1, 1, 0);
	machine_adopt_link(&script.machine, 0, ADOPTED_ANSWERING);
	machine_adopt_link(&script.machine, 1, ADOPTED_ANSWERING);
	assert_true(machine_is_serving(&script.machine));
	expect(&script, 0, TICK, 0, "");
	return script;
}

/* One of them is lost: the driver has said so, and is believed after a moment. */
static struct script lose_presumed(void)
{
	struct script script = begin_presumed();

	expect(&script, 1000, NOTICE, 0, "");
	expect_deadline(&script, SETTLE_MS, "probe, negotiate");
	assert_state(&script, 0, LINK_FREE);
	assert_false(machine_is_serving(&script.machine));
	assert_int_equal(script.machine.outage_since_ms, script.now_ms);
	return script;
}

static void what_is_presumed_to_serve_is_read_over_when_another_link_is_lost(void **state)
{
	struct script script = lose_presumed();

	(void)state;
	/* begun before, over the link that is lost now: it says nothing of the other */
	expect_facts(&script, 5, PROBED, 0, FACT_DONE, "");
	assert_false(machine_is_serving(&script.machine));
	expect_deadline(&script, SAMPLE_MS - 5, "probe");
	expect_facts(&script, 5, PROBED, 0, FACT_DONE | FACT_RECENT, "");
	assert_true(machine_is_serving(&script.machine));
	assert_state(&script, 1, LINK_UNMONITORED);
	/* and when the other one is lost */
	expect(&script, 5, NOT_NEGOTIATED, 0, "");
	expect(&script, 5, NOTICE, 0, "");
}

static void what_is_presumed_to_serve_and_does_not_is_lost(void **state)
{
	struct script script = lose_presumed();
	int64_t began_ms = script.now_ms;
	unsigned asked;

	(void)state;
	for (asked = 1; script.now_ms + SAMPLE_MS < began_ms + PROVE_MS; asked++)
		expect_deadline(&script, SAMPLE_MS, "probe");
	assert_int_equal(asked, PROVE_MS / SAMPLE_MS);
	script.compares_all = true;
	expect_deadline(&script, SAMPLE_MS, "tell lost 1");
	/* the host is free then, since no link is known to serve */
	expect(&script, 5, NOT_NEGOTIATED, 0, "");
	expect_deadline(&script, BACKOFF_MIN_MS, "negotiate from 1");
	assert_int_equal(script.machine.outage_since_ms, began_ms);
	/* it did serve: its server was slow */
	expect_facts(&script, 5, PROBED, 0, FACT_DONE | FACT_RECENT, "save");
	assert_int_equal(script.machine.outage_since_ms, script.now_ms);
}

/* No process is begun under swap until nothing else helps. */
static void what_is_presumed_to_serve_is_given_time_under_swap(void **state)
{
	struct script script = begin_presumed();

	(void)state;
	script.machine.config.is_isolated = true;
	expect(&script, 1000, NOTICE, 0, "");
	expect_deadline(&script, SETTLE_MS, "negotiate");
	expect_deadline(&script, PROVE_MS / 2, "probe");
}

static void the_only_link_that_was_presumed_lost_and_serves_is_left_alone(void **state)
{
	struct script script = begin_adopted(ADOPTED_UNKNOWN);

	(void)state;
	expect(&script, 0, TICK, 0, "negotiate");
	expect_facts(&script, 5, SERVED, 0, FACT_DONE, "probe");
	/* it may have ended meanwhile */
	expect_facts(&script, 5, PROBED, 0, FACT_DONE, "");
	expect_facts(&script, 1000, SERVED, 0, FACT_DONE, "probe");
	expect_facts(&script, 5, PROBED, 0, FACT_DONE | FACT_RECENT, "cancel");
	assert_state(&script, 0, LINK_UNMONITORED);
	assert_at_rest(&script);
	/* not one that is seen to be lost, whatever was done before */
	script = begin(1);
	expect(&script, 5, HANGUP, 0, "");
	expect_facts(&script, 5, SERVED, 0, FACT_DONE, "");
	assert_state(&script, 0, LINK_LOST);
}

/* Told to end at shutdown, in what may be none. */
static void an_outage_that_is_waited_for_is_made_sure_of(void **state)
{
	struct script script = begin_adopted(ADOPTED_UNKNOWN);

	(void)state;
	script.machine.config.is_isolated = true;
	expect(&script, 0, TICK, 0, "negotiate");
	expect(&script, 5, STOP, 0, "probe");
	expect_facts(&script, 5, PROBED, 0, FACT_DONE | FACT_RECENT, "cancel, detach");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_outage_may_be_older_than_the_supervisor),
		cmocka_unit_test(a_link_that_nobody_used_yet_is_asked_before_its_device_fails),
		cmocka_unit_test(an_outage_begins_when_the_device_ceases_to_be_served),
		cmocka_unit_test(a_device_that_nobody_uses_is_read_before_it_fails),
		cmocka_unit_test(what_may_be_errors_is_no_service_until_a_read_is_done),
		cmocka_unit_test(an_attempt_at_any_host_is_given_up_for_a_link_that_cannot_be_shut),
		cmocka_unit_test(a_device_whose_slot_was_not_free_is_not_failed),
		cmocka_unit_test(a_notice_of_another_link_does_not_shut_one_that_serves),
		cmocka_unit_test(what_is_presumed_to_serve_is_read_over_when_another_link_is_lost),
		cmocka_unit_test(what_is_presumed_to_serve_and_does_not_is_lost),
		cmocka_unit_test(what_is_presumed_to_serve_is_given_time_under_swap),
		cmocka_unit_test(the_only_link_that_was_presumed_lost_and_serves_is_left_alone),
		cmocka_unit_test(an_outage_that_is_waited_for_is_made_sure_of),
	};

	return cmocka_run_group_tests_name("machine-adopted-outage", tests, NULL, NULL);
}
