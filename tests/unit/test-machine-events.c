/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Events that mean nothing, and the names of those that do. */
#include "machine-script.h"

static void a_device_that_works_is_left_alone(void **state)
{
	struct script script = begin(1);

	(void)state;
	assert_at_rest(&script);
	expect(&script, 0, TICK, 0, "");
	expect(&script, 100000000, TICK, 0, "");
	expect(&script, 0, IDLE, 0, "");
	expect(&script, 0, NOTICE, 0, "");
	assert_at_rest(&script);
}

static void answers_that_nobody_waits_for_are_no_news(void **state)
{
	struct script script = begin(1);

	(void)state;
	expect(&script, 1, NEGOTIATED, 0, "");
	expect(&script, 1, REFUSED, 0, "");
	expect(&script, 1, NOT_NEGOTIATED, 0, "");
	expect(&script, 1, SPARE_LOST, 0, "");
	expect(&script, 1, HANDED_OVER, 0, "");
	expect(&script, 1, NOT_HANDED_OVER, 0, "");
	expect(&script, 1, MOVED, 0, "");
	for (unsigned facts = 0; facts < 2 * FACT_DONE; facts++) {
		expect_facts(&script, 1, SAMPLED, 0, facts, "");
		expect_facts(&script, 1, PROBED, 0, facts, "");
		expect_facts(&script, 1, DRAINED, 0, facts, "");
	}
	expect(&script, 1, IDLE, 0, "");
	expect(&script, 1, CANNOT_SHUT, 0, "");
	expect(&script, 1, RECEIVER_ENDED, 0, "");
	expect(&script, 1, RESIZED, 0, "");
	expect(&script, 1, DETACHED, 0, "");
	assert_at_rest(&script);
	assert_int_equal(script.machine.reconnects, 0);
}

static void a_link_that_does_not_exist_is_left_alone(void **state)
{
	static const unsigned links[] = {1, LINKS_MAX, UINT32_MAX};
	struct script script = begin(1);

	(void)state;
	for (int type = 0; type < EVENT_COUNT; type++)
		for (size_t k = 0; k < sizeof(links) / sizeof(links[0]); k++) {
			const struct machine_event event = {
				.type = (enum machine_event_type)type, .link = links[k]};

			if (machine_event_is_of_link(event.type))
				expect_event(&script, 1, &event, "", __LINE__);
		}
	assert_at_rest(&script);
}

static void events_and_actions_have_names(void **state)
{
	(void)state;
	assert_string_equal(machine_event_name(EVENT_HANGUP), "hang-up");
	assert_string_equal(machine_event_name(EVENT_GONE), "gone");
	assert_string_equal(machine_event_name(EVENT_COUNT), "?");
	assert_string_equal(machine_action_name(ACTION_SAVE), "save");
	assert_string_equal(machine_action_name(ACTION_LEAVE), "leave");
	assert_string_equal(machine_action_name(ACTION_COUNT), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_device_that_works_is_left_alone),
		cmocka_unit_test(answers_that_nobody_waits_for_are_no_news),
		cmocka_unit_test(a_link_that_does_not_exist_is_left_alone),
		cmocka_unit_test(events_and_actions_have_names),
	};

	return cmocka_run_group_tests_name("machine-events", tests, NULL, NULL);
}
