/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A link is lost, and replaced: when, at what pace, by which host, and what is saved and told of
 * it. */
#include "machine-script.h"

static void a_lost_link_is_replaced_as_soon_as_the_driver_lets_go_of_it(void **state)
{
	struct script script = begin(1);

	(void)state;
	expect(&script, 0, HANGUP, 0, "");
	assert_int_equal(script.machine.links[0].state, LINK_LOST);
	assert_false(machine_is_serving(&script.machine));
	expect(&script, 5, NOTICE, 0, "negotiate");
	expect(&script, 30, NEGOTIATED, 0, "hand over 0");
	expect(&script, 0, HANDED_OVER, 0, "probe");
	assert_false(machine_is_serving(
		&script.machine)); /* a hand over proves nothing (kernel fact slot-taken) */
	expect(&script, 2, MOVED, 0, "");
	assert_int_equal(script.machine.reconnects, 1);
	assert_int_equal(script.machine.renewals, 0);
	assert_at_rest(&script);
}

static void a_notice_that_never_comes_costs_the_settling_time(void **state)
{
	struct script script = begin(1);

	(void)state;
	expect(&script, 0, HANGUP, 0, "");
	expect_deadline(&script, SETTLE_MS, "negotiate");
	expect_reconnect(&script, 0);
	assert_at_rest(&script);
}

static void a_second_hang_up_of_the_same_link_is_no_news(void **state)
{
	struct script script = begin(1);

	(void)state;
	expect(&script, 0, HANGUP, 0, "");
	expect(&script, 100, HANGUP, 0, "");
	expect_deadline(&script, SETTLE_MS - 100, "negotiate");
	expect(&script, 0, HANGUP, 0, "");
	expect_reconnect(&script, 0);
}

static void pauses_grow_and_are_bounded(void **state)
{
	struct script script = begin(1);
	int64_t last_ms = 0;

	(void)state;
	script.machine.config.dead_timeout_ms = -1;
	expect(&script, 0, HANGUP, 0, "");
	expect(&script, 1, NOTICE, 0, "negotiate");
	for (int i = 0; i < 200; i++) {
		int64_t pause_ms;

		expect(&script, 20, NOT_NEGOTIATED, 0, "");
		pause_ms = machine_deadline_ms(&script.machine) - script.now_ms;
		if (i == 0)
			assert_int_equal(pause_ms, BACKOFF_MIN_MS);
		assert_in_range(pause_ms, last_ms, PAUSE_LIMIT_MS);
		last_ms = pause_ms;
		expect_deadline(&script, pause_ms, "negotiate");
		assert_int_equal(script.machine.attempts, i + 1);
	}
	assert_int_equal(last_ms, BACKOFF_MAX_MS);
}

static void a_proof_makes_the_pauses_short_again(void **state)
{
	struct script script = begin(1);

	(void)state;
	go_to_negotiate(&script);
	expect(&script, 40000, NOT_NEGOTIATED, 0, "");
	expect_deadline(&script, BACKOFF_MIN_MS, "negotiate");
	expect(&script, 40000, NOT_NEGOTIATED, 0, "");
	/* an eighth of 40.1 s, within its limit */
	expect_deadline(&script, BACKOFF_MAX_MS, "negotiate");
	expect_reconnect(&script, 0);
	assert_int_equal(script.machine.attempts, 0);
	expect(&script, 60000, HANGUP, 0, "");
	expect(&script, 1, NOTICE, 0, "negotiate");
	expect(&script, 1, NOT_NEGOTIATED, 0, "");
	expect_deadline(&script, BACKOFF_MIN_MS, "negotiate");
}

static void an_outage_has_nothing_to_do_with_renewals_that_failed_before(void **state)
{
	struct script script = begin(1);

	(void)state;
	expect(&script, 0, REKEY, 0, "negotiate");
	for (int i = 0; i < 20; i++) {
		expect(&script, 30000, NOT_NEGOTIATED, 0, "");
		expect_deadline(&script, RENEW_PAUSE_MS, "negotiate");
	}
	expect(&script, 30000, REFUSED, 0, "");
	expect(&script, 1000, HANGUP, 0, "");
	assert_int_equal(script.machine.attempts, 0);
	expect(&script, 1, NOTICE, 0, "negotiate");
	expect(&script, 1, NOT_NEGOTIATED, 0, "");
	assert_int_equal(script.machine.attempts, 1);
	expect_deadline(&script, BACKOFF_MIN_MS, "negotiate");
}

