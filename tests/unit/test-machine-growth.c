/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How a device grows while it is in use. */
#include "machine-script.h"

#define OLD_SIZE 4096
#define NEW_SIZE 8192
#define FORCED_MS 7500
#define LIMIT_MS (FORCED_MS + IO_TIMEOUT_MS + 15000)
#define DRAINED_MS 1000
#define DRAIN_PAUSE_MIN_MS 50
#define DRAIN_PAUSE_MAX_MS 2000

#define expect_grow(script, name, actions)                                                         \
	expect_with(script, 0, name, actions, .size_bytes = NEW_SIZE)

static struct script begin_told(unsigned link_count, uint64_t size_bytes)
{
	struct script script = begin(link_count);

	for (unsigned i = 0; i < link_count; i++)
		machine_set_link(&script.machine, i, 0, size_bytes);
	return script;
}

/* All links know the new size already, and the first drain is under way. */
static struct script begin_ready(void)
{
	struct script script = begin_told(1, NEW_SIZE);

	expect_grow(&script, GROW, "drain");
	assert_true(machine_growth_awaits_idle(&script.machine));
	return script;
}

/* From an attempt that is under way, in an idle moment. */
static void expect_renewal(
	struct script *script, unsigned at, uint64_t size_bytes, const char *actions)
{
	char shut[32], hand_over[32];

	snprintf(shut, sizeof(shut), "shut %u", at);
	snprintf(hand_over, sizeof(hand_over), "hand over %u", at);
	expect_with(script, 30, NEGOTIATED, "", .size_bytes = size_bytes);
	expect(script, 5, IDLE, 0, shut);
	expect(script, 1, NOTICE, 0, hand_over);
	expect(script, 0, HANDED_OVER, 0, "probe");
	expect(script, 1, MOVED, at, actions);
}

static void expect_resize(struct script *script)
{
	expect_facts(script, 5, DRAINED, 0, FACT_DONE, "");
	expect(script, 5, IDLE, 0, "resize 8192");
	expect(script, 0, RESIZED, 0, "");
	assert_false(machine_is_growing(&script->machine));
	assert_at_rest(script);
	expect(script, 5, IDLE, 0, "");
}

static void a_link_that_was_told_the_old_size_is_renewed_when_idle(void **state)
{
	struct script script = begin_told(1, OLD_SIZE);

	(void)state;
	expect_grow(&script, GROW, "negotiate");
	assert_true(machine_is_growing(&script.machine));
	assert_false(machine_growth_awaits_idle(&script.machine));
	expect_renewal(&script, 0, NEW_SIZE, "drain");
	assert_int_equal(script.machine.renewals, 1);
	assert_true(machine_growth_awaits_idle(&script.machine));
	expect_resize(&script);
}

static void links_that_know_the_new_size_are_left_alone(void **state)
{
	struct script script = begin_ready();

	(void)state;
	expect_resize(&script);
	script = begin_told(1, NEW_SIZE + 512); /* it has grown again */
	expect_grow(&script, GROW, "drain");
	expect_resize(&script);
}

static void each_of_several_links_is_renewed(void **state)
{
	struct script script = begin_told(3, OLD_SIZE);

	(void)state;
	machine_set_link(&script.machine, 1, 0, NEW_SIZE);
	expect_grow(&script, GROW, "negotiate");
	expect_renewal(&script, 0, NEW_SIZE, "negotiate");
	expect_renewal(&script, 2, NEW_SIZE, "");
	assert_true(machine_growth_awaits_idle(&script.machine));
	/* what is new need not wait with what a former link has lost */
	expect_deadline(&script, IO_TIMEOUT_MS + DRAIN_PAUSE_MAX_MS - 1, "drain");
	expect_resize(&script);
}

static void a_link_without_an_idle_moment_is_renewed_by_force(void **state)
{
	struct script script = begin_told(1, OLD_SIZE);

	(void)state;
	expect_grow(&script, GROW, "negotiate");
	expect_with(&script, 30, NEGOTIATED, "", .size_bytes = NEW_SIZE);
	expect_deadline(&script, FORCED_MS - 30, "drain");
	expect(&script, 5, DRAINED, 0, "shut 0");
	expect(&script, 1, NOTICE, 0, "hand over 0");
	expect(&script, 0, HANDED_OVER, 0, "probe");
	expect(&script, 1, MOVED, 0, "drain");
	expect_resize(&script);
}

