/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When links that serve are replaced: for a new key, and to have the sockets of a former
 * supervisor. */
#include "machine-script.h"

static void expect_renewed(struct script *script, unsigned at)
{
	char hand_over[32];
	uint64_t renewals = script->machine.renewals, reconnects = script->machine.reconnects;

	snprintf(hand_over, sizeof(hand_over), "hand over %u", at);
	expect(script, 1, NOTICE, 0, hand_over);
	expect(script, 0, HANDED_OVER, at, "probe");
	assert_int_equal(script->machine.links[at].renewal, RENEWAL_SHUT);
	expect(script, 1, MOVED, at, "");
	assert_int_equal(script->machine.links[at].renewal, RENEWAL_NONE);
	assert_int_equal(script->machine.renewals, renewals + 1);
	assert_int_equal(script->machine.reconnects, reconnects);
}

/* --- links of a former supervisor */

static struct script begin_adopted(enum adopted_as how)
{
	struct script script = begin(1);

	machine_adopt_link(&script.machine, 0, how);
	return script;
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

static void a_renewal_waits_for_an_idle_moment(void **state)
{
	struct script script = begin(1);

	(void)state;
	expect(&script, 0, REKEY, 0, "negotiate");
	assert_false(machine_awaits_idle(&script.machine));
	expect(&script, 0, IDLE, 0, ""); /* there is nothing yet to put in its place */
	expect(&script, 5, REKEY, 0, "");
	expect(&script, 30, NEGOTIATED, 0, "");
	assert_true(machine_awaits_idle(&script.machine));
	assert_true(machine_is_serving(&script.machine));
	expect(&script, 5, REKEY, 0, "");
	expect(&script, 40000, IDLE, 0, "shut 0");
	assert_int_equal(script.machine.links[0].renewal, RENEWAL_SHUT);
	assert_false(machine_awaits_idle(&script.machine));
	expect_renewed(&script, 0);
	assert_at_rest(&script);
}

static void an_outage_begins_with_the_shutting_of_the_only_link(void **state)
{
	struct script script = begin(1);

	(void)state;
	expect(&script, 0, REKEY_NOW, 0, "negotiate");
	expect(&script, 30, NEGOTIATED, 0, "drain");
	assert_int_equal(script.machine.outage_since_ms, -1);
	expect(&script, 30, DRAINED, 0, "shut 0");
	assert_int_equal(script.machine.outage_since_ms, script.now_ms);
}

static void a_renewal_that_becomes_urgent_waits_no_longer(void **state)
{
	struct script script = begin(1);

	(void)state;
	go_to_spare(&script);
	expect(&script, 1000, REKEY_NOW, 0, "drain");
	expect(&script, 1000, DRAINED, 0, "shut 0");
	expect(&script, 1, NOTICE, 0, "hand over 0");
}

static void a_renewal_without_an_idle_moment_is_given_up_and_tried_again(void **state)
{
	struct script script = begin(1);

	(void)state;
	go_to_spare(&script);
	for (int i = 0; i < 3; i++) {
		expect_deadline(&script, SPARE_MS, "drop spare");
		expect_deadline(&script, RENEW_PAUSE_MS, "negotiate");
		expect(&script, 30, NEGOTIATED, 0, "");
	}
	expect(&script, 5, IDLE, 0, "shut 0");
}

static void a_renewal_that_cannot_be_negotiated_is_tried_again(void **state)
{
	struct script script = begin(1);

	(void)state;
	expect(&script, 0, REKEY, 0, "negotiate");
	expect(&script, 30000, NOT_NEGOTIATED, 0, "");
	assert_true(machine_is_serving(&script.machine));
	expect_deadline(&script, RENEW_PAUSE_MS, "negotiate");
	expect(&script, 30, REFUSED, 0, "");
	expect_deadline(&script, RENEW_PAUSE_MS, "negotiate");
}

static void a_link_that_dies_during_its_own_renewal_has_its_successor_ready(void **state)
{
	struct script script = begin(1);

	(void)state;
	go_to_spare(&script);
	expect(&script, 1000, HANGUP, 0, "");
	assert_false(machine_awaits_idle(&script.machine));
	expect(&script, 0, IDLE, 0, "");
	expect(&script, 1, NOTICE, 0, "hand over 0");
	expect(&script, 0, HANDED_OVER, 0, "probe");
	expect(&script, 1, MOVED, 0, "");
	assert_int_equal(script.machine.reconnects, 1);
	assert_int_equal(script.machine.renewals, 0);
	assert_at_rest(&script);
}

static void a_link_that_dies_while_its_renewal_is_negotiated_waits_for_that(void **state)
{
	struct script script = begin(1);

	(void)state;
	expect(&script, 0, REKEY, 0, "negotiate");
	expect(&script, 1, HANGUP, 0, "");
	expect(&script, 1, NOTICE, 0, "");
	expect_reconnect(&script, 0);
	assert_at_rest(&script);
}

static void a_link_that_dies_between_two_renewals_is_replaced_at_once(void **state)
{
	struct script script = begin(1);

	(void)state;
	expect(&script, 0, REKEY, 0, "negotiate");
	expect(&script, 1, NOT_NEGOTIATED, 0, "");
	expect(&script, 10, HANGUP, 0, "");
	expect(&script, 1, NOTICE, 0, "negotiate");
}

static void a_lost_link_goes_before_a_renewal(void **state)
{
	struct script script = begin(2);

	(void)state;
	expect(&script, 0, REKEY, 1, "negotiate");
	expect(&script, 30, NEGOTIATED, 0, "");
	expect(&script, 5, HANGUP, 0, "");
	expect(&script, 1, NOTICE, 0, "hand over 0");
	expect(&script, 0, HANDED_OVER, 0, "probe");
	expect(&script, 1, MOVED, 0, "negotiate");
	assert_int_equal(script.machine.work_link, 1);
	expect(&script, 30, NEGOTIATED, 0, "");
	expect(&script, 5, IDLE, 0, "shut 1");
	expect(&script, 1, NOTICE, 0, "hand over 1");
}

static void the_most_urgent_renewal_goes_first(void **state)
{
	struct script script = begin(3);

	(void)state;
	expect(&script, 0, REKEY, 0, "negotiate");
	expect(&script, 0, REKEY_NOW, 2, "");
	expect(&script, 30, NEGOTIATED, 0, "drain");
	expect(&script, 30, DRAINED, 0, "shut 2");
	expect(&script, 1, NOTICE, 0, "hand over 2");
	expect(&script, 0, HANDED_OVER, 0, "probe");
	expect(&script, 1, MOVED, 2, "negotiate"); /* and now the other one */
	expect(&script, 30, NEGOTIATED, 0, "");
	expect(&script, 5, IDLE, 0, "shut 0");
}

static void a_renewed_link_that_dies_before_its_proof_is_reconnected(void **state)
{
	struct script script = begin(1);

	(void)state;
	go_to_spare(&script);
	expect(&script, 5, IDLE, 0, "shut 0");
	expect(&script, 1, NOTICE, 0, "hand over 0");
	expect(&script, 0, HANDED_OVER, 0, "probe");
	expect(&script, 1, HANGUP, 0, "");
	expect(&script, 1, NOTICE, 0, "");
	expect_deadline(&script, BACKOFF_MIN_MS - 1, "negotiate");
	expect(&script, 5, REKEY, 0, ""); /* of a socket that is no more */
	expect_reconnect(&script, 0);
	assert_int_equal(script.machine.renewals, 0);
	assert_int_equal(script.machine.reconnects, 1);
	assert_at_rest(&script);
}

static void a_renewal_is_not_waited_for_by_a_link_that_was_replaced_meanwhile(void **state)
{
	struct script script = begin(1);

	(void)state;
	go_to_spare(&script);
	expect(&script, 1, HANGUP, 0, "");
	expect(&script, 1, NOTICE, 0, "hand over 0");
	expect(&script, 0, HANDED_OVER, 0, "probe");
	expect(&script, 1, MOVED, 0, "");
	assert_at_rest(&script); /* the new key is unused */
}

static void a_lost_spare_socket_is_negotiated_anew(void **state)
{
	struct script script = begin(1);

	(void)state;
	go_to_spare(&script);
	expect(&script, 5, SPARE_LOST, 0, "");
	assert_true(machine_is_serving(&script.machine));
	expect_deadline(&script, RENEW_PAUSE_MS, "negotiate");
	expect(&script, 30, NEGOTIATED, 0, "");
	expect(&script, 5, HANGUP, 0, "");
	expect(&script, 5, SPARE_LOST, 0, ""); /* and now it is no renewal any more */
	expect(&script, 0, NOTICE, 0, "");
	expect_deadline(&script, BACKOFF_MIN_MS, "negotiate");
}

static void a_spare_socket_past_its_time_waits_for_a_slot_without_being_busy(void **state)
{
	struct script script = begin(1);

	(void)state;
	go_to_spare(&script);
	expect(&script, SPARE_MS - 10, HANGUP, 0, "");
	expect(&script, 10, TICK, 0, "");
	assert_true(machine_deadline_ms(&script.machine) > script.now_ms);
	expect_deadline(&script, SETTLE_MS - 10, "hand over 0");
}

static void a_silent_link_is_not_shut_for_its_renewal(void **state)
{
	struct script script = begin(1);

	(void)state;
	expect(&script, 0, REKEY_NOW, 0, "negotiate");
	expect(&script, 5, SILENT, 0, "");
	expect(&script, 30, NEGOTIATED, 0, "drop spare");
	expect(&script, 0, IDLE, 0, "");
	expect(&script, 30, ANSWERED, 0, "negotiate");
	expect(&script, 30, NEGOTIATED, 0, "drain");
	expect(&script, 5, SILENT, 0, "drop spare, negotiate");
	expect(&script, 5, DRAINED, 0, "");
	expect(&script, 30, ANSWERED, 0, "");
	expect(&script, 30, NEGOTIATED, 0, "drain");
	expect(&script, 30, DRAINED, 0, "shut 0");
	expect(&script, 1, NOTICE, 0, "hand over 0");
}

static void room_is_made_on_a_drained_device_only(void **state)
{
	struct script script = begin(1);

	(void)state;
	expect(&script, 0, REKEY_NOW, 0, "negotiate");
	expect(&script, 30, NOT_NEGOTIATED, 0, "drain");
	expect(&script, 30, DRAINED, 0, "shut 0");
	expect(&script, 1, NOTICE, 0, "negotiate");
	expect_reconnect(&script, 0);
	assert_int_equal(script.machine.renewals, 1);
	assert_at_rest(&script);
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
	expect(&script, 0, HANGUP, 1, "");
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

static void a_renewal_is_told_as_one(void **state)
{
	struct script script = begin(1);

	(void)state;
	go_to_spare(&script);
	script.compares_all = true;
	expect(&script, 5, IDLE, 0, "save, shut 0, tell lost 0 for renewal");
	expect(&script, 1, HANGUP, 0, "");
	expect(&script, 1, NOTICE, 0, "await receiver 0, hand over 0");
	expect(&script, 0, HANDED_OVER, 0, "probe");
	expect(&script, 1, MOVED, 0, "save, tell proven 0 for renewal");
	assert_at_rest(&script);
}

static void a_renewal_that_is_urgent_waits_for_the_drain_only(void **state)
{
	struct script script = begin(1);

	(void)state;
	expect(&script, 0, REKEY_NOW, 0, "negotiate");
	expect(&script, 30, NEGOTIATED, 0, "drain");
	expect(&script, 5, REKEY_NOW, 0, "");
	expect(&script, 5, REKEY, 0, "");
	expect(&script, 5, DRAINED, 0, "shut 0");
	expect_deadline(&script, SETTLE_MS, "hand over 0");
	expect(&script, 0, HANDED_OVER, 0, "probe");
	expect(&script, 1, MOVED, 0, "");
	assert_int_equal(script.machine.renewals, 1);
	assert_at_rest(&script);
}

static void an_idle_moment_is_as_good_as_a_drain(void **state)
{
	struct script script = begin(1);

	(void)state;
	expect(&script, 0, REKEY_NOW, 0, "negotiate");
	expect(&script, 30, NEGOTIATED, 0, "drain");
	assert_true(machine_awaits_idle(&script.machine));
	expect(&script, 10, TICK, 0, "");
	expect(&script, 10, IDLE, 0, "shut 0");
	expect(&script, 1, DRAINED, 0, "");
	expect_renewed(&script, 0);
	assert_at_rest(&script);
}

/* That it was drained is of this moment: what is in flight later may take long. */
static void a_drain_counts_at_its_end_only(void **state)
{
	struct script script = begin(1);

	(void)state;
	expect(&script, 0, REKEY_NOW, 0, "negotiate");
	expect(&script, 30, NEGOTIATED, 0, "drain");
	expect(&script, 30, SPARE_LOST, 0, "");
	expect_deadline(&script, RENEW_PAUSE_MS, "negotiate");
	expect(&script, 30, DRAINED, 0, "");
	expect(&script, 30, NEGOTIATED, 0, "drain");
	expect(&script, 30, DRAINED, 0, "shut 0");
	expect_renewed(&script, 0);
	assert_at_rest(&script);
}

/* No reconnect, where somebody counts the server's outages. */
static void a_renewal_whose_socket_is_dropped_stays_a_renewal(void **state)
{
	struct script script = begin_sampling(2);

	(void)state;
	expect(&script, 0, REKEY, 1, "negotiate");
	expect(&script, 30, NEGOTIATED, 0, "");
	expect(&script, 5, IDLE, 0, "shut 1");
	expect(&script, 1, NOTICE, 0, "");
	expect_deadline(&script, NOTICE_MS, "hand over 1");
	expect(&script, 0, HANDED_OVER, 1, "probe");
	expect_deadline(&script, SAMPLE_MS, "sample 1");
	expect_facts(&script, 0, SAMPLED, 1, FACT_COUNTED, "drop link 1");
	expect_deadline(&script, BACKOFF_MIN_MS, "");
	expect_deadline(&script, SETTLE_MS - BACKOFF_MIN_MS, "negotiate");
	expect_hand_over(&script, 1);
	expect_facts(&script, 5, PROBED, 1, FACT_DONE | FACT_COUNTED, "");
	assert_int_equal(script.machine.renewals, 1);
	assert_int_equal(script.machine.reconnects, 0);
	assert_at_rest(&script);
}

static void one_drain_is_asked_for_at_a_time(void **state)
{
	struct script script = begin(2);

	(void)state;
	expect(&script, 0, REKEY_NOW, 1, "negotiate");
	expect(&script, 30, NEGOTIATED, 0, "drain");
	expect(&script, 5, REKEY_NOW, 0, ""); /* the same one does for it */
	expect(&script, 5, DRAINED, 0, "shut 0");
	expect(&script, 1, NOTICE, 0, "hand over 0");
	expect(&script, 0, HANDED_OVER, 0, "probe");
	expect(&script, 1, MOVED, 0, "negotiate");
	expect(&script, 30, NEGOTIATED, 0, "drain"); /* by now that one says nothing */
	expect(&script, 30, DRAINED, 0, "shut 1");
	expect_renewed(&script, 1);
	assert_at_rest(&script);
}

/* No attempt has failed for it, so there is a new socket to be had before it is shut. */
static void no_room_is_made_for_what_became_urgent_in_a_pause(void **state)
{
	struct script script = begin(1);

	(void)state;
	go_to_spare(&script);
	expect_deadline(&script, SPARE_MS, "drop spare");
	expect(&script, 5, REKEY_NOW, 0, "");
	expect(&script, 5, DRAINED, 0, ""); /* another's */
	expect(&script, 5, DRAINED, 0, "");
	expect_deadline(&script, RENEW_PAUSE_MS - 15, "negotiate");
	expect(&script, 30, NEGOTIATED, 0, "drain");
	expect(&script, 5, DRAINED, 0, "shut 0");
	expect_renewed(&script, 0);
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

static void a_drain_that_never_ends_holds_up_an_urgent_renewal_only(void **state)
{
	struct script script = begin(1);

	(void)state;
	expect(&script, 0, REKEY_NOW, 0, "negotiate");
	expect(&script, 30, NEGOTIATED, 0, "drain");
	expect_deadline(&script, SPARE_MS, "drop spare");
	expect_deadline(&script, RENEW_PAUSE_MS, "negotiate");
	expect(&script, 30, NEGOTIATED, 0, "");
	expect(&script, 5, HANGUP, 0, "");
	expect(&script, 1, NOTICE, 0, "hand over 0");
	expect(&script, 0, HANDED_OVER, 0, "probe");
	expect(&script, 1, MOVED, 0, "");
	assert_int_equal(script.machine.reconnects, 1);
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
	expect_deadline(&script, SETTLE_MS, "");
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_renewal_waits_for_an_idle_moment),
		cmocka_unit_test(an_outage_begins_with_the_shutting_of_the_only_link),
		cmocka_unit_test(a_renewal_that_becomes_urgent_waits_no_longer),
		cmocka_unit_test(a_renewal_without_an_idle_moment_is_given_up_and_tried_again),
		cmocka_unit_test(a_renewal_that_cannot_be_negotiated_is_tried_again),
		cmocka_unit_test(a_link_that_dies_during_its_own_renewal_has_its_successor_ready),
		cmocka_unit_test(a_link_that_dies_while_its_renewal_is_negotiated_waits_for_that),
		cmocka_unit_test(a_link_that_dies_between_two_renewals_is_replaced_at_once),
		cmocka_unit_test(a_lost_link_goes_before_a_renewal),
		cmocka_unit_test(the_most_urgent_renewal_goes_first),
		cmocka_unit_test(a_renewed_link_that_dies_before_its_proof_is_reconnected),
		cmocka_unit_test(a_renewal_is_not_waited_for_by_a_link_that_was_replaced_meanwhile),
		cmocka_unit_test(a_lost_spare_socket_is_negotiated_anew),
		cmocka_unit_test(a_spare_socket_past_its_time_waits_for_a_slot_without_being_busy),
		cmocka_unit_test(a_silent_link_is_not_shut_for_its_renewal),
		cmocka_unit_test(room_is_made_on_a_drained_device_only),
		cmocka_unit_test(an_unmonitored_link_that_lives_is_replaced_in_an_idle_moment),
		cmocka_unit_test(an_unmonitored_link_that_cannot_be_shut_is_left_until_it_dies),
		cmocka_unit_test(an_unmonitored_link_without_an_idle_moment_is_replaced_by_force),
		cmocka_unit_test(an_unmonitored_link_that_must_go_is_shut_at_once),
		cmocka_unit_test(an_unmonitored_link_that_dies_while_its_successor_waits_gets_it),
		cmocka_unit_test(a_notice_is_for_the_link_that_is_seen_to_be_lost),
		cmocka_unit_test(an_unmonitored_link_is_free_a_moment_after_its_notice),
		cmocka_unit_test(a_renewal_is_told_as_one),
		cmocka_unit_test(a_renewal_that_is_urgent_waits_for_the_drain_only),
		cmocka_unit_test(an_idle_moment_is_as_good_as_a_drain),
		cmocka_unit_test(a_drain_counts_at_its_end_only),
		cmocka_unit_test(a_renewal_whose_socket_is_dropped_stays_a_renewal),
		cmocka_unit_test(one_drain_is_asked_for_at_a_time),
		cmocka_unit_test(no_room_is_made_for_what_became_urgent_in_a_pause),
		cmocka_unit_test(a_drain_that_is_asked_for_at_the_end_of_another_is_not_forgotten),
		cmocka_unit_test(a_drain_that_never_ends_holds_up_an_urgent_renewal_only),
		cmocka_unit_test(a_link_that_is_gone_is_replaced),
		cmocka_unit_test(a_link_of_which_nothing_is_known_is_replaced),
		cmocka_unit_test(a_link_that_is_gone_owes_no_notice),
		cmocka_unit_test(a_link_that_answers_and_cannot_be_found_is_left_until_it_dies),
		cmocka_unit_test(an_unmonitored_link_that_dies_is_replaced_when_its_notice_comes),
		cmocka_unit_test(a_link_that_must_go_and_is_gone_is_replaced_once),
		cmocka_unit_test(a_link_whose_socket_was_kept_and_must_go_is_renewed),
		cmocka_unit_test(an_outage_does_not_wait_for_an_unmonitored_link),
		cmocka_unit_test(a_single_unmonitored_link_may_be_replaced_by_one_to_another_host),
	};

	return cmocka_run_group_tests_name("machine-renewal", tests, NULL, NULL);
}