static void an_offer_that_is_refused_is_asked_for_again_after_a_long_pause(void **state)
{
	struct script script = begin(1);

	(void)state;
	go_to_negotiate(&script);
	expect(&script, 10, REFUSED, 0, "");
	assert_true(script.machine.is_refused);
	expect_deadline(&script, BACKOFF_MAX_MS, "negotiate");
	expect(&script, 10, REFUSED, 0, "");
	expect_deadline(&script, BACKOFF_MAX_MS, "negotiate");
	expect_reconnect(&script, 0);
	assert_false(script.machine.is_refused);
	assert_at_rest(&script);
}

static void a_refusal_counts_until_the_next_answer_only(void **state)
{
	struct script script = begin(1);

	(void)state;
	go_to_negotiate(&script);
	expect(&script, 10, REFUSED, 0, "");
	expect_deadline(&script, BACKOFF_MAX_MS, "negotiate");
	expect(&script, 10, NOT_NEGOTIATED, 0, "");
	assert_false(script.machine.is_refused);
	assert_true(machine_deadline_ms(&script.machine) - script.now_ms < BACKOFF_MAX_MS);
}

static void links_that_die_right_after_their_proof_are_replaced_at_a_slower_pace(void **state)
{
	static const int64_t pauses_ms[] = {0, BACKOFF_MIN_MS, 2 * BACKOFF_MIN_MS,
		4 * BACKOFF_MIN_MS, 8 * BACKOFF_MIN_MS, 8 * BACKOFF_MIN_MS};
	struct script script = begin(1);

	(void)state;
	expect(&script, 0, REKEY, 0, "negotiate");
	expect(&script, 1, NOT_NEGOTIATED, 0, "");
	go_to_negotiate(&script); /* not even a pause of another kind is cut short later */
	expect_reconnect(&script, 0);
	for (size_t i = 0; i < sizeof(pauses_ms) / sizeof(pauses_ms[0]); i++) {
		expect(&script, 5, HANGUP, 0, "");
		expect(&script, 0, NOTICE, 0, pauses_ms[i] ? "" : "negotiate");
		if (pauses_ms[i])
			expect_deadline(&script, pauses_ms[i], "negotiate");
		expect_reconnect(&script, 0);
	}
	expect(&script, 1000, HANGUP, 0, ""); /* this one lived */
	expect(&script, 0, NOTICE, 0, "negotiate");
	expect_reconnect(&script, 0);
	expect(&script, 5, HANGUP, 0, "");
	expect(&script, 0, NOTICE, 0, "negotiate");
}

/* A server that lives for no longer than the first requests of a link, and never for both links at
 * once. */
static void several_links_do_not_make_short_lives_faster(void **state)
{
	struct script script = begin(2);
	const struct machine *machine = &script.machine;
	int64_t end_ms = script.now_ms + 10000;
	unsigned attempts = 0;

	(void)state;
	for (struct machine_event event = {.type = EVENT_HANGUP, .now_ms = script.now_ms};
		event.now_ms < end_ms;) {
		struct machine_actions actions;
		int lost = 0;

		machine_step(&script.machine, &event, &actions);
		event = (struct machine_event){.type = EVENT_TICK, .now_ms = event.now_ms + 1};
		for (unsigned i = 0; i < actions.count; i++)
			attempts += actions.list[i].type == ACTION_NEGOTIATE;
		for (unsigned i = 0; i < 2; i++)
			lost += machine->links[i].state == LINK_LOST;
		if (actions.count && actions.list[actions.count - 1].type == ACTION_HAND_OVER)
			event.type = EVENT_HANDED_OVER;
		else if (machine->work == WORK_PROVE)
			event.type = EVENT_MOVED, event.link = machine->work_link;
		else if (machine->links[0].state == LINK_ALIVE)
			event.type = EVENT_HANGUP;
		else if (machine->links[1].state == LINK_ALIVE)
			event.type = EVENT_HANGUP, event.link = 1;
		else if (lost)
			event.type = EVENT_NOTICE;
		else if (machine->links[0].state == LINK_RECEIVING)
			event.type = EVENT_RECEIVER_ENDED;
		else if (machine->links[1].state == LINK_RECEIVING)
			event.type = EVENT_RECEIVER_ENDED, event.link = 1;
		else if (machine->work == WORK_NEGOTIATE)
			event.type = EVENT_NEGOTIATED;
	}
	assert_in_range(attempts, 5, 30);
}

