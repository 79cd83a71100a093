/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Links of a former supervisor: with their socket or without, known to serve or not, and how they
 * are replaced by links that can be watched. */
#include "machine-script.h"

static struct script begin_adopted(enum adopted_as how)
{
	struct script script = begin(1);

	machine_adopt_link(&script.machine, 0, how);
	return script;
}

static void expect_found(struct script *script, unsigned at, enum adopted_as found)
{
	expect_with(script, 0, LOOKED_UP, "", .link = at, .found = found);
}

static struct script begin_unmonitored(void)
{
	struct script script = begin_adopted(ADOPTED_FOUND);

	expect(&script, 0, TICK, 0, "negotiate");
	assert_true(machine_is_serving(&script.machine));
	expect(&script, 30, NEGOTIATED, 0, "");
	assert_true(machine_awaits_idle(&script.machine));
	return script;
}

static void an_unmonitored_link_that_lives_is_replaced_in_an_idle_moment(void **state)
{
	struct script script = begin_unmonitored();

	(void)state;
	expect(&script, 5000, IDLE, 0, "shut 0");
	expect_renewed(&script, 0);
	assert_int_equal(script.machine.links[0].state, LINK_ALIVE);
	assert_at_rest(&script);
}

static void an_unmonitored_link_that_cannot_be_shut_is_left_until_it_dies(void **state)
{
	struct script script = begin_unmonitored();

	(void)state;
	expect(&script, 5, IDLE, 0, "shut 0");
	expect(&script, 0, CANNOT_SHUT, 0, "drop spare");
	assert_int_equal(script.machine.links[0].state, LINK_UNMONITORED);
	assert_int_equal(script.machine.links[0].renewal, RENEWAL_IMPOSSIBLE);
	assert_at_rest(&script);
	expect(&script, 1000000, TICK, 0, "");
	expect(&script, 1000000, NOTICE, 0, "negotiate");
	expect_reconnect(&script, 0);
	assert_int_equal(script.machine.links[0].state, LINK_ALIVE);
	assert_at_rest(&script);
}

static void an_unmonitored_link_without_an_idle_moment_is_replaced_by_force(void **state)
{
	struct script script = begin_unmonitored();

	(void)state;
	expect_deadline(&script, SPARE_MS, "drain");
	expect(&script, 5, DRAINED, 0, "shut 0");
	expect_renewed(&script, 0);
	assert_at_rest(&script);
}

/* In clear, and TLS is asked for. */
static void an_unmonitored_link_that_must_go_is_shut_at_once(void **state)
{
	struct script script = begin_adopted(ADOPTED_FOUND);

	(void)state;
	machine_renew_link(&script.machine, 0);
	expect(&script, 0, TICK, 0, "negotiate");
	expect(&script, 30, NEGOTIATED, 0, "drain");
	expect(&script, 5, DRAINED, 0, "shut 0");
	expect_renewed(&script, 0);
	assert_at_rest(&script);
}

static void an_unmonitored_link_that_dies_while_its_successor_waits_gets_it(void **state)
{
	struct script script = begin_unmonitored();

	(void)state;
	expect(&script, 100, NOTICE, 0, "hand over 0");
	expect(&script, 0, HANDED_OVER, 0, "probe");
	expect(&script, 1, MOVED, 0, "");
	assert_at_rest(&script);
}

static void a_notice_is_for_the_link_that_is_seen_to_be_lost(void **state)
{
	struct script script = begin(2);

	(void)state;
	machine_adopt_link(&script.machine, 0, ADOPTED_ANSWERING);
	expect(&script, 0, HANGUP, 1, "probe"); /* it may have been that one which was read over */
	expect(&script, 1, NOTICE, 0, "negotiate");
	assert_int_equal(script.machine.links[0].state, LINK_UNMONITORED);
	assert_int_equal(script.machine.links[1].state, LINK_FREE);
	expect(&script, 1, NOTICE, 0, "");
	expect_deadline(&script, SETTLE_MS, "");
	assert_int_equal(script.machine.links[0].state, LINK_FREE);
}

