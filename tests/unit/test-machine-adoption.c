/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Links of a former supervisor: with their socket or without, known to serve or not, and how they
 * are replaced by links that can be watched. */
#include "machine-script.h"

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
		cmocka_unit_test(a_notice_is_not_for_a_link_that_is_there),
		cmocka_unit_test(links_are_looked_up_when_notices_are_lost),
		cmocka_unit_test(
			a_unix_socket_that_owes_a_notice_is_offered_anew_when_notices_are_lost),
	};

	return cmocka_run_group_tests_name("machine-adoption", tests, NULL, NULL);
}