static void a_slot_whose_receiver_still_reads_gets_no_socket(void **state)
{
	struct script script = begin(1);

	(void)state;
	script.keeps_receivers = script.compares_all = true;
	expect(&script, 0, HANGUP, 0, "save, tell lost 0");
	expect(&script, 1, RECEIVER_ENDED, 0, ""); /* not asked for yet */
	assert_int_equal(script.machine.links[0].state, LINK_LOST);
	expect(&script, 5, NOTICE, 0, "await receiver 0, negotiate from 0");
	assert_int_equal(script.machine.links[0].state, LINK_RECEIVING);
	expect(&script, 30, NEGOTIATED, 0, "");
	expect(&script, 10000, TICK, 0, "");
	expect(&script, 0, RECEIVER_ENDED, 0, "hand over 0");
	expect(&script, 0, HANDED_OVER, 0, "probe");
	expect(&script, 0, RECEIVER_ENDED, 0, "");
	expect(&script, 3, MOVED, 0, "save, tell proven 0");
	assert_at_rest(&script);
}

static void every_one_of_many_links_comes_back(void **state)
{
	struct script script = begin(LINKS_MAX);

	(void)state;
	for (unsigned i = 0; i < LINKS_MAX; i++)
		expect(&script, 0, HANGUP, i, "");
	for (unsigned i = 0; i < LINKS_MAX; i++)
		expect(&script, 0, NOTICE, 0, i ? "" : "negotiate");
	for (unsigned i = 0; i < LINKS_MAX; i++) {
		expect_hand_over(&script, i);
		expect(&script, 1, MOVED, i, i + 1 < LINKS_MAX ? "negotiate" : "");
	}
	assert_int_equal(script.machine.reconnects, LINKS_MAX);
	assert_at_rest(&script);
}

/* --- what is saved and told */

static void an_outage_is_saved_before_anything_else(void **state)
{
	struct script script = begin(1);

	(void)state;
	script.compares_all = true;
	expect(&script, 0, HANGUP, 0, "save, tell lost 0");
	expect(&script, 1, NOTICE, 0, "await receiver 0, negotiate from 0");
	expect(&script, 30, NEGOTIATED, 0, "hand over 0");
	expect(&script, 0, HANDED_OVER, 0, "probe");
	expect(&script, 3, MOVED, 0, "save, tell proven 0");
	expect(&script, 2000, BROKEN, 0, "save, shut 0, tell lost 0");
	expect(&script, 1, NOTICE, 0, "await receiver 0, negotiate from 0");
	expect(&script, DEAD_MS - 2, TICK, 0, "");
	expect(&script, 1, TICK, 0, "save, cancel, fail device");
	assert_given_up(&script);
}

static void a_link_of_several_is_no_outage_to_save(void **state)
{
	struct script script = begin(2);

	(void)state;
	script.compares_all = true;
	expect(&script, 0, HANGUP, 1, "tell lost 1");
	expect(&script, 1, NOTICE, 0, "await receiver 1, negotiate only 0");
	expect(&script, 30, NEGOTIATED, 0, "hand over 1");
	expect(&script, 0, HANDED_OVER, 1, "probe");
	expect(&script, 3, MOVED, 1, "tell proven 1");
	assert_at_rest(&script);
}