static void an_unmonitored_link_is_free_a_moment_after_its_notice(void **state)
{
	struct script script = begin_adopted(ADOPTED_ANSWERING);

	(void)state;
	script.machine.config.notice_ms = NOTICE_MS;
	expect(&script, 5, NOTICE, 0, "");
	assert_int_equal(script.machine.links[0].state, LINK_NOTICED);
	expect_deadline(&script, NOTICE_MS, "negotiate");
	expect_reconnect(&script, 0);
	assert_at_rest(&script);
}

/* The end of one drain, and the end of the time for an idle moment. */
static void a_drain_that_is_asked_for_at_the_end_of_another_is_not_forgotten(void **state)
{
	struct script script = begin(1);

	(void)state;
	machine_adopt_link(&script.machine, 0, ADOPTED_FOUND);
	expect(&script, 0, TICK, 0, "negotiate");
	expect(&script, 30, NEGOTIATED, 0, "");
	expect(&script, SPARE_MS, DRAINED, 0, "drain");
	expect(&script, 5, DRAINED, 0, "shut 0");
	expect_renewed(&script, 0);
	assert_at_rest(&script);
}

static void a_link_that_is_gone_is_replaced(void **state)
{
	struct script script = begin_adopted(ADOPTED_GONE);

	(void)state;
	assert_false(machine_is_serving(&script.machine));
	expect(&script, 0, TICK, 0, "negotiate");
	expect(&script, 30, NEGOTIATED, 0, ""); /* is anything read from it still? */
	expect(&script, 5, RECEIVER_ENDED, 0, "hand over 0");
	expect(&script, 0, HANDED_OVER, 0, "probe");
	expect(&script, 5, MOVED, 0, "");
	assert_int_equal(script.machine.reconnects, 1);
	assert_at_rest(&script);
}

/* Nothing is lost by it: the driver drops the new socket unless the slot is free. */
static void a_link_of_which_nothing_is_known_is_replaced(void **state)
{
	struct script script = begin_adopted(ADOPTED_UNKNOWN);

	(void)state;
	expect(&script, 0, TICK, 0, "negotiate");
	expect(&script, 0, RECEIVER_ENDED, 0, "");
	expect_hand_over(&script, 0);
	/* It was not free, but is now. */
	expect(&script, 5, NOTICE, 0, "shut 0");
	expect_deadline(&script, BACKOFF_MIN_MS, "");
	expect_deadline(&script, SETTLE_MS - BACKOFF_MIN_MS, "negotiate");
	expect_reconnect(&script, 0);
	assert_false(script.machine.links[0].owes_notice);
	assert_at_rest(&script);
}

static void a_link_that_is_gone_owes_no_notice(void **state)
{
	struct script script = begin_adopted(ADOPTED_GONE);

	(void)state;
	expect(&script, 0, TICK, 0, "negotiate");
	expect(&script, 0, RECEIVER_ENDED, 0, "");
	expect_hand_over(&script, 0);
	expect(&script, 5, NOTICE, 0, "");
	expect(&script, 5, MOVED, 0, "");
	assert_at_rest(&script);
}

static void a_link_that_answers_and_cannot_be_found_is_left_until_it_dies(void **state)
{
	struct script script = begin_adopted(ADOPTED_ANSWERING);

	(void)state;
	expect(&script, 0, TICK, 0, "");
	assert_at_rest(&script);
	expect(&script, 5, REKEY_NOW, 0, "");
	machine_renew_link(&script.machine, 0);
	expect(&script, 5, TICK, 0, "");
	assert_at_rest(&script);
	expect(&script, 1000000, NOTICE, 0, "negotiate");
	expect_reconnect(&script, 0);
	assert_int_equal(script.machine.links[0].state, LINK_ALIVE);
	assert_int_equal(script.machine.links[0].renewal, RENEWAL_NONE);
	assert_at_rest(&script);
}

static void an_unmonitored_link_that_dies_is_replaced_when_its_notice_comes(void **state)
{
	struct script script = begin_adopted(ADOPTED_FOUND);

	(void)state;
	script.compares_all = true;
	expect(&script, 0, TICK, 0, "negotiate from 0");
	expect(&script, 5, NOTICE, 0, "save, tell lost 0, await receiver 0");
	expect(&script, 30, NEGOTIATED, 0, "hand over 0");
	expect(&script, 0, HANDED_OVER, 0, "probe");
	expect(&script, 5, MOVED, 0, "save, tell proven 0");
	assert_at_rest(&script);
}

