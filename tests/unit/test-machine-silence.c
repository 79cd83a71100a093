/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A link that owes answers is kept, and its server asked over another connection; what shuts it all
 * the same. */
#include "machine-script.h"

static void a_silent_link_is_kept_and_its_server_asked_over_another_connection(void **state)
{
	struct script script = begin(1);

	(void)state;
	expect(&script, 0, SILENT, 0, "negotiate");
	assert_true(machine_is_serving(&script.machine));
	expect(&script, 5, SILENT, 0, ""); /* told with each sample */
	expect(&script, 30, NEGOTIATED, 0, "drop spare");
	assert_int_equal(script.machine.links[0].silence, SILENCE_SLOW);
	assert_true(machine_is_serving(&script.machine));
	expect_deadline(&script, SLOW_MS, "negotiate"); /* does it live still? */
	expect(&script, 30, NEGOTIATED, 0, "drop spare");
	expect(&script, 30, ANSWERED, 0, "");
	assert_int_equal(script.machine.links[0].silence, SILENCE_NONE);
	assert_int_equal(script.machine.reconnects, 0);
	assert_at_rest(&script);
}

static void a_silent_link_is_kept_while_its_server_answers_nothing(void **state)
{
	struct script script = begin(1);

	(void)state;
	expect(&script, 0, SILENT, 0, "negotiate");
	expect(&script, 20000, NOT_NEGOTIATED, 0, "");
	assert_int_equal(script.machine.links[0].silence, SILENCE_UNREACHABLE);
	assert_false(machine_is_serving(&script.machine));
	expect_deadline(&script, BACKOFF_MIN_MS, "negotiate");
	expect(&script, 10, ANSWERED, 0, "cancel"); /* what comes back first is used */
	assert_int_equal(script.machine.reconnects, 0);
	assert_int_equal(script.machine.attempts, 0);
	assert_at_rest(&script);
	expect(&script, 0, SILENT, 0, "negotiate");
	expect(&script, 20000, NOT_NEGOTIATED, 0, "");
	expect(&script, 10, ANSWERED, 0, "");
	assert_at_rest(&script);
}

static void a_silent_link_that_hangs_up_gets_the_connection_that_was_to_ask(void **state)
{
	struct script script = begin(1);

	(void)state;
	expect(&script, 0, SILENT, 0, "negotiate");
	expect(&script, 5, HANGUP, 0, "");
	expect(&script, 1, NOTICE, 0, "");
	expect(&script, 30, NEGOTIATED, 0, "hand over 0");
	expect(&script, 0, HANDED_OVER, 0, "probe");
	expect(&script, 3, MOVED, 0, "");
	assert_int_equal(script.machine.reconnects, 1);
	assert_at_rest(&script);
}

static void an_outage_of_silence_is_saved_too(void **state)
{
	struct script script = begin(1);

	(void)state;
	script.compares_all = true;
	expect(&script, 0, SILENT, 0, "negotiate only 0");
	expect(&script, 20000, NOT_NEGOTIATED, 0, "save");
	expect_deadline(&script, BACKOFF_MIN_MS, "negotiate only 0");
	expect(&script, 30, NEGOTIATED, 0, "save, drop spare");
	expect(&script, 5, ANSWERED, 0, "");
	assert_at_rest(&script);
}

static void a_link_that_is_broken_is_shut_whatever_it_owes(void **state)
{
	struct script script = begin(1);

	(void)state;
	expect(&script, 0, SILENT, 0, "negotiate");
	expect(&script, 30, NEGOTIATED, 0, "drop spare");
	expect(&script, 30, BROKEN, 0, "shut 0");
	expect(&script, 1, NOTICE, 0, "negotiate");
	expect_reconnect(&script, 0);
	assert_at_rest(&script);
}

static void a_link_that_does_not_answer_is_shut_and_replaced(void **state)
{
	struct script script = begin(1);

	(void)state;
	expect(&script, 0, BROKEN, 0, "shut 0");
	expect(&script, 0, BROKEN, 0, "");
	expect(&script, 1, NOTICE, 0, "negotiate");
	expect(&script, 0, BROKEN, 0, "");
	expect(&script, 30, NEGOTIATED, 0, "hand over 0");
	expect(&script, 0, HANDED_OVER, 0, "probe");
	expect(&script, 5, BROKEN, 0, "shut 0");
	expect(&script, 0, NOTICE, 0, "");
	expect_deadline(&script, BACKOFF_MIN_MS, "negotiate");
	expect_reconnect(&script, 0);
	assert_int_equal(script.machine.reconnects, 1);
}

static void a_server_that_ends_has_each_of_its_links_shut(void **state)
{
	struct script script = begin(3);

	(void)state;
	expect(&script, 0, HANGUP, 1, "");
	expect(&script, 0, SERVER_ENDS, 0, "shut 0, shut 2");
	assert_false(machine_is_serving(&script.machine));
	expect(&script, 0, SERVER_ENDS, 0, "");
	expect(&script, 1, NOTICE, 0, "negotiate");
	expect(&script, 1, NOTICE, 0, "");
	expect(&script, 1, NOTICE, 0, "");
	expect_hand_over(&script, 0);
	expect(&script, 1, SERVER_ENDS, 0, "shut 0");
	assert_int_equal(script.machine.attempts, 1);
	expect_deadline(&script, BACKOFF_MIN_MS, "negotiate");
}

static void a_silent_link_is_shut_too_when_its_server_ends(void **state)
{
	struct script script = begin(1);

	(void)state;
	expect(&script, 0, SILENT, 0, "negotiate");
	expect(&script, 1, SERVER_ENDS, 0, "shut 0");
	expect(&script, 1, NOTICE, 0, "");
	expect_reconnect(&script, 0);
	assert_at_rest(&script);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_silent_link_is_kept_and_its_server_asked_over_another_connection),
		cmocka_unit_test(a_silent_link_is_kept_while_its_server_answers_nothing),
		cmocka_unit_test(a_silent_link_that_hangs_up_gets_the_connection_that_was_to_ask),
		cmocka_unit_test(an_outage_of_silence_is_saved_too),
		cmocka_unit_test(a_link_that_is_broken_is_shut_whatever_it_owes),
		cmocka_unit_test(a_link_that_does_not_answer_is_shut_and_replaced),
		cmocka_unit_test(a_server_that_ends_has_each_of_its_links_shut),
		cmocka_unit_test(a_silent_link_is_shut_too_when_its_server_ends),
	};

	return cmocka_run_group_tests_name("machine-silence", tests, NULL, NULL);
}