/* --- which host */

static void each_attempt_of_an_outage_begins_with_another_host(void **state)
{
	struct script script = begin(1);

	(void)state;
	script.compares_all = true;
	machine_set_link(&script.machine, 0, 2, 0);
	expect(&script, 0, HANGUP, 0, "save, tell lost 0");
	expect(&script, 1, NOTICE, 0, "await receiver 0, negotiate from 0");
	expect(&script, 1, NOT_NEGOTIATED, 0, "");
	expect_deadline(&script, BACKOFF_MIN_MS, "negotiate from 1");
	expect(&script, 1, NOT_NEGOTIATED, 0, "");
	expect_deadline(&script, BACKOFF_MIN_MS, "negotiate from 2");
	expect_with(&script, 5, NEGOTIATED, "hand over 0", .host = 3, .size_bytes = 4096);
	expect(&script, 0, HANDED_OVER, 0, "probe");
	assert_int_equal(script.machine.links[0].host, 3);
	assert_int_equal(script.machine.links[0].size_bytes, 4096);
	expect(&script, 3, MOVED, 0, "save, tell proven 0");
	expect(&script, 2000, HANGUP, 0, "save, tell lost 0");
	expect(&script, 1, NOTICE, 0, "await receiver 0, negotiate from 0");
}

/* Two hosts of which each holds a part of the writes are no disk. */
static void while_a_link_is_up_another_one_is_to_its_host_only(void **state)
{
	struct script script = begin(2);

	(void)state;
	script.compares_all = true;
	machine_set_link(&script.machine, 0, 1, 0);
	machine_set_link(&script.machine, 1, 1, 0);
	expect(&script, 0, HANGUP, 0, "tell lost 0");
	expect(&script, 1, NOTICE, 0, "await receiver 0, negotiate only 1");
	expect(&script, 1, NOT_NEGOTIATED, 0, "");
	expect_deadline(&script, BACKOFF_MIN_MS, "negotiate only 1");
	expect(&script, 1, NOT_NEGOTIATED, 0, "");
	expect(&script, 1, HANGUP, 1, "save, tell lost 1");
	expect_deadline(&script, BACKOFF_MIN_MS - 1, "negotiate from 2");
}

static void a_renewal_is_to_the_host_of_its_link(void **state)
{
	struct script script = begin(1);

	(void)state;
	script.compares_all = true;
	machine_set_link(&script.machine, 0, 3, 0);
	expect(&script, 0, REKEY, 0, "negotiate only 3");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_lost_link_is_replaced_as_soon_as_the_driver_lets_go_of_it),
		cmocka_unit_test(a_notice_that_never_comes_costs_the_settling_time),
		cmocka_unit_test(a_second_hang_up_of_the_same_link_is_no_news),
		cmocka_unit_test(pauses_grow_and_are_bounded),
		cmocka_unit_test(a_proof_makes_the_pauses_short_again),
		cmocka_unit_test(an_outage_has_nothing_to_do_with_renewals_that_failed_before),
		cmocka_unit_test(an_offer_that_is_refused_is_asked_for_again_after_a_long_pause),
		cmocka_unit_test(a_refusal_counts_until_the_next_answer_only),
		cmocka_unit_test(
			links_that_die_right_after_their_proof_are_replaced_at_a_slower_pace),
		cmocka_unit_test(several_links_do_not_make_short_lives_faster),
		cmocka_unit_test(a_slot_whose_receiver_still_reads_gets_no_socket),
		cmocka_unit_test(every_one_of_many_links_comes_back),
		cmocka_unit_test(an_outage_is_saved_before_anything_else),
		cmocka_unit_test(a_link_of_several_is_no_outage_to_save),
		cmocka_unit_test(each_attempt_of_an_outage_begins_with_another_host),
		cmocka_unit_test(while_a_link_is_up_another_one_is_to_its_host_only),
		cmocka_unit_test(a_renewal_is_to_the_host_of_its_link),
	};

	return cmocka_run_group_tests_name("machine-outage", tests, NULL, NULL);
}
