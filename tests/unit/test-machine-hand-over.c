/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How a new link is handed over: into a slot that the driver has let go of, which its notices tell,
 * and what is done when the driver did not take it (kernel fact slot-taken). */
#include "machine-script.h"

static void a_hand_over_that_fails_is_tried_again(void **state)
{
	struct script script = begin(1);

	(void)state;
	go_to_negotiate(&script);
	expect(&script, 30, NEGOTIATED, 0, "hand over 0");
	expect(&script, 0, NOT_HANDED_OVER, 0, "");
	expect_deadline(&script, BACKOFF_MIN_MS, "negotiate");
	expect_reconnect(&script, 0);
	assert_at_rest(&script);
}

/* The driver's slot is served by another socket, so I/O goes on. */
static void a_socket_that_the_driver_did_not_take_is_dropped(void **state)
{
	struct script script = begin(1);

	(void)state;
	go_to_prove(&script);
	expect_facts(&script, 5, PROBED, 0, FACT_DONE | NOT_IN_USE, "drop link 0");
	assert_true(machine_is_serving(&script.machine)); /* I/O was done */
	assert_state(&script, 0, LINK_UNMONITORED);
	assert_int_equal(script.machine.reconnects, 0);
	/* Nothing is known of the one that serves, so nothing can be done to it. */
	assert_int_equal(machine_deadline_ms(&script.machine), -1);
	expect(&script, 5, REKEY_NOW, 0, "");
	assert_int_equal(machine_deadline_ms(&script.machine), -1);
}

static void a_late_notice_ends_the_wait_of_a_socket_that_was_not_taken(void **state)
{
	struct script script = begin(1);

	(void)state;
	go_to_prove(&script);
	expect_facts(&script, 5, PROBED, 0, FACT_DONE | NOT_IN_USE, "drop link 0");
	expect(&script, 5, NOTICE, 0, "negotiate");
	expect_reconnect(&script, 0);
	assert_at_rest(&script);
}

static void a_hand_over_before_the_driver_let_go_is_done_again(void **state)
{
	struct script script = begin_without_notice(1);

	(void)state;
	/* so the new socket is in no slot: why wait for its proof? */
	expect(&script, 50, NOTICE, 0, "shut 0");
	expect(&script, BACKOFF_MIN_MS, TICK, 0, "");
	expect_deadline(&script, SETTLE_MS - BACKOFF_MIN_MS, "negotiate");
	expect_reconnect(&script, 0);
	expect(&script, 10, NOTICE, 0, "");
	assert_at_rest(&script);
}

static void a_hand_over_before_the_driver_let_go_is_noticed_after_an_empty_proof_too(void **state)
{
	struct script script = begin_without_notice(2);

	(void)state;
	expect_facts(&script, 5, PROBED, 0, FACT_DONE | NOT_IN_USE, "");
	assert_state(&script, 0, LINK_ALIVE);
	/* It is for link 1, if that hangs up now. */
	expect(&script, 50, NOTICE, 0, "");
	expect_deadline(&script, SETTLE_MS, "shut 0");
	expect_deadline(&script, SETTLE_MS, "negotiate");
	expect_reconnect(&script, 0);
	expect(&script, 10, NOTICE, 0, "");
	assert_at_rest(&script);
}

static void a_late_notice_of_a_slot_that_is_tried_already_is_taken_for_its_own(void **state)
{
	struct script script = begin(1);

	(void)state;
	expect(&script, 0, HANGUP, 0, "");
	expect_deadline(&script, SETTLE_MS, "negotiate");
	expect(&script, 10, NOTICE, 0, "");
	expect(&script, 30, NEGOTIATED, 0, "hand over 0");
	expect(&script, 0, HANDED_OVER, 0, "probe");
	expect(&script, 1, NOTICE, 0, "");
	expect(&script, 1, MOVED, 0, "");
	assert_at_rest(&script);
}