static void a_link_that_must_go_and_is_gone_is_replaced_once(void **state)
{
	struct script script = begin_adopted(ADOPTED_GONE);

	(void)state;
	machine_renew_link(&script.machine, 0);
	expect(&script, 0, RECEIVER_ENDED, 0, "negotiate");
	expect_reconnect(&script, 0);
	assert_int_equal(script.machine.reconnects, 1);
	assert_at_rest(&script);
}

static void a_link_whose_socket_was_kept_and_must_go_is_renewed(void **state)
{
	struct script script = begin(1);

	(void)state;
	machine_renew_link(&script.machine, 0);
	expect(&script, 0, TICK, 0, "negotiate");
	expect(&script, 30, NEGOTIATED, 0, "drain");
	expect(&script, 5, DRAINED, 0, "shut 0");
	expect_renewed(&script, 0);
	assert_at_rest(&script);
}

/* A renewal of several waits for its pause; what is lost meanwhile does not. */
static void an_outage_does_not_wait_for_an_unmonitored_link(void **state)
{
	struct script script = begin(2);

	(void)state;
	machine_adopt_link(&script.machine, 1, ADOPTED_FOUND);
	expect(&script, 0, TICK, 0, "negotiate");
	expect(&script, 10, REFUSED, 0, "");
	expect_deadline(&script, RENEW_PAUSE_MS, "negotiate");
	expect(&script, 10, REFUSED, 0, "");
	expect(&script, 10, HANGUP, 0, "");
	expect(&script, 1, NOTICE, 0, "negotiate");
	assert_int_equal(script.machine.attempts, 0);
	/* But in it, it does. */
	expect(&script, 10, REFUSED, 0, "");
	expect(&script, 10, NOTICE, 0, "");
	expect_deadline(&script, SETTLE_MS, "look up 1");
	expect_found(&script, 1, ADOPTED_GONE);
	assert_false(machine_is_serving(&script.machine));
	expect_deadline(&script, BACKOFF_MAX_MS - 10 - SETTLE_MS, "negotiate");
}

/* A single unmonitored one may be dead, and so may its host. */
static void a_single_unmonitored_link_may_be_replaced_by_one_to_another_host(void **state)
{
	struct script script = begin_adopted(ADOPTED_FOUND);

	(void)state;
	script.compares_all = true;
	machine_set_link(&script.machine, 0, 2, 0);
	expect(&script, 0, TICK, 0, "negotiate from 2");
	script = begin(2);
	script.compares_all = true;
	machine_set_link(&script.machine, 0, 2, 0);
	machine_set_link(&script.machine, 1, 2, 0);
	machine_adopt_link(&script.machine, 0, ADOPTED_FOUND);
	machine_adopt_link(&script.machine, 1, ADOPTED_FOUND);
	expect(&script, 0, TICK, 0, "negotiate only 2");
}

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

/* --- notices that may be of another link */

static void a_notice_is_not_for_a_link_that_is_there(void **state)
{
	struct script script = begin(2);

	(void)state;
	machine_adopt_link(&script.machine, 0, ADOPTED_FOUND);
	machine_adopt_link(&script.machine, 1, ADOPTED_FOUND);
	expect(&script, 0, TICK, 0, "negotiate");
	expect(&script, 5, NOTICE, 0, "");
	expect_deadline(&script, SETTLE_MS, "look up 0, look up 1");
	expect_found(&script, 0, ADOPTED_FOUND);
	expect_found(&script, 1, ADOPTED_GONE);
	assert_state(&script, 0, LINK_UNMONITORED);
	assert_state(&script, 1, LINK_FREE);
	/* late, of one that nobody remembers */
	expect(&script, 5, NOTICE, 0, "");
	expect_deadline(&script, SETTLE_MS, "look up 0");
	expect_found(&script, 0, ADOPTED_FOUND);
	assert_state(&script, 0, LINK_UNMONITORED);
	/* which cannot be told */
	expect(&script, 5, NOTICE, 0, "");
	expect_deadline(&script, SETTLE_MS, "look up 0");
	expect_found(&script, 0, ADOPTED_UNKNOWN);
	assert_state(&script, 0, LINK_FREE);
}