static void a_background_growth_renews_nothing_by_force(void **state)
{
	struct script script = begin_told(1, OLD_SIZE);

	(void)state;
	expect_grow(&script, GROW_SOMETIME, "negotiate");
	expect_with(&script, 30, NEGOTIATED, "", .size_bytes = NEW_SIZE);
	expect_deadline(&script, SPARE_MS, "drop spare");
	expect_deadline(&script, RENEW_PAUSE_MS, "negotiate");
	expect_renewal(&script, 0, NEW_SIZE, "drain");
	expect_resize(&script);
}

static void a_renewal_of_before_is_one_for_the_growth_too(void **state)
{
	struct script script = begin_told(1, OLD_SIZE);

	(void)state;
	expect(&script, 0, REKEY, 0, "negotiate");
	expect_grow(&script, GROW, "");
	expect_renewal(&script, 0, NEW_SIZE, "drain");
	expect_resize(&script);
	assert_int_equal(script.machine.renewals, 1);
}

/* It was negotiated before, and would be shown to a user as a server that does not grow. */
static void a_spare_that_was_told_the_old_size_is_negotiated_anew(void **state)
{
	struct script script = begin_told(1, OLD_SIZE);

	(void)state;
	expect(&script, 0, REKEY, 0, "negotiate");
	expect_with(&script, 30, NEGOTIATED, "", .size_bytes = OLD_SIZE);
	expect_grow(&script, GROW, "drop spare, negotiate");
	expect_with(&script, 30, NEGOTIATED, "", .size_bytes = NEW_SIZE);
	expect_grow(&script, GROW, ""); /* this one is of use */
	expect_deadline(&script, FORCED_MS, "drain");
	expect(&script, 5, DRAINED, 0, "shut 0");
	expect(&script, 1, NOTICE, 0, "hand over 0");
	expect(&script, 0, HANDED_OVER, 0, "probe");
	expect(&script, 1, MOVED, 0, "drain");
	expect_resize(&script);
}

/* To have a link goes before its size; it is renewed afterwards. */
static void a_spare_for_a_lost_link_is_used_whatever_it_was_told(void **state)
{
	struct script script = begin_told(1, OLD_SIZE);

	(void)state;
	expect(&script, 0, REKEY, 0, "negotiate");
	expect_with(&script, 30, NEGOTIATED, "", .size_bytes = OLD_SIZE);
	expect(&script, 5, HANGUP, 0, "");
	expect_grow(&script, GROW, "");
	expect(&script, 1, NOTICE, 0, "hand over 0");
	expect(&script, 0, HANDED_OVER, 0, "probe");
	expect(&script, 1, MOVED, 0, "negotiate");
	expect_renewal(&script, 0, NEW_SIZE, "drain");
	expect_resize(&script);
}

static void a_link_that_reconnects_meanwhile_needs_no_renewal(void **state)
{
	struct script script = begin_told(1, OLD_SIZE);

	(void)state;
	expect_grow(&script, GROW, "negotiate");
	expect(&script, 5, HANGUP, 0, "");
	expect(&script, 1, NOTICE, 0, "");
	expect_with(&script, 30, NEGOTIATED, "hand over 0", .size_bytes = NEW_SIZE);
	expect(&script, 0, HANDED_OVER, 0, "probe");
	expect(&script, 5, IDLE, 0, ""); /* not before it is proven */
	expect(&script, 1, MOVED, 0, "drain");
	expect_resize(&script);
}

/* --- the idle moment */

static void an_idle_moment_counts_soon_after_a_quick_drain_only(void **state)
{
	struct script script = begin_ready();

	(void)state;
	expect(&script, 5, IDLE, 0, ""); /* a flush may be in flight */
	expect_facts(&script, 5, DRAINED, 0, 0, "");
	expect(&script, 5, IDLE, 0, ""); /* where requests take long, so would others */
	expect_deadline(&script, DRAIN_PAUSE_MIN_MS - 15, "drain");
	expect_facts(&script, 5, DRAINED, 0, FACT_DONE, "");
	expect(&script, DRAINED_MS - 1, TICK, 0, "");
	expect_deadline(&script, 1, "drain");
	expect(&script, 5, IDLE, 0, ""); /* that is too long ago */
	expect_facts(&script, 5, DRAINED, 0, FACT_DONE, "");
	expect(&script, DRAINED_MS - 1, IDLE, 0, "resize 8192");
}

static void drains_come_at_longer_and_longer_distances(void **state)
{
	struct script script = begin_ready();
	int64_t pause_ms = DRAIN_PAUSE_MIN_MS;

	(void)state;
	for (unsigned i = 0; i < 10; i++) {
		expect_facts(&script, 1, DRAINED, 0, 0, "");
		expect_deadline(&script, pause_ms - 1, "drain");
		pause_ms = 2 * pause_ms < DRAIN_PAUSE_MAX_MS ? 2 * pause_ms : DRAIN_PAUSE_MAX_MS;
	}
	assert_int_equal(pause_ms, DRAIN_PAUSE_MAX_MS);
}