static void a_slot_is_free_a_moment_after_its_notice(void **state)
{
	struct script script = begin_sampling(1);

	(void)state;
	expect(&script, 0, HANGUP, 0, "");
	assert_state(&script, 0, LINK_LOST);
	expect(&script, 50, NOTICE, 0, "");
	assert_state(&script, 0, LINK_NOTICED);
	expect(&script, 1, HANGUP, 0, "");
	expect_deadline(&script, NOTICE_MS - 1, "negotiate");
	assert_state(&script, 0, LINK_FREE);
	assert_false(script.machine.links[0].owes_notice);
	expect_reconnect(&script, 0);
	assert_at_rest(&script);
}

static void a_notice_at_the_end_of_the_settling_time_gets_its_moment_too(void **state)
{
	(void)state;
	for (int late_ms = 0; late_ms < 2; late_ms++) { /* with 1 both are at once */
		struct script script = begin_sampling(1);

		expect(&script, 0, HANGUP, 0, "");
		expect(&script, SETTLE_MS - 1 + late_ms, NOTICE, 0, "");
		expect_deadline(&script, NOTICE_MS, "negotiate");
		assert_false(script.machine.links[0].owes_notice);
	}
}

static void a_successor_that_stands_by_waits_for_that_moment(void **state)
{
	struct script script = begin_sampling(1);

	(void)state;
	go_to_spare(&script);
	expect(&script, 5, IDLE, 0, "shut 0");
	expect(&script, 1, HANGUP, 0, "");
	expect(&script, 1, NOTICE, 0, "");
	expect_deadline(&script, NOTICE_MS, "hand over 0");
	expect(&script, 0, HANDED_OVER, 0, "probe");
	expect(&script, 1, MOVED, 0, "");
	assert_int_equal(script.machine.renewals, 1);
	assert_at_rest(&script);
}

static void two_notices_are_for_two_lost_links(void **state)
{
	struct script script = begin_sampling(3);

	(void)state;
	expect(&script, 0, HANGUP, 0, "");
	expect(&script, 0, HANGUP, 2, "");
	expect(&script, 10, NOTICE, 0, "");
	expect(&script, 2, NOTICE, 0, "");
	assert_state(&script, 0, LINK_NOTICED);
	assert_state(&script, 1, LINK_ALIVE);
	assert_state(&script, 2, LINK_NOTICED);
	/* of a third one, whose hang-up nobody saw: it puts nothing off */
	expect(&script, 1, NOTICE, 0, "");
	expect_deadline(&script, NOTICE_MS - 3, "negotiate");
	assert_state(&script, 0, LINK_FREE);
	assert_state(&script, 2, LINK_NOTICED);
	expect_deadline(&script, 2, "");
	assert_state(&script, 2, LINK_FREE);
	expect_hand_over(&script, 0);
	expect(&script, 1, MOVED, 0, "negotiate");
	expect_reconnect(&script, 2);
	assert_at_rest(&script);
}

/* A link whose notice was lost waits for its own time. */
static void one_notice_is_for_one_of_two_lost_links(void **state)
{
	struct script script = begin_sampling(2);

	(void)state;
	expect(&script, 0, HANGUP, 0, "");
	expect(&script, 0, HANGUP, 1, "");
	expect(&script, 10, NOTICE, 0, "");
	expect_deadline(&script, NOTICE_MS, "negotiate");
	assert_state(&script, 0, LINK_FREE);
	assert_state(&script, 1, LINK_LOST);
	expect_deadline(&script, SETTLE_MS - 10 - NOTICE_MS, "");
	assert_state(&script, 1, LINK_FREE);
	assert_false(script.machine.links[0].owes_notice);
	assert_true(script.machine.links[1].owes_notice);
}

static void a_slot_that_was_taken_to_be_free_is_so_a_moment_after_its_late_notice(void **state)
{
	struct script script = begin_sampling(1);

	(void)state;
	expect(&script, 0, HANGUP, 0, "");
	expect_deadline(&script, SETTLE_MS, "negotiate");
	assert_true(script.machine.links[0].owes_notice);
	expect(&script, 29, NOTICE, 0, "");
	assert_false(script.machine.links[0].owes_notice);
	expect(&script, 1, NEGOTIATED, 0, ""); /* the driver would drop it now */
	expect_deadline(&script, NOTICE_MS - 1, "hand over 0");
	expect(&script, 0, HANDED_OVER, 0, "probe");
	expect(&script, 1, NOTICE, 0, ""); /* nothing is owed any more */
	expect(&script, 1, MOVED, 0, "");
	assert_at_rest(&script);
}