static void links_are_looked_up_when_notices_are_lost(void **state)
{
	struct script script = begin(3);

	(void)state;
	machine_adopt_link(&script.machine, 0, ADOPTED_FOUND);
	machine_adopt_link(&script.machine, 1, ADOPTED_FOUND);
	machine_adopt_link(&script.machine, 2, ADOPTED_FOUND);
	expect(&script, 0, TICK, 0, "negotiate");
	expect(&script, 5, NOTICES_LOST, 0, "look up 0, look up 1, look up 2");
	expect_found(&script, 0, ADOPTED_GONE);
	expect_found(&script, 1, ADOPTED_FOUND);
	expect_found(&script, 2, ADOPTED_UNKNOWN);
	assert_state(&script, 0, LINK_FREE);
	assert_true(machine_link_is_serving(&script.machine, 1));
	assert_false(machine_link_is_serving(&script.machine, 2));
	/* of a single one a socket that is offered in vain tells */
	script = begin_adopted(ADOPTED_FOUND);
	expect(&script, 0, TICK, 0, "negotiate");
	expect(&script, 5, NOTICES_LOST, 0, "look up 0");
	expect_found(&script, 0, ADOPTED_UNKNOWN);
	assert_state(&script, 0, LINK_FREE);
}

/* A Unix socket that was handed over before its slot was free, as far as anybody knows. */
static void a_unix_socket_that_owes_a_notice_is_offered_anew_when_notices_are_lost(void **state)
{
	struct script script = begin(1);

	(void)state;
	script.machine.config.is_unix = true;
	expect(&script, 5, HANGUP, 0, "");
	expect_deadline(&script, SETTLE_MS, "negotiate");
	expect_hand_over(&script, 0);
	expect_facts(&script, 5, PROBED, 0, FACT_DONE | FACT_USED, "");
	assert_state(&script, 0, LINK_ALIVE);
	expect(&script, 1000, NOTICES_LOST, 0, "shut 0");
	script = begin(1);
	expect(&script, 1000, NOTICES_LOST, 0, "");
	assert_at_rest(&script);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_unmonitored_link_that_lives_is_replaced_in_an_idle_moment),
		cmocka_unit_test(an_unmonitored_link_that_cannot_be_shut_is_left_until_it_dies),
		cmocka_unit_test(an_unmonitored_link_without_an_idle_moment_is_replaced_by_force),
		cmocka_unit_test(an_unmonitored_link_that_must_go_is_shut_at_once),
		cmocka_unit_test(an_unmonitored_link_that_dies_while_its_successor_waits_gets_it),
		cmocka_unit_test(a_notice_is_for_the_link_that_is_seen_to_be_lost),
		cmocka_unit_test(an_unmonitored_link_is_free_a_moment_after_its_notice),
		cmocka_unit_test(a_drain_that_is_asked_for_at_the_end_of_another_is_not_forgotten),
		cmocka_unit_test(a_link_that_is_gone_is_replaced),
		cmocka_unit_test(a_link_of_which_nothing_is_known_is_replaced),
		cmocka_unit_test(a_link_that_is_gone_owes_no_notice),
		cmocka_unit_test(a_link_that_answers_and_cannot_be_found_is_left_until_it_dies),
		cmocka_unit_test(an_unmonitored_link_that_dies_is_replaced_when_its_notice_comes),
		cmocka_unit_test(a_link_that_must_go_and_is_gone_is_replaced_once),
		cmocka_unit_test(a_link_whose_socket_was_kept_and_must_go_is_renewed),
		cmocka_unit_test(an_outage_does_not_wait_for_an_unmonitored_link),
		cmocka_unit_test(a_single_unmonitored_link_may_be_replaced_by_one_to_another_host),
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
		cmocka_unit_test(a_notice_is_not_for_a_link_that_is_there),
		cmocka_unit_test(links_are_looked_up_when_notices_are_lost),
		cmocka_unit_test(
			a_unix_socket_that_owes_a_notice_is_offered_anew_when_notices_are_lost),
	};

	return cmocka_run_group_tests_name("machine-adoption", tests, NULL, NULL);
}