static void a_drain_that_takes_long_is_waited_for(void **state)
{
	struct script script = begin_ready();

	(void)state;
	expect(&script, 20000, TICK, 0, "");
	expect_facts(&script, 1, DRAINED, 0, 0, "drain");
}

static void a_drain_for_a_renewal_does_for_the_growth(void **state)
{
	struct script script = begin_told(2, NEW_SIZE);

	(void)state;
	expect(&script, 0, REKEY_NOW, 1, "negotiate");
	expect_with(&script, 30, NEGOTIATED, "drain", .size_bytes = NEW_SIZE);
	expect_grow(&script, GROW, "");
	expect_facts(&script, 5, DRAINED, 0, FACT_DONE, "shut 1");
	expect_with(&script, 1, NOTICE, "hand over 1", .link = 0);
}

/* Under swap no process is started; what is in flight has to be believed. */
static void an_isolated_device_is_not_drained(void **state)
{
	struct script script = begin_told(1, NEW_SIZE);

	(void)state;
	script.machine.config.is_isolated = true;
	expect_grow(&script, GROW, "");
	assert_true(machine_growth_awaits_idle(&script.machine));
	expect(&script, 1000, IDLE, 0, "resize 8192");
	expect(&script, 0, RESIZED, 0, "");
	assert_at_rest(&script);
}

static void a_driver_that_does_not_wait_is_told_at_once(void **state)
{
	struct script script = begin_told(1, OLD_SIZE);

	(void)state;
	script.machine.config.size_waits_for_io = false;
	expect_grow(&script, GROW, "negotiate");
	expect_renewal(&script, 0, NEW_SIZE, "resize 8192");
	expect(&script, 0, RESIZED, 0, "");
	assert_at_rest(&script);
	script = begin_told(1, NEW_SIZE);
	script.machine.config.size_waits_for_io = false;
	expect_grow(&script, GROW, "resize 8192");
}

static void an_idle_moment_without_all_links_is_none(void **state)
{
	struct script script = begin_ready();

	(void)state;
	expect_facts(&script, 5, DRAINED, 0, FACT_DONE, "");
	expect(&script, 5, HANGUP, 0, "");
	assert_false(machine_growth_awaits_idle(&script.machine));
	expect(&script, 0, IDLE, 0, "");
	expect(&script, 1, NOTICE, 0, "negotiate");
	expect_with(&script, 30, NEGOTIATED, "hand over 0", .size_bytes = NEW_SIZE);
	expect(&script, 0, HANDED_OVER, 0, "probe");
	expect(&script, 0, IDLE, 0, "");
	expect(&script, 1, MOVED, 0, "");
	expect(&script, 1, IDLE, 0, "resize 8192");
}

/* At its very end, the moment goes first. */
static void an_idle_moment_is_used_once(void **state)
{
	struct script script = begin_ready();

	(void)state;
	expect(&script, LIMIT_MS - 10, TICK, 0, "");
	expect_facts(&script, 5, DRAINED, 0, FACT_DONE, "");
	expect(&script, 5, IDLE, 0, "resize 8192");
	expect(&script, 0, RESIZED, 0, "");
	assert_at_rest(&script);
}

/* --- refusals */

static void a_link_that_cannot_be_shut_is_a_refusal(void **state)
{
	struct script script = begin_told(2, OLD_SIZE);

	(void)state;
	machine_adopt_link(&script.machine, 1, ADOPTED_ANSWERING);
	machine_set_link(&script.machine, 0, 0, NEW_SIZE);
	expect_grow(&script, GROW, "refuse growth: cannot renew 1");
	assert_false(machine_is_growing(&script.machine));
	assert_at_rest(&script);
	expect_grow(&script, GROW_SOMETIME, "refuse growth: cannot renew 1");
	machine_set_link(&script.machine, 1, 0, NEW_SIZE);
	expect_grow(&script, GROW, "drain");
}

static void a_connection_that_is_told_the_old_size_is_a_refusal(void **state)
{
	struct script script = begin_told(1, OLD_SIZE);

	(void)state;
	expect_grow(&script, GROW, "negotiate");
	expect_renewal(&script, 0, OLD_SIZE, "refuse growth: told old size 0");
	assert_at_rest(&script);
	assert_int_equal(script.machine.renewals, 1);
}