/* The driver fills the first slot that is dead, and that may be the one whose receiver is in the
 * middle of an answer. */
static void no_socket_is_handed_over_while_another_slot_is_read_from(void **state)
{
	struct script script = begin(2);

	(void)state;
	script.keeps_receivers = true;
	expect(&script, 0, HANGUP, 1, "");
	expect(&script, 0, NOTICE, 0, "negotiate");
	expect(&script, 0, RECEIVER_ENDED, 1, "");
	expect(&script, 10, HANGUP, 0, "");
	expect(&script, 10, NEGOTIATED, 0, "");
	expect(&script, 1, NOTICE, 0, "");
	expect(&script, 400, TICK, 0, "");
	expect(&script, 1, RECEIVER_ENDED, 0, "hand over 0");
}

static void a_link_of_several_that_was_not_taken_is_negotiated_anew(void **state)
{
	struct script script = begin_sampling(2);

	(void)state;
	expect(&script, 0, HANGUP, 0, "");
	expect(&script, 0, HANGUP, 1, "");
	expect(&script, 1, NOTICE, 0, "");
	expect(&script, 0, NOTICE, 0, "");
	expect_deadline(&script, NOTICE_MS, "negotiate");
	expect_hand_over(&script, 0);
	expect_deadline(&script, SAMPLE_MS, "sample 0");
	expect_facts(&script, 0, SAMPLED, 0, NOT_IN_USE, "drop link 0");
	assert_state(&script, 0, LINK_LOST);
	assert_int_equal(script.machine.work, WORK_PAUSE);
	assert_int_equal(script.machine.reconnects, 0);
	assert_true(script.machine.outage_since_ms >= 0);
	/* The other one's slot is free, but it might end up in this one's. */
	expect_deadline(&script, BACKOFF_MIN_MS, "negotiate");
	assert_int_equal(script.machine.work_link, 1);
	expect(&script, 30, NEGOTIATED, 0, "");
	expect_deadline(&script, SETTLE_MS - BACKOFF_MIN_MS - 30, "hand over 0");
	expect(&script, 0, HANDED_OVER, 0, "probe");
	expect(&script, 3, MOVED, 0, "negotiate");
	assert_int_equal(script.machine.attempts, 0);
	expect_reconnect(&script, 1);
	assert_int_equal(script.machine.reconnects, 2);
	assert_at_rest(&script);
}

static void a_link_of_several_that_is_never_taken_is_tried_at_a_slower_pace(void **state)
{
	struct script script = begin_sampling_proof(2);
	int64_t last_ms = 0;

	(void)state;
	for (int i = 0; i < 100; i++) {
		int64_t began_ms;

		expect_deadline(&script, SAMPLE_MS, "sample 0");
		expect_facts(&script, 0, SAMPLED, 0, NOT_IN_USE, "drop link 0");
		began_ms = script.now_ms;
		while (script.machine.work != WORK_NEGOTIATE) {
			struct machine_event event = {.type = EVENT_TICK,
				.now_ms = script.now_ms = machine_deadline_ms(&script.machine)};
			struct machine_actions actions;

			machine_step(&script.machine, &event, &actions);
		}
		assert_in_range(script.now_ms - began_ms, last_ms > SETTLE_MS ? last_ms : SETTLE_MS,
			PAUSE_LIMIT_MS);
		last_ms = script.now_ms - began_ms;
		if (script.machine.links[0].state == LINK_RECEIVING)
			expect(&script, 0, RECEIVER_ENDED, 0, "");
		expect_hand_over(&script, 0);
	}
	assert_int_equal(last_ms, BACKOFF_MAX_MS);
	assert_true(machine_is_serving(&script.machine));
}

