/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When links that serve are replaced for a new key. */
#include "machine-script.h"

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

static void a_renewal_is_reported_as_one(void **state)
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
		cmocka_unit_test(a_renewal_is_reported_as_one),
		cmocka_unit_test(a_renewal_that_is_urgent_waits_for_the_drain_only),
		cmocka_unit_test(an_idle_moment_is_as_good_as_a_drain),
		cmocka_unit_test(a_drain_counts_at_its_end_only),
		cmocka_unit_test(a_renewal_whose_socket_is_dropped_stays_a_renewal),
		cmocka_unit_test(one_drain_is_asked_for_at_a_time),
		cmocka_unit_test(no_room_is_made_for_what_became_urgent_in_a_pause),
		cmocka_unit_test(a_drain_that_never_ends_holds_up_an_urgent_renewal_only),
	};

	return cmocka_run_group_tests_name("machine-renewal", tests, NULL, NULL);
}
