/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How the supervisor ends: the device is gone, it is told to, or the machine shuts down. */
#include "machine-script.h"

#define LINGER_MS 3000

static void assert_over(struct script *script, enum machine_phase phase)
{
	assert_int_equal(script->machine.phase, phase);
	assert_true(machine_is_over(&script->machine));
	assert_int_equal(script->machine.work, WORK_NONE);
	assert_int_equal(machine_deadline_ms(&script->machine), -1);
	assert_false(machine_awaits_idle(&script->machine));
	for (int type = 0; type <= EVENT_COUNT; type++)
		expect_event(script, 1000,
			&(struct machine_event){.type = (enum machine_event_type)type}, "",
			__LINE__);
	assert_int_equal(script->machine.phase, phase);
}

static void somebody_elses_disconnect_ends_it_at_any_time(void **state)
{
	static const struct {
		void (*go)(struct script *script);
		const char *actions;
	} moments[] = {
		{stay, ""},
		{go_to_lost, ""},
		{go_to_negotiate, "cancel"},
		{go_to_pause, ""},
		{go_to_spare, "drop spare"},
		{go_to_prove, ""},
		{go_to_failed, ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(moments) / sizeof(moments[0]); i++) {
		struct script script = begin(1);

		moments[i].go(&script);
		assert_false(machine_is_over(&script.machine));
		script.compares_all = true;
		expect(&script, 0, GONE, 0, moments[i].actions);
		assert_over(&script, PHASE_ENDED);
	}
}

static void an_outage_at_shutdown_is_limited(void **state)
{
	struct script script = begin(1);

	(void)state;
	script.machine.config.dead_timeout_ms = -1;
	expect(&script, 0, HANGUP, 0, "");
	expect(&script, 0, NOTICE, 0, "negotiate");
	expect(&script, 100000, SHUTDOWN, 0, "");
	expect(&script, 50000, SHUTDOWN, 0, ""); /* said twice, it counts once */
	expect(&script, MACHINE_SHUTDOWN_MS - 50000 - 1, TICK, 0, "");
	expect(&script, 1, TICK, 0, "cancel, fail device");
	assert_int_equal(script.machine.phase, PHASE_FAILED);
}

static void an_outage_after_shutdown_began_is_limited(void **state)
{
	struct script script = begin(1);

	(void)state;
	script.machine.config.dead_timeout_ms = -1;
	expect(&script, 0, SHUTDOWN, 0, "");
	assert_at_rest(&script);
	expect(&script, 100000000, HANGUP, 0, "");
	expect(&script, 0, NOTICE, 0, "negotiate");
	expect(&script, MACHINE_SHUTDOWN_MS - 1, TICK, 0, "");
	expect(&script, 1, TICK, 0, "cancel, fail device");
}

/* Of the outage that shutdown met, more than a minute may have passed. */
static void the_next_outage_at_shutdown_gets_its_own_time(void **state)
{
	struct script script = begin(1);

	(void)state;
	script.machine.config.dead_timeout_ms = -1;
	expect(&script, 0, HANGUP, 0, "");
	expect(&script, 0, NOTICE, 0, "negotiate");
	expect(&script, 200000, SHUTDOWN, 0, "");
	expect_reconnect(&script, 0);
	expect(&script, 100000, HANGUP, 0, "");
	expect(&script, 0, NOTICE, 0, "negotiate");
	expect(&script, MACHINE_SHUTDOWN_MS - 1, TICK, 0, "");
	expect(&script, 1, TICK, 0, "cancel, fail device");
}

static void a_shorter_dead_timeout_holds_at_shutdown(void **state)
{
	struct script script = begin(1);

	(void)state;
	script.machine.config.dead_timeout_ms = 20000;
	expect(&script, 0, SHUTDOWN, 0, "");
	expect(&script, 0, HANGUP, 0, "");
	expect(&script, 0, NOTICE, 0, "negotiate");
	expect(&script, 20000 - 1, TICK, 0, "");
	expect(&script, 1, TICK, 0, "cancel, fail device");
}

/* Told to end: what is saved is for a successor, and it is what it was. */
static void a_device_that_serves_is_taken_along_if_nobody_uses_it(void **state)
{
	struct script script = begin(1);

	(void)state;
	script.compares_all = true;
	expect(&script, 0, STOP, 0, "detach");
	expect(&script, 5, STOP, 0, "");
	expect(&script, 5, TICK, 0, "");
	expect(&script, 5, GONE, 0, "");
	assert_over(&script, PHASE_ENDED);
}

static void a_device_that_is_in_use_is_left(void **state)
{
	struct script script = begin(1);

	(void)state;
	script.compares_all = true;
	expect(&script, 0, STOP, 0, "detach");
	expect_with(&script, 5, DETACHED, "leave", .detached = DETACHED_NOT);
	assert_over(&script, PHASE_LEFT);
}

static void a_device_that_is_somebody_elses_by_now_is_let_be(void **state)
{
	struct script script = begin(1);

	(void)state;
	go_to_spare(&script);
	expect(&script, 0, STOP, 0, "detach");
	expect_with(&script, 5, DETACHED, "drop spare", .detached = DETACHED_FOREIGN);
	assert_over(&script, PHASE_LEFT);
}

static void it_is_supervised_while_it_is_detached(void **state)
{
	struct script script = begin(1);

	(void)state;
	expect(&script, 0, STOP, 0, "detach");
	expect(&script, 5, HANGUP, 0, "");
	expect(&script, 1, NOTICE, 0, "negotiate");
	expect(&script, 1, STOP, 0, "");
	expect_with(&script, 5, DETACHED, "cancel, leave", .detached = DETACHED_NOT);
	assert_over(&script, PHASE_LEFT);
}

static void an_answer_to_a_detaching_that_nobody_asked_for_is_no_news(void **state)
{
	struct script script = begin(1);

	(void)state;
	expect_with(&script, 0, DETACHED, "", .detached = DETACHED_NOT);
	expect_with(&script, 0, DETACHED, "", .detached = DETACHED_FOREIGN);
	assert_at_rest(&script);
}

/* What may not be written yet would be lost. */
static void in_an_outage_it_is_left(void **state)
{
	static const struct {
		void (*go)(struct script *script);
		const char *actions;
	} moments[] = {
		{go_to_lost, "leave"},
		{go_to_negotiate, "cancel, leave"},
		{go_to_pause, "leave"},
		{go_to_prove, "leave"},
		{go_to_failed, "leave"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(moments) / sizeof(moments[0]); i++) {
		struct script script = begin(1);

		moments[i].go(&script);
		script.compares_all = true;
		expect(&script, 1, STOP, 0, moments[i].actions);
		assert_over(&script, PHASE_LEFT);
	}
}

static void the_spare_of_a_device_that_is_left_is_dropped(void **state)
{
	struct script script = begin(1);

	(void)state;
	go_to_spare(&script);
	expect(&script, 0, HANGUP, 0, "");
	expect(&script, 0, STOP, 0, "drop spare, leave");
	assert_over(&script, PHASE_LEFT);
}

/* What is to start a successor may have to be read from this very disk first. */
static void an_isolated_one_waits_for_the_end_of_the_outage(void **state)
{
	struct script script = begin(1);

	(void)state;
	script.machine.config.is_isolated = true;
	go_to_negotiate(&script);
	expect(&script, 5, STOP, 0, "");
	expect(&script, 5, STOP, 0, "");
	assert_int_equal(script.machine.stop, STOP_WAITING);
	expect(&script, 30, NEGOTIATED, 0, "hand over 0");
	expect(&script, 0, HANDED_OVER, 0, "");
	expect(&script, 5, MOVED, 0, "detach");
	expect_with(&script, 5, DETACHED, "leave", .detached = DETACHED_NOT);
	assert_over(&script, PHASE_LEFT);
}

static void an_isolated_one_that_fails_meanwhile_is_left(void **state)
{
	struct script script = begin(1);

	(void)state;
	script.machine.config.is_isolated = true;
	go_to_negotiate(&script);
	expect(&script, 5, STOP, 0, "");
	expect(&script, DEAD_MS - 6, TICK, 0, "cancel, fail device");
	script.compares_all = true;
	expect_deadline(&script, LINGER_MS, "leave");
	assert_over(&script, PHASE_LEFT);
}

/* Somebody hangs in I/O then: only we can end that before the driver's time is over. */
static void at_shutdown_it_waits_for_the_end_of_the_outage(void **state)
{
	struct script script = begin(1);

	(void)state;
	expect(&script, 0, SHUTDOWN, 0, "");
	go_to_negotiate(&script);
	expect(&script, 5, STOP, 0, "");
	expect(&script, 30, NEGOTIATED, 0, "hand over 0");
	expect(&script, 0, HANDED_OVER, 0, "probe");
	expect(&script, 5, MOVED, 0, "detach");
	expect(&script, 5, GONE, 0, "");
	assert_over(&script, PHASE_ENDED);
}

/* It is of no use any more, but its unit would be waited for. */
static void a_device_that_fails_at_shutdown_is_detached_by_force(void **state)
{
	struct script script = begin(1);

	(void)state;
	expect(&script, 0, SHUTDOWN, 0, "");
	go_to_negotiate(&script);
	expect(&script, 0, STOP, 0, "");
	expect_deadline(&script, MACHINE_SHUTDOWN_MS - 1, "cancel, fail device");
	/* what comes in while it begins to fail has to be failed once more */
	expect(&script, 5, STOP, 0, "");
	expect_deadline(&script, LINGER_MS - 5, "detach forced");
	assert_int_equal(machine_deadline_ms(&script.machine), -1);
	expect(&script, 1, TICK, 0, "");
	expect_with(&script, 5, DETACHED, "leave", .detached = DETACHED_NOT);
	assert_over(&script, PHASE_LEFT);
}

static void a_device_that_has_failed_before_is_detached_by_force_at_shutdown_only(void **state)
{
	struct script script = begin(1);

	(void)state;
	go_to_failed(&script);
	expect(&script, 100000, SHUTDOWN, 0, "");
	expect(&script, 0, STOP, 0, "detach forced");
	expect(&script, 5, GONE, 0, "");
	assert_over(&script, PHASE_ENDED);
}

static void a_shutdown_that_comes_while_it_waits_limits_that(void **state)
{
	struct script script = begin(1);

	(void)state;
	script.machine.config.is_isolated = true;
	script.machine.config.dead_timeout_ms = -1;
	go_to_negotiate(&script);
	expect(&script, 5, STOP, 0, "");
	expect(&script, 100000000, SHUTDOWN, 0, "");
	expect_deadline(&script, MACHINE_SHUTDOWN_MS, "cancel, fail device");
	expect_deadline(&script, LINGER_MS, "detach forced");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(somebody_elses_disconnect_ends_it_at_any_time),
		cmocka_unit_test(an_outage_at_shutdown_is_limited),
		cmocka_unit_test(an_outage_after_shutdown_began_is_limited),
		cmocka_unit_test(the_next_outage_at_shutdown_gets_its_own_time),
		cmocka_unit_test(a_shorter_dead_timeout_holds_at_shutdown),
		cmocka_unit_test(a_device_that_serves_is_taken_along_if_nobody_uses_it),
		cmocka_unit_test(a_device_that_is_in_use_is_left),
		cmocka_unit_test(a_device_that_is_somebody_elses_by_now_is_let_be),
		cmocka_unit_test(it_is_supervised_while_it_is_detached),
		cmocka_unit_test(an_answer_to_a_detaching_that_nobody_asked_for_is_no_news),
		cmocka_unit_test(in_an_outage_it_is_left),
		cmocka_unit_test(the_spare_of_a_device_that_is_left_is_dropped),
		cmocka_unit_test(an_isolated_one_waits_for_the_end_of_the_outage),
		cmocka_unit_test(an_isolated_one_that_fails_meanwhile_is_left),
		cmocka_unit_test(at_shutdown_it_waits_for_the_end_of_the_outage),
		cmocka_unit_test(a_device_that_fails_at_shutdown_is_detached_by_force),
		cmocka_unit_test(
			a_device_that_has_failed_before_is_detached_by_force_at_shutdown_only),
		cmocka_unit_test(a_shutdown_that_comes_while_it_waits_limits_that),
	};

	return cmocka_run_group_tests_name("machine-stop", tests, NULL, NULL);
}