/* Of a link that carries data nothing is owed: the notice is another's, or came twice. */
static void a_notice_after_a_late_proof_costs_no_link(void **state)
{
	struct script script = begin_without_notice(1);

	(void)state;
	expect_deadline(&script, PROVE_MS, "sample 0");
	expect_facts(&script, 0, SAMPLED, 0, IN_DRIVER, "negotiate");
	expect(&script, 30, NEGOTIATED, 0, "drop spare");
	expect_facts(&script, 5, MOVED, 0, IN_DRIVER, "");
	assert_at_rest(&script);
	expect(&script, 5, NOTICE, 0, "");
	assert_at_rest(&script);
}

/* The same socket: where the slot is taken, by it or by another, that does nothing. */
static void a_single_link_that_the_driver_may_have_dropped_is_offered_again(void **state)
{
	struct script script = begin_sampling_proof(1);

	(void)state;
	expect_deadline(&script, SAMPLE_MS, "sample 0");
	expect_facts(&script, 0, SAMPLED, 0, NOT_IN_USE, "offer again 0");
	expect_deadline(&script, SAMPLE_MS, "sample 0");
	expect_facts(
		&script, 0, SAMPLED, 0, UNCOUNTED, "probe, offer again 0"); /* it cannot be told */
	expect_deadline(&script, SAMPLE_MS, "sample 0");
	expect_facts(&script, 0, SAMPLED, 0, IN_DRIVER, "");
	expect_deadline(&script, SAMPLE_MS, "sample 0");
	expect_facts(&script, 0, SAMPLED, 0, CARRIED, "");
	assert_at_rest(&script);
}

/* It might end up in two slots. */
static void a_link_of_several_is_never_offered_again(void **state)
{
	struct script script = begin_sampling_proof(2);

	(void)state;
	expect_deadline(&script, SAMPLE_MS, "sample 0");
	expect_facts(&script, 0, SAMPLED, 0, UNCOUNTED, "probe");
	expect_deadline(&script, SAMPLE_MS, "sample 0");
	expect_facts(&script, 0, SAMPLED, 0, IN_DRIVER, "");
	expect_deadline(&script, SAMPLE_MS, "sample 0");
	expect_facts(&script, 0, SAMPLED, 0, NOT_IN_USE, "drop link 0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_hand_over_that_fails_is_tried_again),
		cmocka_unit_test(a_socket_that_the_driver_did_not_take_is_dropped),
		cmocka_unit_test(a_late_notice_ends_the_wait_of_a_socket_that_was_not_taken),
		cmocka_unit_test(a_hand_over_before_the_driver_let_go_is_done_again),
		cmocka_unit_test(
			a_hand_over_before_the_driver_let_go_is_noticed_after_an_empty_proof_too),
		cmocka_unit_test(
			a_late_notice_of_a_slot_that_is_tried_already_is_taken_for_its_own),
		cmocka_unit_test(a_slot_is_free_a_moment_after_its_notice),
		cmocka_unit_test(a_notice_at_the_end_of_the_settling_time_gets_its_moment_too),
		cmocka_unit_test(a_successor_that_stands_by_waits_for_that_moment),
		cmocka_unit_test(two_notices_are_for_two_lost_links),
		cmocka_unit_test(one_notice_is_for_one_of_two_lost_links),
		cmocka_unit_test(
			a_slot_that_was_taken_to_be_free_is_so_a_moment_after_its_late_notice),
		cmocka_unit_test(no_socket_is_handed_over_while_another_slot_is_read_from),
		cmocka_unit_test(a_link_of_several_that_was_not_taken_is_negotiated_anew),
		cmocka_unit_test(a_link_of_several_that_is_never_taken_is_tried_at_a_slower_pace),
		cmocka_unit_test(a_notice_after_a_late_proof_costs_no_link),
		cmocka_unit_test(a_single_link_that_the_driver_may_have_dropped_is_offered_again),
		cmocka_unit_test(a_link_of_several_is_never_offered_again),
	};

	return cmocka_run_group_tests_name("machine-hand-over", tests, NULL, NULL);
}