static void a_device_that_fails_does_not_grow(void **state)
{
	struct script script = begin_told(1, OLD_SIZE);

	(void)state;
	go_to_negotiate(&script);
	expect_grow(&script, GROW_SOMETIME, "");
	expect(&script, DEAD_MS - 2, TICK, 0, "");
	expect(&script, 1, TICK, 0, "cancel, fail device, refuse growth: server away 0");
	expect_grow(&script, GROW, "refuse growth: server away 0");
	assert_given_up(&script);
}

static void a_device_that_is_never_idle_does_not_grow(void **state)
{
	struct script script = begin_ready();

	(void)state;
	assert_int_equal(machine_growth_limit_ms(&script.machine), LIMIT_MS);
	expect_deadline(&script, LIMIT_MS, "refuse growth: never idle 0");
	expect(&script, 5, DRAINED, 0, "");
	assert_at_rest(&script);
}

static void a_growth_in_an_outage_ends_at_its_limit(void **state)
{
	struct script script = begin_told(1, OLD_SIZE);

	(void)state;
	go_to_negotiate(&script);
	expect_grow(&script, GROW, "");
	expect_deadline(&script, LIMIT_MS, "refuse growth: never idle 0");
}

static void a_background_growth_has_no_limit(void **state)
{
	struct script script = begin_told(1, NEW_SIZE);

	(void)state;
	expect_grow(&script, GROW_SOMETIME, "drain");
	for (unsigned i = 0; i < 1000; i++) {
		expect_facts(&script, LIMIT_MS, DRAINED, 0, FACT_DONE, "");
		expect_deadline(&script, DRAINED_MS, "drain");
	}
	expect_resize(&script);
}

static void a_background_growth_gives_way_to_one_that_is_asked_for(void **state)
{
	struct script script = begin_told(1, OLD_SIZE);

	(void)state;
	expect_grow(&script, GROW_SOMETIME, "negotiate");
	expect_with(&script, 5, GROW, "", .size_bytes = 2 * NEW_SIZE);
	assert_int_equal(script.machine.growth.size_bytes, 2 * NEW_SIZE);
	expect_grow(&script, GROW_SOMETIME, "");
	assert_int_equal(script.machine.growth.size_bytes, 2 * NEW_SIZE);
	expect_deadline(&script, FORCED_MS, "");
	assert_true(machine_is_growing(&script.machine));
	expect(&script, 0, GONE, 0, "cancel");
	assert_int_equal(machine_deadline_ms(&script.machine), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_link_that_was_told_the_old_size_is_renewed_when_idle),
		cmocka_unit_test(links_that_know_the_new_size_are_left_alone),
		cmocka_unit_test(each_of_several_links_is_renewed),
		cmocka_unit_test(a_link_without_an_idle_moment_is_renewed_by_force),
		cmocka_unit_test(a_background_growth_renews_nothing_by_force),
		cmocka_unit_test(a_renewal_of_before_is_one_for_the_growth_too),
		cmocka_unit_test(a_spare_that_was_told_the_old_size_is_negotiated_anew),
		cmocka_unit_test(a_spare_for_a_lost_link_is_used_whatever_it_was_told),
		cmocka_unit_test(a_link_that_reconnects_meanwhile_needs_no_renewal),
		cmocka_unit_test(an_idle_moment_counts_soon_after_a_quick_drain_only),
		cmocka_unit_test(drains_come_at_longer_and_longer_distances),
		cmocka_unit_test(a_drain_that_takes_long_is_waited_for),
		cmocka_unit_test(a_drain_for_a_renewal_does_for_the_growth),
		cmocka_unit_test(an_isolated_device_is_not_drained),
		cmocka_unit_test(a_driver_that_does_not_wait_is_told_at_once),
		cmocka_unit_test(an_idle_moment_without_all_links_is_none),
		cmocka_unit_test(an_idle_moment_is_used_once),
		cmocka_unit_test(a_link_that_cannot_be_shut_is_a_refusal),
		cmocka_unit_test(a_connection_that_is_told_the_old_size_is_a_refusal),
		cmocka_unit_test(a_device_that_fails_does_not_grow),
		cmocka_unit_test(a_device_that_is_never_idle_does_not_grow),
		cmocka_unit_test(a_growth_in_an_outage_ends_at_its_limit),
		cmocka_unit_test(a_background_growth_has_no_limit),
		cmocka_unit_test(a_background_growth_gives_way_to_one_that_is_asked_for),
	};

	return cmocka_run_group_tests_name("machine-growth", tests, NULL, NULL);
}
