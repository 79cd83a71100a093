/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the supervisor decides. First each rule as a script of events and the actions that must
 * follow; then millions of random events against a model of the driver, the server and the
 * supervisor's loop, with what must hold after each of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "supervisor/core/backoff.h"
#include "supervisor/core/machine.h"

#define SETTLE_MS 200
#define PROVE_MS 30000
#define STANDBY_MS 60000
#define RENEW_PAUSE_MS 10000
#define DEAD_MS 600000
#define SLOW_MS 60000
#define PAUSE_LIMIT_MS (BACKOFF_MAX_MS * 5 / 4)

static const struct fsm_config usual = {
	.dead_timeout_ms = DEAD_MS,
	.settle_ms = SETTLE_MS,
	.prove_ms = PROVE_MS,
	.standby_ms = STANDBY_MS,
	.renew_pause_ms = RENEW_PAUSE_MS,
	.slow_ms = SLOW_MS,
};

static const char *const action_names[] = {"negotiate", "cancel", "drop-standby", "shut",
	"hand-over", "prove", "recheck", "overdue", "drain", "drop-link", "fail-device", "end"};

static bool names_link(enum fsm_action_type type)
{
	return type == FSM_SHUT || type == FSM_HAND_OVER || type == FSM_PROVE ||
		type == FSM_RECHECK || type == FSM_OVERDUE || type == FSM_DROP_LINK;
}

/* "shut 1, cancel" */
static void format_actions(const struct fsm_actions *actions, char *text, size_t size)
{
	size_t len = 0;

	*text = 0;
	for (unsigned i = 0; i < actions->count && len < size; i++) {
		const struct fsm_action *action = &actions->list[i];

		len += (size_t)snprintf(
			text + len, size - len, "%s%s", i ? ", " : "", action_names[action->type]);
		if (names_link(action->type) && len < size)
			len += (size_t)snprintf(text + len, size - len, " %u", action->link);
	}
}

/* --- scripts */

struct script {
	struct fsm fsm;
	int64_t now_ms;
};

static struct script begin(unsigned link_count)
{
	struct script script = {.now_ms = 1000000};

	fsm_init(&script.fsm, &usual, link_count);
	return script;
}

/* AFTER_MS later comes an event, and these ACTIONS follow. */
static void expect_(struct script *script, int64_t after_ms, enum fsm_event_type type,
	unsigned link, const char *actions, int line)
{
	struct fsm_event event = {.type = type,
		.link = link,
		.now_ms = script->now_ms += after_ms,
		.random = 0x80000000};
	struct fsm_actions done;
	char text[2048];

	fsm_step(&script->fsm, &event, &done);
	format_actions(&done, text, sizeof(text));
	if (strcmp(text, actions) != 0)
		fail_msg("line %d: expected \"%s\", but it was \"%s\"", line, actions, text);
}

#define expect(script, after_ms, type, link, actions)                                              \
	expect_(script, after_ms, FSM_EV_##type, link, actions, __LINE__)
/* The deadline comes, so long after the last event. */
#define expect_deadline(script, after_ms, actions)                                                 \
	do {                                                                                       \
		assert_int_equal(fsm_deadline_ms(&(script)->fsm), (script)->now_ms + (after_ms));  \
		expect(script, (after_ms)-1, TICK, 0, "");                                         \
		expect(script, 1, TICK, 0, actions);                                               \
	} while (0)

static void expect_reconnect(struct script *script, unsigned link)
{
	char hand_over[32], prove[32];

	snprintf(hand_over, sizeof(hand_over), "hand-over %u", link);
	snprintf(prove, sizeof(prove), "prove %u", link);
	expect(script, 30, NEGOTIATED, 0, hand_over);
	expect(script, 0, HANDED_OVER, link, prove);
	expect(script, 3, PROVEN, link, "");
}

static void assert_at_rest(const struct script *script)
{
	assert_int_equal(script->fsm.phase, FSM_RUNNING);
	assert_int_equal(script->fsm.work, FSM_WORK_NONE);
	assert_true(fsm_is_serving(&script->fsm));
	assert_int_equal(script->fsm.outage_since_ms, -1);
	assert_int_equal(fsm_deadline_ms(&script->fsm), -1);
	assert_false(fsm_awaits_quiet(&script->fsm));
}

static void a_device_that_works_is_left_alone(void **state)
{
	struct script script = begin(1);

	(void)state;
	assert_at_rest(&script);
	expect(&script, 0, TICK, 0, "");
	expect(&script, 100000000, TICK, 0, "");
	expect(&script, 0, QUIET, 0, "");
	expect(&script, 0, SLOT_FREED, 0, "");
	assert_at_rest(&script);
}

static void a_lost_link_is_replaced_as_soon_as_the_driver_lets_go_of_it(void **state)
{
	struct script script = begin(1);

	(void)state;
	expect(&script, 0, HANGUP, 0, "");
	assert_int_equal(script.fsm.links[0].state, FSM_LINK_LOST);
	assert_false(fsm_is_serving(&script.fsm));
	expect(&script, 5, SLOT_FREED, 0, "negotiate");
	expect(&script, 30, NEGOTIATED, 0, "hand-over 0");
	expect(&script, 0, HANDED_OVER, 0, "prove 0");
	assert_false(fsm_is_serving(&script.fsm)); /* a hand-over proves nothing (kernel fact 4) */
	expect(&script, 2, PROVEN, 0, "");
	assert_int_equal(script.fsm.reconnects, 1);
	assert_int_equal(script.fsm.renewals, 0);
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

/* --- the device disappears */

static void go_to_lost(struct script *script)
{
	expect(script, 0, HANGUP, 0, "");
}

static void go_to_negotiate(struct script *script)
{
	go_to_lost(script);
	expect(script, 1, SLOT_FREED, 0, "negotiate");
}

static void go_to_pause(struct script *script)
{
	go_to_negotiate(script);
	expect(script, 1, ATTEMPT_FAILED, 0, "");
}

static void go_to_standby(struct script *script)
{
	expect(script, 0, RENEW, 0, "negotiate");
	expect(script, 30, NEGOTIATED, 0, "");
	assert_true(fsm_awaits_quiet(&script->fsm));
}

static void go_to_prove(struct script *script)
{
	go_to_negotiate(script);
	expect(script, 30, NEGOTIATED, 0, "hand-over 0");
	expect(script, 0, HANDED_OVER, 0, "prove 0");
}

static void go_to_failed(struct script *script)
{
	go_to_negotiate(script);
	expect(script, DEAD_MS, TICK, 0, "cancel, fail-device");
}

static void stay(struct script *script)
{
	(void)script;
}

static void somebody_elses_disconnect_ends_it_at_any_time(void **state)
{
	static const struct {
		void (*go)(struct script *script);
		const char *actions;
	} moments[] = {
		{stay, "end"},
		{go_to_lost, "end"},
		{go_to_negotiate, "cancel, end"},
		{go_to_pause, "end"},
		{go_to_standby, "drop-standby, end"},
		{go_to_prove, "end"},
		{go_to_failed, "end"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(moments) / sizeof(moments[0]); i++) {
		struct script script = begin(1);

		moments[i].go(&script);
		expect(&script, 0, GONE, 0, moments[i].actions);
		assert_int_equal(script.fsm.phase, FSM_ENDED);
		assert_int_equal(fsm_deadline_ms(&script.fsm), -1);
		assert_false(fsm_awaits_quiet(&script.fsm));
		for (int type = 0; type <= FSM_EV_COUNT; type++)
			expect_(&script, 1000, (enum fsm_event_type)type, 0, "", __LINE__);
	}
}

/* --- pauses */

static void pauses_grow_and_are_bounded(void **state)
{
	struct script script = begin(1);
	int64_t last_ms = 0;

	(void)state;
	script.fsm.config.dead_timeout_ms = -1;
	expect(&script, 0, HANGUP, 0, "");
	expect(&script, 1, SLOT_FREED, 0, "negotiate");
	for (int i = 0; i < 200; i++) {
		int64_t pause_ms;

		expect(&script, 20, ATTEMPT_FAILED, 0, "");
		pause_ms = fsm_deadline_ms(&script.fsm) - script.now_ms;
		if (i == 0)
			assert_int_equal(pause_ms, BACKOFF_MIN_MS);
		assert_in_range(pause_ms, last_ms, PAUSE_LIMIT_MS);
		last_ms = pause_ms;
		expect_deadline(&script, pause_ms, "negotiate");
		assert_int_equal(script.fsm.attempts, i + 1);
	}
	assert_int_equal(last_ms, BACKOFF_MAX_MS);
}

static void a_proof_makes_the_pauses_short_again(void **state)
{
	struct script script = begin(1);

	(void)state;
	go_to_negotiate(&script);
	expect(&script, 40000, ATTEMPT_FAILED, 0, "");
	expect_deadline(&script, BACKOFF_MIN_MS, "negotiate");
	expect(&script, 40000, ATTEMPT_FAILED, 0, "");
	/* an eighth of 40.1 s, within its limit */
	expect_deadline(&script, BACKOFF_MAX_MS, "negotiate");
	expect_reconnect(&script, 0);
	assert_int_equal(script.fsm.attempts, 0);
	expect(&script, 60000, HANGUP, 0, "");
	expect(&script, 1, SLOT_FREED, 0, "negotiate");
	expect(&script, 1, ATTEMPT_FAILED, 0, "");
	expect_deadline(&script, BACKOFF_MIN_MS, "negotiate");
}

static void an_outage_has_nothing_to_do_with_renewals_that_failed_before(void **state)
{
	struct script script = begin(1);

	(void)state;
	expect(&script, 0, RENEW, 0, "negotiate");
	for (int i = 0; i < 20; i++) {
		expect(&script, 30000, ATTEMPT_FAILED, 0, "");
		expect_deadline(&script, RENEW_PAUSE_MS, "negotiate");
	}
	expect(&script, 30000, REFUSED, 0, "");
	expect(&script, 1000, HANGUP, 0, "");
	assert_int_equal(script.fsm.attempts, 0);
	expect(&script, 1, SLOT_FREED, 0, "negotiate");
	expect(&script, 1, ATTEMPT_FAILED, 0, "");
	assert_int_equal(script.fsm.attempts, 1);
	expect_deadline(&script, BACKOFF_MIN_MS, "negotiate");
}

static void an_offer_that_is_refused_is_asked_for_again_after_a_long_pause(void **state)
{
	struct script script = begin(1);

	(void)state;
	go_to_negotiate(&script);
	expect(&script, 10, REFUSED, 0, "");
	assert_true(script.fsm.refused);
	expect_deadline(&script, BACKOFF_MAX_MS, "negotiate");
	expect(&script, 10, REFUSED, 0, "");
	expect_deadline(&script, BACKOFF_MAX_MS, "negotiate");
	expect_reconnect(&script, 0);
	assert_false(script.fsm.refused);
	assert_at_rest(&script);
}

static void a_refusal_counts_until_the_next_answer_only(void **state)
{
	struct script script = begin(1);

	(void)state;
	go_to_negotiate(&script);
	expect(&script, 10, REFUSED, 0, "");
	expect_deadline(&script, BACKOFF_MAX_MS, "negotiate");
	expect(&script, 10, ATTEMPT_FAILED, 0, "");
	assert_false(script.fsm.refused);
	assert_true(fsm_deadline_ms(&script.fsm) - script.now_ms < BACKOFF_MAX_MS);
}

static void links_that_die_right_after_their_proof_are_replaced_at_a_slower_pace(void **state)
{
	static const int64_t pauses_ms[] = {0, BACKOFF_MIN_MS, 2 * BACKOFF_MIN_MS,
		4 * BACKOFF_MIN_MS, 8 * BACKOFF_MIN_MS, 8 * BACKOFF_MIN_MS};
	struct script script = begin(1);

	(void)state;
	expect(&script, 0, RENEW, 0, "negotiate");
	expect(&script, 1, ATTEMPT_FAILED, 0, "");
	go_to_negotiate(&script); /* not even a pause of another kind is cut short later */
	expect_reconnect(&script, 0);
	for (size_t i = 0; i < sizeof(pauses_ms) / sizeof(pauses_ms[0]); i++) {
		expect(&script, 5, HANGUP, 0, "");
		expect(&script, 0, SLOT_FREED, 0, pauses_ms[i] ? "" : "negotiate");
		if (pauses_ms[i])
			expect_deadline(&script, pauses_ms[i], "negotiate");
		expect_reconnect(&script, 0);
	}
	expect(&script, 1000, HANGUP, 0, ""); /* this one lived */
	expect(&script, 0, SLOT_FREED, 0, "negotiate");
	expect_reconnect(&script, 0);
	expect(&script, 5, HANGUP, 0, "");
	expect(&script, 0, SLOT_FREED, 0, "negotiate");
}

/* A server that lives for no longer than the first requests of a link, and never for both links at
 * once. */
static void several_links_do_not_make_short_lives_faster(void **state)
{
	struct script script = begin(2);
	int64_t end_ms = script.now_ms + 10000;
	unsigned attempts = 0;

	(void)state;
	for (struct fsm_event event = {.type = FSM_EV_HANGUP, .now_ms = script.now_ms};
		event.now_ms < end_ms;) {
		struct fsm_actions actions;

		fsm_step(&script.fsm, &event, &actions);
		event = (struct fsm_event){.type = FSM_EV_TICK, .now_ms = event.now_ms + 1};
		for (unsigned i = 0; i < actions.count; i++)
			attempts += actions.list[i].type == FSM_NEGOTIATE;
		if (actions.count && actions.list[actions.count - 1].type == FSM_HAND_OVER)
			event.type = FSM_EV_HANDED_OVER;
		else if (script.fsm.work == FSM_WORK_PROVE)
			event.type = FSM_EV_PROVEN;
		else if (script.fsm.links[0].state == FSM_LINK_ALIVE ||
			script.fsm.links[1].state == FSM_LINK_ALIVE)
			event = (struct fsm_event){FSM_EV_HANGUP,
				script.fsm.links[0].state != FSM_LINK_ALIVE, event.now_ms, 0};
		else if (script.fsm.links[0].state == FSM_LINK_LOST ||
			script.fsm.links[1].state == FSM_LINK_LOST)
			event.type = FSM_EV_SLOT_FREED;
		else if (script.fsm.work == FSM_WORK_NEGOTIATE)
			event.type = FSM_EV_NEGOTIATED;
	}
	assert_in_range(attempts, 5, 30);
}

/* --- renewal */

static void a_renewal_waits_for_a_quiet_moment(void **state)
{
	struct script script = begin(1);

	(void)state;
	expect(&script, 0, RENEW, 0, "negotiate");
	assert_false(fsm_awaits_quiet(&script.fsm));
	expect(&script, 0, QUIET, 0, ""); /* there is nothing yet to put in its place */
	expect(&script, 5, RENEW, 0, "");
	expect(&script, 30, NEGOTIATED, 0, "");
	assert_true(fsm_awaits_quiet(&script.fsm));
	assert_true(fsm_is_serving(&script.fsm));
	expect(&script, 5, RENEW, 0, "");
	expect(&script, 40000, QUIET, 0, "shut 0");
	assert_true(script.fsm.links[0].renewing);
	assert_false(fsm_awaits_quiet(&script.fsm));
	expect(&script, 1, SLOT_FREED, 0, "hand-over 0");
	expect(&script, 0, HANDED_OVER, 0, "prove 0");
	expect(&script, 1, PROVEN, 0, "");
	assert_int_equal(script.fsm.renewals, 1);
	assert_int_equal(script.fsm.reconnects, 0);
	assert_at_rest(&script);
}

static void a_renewal_that_is_urgent_waits_for_nothing(void **state)
{
	struct script script = begin(1);

	(void)state;
	expect(&script, 0, RENEW_NOW, 0, "negotiate");
	expect(&script, 30, NEGOTIATED, 0, "shut 0");
	expect_deadline(&script, SETTLE_MS, "hand-over 0");
	expect(&script, 0, HANDED_OVER, 0, "prove 0");
	expect(&script, 1, PROVEN, 0, "");
	assert_int_equal(script.fsm.renewals, 1);
	assert_at_rest(&script);
}

static void an_outage_begins_with_the_shutting_of_the_only_link(void **state)
{
	struct script script = begin(1);

	(void)state;
	expect(&script, 0, RENEW_NOW, 0, "negotiate");
	expect(&script, 30, NEGOTIATED, 0, "shut 0");
	assert_int_equal(script.fsm.outage_since_ms, script.now_ms);
}

static void a_renewal_that_becomes_urgent_waits_no_longer(void **state)
{
	struct script script = begin(1);

	(void)state;
	go_to_standby(&script);
	expect(&script, 1000, RENEW_NOW, 0, "shut 0");
	expect(&script, 1, SLOT_FREED, 0, "hand-over 0");
}

static void a_renewal_without_a_quiet_moment_is_given_up_and_tried_again(void **state)
{
	struct script script = begin(1);

	(void)state;
	go_to_standby(&script);
	for (int i = 0; i < 3; i++) {
		expect_deadline(&script, STANDBY_MS, "drop-standby");
		expect_deadline(&script, RENEW_PAUSE_MS, "negotiate");
		expect(&script, 30, NEGOTIATED, 0, "");
	}
	expect(&script, 5, QUIET, 0, "shut 0");
}

static void a_renewal_that_cannot_be_negotiated_is_tried_again(void **state)
{
	struct script script = begin(1);

	(void)state;
	expect(&script, 0, RENEW, 0, "negotiate");
	expect(&script, 30000, ATTEMPT_FAILED, 0, "");
	assert_true(fsm_is_serving(&script.fsm));
	expect_deadline(&script, RENEW_PAUSE_MS, "negotiate");
	expect(&script, 30, REFUSED, 0, "");
	expect_deadline(&script, RENEW_PAUSE_MS, "negotiate");
}

static void a_link_that_dies_during_its_own_renewal_has_its_successor_ready(void **state)
{
	struct script script = begin(1);

	(void)state;
	go_to_standby(&script);
	expect(&script, 1000, HANGUP, 0, "");
	assert_false(fsm_awaits_quiet(&script.fsm));
	expect(&script, 0, QUIET, 0, "");
	expect(&script, 1, SLOT_FREED, 0, "hand-over 0");
	expect(&script, 0, HANDED_OVER, 0, "prove 0");
	expect(&script, 1, PROVEN, 0, "");
	assert_int_equal(script.fsm.reconnects, 1);
	assert_int_equal(script.fsm.renewals, 0);
	assert_at_rest(&script);
}

static void a_link_that_dies_while_its_renewal_is_negotiated_waits_for_that(void **state)
{
	struct script script = begin(1);

	(void)state;
	expect(&script, 0, RENEW, 0, "negotiate");
	expect(&script, 1, HANGUP, 0, "");
	expect(&script, 1, SLOT_FREED, 0, "");
	expect_reconnect(&script, 0);
	assert_at_rest(&script);
}

static void a_link_that_dies_between_two_renewals_is_replaced_at_once(void **state)
{
	struct script script = begin(1);

	(void)state;
	expect(&script, 0, RENEW, 0, "negotiate");
	expect(&script, 1, ATTEMPT_FAILED, 0, "");
	expect(&script, 10, HANGUP, 0, "");
	expect(&script, 1, SLOT_FREED, 0, "negotiate");
}

static void a_lost_link_goes_before_a_renewal(void **state)
{
	struct script script = begin(2);

	(void)state;
	expect(&script, 0, RENEW, 1, "negotiate");
	expect(&script, 30, NEGOTIATED, 0, "");
	expect(&script, 5, HANGUP, 0, "");
	expect(&script, 1, SLOT_FREED, 0, "hand-over 0");
	expect(&script, 0, HANDED_OVER, 0, "prove 0");
	expect(&script, 1, PROVEN, 0, "negotiate");
	assert_int_equal(script.fsm.work_link, 1);
	expect(&script, 30, NEGOTIATED, 0, "");
	expect(&script, 5, QUIET, 0, "shut 1");
	expect(&script, 1, SLOT_FREED, 0, "hand-over 1");
}

static void the_most_urgent_renewal_goes_first(void **state)
{
	struct script script = begin(3);

	(void)state;
	expect(&script, 0, RENEW, 0, "negotiate");
	expect(&script, 0, RENEW_NOW, 2, "");
	expect(&script, 30, NEGOTIATED, 0, "shut 2");
	expect(&script, 1, SLOT_FREED, 0, "hand-over 2");
}

static void a_renewed_link_that_dies_before_its_proof_is_reconnected(void **state)
{
	struct script script = begin(1);

	(void)state;
	go_to_standby(&script);
	expect(&script, 5, QUIET, 0, "shut 0");
	expect(&script, 1, SLOT_FREED, 0, "hand-over 0");
	expect(&script, 0, HANDED_OVER, 0, "prove 0");
	expect(&script, 1, HANGUP, 0, "");
	expect(&script, 1, SLOT_FREED, 0, "");
	expect_deadline(&script, BACKOFF_MIN_MS - 1, "negotiate");
	expect(&script, 5, RENEW, 0, ""); /* of a socket that is no more */
	expect_reconnect(&script, 0);
	assert_int_equal(script.fsm.renewals, 0);
	assert_int_equal(script.fsm.reconnects, 1);
	assert_at_rest(&script);
}

static void a_renewal_is_not_waited_for_by_a_link_that_was_replaced_meanwhile(void **state)
{
	struct script script = begin(1);

	(void)state;
	go_to_standby(&script);
	expect(&script, 1, HANGUP, 0, "");
	expect(&script, 1, SLOT_FREED, 0, "hand-over 0");
	expect(&script, 0, HANDED_OVER, 0, "prove 0");
	expect(&script, 1, PROVEN, 0, "");
	assert_at_rest(&script); /* the new key is unused */
}

/* --- what can go wrong between negotiation and proof */

static void a_standby_socket_that_is_lost_is_negotiated_anew(void **state)
{
	struct script script = begin(1);

	(void)state;
	go_to_standby(&script);
	expect(&script, 5, STANDBY_LOST, 0, "");
	assert_true(fsm_is_serving(&script.fsm));
	expect_deadline(&script, RENEW_PAUSE_MS, "negotiate");
	expect(&script, 30, NEGOTIATED, 0, "");
	expect(&script, 5, HANGUP, 0, "");
	expect(&script, 5, STANDBY_LOST, 0, ""); /* and now it is no renewal any more */
	expect(&script, 0, SLOT_FREED, 0, "");
	expect_deadline(&script, BACKOFF_MIN_MS, "negotiate");
}

static void a_standby_socket_past_its_time_waits_for_a_slot_without_being_busy(void **state)
{
	struct script script = begin(1);

	(void)state;
	go_to_standby(&script);
	expect(&script, STANDBY_MS - 10, HANGUP, 0, "");
	expect(&script, 10, TICK, 0, "");
	assert_true(fsm_deadline_ms(&script.fsm) > script.now_ms);
	expect_deadline(&script, SETTLE_MS - 10, "hand-over 0");
}

static void a_hand_over_that_fails_is_tried_again(void **state)
{
	struct script script = begin(1);

	(void)state;
	go_to_negotiate(&script);
	expect(&script, 30, NEGOTIATED, 0, "hand-over 0");
	expect(&script, 0, HAND_OVER_FAILED, 0, "");
	expect_deadline(&script, BACKOFF_MIN_MS, "negotiate");
	expect_reconnect(&script, 0);
	assert_at_rest(&script);
}

static void a_proof_that_runs_out_of_time_costs_the_link(void **state)
{
	struct script script = begin(1);

	(void)state;
	go_to_prove(&script);
	expect_deadline(&script, PROVE_MS, "overdue 0");
	expect(&script, 0, BROKEN, 0, "shut 0");
	assert_int_equal(script.fsm.links[0].state, FSM_LINK_LOST);
	expect(&script, 0, PROVEN, 0, ""); /* too late */
	assert_false(fsm_is_serving(&script.fsm));
	expect(&script, 0, SLOT_FREED, 0, "");
	expect_deadline(&script, BACKOFF_MIN_MS, "negotiate");
	expect_reconnect(&script, 0);
	assert_at_rest(&script);
}

static void a_link_that_dies_before_its_proof_is_no_proof(void **state)
{
	struct script script = begin(1);

	(void)state;
	go_to_prove(&script);
	expect(&script, 5, HANGUP, 0, "");
	assert_int_equal(script.fsm.reconnects, 0);
	expect(&script, 0, SLOT_FREED, 0, "");
	expect_deadline(&script, BACKOFF_MIN_MS, "negotiate");
}

static void a_socket_that_the_driver_did_not_take_is_dropped(void **state)
{
	struct script script = begin(1);

	(void)state;
	go_to_prove(&script);
	expect(&script, 5, NOT_TAKEN, 0, "drop-link 0");
	assert_true(fsm_is_serving(&script.fsm)); /* I/O was done */
	assert_true(script.fsm.links[0].unwatched);
	assert_int_equal(script.fsm.reconnects, 0);
	/* Were it tried again at once, a device whose slot nobody can free would keep its server
	 * busy for ever. */
	expect_deadline(&script, RENEW_PAUSE_MS, "negotiate");
	expect(&script, 30, NEGOTIATED, 0, "");
	expect(&script, 5, QUIET, 0, "shut 0");
	expect_deadline(&script, SETTLE_MS, "hand-over 0");
	expect(&script, 0, HANDED_OVER, 0, "prove 0");
	expect(&script, 5, NOT_TAKEN, 0, "drop-link 0");
	expect_deadline(&script, RENEW_PAUSE_MS, "negotiate");
}

static void a_late_notice_ends_the_wait_of_a_socket_that_was_not_taken(void **state)
{
	struct script script = begin(1);

	(void)state;
	go_to_prove(&script);
	expect(&script, 5, NOT_TAKEN, 0, "drop-link 0");
	expect(&script, 5, SLOT_FREED, 0, "negotiate");
	expect_reconnect(&script, 0);
	assert_at_rest(&script);
}

static struct script begin_without_notice(unsigned link_count)
{
	struct script script = begin(link_count);

	expect(&script, 0, HANGUP, 0, "");
	expect_deadline(&script, SETTLE_MS, "negotiate");
	expect(&script, 30, NEGOTIATED, 0, "hand-over 0");
	expect(&script, 0, HANDED_OVER, 0, "prove 0");
	return script;
}

static void a_hand_over_before_the_driver_let_go_is_done_again(void **state)
{
	struct script script = begin_without_notice(1);

	(void)state;
	/* so the new socket is in no slot: why wait for its proof? */
	expect(&script, 50, SLOT_FREED, 0, "shut 0");
	expect(&script, BACKOFF_MIN_MS, TICK, 0, "");
	expect_deadline(&script, SETTLE_MS - BACKOFF_MIN_MS, "negotiate");
	expect_reconnect(&script, 0);
	expect(&script, 10, SLOT_FREED, 0, "");
	assert_at_rest(&script);
}

static void a_hand_over_before_the_driver_let_go_is_noticed_after_an_empty_proof_too(void **state)
{
	struct script script = begin_without_notice(2);

	(void)state;
	expect(&script, 5, UNUSED, 0, "");
	expect(&script, 50, SLOT_FREED, 0, "shut 0");
	expect_deadline(&script, SETTLE_MS, "negotiate");
	expect_reconnect(&script, 0);
	expect(&script, 10, SLOT_FREED, 0, "");
	assert_at_rest(&script);
}

static void a_late_notice_of_a_slot_that_is_tried_already_is_taken_for_its_own(void **state)
{
	struct script script = begin(1);

	(void)state;
	expect(&script, 0, HANGUP, 0, "");
	expect_deadline(&script, SETTLE_MS, "negotiate");
	expect(&script, 10, SLOT_FREED, 0, "");
	expect(&script, 30, NEGOTIATED, 0, "hand-over 0");
	expect(&script, 0, HANDED_OVER, 0, "prove 0");
	expect(&script, 1, SLOT_FREED, 0, "");
	expect(&script, 1, PROVEN, 0, "");
	assert_at_rest(&script);
}

static void a_link_that_nothing_was_sent_over_counts_until_its_first_use(void **state)
{
	struct script script = begin(2);

	(void)state;
	expect(&script, 0, HANGUP, 1, "");
	expect(&script, 1, SLOT_FREED, 0, "negotiate");
	expect(&script, 30, NEGOTIATED, 0, "hand-over 1");
	expect(&script, 0, HANDED_OVER, 1, "prove 1");
	expect(&script, 5, UNUSED, 1, "");
	assert_at_rest(&script);
}

static void a_link_that_does_not_answer_is_shut_and_replaced(void **state)
{
	struct script script = begin(1);

	(void)state;
	expect(&script, 0, BROKEN, 0, "shut 0");
	expect(&script, 0, BROKEN, 0, "");
	expect(&script, 1, SLOT_FREED, 0, "negotiate");
	expect(&script, 0, BROKEN, 0, "");
	expect(&script, 30, NEGOTIATED, 0, "hand-over 0");
	expect(&script, 0, HANDED_OVER, 0, "prove 0");
	expect(&script, 5, BROKEN, 0, "shut 0");
	expect(&script, 0, SLOT_FREED, 0, "");
	expect_deadline(&script, BACKOFF_MIN_MS, "negotiate");
	expect_reconnect(&script, 0);
	assert_int_equal(script.fsm.reconnects, 1);
}

/* --- silence is not death */

static void a_silent_link_is_kept_and_its_server_asked_over_another_connection(void **state)
{
	struct script script = begin(1);

	(void)state;
	expect(&script, 0, SILENT, 0, "negotiate");
	assert_true(fsm_is_serving(&script.fsm));
	expect(&script, 5, SILENT, 0, ""); /* told at each look */
	expect(&script, 30, NEGOTIATED, 0, "drop-standby");
	assert_int_equal(script.fsm.links[0].silence, FSM_SLOW);
	assert_true(fsm_is_serving(&script.fsm));
	expect_deadline(&script, SLOW_MS, "negotiate"); /* does it live still? */
	expect(&script, 30, NEGOTIATED, 0, "drop-standby");
	expect(&script, 30, ANSWERED, 0, "");
	assert_int_equal(script.fsm.links[0].silence, FSM_ANSWERING);
	assert_int_equal(script.fsm.reconnects, 0);
	assert_at_rest(&script);
}

static void a_silent_link_is_kept_while_its_server_answers_nothing(void **state)
{
	struct script script = begin(1);

	(void)state;
	expect(&script, 0, SILENT, 0, "negotiate");
	expect(&script, 20000, ATTEMPT_FAILED, 0, "");
	assert_int_equal(script.fsm.links[0].silence, FSM_UNREACHABLE);
	assert_false(fsm_is_serving(&script.fsm));
	expect_deadline(&script, BACKOFF_MIN_MS, "negotiate");
	expect(&script, 10, ANSWERED, 0, "cancel"); /* what comes back first is used */
	assert_int_equal(script.fsm.reconnects, 0);
	assert_int_equal(script.fsm.attempts, 0);
	assert_at_rest(&script);
	expect(&script, 0, SILENT, 0, "negotiate");
	expect(&script, 20000, ATTEMPT_FAILED, 0, "");
	expect(&script, 10, ANSWERED, 0, "");
	assert_at_rest(&script);
}

static void a_server_that_answers_nothing_for_the_dead_timeout_fails_the_device(void **state)
{
	struct script script = begin(1);

	(void)state;
	expect(&script, 0, SILENT, 0, "negotiate");
	expect(&script, 20000, ATTEMPT_FAILED, 0, "");
	expect(&script, DEAD_MS - 1, TICK, 0, "negotiate");
	expect(&script, 1, TICK, 0, "cancel, shut 0");
	assert_int_equal(script.fsm.phase, FSM_FAILED);
	expect(&script, SETTLE_MS, TICK, 0, "fail-device");
}

static void a_silent_link_that_hangs_up_gets_the_connection_that_was_to_ask(void **state)
{
	struct script script = begin(1);

	(void)state;
	expect(&script, 0, SILENT, 0, "negotiate");
	expect(&script, 5, HANGUP, 0, "");
	expect(&script, 1, SLOT_FREED, 0, "");
	expect(&script, 30, NEGOTIATED, 0, "hand-over 0");
	expect(&script, 0, HANDED_OVER, 0, "prove 0");
	expect(&script, 3, PROVEN, 0, "");
	assert_int_equal(script.fsm.reconnects, 1);
	assert_at_rest(&script);
}

static void a_silent_link_is_not_shut_for_its_renewal(void **state)
{
	struct script script = begin(1);

	(void)state;
	expect(&script, 0, RENEW_NOW, 0, "negotiate");
	expect(&script, 5, SILENT, 0, "");
	expect(&script, 30, NEGOTIATED, 0, "drop-standby");
	expect(&script, 0, QUIET, 0, "");
	expect(&script, 30, ANSWERED, 0, "negotiate");
	expect(&script, 30, NEGOTIATED, 0, "shut 0");
	expect(&script, 1, SLOT_FREED, 0, "hand-over 0");
}

static void a_new_link_whose_first_request_takes_long_is_kept(void **state)
{
	struct script script = begin(1);

	(void)state;
	go_to_prove(&script);
	expect_deadline(&script, PROVE_MS, "overdue 0");
	expect(&script, 0, SILENT, 0, "negotiate");
	assert_false(fsm_is_serving(&script.fsm));
	expect(&script, 30, NEGOTIATED, 0, "drop-standby");
	assert_true(fsm_is_serving(&script.fsm));
	expect(&script, 1000, PROVEN, 0, "");
	assert_true(script.fsm.links[0].proven);
	assert_int_equal(script.fsm.reconnects, 1);
	assert_at_rest(&script);
}

static void a_link_that_is_broken_is_shut_whatever_it_owes(void **state)
{
	struct script script = begin(1);

	(void)state;
	expect(&script, 0, SILENT, 0, "negotiate");
	expect(&script, 30, NEGOTIATED, 0, "drop-standby");
	expect(&script, 30, BROKEN, 0, "shut 0");
	expect(&script, 1, SLOT_FREED, 0, "negotiate");
	expect_reconnect(&script, 0);
	assert_at_rest(&script);
}

/* --- a link is not shut for a new key under a request that takes long */

static struct script begin_draining(void)
{
	struct script script = begin(1);

	script.fsm.config.drains = true;
	return script;
}

static void an_urgent_renewal_waits_until_the_device_is_drained(void **state)
{
	struct script script = begin_draining();

	(void)state;
	expect(&script, 0, RENEW_NOW, 0, "negotiate");
	expect(&script, 30, NEGOTIATED, 0, "drain");
	assert_true(fsm_awaits_quiet(&script.fsm));
	expect(&script, 10, TICK, 0, "");
	expect(&script, 10, DRAINED, 0, "shut 0");
	expect(&script, 1, SLOT_FREED, 0, "hand-over 0");
	expect(&script, 0, HANDED_OVER, 0, "prove 0");
	expect(&script, 1, PROVEN, 0, "");
	assert_int_equal(script.fsm.renewals, 1);
	assert_at_rest(&script);
	/* A quiet moment is as good. */
	expect(&script, 2000, RENEW_NOW, 0, "negotiate");
	expect(&script, 30, NEGOTIATED, 0, "drain");
	expect(&script, 10, QUIET, 0, "shut 0");
	expect(&script, 1, DRAINED, 0, "");
}

static void room_is_made_on_a_drained_device_only(void **state)
{
	struct script script = begin_draining();

	(void)state;
	expect(&script, 0, RENEW_NOW, 0, "negotiate");
	expect(&script, 30, ATTEMPT_FAILED, 0, "drain");
	expect(&script, 30, DRAINED, 0, "shut 0");
	expect(&script, 1, SLOT_FREED, 0, "negotiate");
	expect_reconnect(&script, 0);
	assert_int_equal(script.fsm.renewals, 1);
	assert_at_rest(&script);
}

/* --- the driver's receiver */

static void a_slot_whose_receiver_still_reads_gets_no_socket(void **state)
{
	struct script script = begin(1);

	(void)state;
	script.fsm.config.awaits_receivers = true;
	expect(&script, 0, HANGUP, 0, "");
	assert_int_equal(fsm_receiving_link(&script.fsm), 0);
	expect(&script, 5, SLOT_FREED, 0, "negotiate");
	expect(&script, 30, NEGOTIATED, 0, "");
	expect(&script, 10000, TICK, 0, "");
	expect(&script, 0, RECEIVER_ENDED, 0, "hand-over 0");
	assert_int_equal(fsm_receiving_link(&script.fsm), -1);
	expect(&script, 0, HANDED_OVER, 0, "prove 0");
	expect(&script, 3, PROVEN, 0, "");
	assert_at_rest(&script);
}

static void io_that_the_driver_fails_by_itself_is_the_end(void **state)
{
	struct script script = begin(1);

	(void)state;
	go_to_pause(&script);
	expect(&script, 1, IO_FAILED, 0, "fail-device");
	assert_int_equal(script.fsm.phase, FSM_FAILED);
	expect(&script, DEAD_MS, TICK, 0, "");
}

static void an_outage_may_be_older_than_the_supervisor(void **state)
{
	struct script script = begin(1);

	(void)state;
	script.fsm.links[0].state = FSM_LINK_FREE;
	fsm_set_outage(&script.fsm, script.now_ms - DEAD_MS + 500);
	expect(&script, 0, TICK, 0, "negotiate");
	expect_deadline(&script, 500, "cancel, fail-device");
	script = begin(1);
	fsm_set_outage(&script.fsm, script.now_ms - 2 * DEAD_MS);
	expect(&script, 0, TICK, 0, "");
	assert_at_rest(&script);
}

static void answers_that_nobody_waits_for_are_no_news(void **state)
{
	static const enum fsm_event_type types[] = {FSM_EV_NEGOTIATED, FSM_EV_REFUSED,
		FSM_EV_ATTEMPT_FAILED, FSM_EV_STANDBY_LOST, FSM_EV_HANDED_OVER,
		FSM_EV_HAND_OVER_FAILED, FSM_EV_PROVEN, FSM_EV_NOT_TAKEN, FSM_EV_UNUSED,
		FSM_EV_NOT_SENT, FSM_EV_QUIET, FSM_EV_CANNOT_SHUT};
	struct script script = begin(1);

	(void)state;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		expect_(&script, 1, types[i], 0, "", __LINE__);
	assert_at_rest(&script);
	assert_int_equal(script.fsm.reconnects, 0);
}

static void a_link_that_does_not_exist_is_left_alone(void **state)
{
	static const enum fsm_event_type types[] = {FSM_EV_HANGUP, FSM_EV_PROVEN, FSM_EV_RENEW,
		FSM_EV_RENEW_NOW, FSM_EV_SILENT, FSM_EV_ANSWERED, FSM_EV_BROKEN,
		FSM_EV_RECEIVER_ENDED, FSM_EV_CANNOT_SHUT};
	static const unsigned links[] = {1, LINKS_MAX, UINT32_MAX};
	struct script script = begin(1);

	(void)state;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		for (size_t k = 0; k < sizeof(links) / sizeof(links[0]); k++)
			expect_(&script, 1, types[i], links[k], "", __LINE__);
	assert_at_rest(&script);
}

/* --- links of a former supervisor */

static struct script begin_unwatched(void)
{
	struct script script = begin(1);

	script.fsm.links[0].unwatched = true;
	expect(&script, 0, TICK, 0, "negotiate");
	/* nothing is lost by it: the driver drops it unless the slot is free */
	expect(&script, 30, NEGOTIATED, 0, "hand-over 0");
	expect(&script, 0, HANDED_OVER, 0, "prove 0");
	assert_true(fsm_is_serving(&script.fsm));
	return script;
}

static void go_to_tried(struct script *script)
{
	expect(script, 5, NOT_TAKEN, 0, "drop-link 0, negotiate");
	assert_true(fsm_is_serving(&script->fsm));
	assert_true(script->fsm.links[0].tried);
	expect(script, 30, NEGOTIATED, 0, "");
	assert_true(fsm_awaits_quiet(&script->fsm));
}

static void an_unwatched_link_that_was_dead_is_replaced(void **state)
{
	struct script script = begin_unwatched();

	(void)state;
	expect(&script, 5, PROVEN, 0, "");
	assert_false(script.fsm.links[0].unwatched);
	assert_int_equal(script.fsm.reconnects, 1);
	assert_at_rest(&script);
}

static void an_unwatched_link_that_lives_is_replaced_in_a_quiet_moment(void **state)
{
	struct script script = begin_unwatched();

	(void)state;
	go_to_tried(&script);
	expect(&script, 5000, QUIET, 0, "shut 0");
	expect(&script, 1, SLOT_FREED, 0, "hand-over 0");
	expect(&script, 0, HANDED_OVER, 0, "prove 0");
	assert_false(script.fsm.trial);
	expect(&script, 1, PROVEN, 0, "");
	assert_int_equal(script.fsm.renewals, 1);
	assert_false(script.fsm.links[0].unwatched);
	assert_at_rest(&script);
}

static void an_unwatched_link_that_cannot_be_shut_is_left_until_it_dies(void **state)
{
	struct script script = begin_unwatched();

	(void)state;
	go_to_tried(&script);
	expect(&script, 5, QUIET, 0, "shut 0");
	expect(&script, 0, CANNOT_SHUT, 0, "drop-standby");
	assert_at_rest(&script);
	expect(&script, 1000000, TICK, 0, "");
	expect(&script, 1000000, SLOT_FREED, 0, "negotiate");
	expect_reconnect(&script, 0);
	assert_false(script.fsm.links[0].unwatched);
	assert_false(script.fsm.links[0].unshuttable);
	assert_at_rest(&script);
}

static void an_unwatched_link_that_dies_during_its_trial_is_replaced(void **state)
{
	struct script script = begin_unwatched();

	(void)state;
	expect(&script, 5, SLOT_FREED, 0, "drop-link 0, negotiate");
	expect_reconnect(&script, 0);
	assert_at_rest(&script);
}

/* The former link answers nothing, and cannot be told from a dead one. */
static void a_trial_without_an_answer_leaves_the_former_link(void **state)
{
	struct script script = begin_unwatched();

	(void)state;
	expect_deadline(&script, PROVE_MS, "drop-link 0, negotiate");
	assert_true(fsm_is_serving(&script.fsm)); /* as it was */
	expect(&script, 30, NEGOTIATED, 0, "");
	expect_deadline(&script, STANDBY_MS, "shut 0");
	expect(&script, 1, SLOT_FREED, 0, "hand-over 0");
	expect(&script, 0, HANDED_OVER, 0, "prove 0");
	expect(&script, 3, PROVEN, 0, "");
	assert_at_rest(&script);
}

static void an_unwatched_link_without_a_quiet_moment_is_replaced_by_force(void **state)
{
	struct script script = begin_unwatched();

	(void)state;
	go_to_tried(&script);
	expect_deadline(&script, STANDBY_MS, "shut 0");
	expect(&script, 1, SLOT_FREED, 0, "hand-over 0");
	expect(&script, 0, HANDED_OVER, 0, "prove 0");
	expect(&script, 1, PROVEN, 0, "");
	assert_int_equal(script.fsm.renewals, 1);
	assert_at_rest(&script);
}

/* In clear, and TLS is asked for. */
static void an_unwatched_link_that_must_go_is_shut_at_once(void **state)
{
	struct script script = begin(1);

	(void)state;
	script.fsm.links[0].unwatched = script.fsm.links[0].renew_now = true;
	expect(&script, 0, TICK, 0, "negotiate");
	expect(&script, 30, NEGOTIATED, 0, "shut 0");
	expect(&script, 1, SLOT_FREED, 0, "hand-over 0");
	expect(&script, 0, HANDED_OVER, 0, "prove 0");
	expect(&script, 1, PROVEN, 0, "");
	assert_false(script.fsm.links[0].unwatched);
	assert_at_rest(&script);
}

/* The unwatched one may have died with it, and its notice may have been lost. */
static void a_trial_gives_way_to_a_link_that_is_lost(void **state)
{
	struct script script = begin(2);

	(void)state;
	script.fsm.links[1].unwatched = true;
	expect(&script, 0, TICK, 0, "negotiate");
	expect(&script, 30, NEGOTIATED, 0, "hand-over 1");
	expect(&script, 0, HANDED_OVER, 1, "prove 1");
	expect(&script, 5, HANGUP, 0, "");
	expect_deadline(&script, SETTLE_MS, "drop-link 1, negotiate");
	assert_true(script.fsm.links[1].unwatched);
	expect(&script, 30, NEGOTIATED, 0, "hand-over 0");
	expect(&script, 0, HANDED_OVER, 0, "prove 0");
	expect(&script, 3, PROVEN, 0, "negotiate"); /* and now the trial again */
	expect(&script, 30, NEGOTIATED, 0, "hand-over 1");
	expect(&script, 0, HANDED_OVER, 1, "prove 1");
	expect(&script, 3, PROVEN, 1, "");
	assert_at_rest(&script);
}

static void an_outage_does_not_wait_for_the_next_trial(void **state)
{
	struct script script = begin(2);

	(void)state;
	script.fsm.links[1].unwatched = true;
	expect(&script, 0, TICK, 0, "negotiate");
	expect(&script, 10, REFUSED, 0, "");
	expect_deadline(&script, BACKOFF_MAX_MS, "negotiate");
	expect(&script, 10, REFUSED, 0, "");
	expect(&script, 10, HANGUP, 0, "");
	expect(&script, 1, SLOT_FREED, 0, "negotiate");
	assert_int_equal(script.fsm.attempts, 0);
	/* But in it, it does. */
	expect(&script, 10, REFUSED, 0, "");
	expect(&script, 10, SLOT_FREED, 0, "");
	assert_false(fsm_is_serving(&script.fsm));
	expect_deadline(&script, BACKOFF_MAX_MS - 10, "negotiate");
}

static void an_unwatched_link_that_dies_while_its_successor_waits_gets_it(void **state)
{
	struct script script = begin_unwatched();

	(void)state;
	go_to_tried(&script);
	expect(&script, 100, SLOT_FREED, 0, "hand-over 0");
	expect(&script, 0, HANDED_OVER, 0, "prove 0");
	expect(&script, 1, PROVEN, 0, "");
	assert_at_rest(&script);
}

static void a_notice_is_for_the_link_that_is_seen_to_be_lost(void **state)
{
	struct script script = begin(2);

	(void)state;
	script.fsm.links[0].unwatched = script.fsm.links[0].unshuttable = true;
	expect(&script, 0, HANGUP, 1, "");
	expect(&script, 1, SLOT_FREED, 0, "negotiate");
	assert_int_equal(script.fsm.links[0].state, FSM_LINK_ALIVE);
	assert_int_equal(script.fsm.links[1].state, FSM_LINK_FREE);
	expect(&script, 1, SLOT_FREED, 0, "");
	assert_int_equal(script.fsm.links[0].state, FSM_LINK_FREE);
}

/* --- a notice that comes before its slot is free, and a look whether a new link was taken */

#define NOTICE_MS 5
#define RECHECK_MS 500

static struct script begin_looking(unsigned link_count)
{
	struct script script = begin(link_count);

	script.fsm.config.notice_ms = NOTICE_MS;
	script.fsm.config.recheck_ms = RECHECK_MS;
	return script;
}

static struct script begin_looking_at_proof(unsigned link_count)
{
	struct script script = begin_looking(link_count);

	expect(&script, 0, HANGUP, 0, "");
	expect(&script, 1, SLOT_FREED, 0, "");
	expect_deadline(&script, NOTICE_MS, "negotiate");
	expect(&script, 30, NEGOTIATED, 0, "hand-over 0");
	expect(&script, 0, HANDED_OVER, 0, "prove 0");
	return script;
}

static void a_slot_is_free_a_moment_after_its_notice(void **state)
{
	struct script script = begin_looking(1);

	(void)state;
	expect(&script, 0, HANGUP, 0, "");
	expect(&script, 50, SLOT_FREED, 0, "");
	assert_int_equal(script.fsm.links[0].state, FSM_LINK_LOST);
	assert_true(script.fsm.links[0].noticed);
	expect(&script, 1, HANGUP, 0, "");
	expect_deadline(&script, NOTICE_MS - 1, "negotiate");
	assert_int_equal(script.fsm.links[0].state, FSM_LINK_FREE);
	assert_false(script.fsm.links[0].assumed_free);
	expect_reconnect(&script, 0);
	assert_at_rest(&script);
}

static void a_notice_at_the_end_of_the_settling_time_gets_its_moment_too(void **state)
{
	struct script script = begin_looking(1);

	(void)state;
	expect(&script, 0, HANGUP, 0, "");
	expect(&script, SETTLE_MS - 1, SLOT_FREED, 0, "");
	expect_deadline(&script, NOTICE_MS, "negotiate");
	assert_false(script.fsm.links[0].assumed_free);
	script = begin_looking(1);
	expect(&script, 0, HANGUP, 0, "");
	expect(&script, SETTLE_MS, SLOT_FREED, 0, ""); /* both at once */
	expect_deadline(&script, NOTICE_MS, "negotiate");
	assert_false(script.fsm.links[0].assumed_free);
}

static void a_successor_that_stands_by_waits_for_that_moment(void **state)
{
	struct script script = begin_looking(1);

	(void)state;
	go_to_standby(&script);
	expect(&script, 5, QUIET, 0, "shut 0");
	expect(&script, 1, HANGUP, 0, "");
	expect(&script, 1, SLOT_FREED, 0, "");
	expect_deadline(&script, NOTICE_MS, "hand-over 0");
	expect(&script, 0, HANDED_OVER, 0, "prove 0");
	expect(&script, 1, PROVEN, 0, "");
	assert_int_equal(script.fsm.renewals, 1);
	assert_at_rest(&script);
}

static void two_notices_are_for_two_lost_links(void **state)
{
	struct script script = begin_looking(3);

	(void)state;
	expect(&script, 0, HANGUP, 0, "");
	expect(&script, 0, HANGUP, 2, "");
	expect(&script, 10, SLOT_FREED, 0, "");
	expect(&script, 2, SLOT_FREED, 0, "");
	assert_true(script.fsm.links[0].noticed && script.fsm.links[2].noticed &&
		!script.fsm.links[1].noticed);
	/* of a third one, whose hang-up nobody saw: it puts nothing off */
	expect(&script, 1, SLOT_FREED, 0, "");
	expect_deadline(&script, NOTICE_MS - 3, "negotiate");
	assert_int_equal(script.fsm.links[0].state, FSM_LINK_FREE);
	assert_int_equal(script.fsm.links[2].state, FSM_LINK_LOST);
	expect_deadline(&script, 2, "");
	assert_int_equal(script.fsm.links[2].state, FSM_LINK_FREE);
	expect(&script, 30, NEGOTIATED, 0, "hand-over 0");
	expect(&script, 0, HANDED_OVER, 0, "prove 0");
	expect(&script, 1, PROVEN, 0, "negotiate");
	expect_reconnect(&script, 2);
	assert_at_rest(&script);
}

/* A link whose notice was lost waits for its own time. */
static void one_notice_is_for_one_of_two_lost_links(void **state)
{
	struct script script = begin_looking(2);

	(void)state;
	expect(&script, 0, HANGUP, 0, "");
	expect(&script, 0, HANGUP, 1, "");
	expect(&script, 10, SLOT_FREED, 0, "");
	expect_deadline(&script, NOTICE_MS, "negotiate");
	expect_deadline(&script, SETTLE_MS - 10 - NOTICE_MS, "");
	assert_false(script.fsm.links[0].assumed_free);
	assert_true(script.fsm.links[1].assumed_free);
}

static void a_slot_that_was_taken_to_be_free_is_so_a_moment_after_its_late_notice(void **state)
{
	struct script script = begin_looking(1);

	(void)state;
	expect(&script, 0, HANGUP, 0, "");
	expect_deadline(&script, SETTLE_MS, "negotiate");
	assert_true(script.fsm.links[0].assumed_free);
	expect(&script, 29, SLOT_FREED, 0, "");
	assert_false(script.fsm.links[0].assumed_free);
	expect(&script, 1, NEGOTIATED, 0, ""); /* the driver would drop it now */
	expect_deadline(&script, NOTICE_MS - 1, "hand-over 0");
	expect(&script, 0, HANDED_OVER, 0, "prove 0");
	expect(&script, 1, SLOT_FREED, 0, ""); /* nothing is assumed any more */
	expect(&script, 1, PROVEN, 0, "");
	assert_at_rest(&script);
}

static void an_unwatched_link_is_free_a_moment_after_its_notice(void **state)
{
	struct script script = begin_unwatched();

	(void)state;
	script.fsm.config.notice_ms = NOTICE_MS;
	expect(&script, 5, SLOT_FREED, 0, "drop-link 0");
	assert_int_equal(script.fsm.links[0].state, FSM_LINK_LOST);
	expect_deadline(&script, NOTICE_MS, "negotiate");
	expect_reconnect(&script, 0);
	assert_at_rest(&script);
}

static void a_link_under_proof_is_looked_at_now_and_then(void **state)
{
	struct script script = begin_looking_at_proof(1);

	(void)state;
	for (int i = 1; i * RECHECK_MS < PROVE_MS; i++)
		expect_deadline(&script, RECHECK_MS, "recheck 0");
	expect_deadline(&script, RECHECK_MS, "recheck 0, overdue 0"); /* and still it ends */
	expect(&script, 0, BROKEN, 0, "shut 0");
	expect(&script, 0, NOT_SENT, 0, "");
	assert_int_equal(script.fsm.attempts, 1);
	expect_deadline(&script, BACKOFF_MIN_MS, "");
	expect_deadline(&script, SETTLE_MS - BACKOFF_MIN_MS, "negotiate");
	expect_reconnect(&script, 0);
	expect(&script, RECHECK_MS, TICK, 0, "");
	assert_at_rest(&script);
}

static void a_look_that_is_late_is_made_once(void **state)
{
	struct script script = begin_looking_at_proof(1);

	(void)state;
	expect(&script, 5 * RECHECK_MS + 7, TICK, 0, "recheck 0");
	expect(&script, 0, TICK, 0, "");
	expect_deadline(&script, RECHECK_MS, "recheck 0");
	expect(&script, 3, PROVEN, 0, "");
	assert_at_rest(&script);
}

/* The proof that came with the deadline needs no look. */
static void an_outcome_at_the_time_of_a_look_goes_first(void **state)
{
	struct script script = begin_looking_at_proof(1);

	(void)state;
	expect(&script, RECHECK_MS, PROVEN, 0, "");
	assert_at_rest(&script);
	script = begin_looking_at_proof(1);
	expect(&script, RECHECK_MS, HANGUP, 0, "");
	assert_int_equal(script.fsm.work, FSM_WORK_PAUSE);
	script = begin_looking_at_proof(1);
	expect(&script, RECHECK_MS, NOT_TAKEN, 0, "drop-link 0");
}

static void nobody_looks_unless_told_to(void **state)
{
	struct script script = begin_looking_at_proof(1);

	(void)state;
	script.fsm.config.recheck_ms = 0;
	expect_deadline(&script, PROVE_MS, "overdue 0");
}

/* That the driver drops a socket on trial is the usual case. */
static void a_socket_on_trial_is_not_looked_at(void **state)
{
	struct script script = begin_unwatched();

	(void)state;
	script.fsm.config.recheck_ms = RECHECK_MS;
	expect(&script, RECHECK_MS, TICK, 0, "");
	expect(&script, 0, NOT_SENT, 0, "");
	assert_int_equal(script.fsm.work, FSM_WORK_PROVE);
	expect_deadline(&script, PROVE_MS - RECHECK_MS, "drop-link 0, negotiate");
}

static void a_link_that_dies_between_two_looks_is_not_looked_at_again(void **state)
{
	struct script script = begin_looking_at_proof(1);

	(void)state;
	expect_deadline(&script, RECHECK_MS, "recheck 0");
	expect(&script, 100, HANGUP, 0, "");
	expect(&script, 0, NOT_SENT, 0, "");
	expect(&script, 1, SLOT_FREED, 0, "");
	expect_deadline(&script, NOTICE_MS, "");
	/* A dead socket that was offered again brings a second notice. */
	expect(&script, 1, SLOT_FREED, 0, "");
	expect_deadline(&script, BACKOFF_MIN_MS - NOTICE_MS - 2, "negotiate");
	expect(&script, 30, NEGOTIATED, 0, "hand-over 0");
	expect(&script, 0, HANDED_OVER, 0, "prove 0");
	expect_deadline(&script, RECHECK_MS, "recheck 0"); /* of this one */
	expect(&script, 3, PROVEN, 0, "");
	assert_at_rest(&script);
}

static void a_link_of_several_that_was_not_taken_is_negotiated_anew(void **state)
{
	struct script script = begin_looking(2);

	(void)state;
	expect(&script, 0, HANGUP, 0, "");
	expect(&script, 0, HANGUP, 1, "");
	expect(&script, 1, SLOT_FREED, 0, "");
	expect(&script, 0, SLOT_FREED, 0, "");
	expect_deadline(&script, NOTICE_MS, "negotiate");
	expect(&script, 30, NEGOTIATED, 0, "hand-over 0");
	expect(&script, 0, HANDED_OVER, 0, "prove 0");
	expect_deadline(&script, RECHECK_MS, "recheck 0");
	expect(&script, 0, NOT_SENT, 0, "drop-link 0");
	assert_int_equal(script.fsm.links[0].state, FSM_LINK_LOST);
	assert_int_equal(script.fsm.work, FSM_WORK_PAUSE);
	assert_int_equal(script.fsm.reconnects, 0);
	assert_true(script.fsm.outage_since_ms >= 0);
	/* The other one's slot is free, so it need not wait for this one's. */
	expect_deadline(&script, BACKOFF_MIN_MS, "negotiate");
	assert_int_equal(script.fsm.work_link, 1);
	expect(&script, 30, NEGOTIATED, 0, "hand-over 1");
	expect(&script, 0, HANDED_OVER, 1, "prove 1");
	expect(&script, 3, PROVEN, 1, "");
	expect_deadline(&script, SETTLE_MS - BACKOFF_MIN_MS - 33, "negotiate");
	assert_int_equal(script.fsm.attempts, 0);
	expect_reconnect(&script, 0);
	assert_int_equal(script.fsm.reconnects, 2);
	assert_at_rest(&script);
}

static void a_link_of_several_that_is_never_taken_is_tried_at_a_slower_pace(void **state)
{
	struct script script = begin_looking_at_proof(2);
	int64_t last_ms = 0;

	(void)state;
	for (int i = 0; i < 100; i++) {
		int64_t began_ms;

		expect_deadline(&script, RECHECK_MS, "recheck 0");
		expect(&script, 0, NOT_SENT, 0, "drop-link 0");
		began_ms = script.now_ms;
		while (script.fsm.work != FSM_WORK_NEGOTIATE) {
			struct fsm_event event = {.type = FSM_EV_TICK,
				.now_ms = script.now_ms = fsm_deadline_ms(&script.fsm)};
			struct fsm_actions actions;

			fsm_step(&script.fsm, &event, &actions);
		}
		assert_in_range(script.now_ms - began_ms, last_ms > SETTLE_MS ? last_ms : SETTLE_MS,
			PAUSE_LIMIT_MS);
		last_ms = script.now_ms - began_ms;
		expect(&script, 30, NEGOTIATED, 0, "hand-over 0");
		expect(&script, 0, HANDED_OVER, 0, "prove 0");
	}
	assert_int_equal(last_ms, BACKOFF_MAX_MS);
	assert_true(fsm_is_serving(&script.fsm));
}

static void an_answer_to_a_look_that_nobody_made_is_no_news(void **state)
{
	static void (*const moments[])(struct script * script) = {
		stay, go_to_lost, go_to_negotiate, go_to_pause, go_to_standby};

	(void)state;
	for (size_t i = 0; i < sizeof(moments) / sizeof(moments[0]); i++) {
		struct script script = begin(1);
		enum fsm_work work;
		int64_t deadline_ms;

		moments[i](&script);
		work = script.fsm.work;
		deadline_ms = fsm_deadline_ms(&script.fsm);
		expect(&script, 0, NOT_SENT, 0, "");
		assert_int_equal(script.fsm.work, work);
		assert_int_equal(fsm_deadline_ms(&script.fsm), deadline_ms);
	}
}

static void the_dead_timeout_ends_the_looks(void **state)
{
	struct script script = begin_looking(1);

	(void)state;
	script.fsm.config.dead_timeout_ms = 2 * RECHECK_MS;
	expect(&script, 0, HANGUP, 0, "");
	expect(&script, 0, SLOT_FREED, 0, "");
	expect_deadline(&script, NOTICE_MS, "negotiate");
	expect(&script, 0, NEGOTIATED, 0, "hand-over 0");
	expect(&script, 0, HANDED_OVER, 0, "prove 0");
	expect_deadline(&script, RECHECK_MS, "recheck 0");
	expect_deadline(&script, RECHECK_MS - NOTICE_MS, "shut 0");
	expect(&script, 1, SLOT_FREED, 0, "");
	expect_deadline(&script, NOTICE_MS, "fail-device");
	assert_int_equal(fsm_deadline_ms(&script.fsm), -1);
}

/* --- several links, and the end of patience */

static void a_device_with_a_link_left_is_never_given_up(void **state)
{
	struct script script = begin(2);

	(void)state;
	expect(&script, 0, HANGUP, 1, "");
	expect(&script, 1, SLOT_FREED, 0, "negotiate");
	for (int i = 0; i < 300; i++) {
		int64_t pause_ms;

		expect(&script, 10, ATTEMPT_FAILED, 0, "");
		pause_ms = fsm_deadline_ms(&script.fsm) - script.now_ms;
		assert_in_range(pause_ms, 1, PAUSE_LIMIT_MS);
		expect_deadline(&script, pause_ms, "negotiate");
		assert_int_equal(script.fsm.outage_since_ms, -1);
	}
	assert_true(script.now_ms > 1000000 + 2 * DEAD_MS);
	/* Its time begins when the last one is lost. */
	expect(&script, 0, HANGUP, 0, "");
	expect(&script, 1, SLOT_FREED, 0, "");
	expect(&script, DEAD_MS - 2, TICK, 0, "");
	expect(&script, 1, TICK, 0, "cancel, fail-device");
}

static void every_one_of_many_links_comes_back(void **state)
{
	struct script script = begin(LINKS_MAX);

	(void)state;
	for (unsigned i = 0; i < LINKS_MAX; i++)
		expect(&script, 0, HANGUP, i, "");
	for (unsigned i = 0; i < LINKS_MAX; i++)
		expect(&script, 0, SLOT_FREED, 0, i ? "" : "negotiate");
	for (unsigned i = 0; i < LINKS_MAX; i++) {
		char hand_over[32], prove[32];

		snprintf(hand_over, sizeof(hand_over), "hand-over %u", i);
		snprintf(prove, sizeof(prove), "prove %u", i);
		expect(&script, 5, NEGOTIATED, 0, hand_over);
		expect(&script, 0, HANDED_OVER, i, prove);
		expect(&script, 1, PROVEN, i, i + 1 < LINKS_MAX ? "negotiate" : "");
	}
	assert_int_equal(script.fsm.reconnects, LINKS_MAX);
	assert_at_rest(&script);
}

static void assert_given_up(struct script *script)
{
	assert_int_equal(script->fsm.phase, FSM_FAILED);
	assert_int_equal(fsm_deadline_ms(&script->fsm), -1);
	for (int type = 0; type <= FSM_EV_COUNT; type++)
		if (type != FSM_EV_GONE)
			expect_(script, 10000, (enum fsm_event_type)type, 0, "", __LINE__);
	assert_int_equal(fsm_deadline_ms(&script->fsm), -1);
}

static void the_device_fails_exactly_at_its_dead_timeout(void **state)
{
	struct script script = begin(1);

	(void)state;
	expect(&script, 0, HANGUP, 0, "");
	expect(&script, 1, SLOT_FREED, 0, "negotiate");
	expect(&script, DEAD_MS - 2, TICK, 0, "");
	assert_int_equal(script.fsm.phase, FSM_RUNNING);
	assert_int_equal(fsm_deadline_ms(&script.fsm), script.now_ms + 1);
	expect(&script, 1, TICK, 0, "cancel, fail-device");
	assert_given_up(&script);
}

static void a_pause_does_not_outlast_the_dead_timeout(void **state)
{
	struct script script = begin(1);

	(void)state;
	expect(&script, 0, HANGUP, 0, "");
	expect(&script, 1, SLOT_FREED, 0, "negotiate");
	expect(&script, DEAD_MS - 51, ATTEMPT_FAILED, 0, "");
	expect_deadline(&script, 50, "fail-device");
	assert_given_up(&script);
}

static void a_link_under_proof_is_shut_at_the_dead_timeout(void **state)
{
	struct script script = begin(1);

	(void)state;
	expect(&script, 0, HANGUP, 0, "");
	expect(&script, 1, SLOT_FREED, 0, "negotiate");
	expect(&script, DEAD_MS - 1001, NEGOTIATED, 0, "hand-over 0");
	expect(&script, 0, HANDED_OVER, 0, "prove 0");
	expect_deadline(&script, 1000, "shut 0");
	assert_int_equal(script.fsm.phase, FSM_FAILED);
	/* as soon as there is a slot to put the end into */
	expect_deadline(&script, SETTLE_MS, "fail-device");
	assert_given_up(&script);
}

static void a_successor_that_stands_by_is_dropped_at_the_dead_timeout(void **state)
{
	struct script script = begin(1);

	(void)state;
	script.fsm.config.dead_timeout_ms = 100;
	go_to_standby(&script);
	expect(&script, 0, HANGUP, 0, "");
	expect_deadline(&script, 100, "drop-standby");
	expect_deadline(&script, SETTLE_MS - 100, "fail-device");
	assert_given_up(&script);
}

static void a_proof_begins_the_dead_timeout_anew(void **state)
{
	struct script script = begin(1);

	(void)state;
	go_to_negotiate(&script);
	expect(&script, DEAD_MS - 1000, ATTEMPT_FAILED, 0, "");
	expect_deadline(&script, BACKOFF_MIN_MS, "negotiate");
	expect_reconnect(&script, 0);
	expect(&script, 5000, HANGUP, 0, "");
	expect(&script, 1, SLOT_FREED, 0, "negotiate");
	expect(&script, DEAD_MS - 2, TICK, 0, "");
	expect(&script, 1, TICK, 0, "cancel, fail-device");
}

static void an_infinite_dead_timeout_never_comes(void **state)
{
	struct script script = begin(1);

	(void)state;
	script.fsm.config.dead_timeout_ms = -1;
	go_to_negotiate(&script);
	assert_int_equal(fsm_deadline_ms(&script.fsm), -1); /* the attempt has its own */
	expect(&script, 10LL * 365 * 86400 * 1000, ATTEMPT_FAILED, 0, "");
	expect_deadline(&script, BACKOFF_MIN_MS, "negotiate");
	expect(&script, 10LL * 365 * 86400 * 1000, ATTEMPT_FAILED, 0, "");
	expect_deadline(&script, BACKOFF_MAX_MS, "negotiate");
	expect_reconnect(&script, 0);
	assert_at_rest(&script);
}

/* --- random events against a model */

#define SOCKETS_MAX 4096
#define TRACE 48
#define ATTEMPT_MS 30000
#define HAND_OVER_MS 4 /* what netlink may take */
#define NEGOTIATION_MS 20
#define DRIVER_MS 400     /* it may be slower than the settling time */
#define LETTING_GO_MS 800 /* from its notice until the slot is free; NOTICE_MS as a rule */
/* With a server that answers and a driver that has let go of the last slot, the device serves after
 * no more than this: a look comes at a socket that was dropped, and where there are several links,
 * another one is negotiated once that one's slot has settled. */
#define SERVES_AGAIN_MS (SETTLE_MS + NOTICE_MS + RECHECK_MS + 2 * NEGOTIATION_MS)
#define NONE (-1)

/* The driver, the server, and what the supervisor's loop holds. Sockets are numbers; a link of the
 * state function and a slot of the driver have nothing to do with one another but for the sockets
 * in them, as in the kernel. */
struct model {
	struct fsm fsm;
	int64_t now_ms;
	uint64_t rng, seed, events, limit;
	/* every socket there was */
	bool hung[SOCKETS_MAX], sent[SOCKETS_MAX];
	int socket_count;
	/* the driver */
	int slot[LINKS_MAX];
	bool slot_ended[LINKS_MAX];         /* its notice is queued */
	int64_t slot_free_at_ms[LINKS_MAX]; /* and from then on it takes another socket */
	int64_t ends_at_ms[LINKS_MAX];      /* at rest: when the driver sees the hang-up */
	unsigned notices, slow_percent;
	bool loses_notices;
	/* the loop */
	int ours[LINKS_MAX]; /* NONE: unwatched, or closed */
	/* of the socket that is thought to be in the driver; NONE: not known */
	int address[LINKS_MAX];
	int trial_address, standby;
	bool negotiating, probing, draining;
	int64_t attempt_until_ms;
	struct fsm_event queue[4 * LINKS_MAX];
	unsigned queue_first, queue_count;
	/* what happened */
	int64_t outage_since_ms, failed_at_ms;
	unsigned failures_told, ends;
	char trace[TRACE][160];
	/* the weather */
	unsigned server_percent, storm_percent, renew_percent;
	bool benign;
	bool looks; /* the state function is told to */
};

static struct {
	uint64_t episodes, negotiations, cancels, dropped, shut, handed, not_taken, unused,
		renewals, reconnects, failed, ended, rests;
	uint64_t overdue, drained, answered;
	uint64_t in_vain, looks, taken_at_a_look, not_sent, hang_ups;
	int64_t slowest_ms;
} counts;

static uint64_t draw(struct model *model)
{
	uint64_t x = model->rng += 0x9e3779b97f4a7c15ULL;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

static unsigned below(struct model *model, unsigned limit)
{
	return (unsigned)((draw(model) >> 32) * limit >> 32);
}

static bool chance(struct model *model, unsigned percent)
{
	return below(model, 100) < percent;
}

static bool is_slot_dead(const struct model *model, unsigned at)
{
	return model->slot_ended[at] && model->now_ms >= model->slot_free_at_ms[at];
}

static void fail_model(const struct model *model, const char *what, int line)
{
	const struct fsm *fsm = &model->fsm;

	for (uint64_t i = model->events > TRACE ? model->events - TRACE : 0; i < model->events; i++)
		print_message("# %s\n", model->trace[i % TRACE]);
	for (unsigned i = 0; i < fsm->link_count; i++)
		print_message("# link %u: state %d, proven %d, unwatched %d, tried %d, unshuttable "
			      "%d; socket %d; slot: socket %d%s\n",
			i, fsm->links[i].state, fsm->links[i].proven, fsm->links[i].unwatched,
			fsm->links[i].tried, fsm->links[i].unshuttable, model->ours[i],
			model->slot[i],
			is_slot_dead(model, i)              ? " dead" :
				model->slot_ended[i]        ? " ended" :
				model->hung[model->slot[i]] ? " hung" :
							      "");
	print_message("# FSM_SEED=%llu FSM_EVENTS=%llu, event %llu, time %lld\n",
		(unsigned long long)model->seed, (unsigned long long)model->limit,
		(unsigned long long)model->events, (long long)model->now_ms);
	fail_msg("line %d: %s", line, what);
}

#define check(model, condition) ((condition) ? (void)0 : fail_model(model, #condition, __LINE__))

static void push(struct model *model, enum fsm_event_type type, unsigned link, bool first)
{
	struct fsm_event event = {type, link, model->now_ms, (uint32_t)draw(model)};
	unsigned size = sizeof(model->queue) / sizeof(model->queue[0]);

	check(model, model->queue_count < size);
	model->queue_first = first ? (model->queue_first + size - 1) % size : model->queue_first;
	model->queue[first ? model->queue_first :
			     (model->queue_first + model->queue_count) % size] = event;
	model->queue_count++;
}

static int new_socket(struct model *model)
{
	check(model, model->socket_count < SOCKETS_MAX);
	model->hung[model->socket_count] = model->sent[model->socket_count] = false;
	return model->socket_count++;
}

/* Kernel fact 4: into a dead slot, or nowhere, and it does not say. */
static bool driver_takes(struct model *model, int fd)
{
	for (unsigned i = 0; i < model->fsm.link_count; i++)
		if (is_slot_dead(model, i)) {
			model->slot[i] = fd;
			model->slot_ended[i] = false;
			/* I/O waits for it, or may come later */
			model->sent[fd] = model->benign || chance(model, 70);
			return true;
		}
	return false;
}

static void act_negotiate(struct model *model)
{
	check(model, !model->negotiating);
	check(model, model->standby == NONE);
	counts.negotiations++;
	model->negotiating = true;
	model->attempt_until_ms = model->now_ms + ATTEMPT_MS;
	if (!model->benign && below(model, 5000) == 0)
		push(model, FSM_EV_GONE, 0, true);
	else if (!model->benign && chance(model, 1))
		push(model, FSM_EV_ATTEMPT_FAILED, 0, true);
}

static void act_shut(struct model *model, unsigned at)
{
	counts.shut++;
	if (model->ours[at] != NONE) {
		model->hung[model->ours[at]] = true;
		return;
	}
	if (model->address[at] == NONE)
		push(model, FSM_EV_CANNOT_SHUT, at, true);
	else
		/* and if it was another one, nobody notices */
		model->hung[model->address[at]] = true;
}

static void act_hand_over(struct model *model, unsigned at)
{
	int fd = model->standby;

	model->now_ms += below(model, HAND_OVER_MS);
	check(model, fd != NONE);
	check(model, model->fsm.work_link == at);
	check(model, !model->fsm.links[at].receiving || model->fsm.trial);
	check(model,
		model->fsm.links[at].state == FSM_LINK_FREE ||
			(model->fsm.trial && model->fsm.links[at].unwatched));
	counts.handed++;
	if (!model->benign && chance(model, 2)) {
		if (chance(model, 98))
			model->standby = NONE;
		push(model, model->standby == NONE ? FSM_EV_HAND_OVER_FAILED : FSM_EV_GONE, at,
			true);
		return;
	}
	if (model->fsm.trial)
		model->trial_address = model->address[at];
	counts.in_vain += !driver_takes(model, fd);
	model->standby = NONE;
	model->ours[at] = model->address[at] = fd;
	push(model, FSM_EV_HANDED_OVER, at, true);
}

/* As in effects.c: of several links the driver could put the same socket into two slots. */
static void act_recheck(struct model *model, unsigned at)
{
	int fd = model->ours[at];

	check(model, fd != NONE);
	check(model, model->fsm.config.recheck_ms > 0 && !model->fsm.trial);
	counts.looks++;
	if (model->sent[fd])
		return;
	if (model->fsm.link_count > 1) {
		counts.not_sent++;
		push(model, FSM_EV_NOT_SENT, at, true);
	} else if (!model->benign && below(model, 1000) == 0) {
		push(model, FSM_EV_GONE, at, true);
	} else {
		/* even if it has hung up meanwhile: it looks at it afterwards */
		counts.taken_at_a_look += driver_takes(model, fd);
	}
}

/* As in effects.c: what was sent may still be executed. */
static void act_overdue(struct model *model, unsigned at)
{
	int fd = model->ours[at];

	check(model, fd != NONE);
	counts.overdue++;
	push(model, model->sent[fd] ? FSM_EV_SILENT : FSM_EV_BROKEN, at, true);
}

static void act_drop_link(struct model *model, unsigned at)
{
	counts.not_taken++;
	check(model, model->ours[at] != NONE);
	model->hung[model->ours[at]] = true;
	model->ours[at] = NONE;
	if (model->fsm.trial)
		model->address[at] = model->trial_address;
}

static void carry_out(struct model *model, const struct fsm_action *action)
{
	switch (action->type) {
	case FSM_NEGOTIATE: act_negotiate(model); break;
	case FSM_CANCEL:
		check(model, model->negotiating);
		counts.cancels++;
		model->negotiating = false;
		break;
	case FSM_DROP_STANDBY:
		check(model, model->standby != NONE);
		counts.dropped++;
		model->standby = NONE;
		break;
	case FSM_SHUT: act_shut(model, action->link); break;
	case FSM_HAND_OVER: act_hand_over(model, action->link); break;
	case FSM_PROVE:
		check(model, model->ours[action->link] != NONE);
		model->probing = true;
		break;
	case FSM_RECHECK: act_recheck(model, action->link); break;
	case FSM_OVERDUE: act_overdue(model, action->link); break;
	case FSM_DRAIN:
		check(model, model->fsm.config.drains);
		model->draining = true;
		break;
	case FSM_DROP_LINK: act_drop_link(model, action->link); break;
	case FSM_FAIL_DEVICE: model->failures_told++; break;
	case FSM_END: model->ends++; break;
	}
}

static void trace(
	struct model *model, const struct fsm_event *event, const struct fsm_actions *actions)
{
	static const char *const events[] = {"tick", "hang-up", "slot freed", "negotiated",
		"refused", "attempt failed", "standby lost", "handed over", "hand-over failed",
		"proven", "not taken", "unused", "not sent", "quiet", "renew", "renew now",
		"silent", "answered", "broken", "receiver ended", "drained", "I/O failed",
		"cannot shut", "gone"};
	char *line = model->trace[model->events % TRACE];
	char text[96];

	format_actions(actions, text, sizeof(text));
	snprintf(line, sizeof(model->trace[0]), "%lld %s %u: %s; work %d of %u, deadline %lld",
		(long long)event->now_ms, event->type < FSM_EV_COUNT ? events[event->type] : "?",
		event->link, text, model->fsm.work, model->fsm.work_link,
		(long long)fsm_deadline_ms(&model->fsm));
}

/* No link is shut on suspicion: not one that is silent, and under a drain not for its renewal
 * before what takes long is answered. */
static void check_shut(
	struct model *model, const struct fsm *before, enum fsm_event_type type, unsigned at)
{
	const struct fsm_link *link = &before->links[at];
	bool asked_for = type == FSM_EV_BROKEN || type == FSM_EV_SLOT_FREED ||
		model->fsm.phase == FSM_FAILED;

	check(model, link->silence == FSM_ANSWERING || type == FSM_EV_ANSWERED || asked_for);
	check(model,
		!model->fsm.config.drains || link->drained || type == FSM_EV_DRAINED ||
			type == FSM_EV_QUIET || asked_for);
}

/* What must hold of the actions of one step, whatever the event was. ALIVE: the links that were
 * when it came. */
static void check_actions(struct model *model, const struct fsm_actions *actions, uint64_t alive,
	enum fsm_phase phase)
{
	check(model, actions->count < FSM_ACTIONS_MAX);
	check(model, phase != FSM_ENDED || actions->count == 0);
	for (unsigned i = 0; i < actions->count; i++) {
		const struct fsm_action *action = &actions->list[i];

		check(model, action->link < model->fsm.link_count);
		if (action->type == FSM_SHUT) {
			check(model, alive >> action->link & 1);
			alive &= ~(1ULL << action->link);
		}
		if (action->type == FSM_NEGOTIATE || action->type == FSM_HAND_OVER)
			check(model, model->fsm.phase == FSM_RUNNING);
		if (action->type == FSM_PROVE) {
			check(model, phase == FSM_RUNNING);
			alive |= 1ULL << action->link;
		}
		if (action->type == FSM_RECHECK || action->type == FSM_DROP_LINK)
			check(model, alive >> action->link & 1);
		if (action->type == FSM_RECHECK)
			check(model, phase == FSM_RUNNING && model->fsm.config.recheck_ms > 0);
		if (action->type == FSM_HAND_OVER)
			check(model, i + 1 == actions->count); /* its outcome is the next event */
		if (action->type == FSM_FAIL_DEVICE)
			check(model, model->fsm.phase == FSM_FAILED);
		if (action->type == FSM_END)
			check(model, model->fsm.phase == FSM_ENDED);
	}
}

static uint64_t alive_links(const struct fsm *fsm)
{
	uint64_t alive = 0;

	for (unsigned i = 0; i < fsm->link_count; i++)
		alive |= (uint64_t)(fsm->links[i].state == FSM_LINK_ALIVE) << i;
	return alive;
}

static int find_free(const struct fsm *fsm)
{
	for (unsigned i = 0; i < fsm->link_count; i++)
		if (fsm->links[i].state == FSM_LINK_FREE)
			return (int)i;
	return NONE;
}

/* What must hold between two steps, even of a state function that was told nonsense. */
static void check_state(struct model *model)
{
	const struct fsm *fsm = &model->fsm;
	int64_t deadline_ms = fsm_deadline_ms(fsm);
	bool serving = false, dead = false,
	     handing_over = fsm->work == FSM_WORK_STANDBY && find_free(fsm) != NONE;

	for (unsigned i = 0; i < fsm->link_count; i++) {
		check(model, fsm->links[i].state <= FSM_LINK_FREE);
		serving = serving ||
			(fsm->links[i].state == FSM_LINK_ALIVE &&
				(fsm->links[i].silence == FSM_SLOW ||
					(fsm->links[i].proven &&
						fsm->links[i].silence != FSM_UNREACHABLE)));
		check(model,
			fsm->links[i].silence == FSM_ANSWERING ||
				fsm->links[i].state == FSM_LINK_ALIVE);
		dead = dead || fsm->links[i].state != FSM_LINK_ALIVE;
	}
	check(model, fsm->work_link < fsm->link_count);
	check(model, fsm->work <= FSM_WORK_PROVE);
	check(model, fsm_is_serving(fsm) == serving);
	check(model,
		fsm->phase == FSM_RUNNING || fsm->work == FSM_WORK_NONE ||
			fsm->work == FSM_WORK_PAUSE);
	if (fsm->phase == FSM_ENDED) {
		check(model, deadline_ms == -1);
		return;
	}
	/* or the loop would be busy */
	check(model, deadline_ms == -1 || deadline_ms > model->now_ms);
	check(model, (fsm->outage_since_ms < 0) == serving);
	if (fsm->phase != FSM_RUNNING)
		return;
	/* A look comes in time, a notice's moment is short. */
	if (fsm->work == FSM_WORK_PROVE && !fsm->trial && fsm->config.recheck_ms > 0)
		check(model,
			deadline_ms >= 0 && deadline_ms - model->now_ms <= fsm->config.recheck_ms);
	for (unsigned i = 0; i < fsm->link_count; i++)
		if (fsm->links[i].state == FSM_LINK_LOST)
			check(model,
				deadline_ms >= 0 &&
					deadline_ms - model->now_ms <=
						(fsm->links[i].noticed ? fsm->config.notice_ms :
									 fsm->config.settle_ms));
	/* Every wait has an end. */
	check(model, !dead || deadline_ms >= 0 || fsm->work == FSM_WORK_NEGOTIATE || handing_over);
	check(model,
		serving || fsm->config.dead_timeout_ms < 0 ||
			model->now_ms - fsm->outage_since_ms < fsm->config.dead_timeout_ms);
	if (fsm->work == FSM_WORK_PAUSE)
		check(model,
			fsm->work_until_ms - model->now_ms <= (PAUSE_LIMIT_MS > RENEW_PAUSE_MS ?
									      PAUSE_LIMIT_MS :
									      RENEW_PAUSE_MS));
}

/* What must hold when the state function has been told of everything that its actions led to. */
static void check_model(struct model *model)
{
	struct fsm *fsm = &model->fsm;

	check_state(model);
	check(model, model->negotiating == (fsm->work == FSM_WORK_NEGOTIATE));
	check(model, (model->standby != NONE) == (fsm->work == FSM_WORK_STANDBY));
	check(model,
		model->standby == NONE || find_free(fsm) == NONE ||
			fsm->links[find_free(fsm)].receiving);
	check(model, model->failures_told <= (fsm->phase != FSM_RUNNING));
	check(model, model->ends == (fsm->phase == FSM_ENDED));
	if (fsm->phase == FSM_FAILED && model->failed_at_ms < 0) {
		model->failed_at_ms = model->now_ms;
		check(model, fsm->config.dead_timeout_ms >= 0);
		check(model, model->now_ms - model->outage_since_ms >= fsm->config.dead_timeout_ms);
	}
}

static void drain(struct model *model)
{
	while (model->queue_count) {
		unsigned size = sizeof(model->queue) / sizeof(model->queue[0]);
		struct fsm_event event = model->queue[model->queue_first];
		uint64_t alive = alive_links(&model->fsm);
		enum fsm_phase phase = model->fsm.phase;
		struct fsm_actions actions;
		struct fsm before = model->fsm;

		model->queue_first = (model->queue_first + 1) % size;
		model->queue_count--;
		if (event.type == FSM_EV_NEGOTIATED || event.type == FSM_EV_REFUSED ||
			event.type == FSM_EV_ATTEMPT_FAILED)
			model->negotiating = false;
		fsm_step(&model->fsm, &event, &actions);
		trace(model, &event, &actions);
		model->events++;
		check_actions(model, &actions, alive, phase);
		for (unsigned i = 0; i < actions.count; i++)
			if (actions.list[i].type == FSM_SHUT)
				check_shut(model, &before, event.type, actions.list[i].link);
		/* Our own count of the outage. */
		if (fsm_is_serving(&model->fsm))
			model->outage_since_ms = -1;
		else if (model->outage_since_ms < 0)
			model->outage_since_ms = event.now_ms;
		for (unsigned i = 0; i < actions.count; i++)
			carry_out(model, &actions.list[i]);
	}
	check_model(model);
}

static void tell(struct model *model, enum fsm_event_type type, unsigned link)
{
	push(model, type, link, false);
	drain(model);
}

/* Time goes on, but not past what the loop wakes up for. */
static void pass_time(struct model *model, int64_t ms)
{
	int64_t until_ms = model->now_ms + ms;

	for (;;) {
		int64_t wake_ms = fsm_deadline_ms(&model->fsm);

		if (model->negotiating && (wake_ms < 0 || model->attempt_until_ms < wake_ms))
			wake_ms = model->attempt_until_ms;
		if (wake_ms < 0 || wake_ms > until_ms)
			break;
		model->now_ms = wake_ms;
		if (model->negotiating && wake_ms >= model->attempt_until_ms)
			tell(model, FSM_EV_ATTEMPT_FAILED, 0);
		tell(model, FSM_EV_TICK, 0);
		if (model->fsm.phase == FSM_ENDED)
			return;
	}
	if (until_ms > model->now_ms) /* a hand-over takes time too */
		model->now_ms = until_ms;
}

static void end_attempt(struct model *model, bool answered)
{
	if (!model->negotiating)
		return;
	if (answered)
		model->standby = new_socket(model);
	tell(model,
		answered                  ? FSM_EV_NEGOTIATED :
			chance(model, 20) ? FSM_EV_REFUSED :
					    FSM_EV_ATTEMPT_FAILED,
		0);
}

/* The driver's receivers read what has come, and end. */
static void end_receivers(struct model *model)
{
	int at = fsm_receiving_link(&model->fsm);

	for (unsigned left = model->fsm.link_count; at >= 0 && left; left--) {
		tell(model, FSM_EV_RECEIVER_ENDED, (unsigned)at);
		at = fsm_receiving_link(&model->fsm);
	}
}

static void end_drain(struct model *model)
{
	if (!model->draining)
		return;
	model->draining = false;
	counts.drained++;
	tell(model, FSM_EV_DRAINED, 0);
}

/* The server goes on, and answers what it owes. */
static void answer_all(struct model *model)
{
	for (unsigned i = 0; i < model->fsm.link_count; i++) {
		const struct fsm_link *link = &model->fsm.links[i];

		if (link->state != FSM_LINK_ALIVE || link->silence == FSM_ANSWERING ||
			model->ours[i] == NONE || model->hung[model->ours[i]])
			continue;
		counts.answered++;
		tell(model, FSM_EV_ANSWERED, i);
		if (!link->proven && model->sent[model->ours[i]])
			tell(model, FSM_EV_PROVEN, i);
	}
}

static void see_hangups(struct model *model)
{
	for (unsigned i = 0; i < model->fsm.link_count; i++)
		if (model->fsm.links[i].state == FSM_LINK_ALIVE && model->ours[i] != NONE &&
			model->hung[model->ours[i]])
			tell(model, FSM_EV_HANGUP, i);
	if (model->standby != NONE && model->hung[model->standby]) {
		model->standby = NONE;
		tell(model, FSM_EV_STANDBY_LOST, 0);
	}
}

static bool is_any_unwatched(const struct fsm *fsm)
{
	for (unsigned i = 0; i < fsm->link_count; i++)
		if (fsm->links[i].unwatched)
			return true;
	return false;
}

/* The driver sees the end of the socket in slot AT. It says so first, and lets go of the slot then.
 * In good weather no notice is lost that alone tells of a link. */
static void driver_sees(struct model *model, unsigned at)
{
	if (model->slot_ended[at] || !model->hung[model->slot[at]])
		return;
	model->slot_ended[at] = true;
	model->slot_free_at_ms[at] = model->now_ms +
		below(model, chance(model, model->slow_percent) ? LETTING_GO_MS : NOTICE_MS);
	model->notices += !model->loses_notices ||
		(model->benign && is_any_unwatched(&model->fsm)) || chance(model, 90);
}

static void see_notices(struct model *model)
{
	/* The loop looks for hang-ups first. */
	see_hangups(model);
	for (; model->notices; model->notices--)
		tell(model, FSM_EV_SLOT_FREED, 0);
}

/* However late they are: all hang-ups and all notices. */
static void driver_sees_all(struct model *model)
{
	see_hangups(model);
	for (unsigned i = 0; i < model->fsm.link_count; i++)
		driver_sees(model, i);
	see_notices(model);
}

/* A read through the device: over any slot whose socket lives, or it hangs. */
static void end_probe(struct model *model)
{
	unsigned count = model->fsm.link_count, at = model->fsm.work_link,
		 first = below(model, count);
	int used = NONE;

	if (!model->probing)
		return;
	for (unsigned i = 0; i < count && used == NONE; i++)
		if (!model->hung[model->slot[(first + i) % count]])
			used = model->slot[(first + i) % count];
	if (used == NONE && (model->benign || chance(model, 80)))
		return;
	model->probing = false;
	if (model->fsm.work != FSM_WORK_PROVE)
		return;
	if (used == NONE)
		tell(model, FSM_EV_BROKEN, at);
	else if (used == model->ours[at])
		tell(model, FSM_EV_PROVEN, at);
	else
		tell(model, count == 1 || model->fsm.trial ? FSM_EV_NOT_TAKEN : FSM_EV_UNUSED, at);
}

static void peer_hangs_up(struct model *model)
{
	bool all = chance(model, 20);

	for (unsigned i = 0; i < model->fsm.link_count; i++)
		if (all || below(model, model->fsm.link_count) == 0)
			model->hung[model->slot[i]] = true;
	if (model->standby != NONE && (all || chance(model, 20)))
		model->hung[model->standby] = true;
}

/* Something that can happen, happens. */
static void random_turn(struct model *model)
{
	unsigned at = below(model, model->fsm.link_count);
	bool watched = model->fsm.links[at].state == FSM_LINK_ALIVE && model->ours[at] != NONE;

	switch (below(model, 16)) {
	case 0:
	case 1:
	case 2: end_attempt(model, chance(model, model->server_percent)); break;
	case 3:
		if (chance(model, model->storm_percent))
			peer_hangs_up(model);
		break;
	case 4: driver_sees(model, at); break;
	case 5: end_receivers(model); break;
	case 6: see_hangups(model); break;
	case 7: end_drain(model); break;
	case 8:
	case 9: see_notices(model); break;
	case 10:
	case 11: end_probe(model); break;
	case 12:
		if (fsm_awaits_quiet(&model->fsm) && chance(model, 30))
			tell(model, FSM_EV_QUIET, 0);
		break;
	case 13:
		if (watched && chance(model, model->renew_percent))
			tell(model, below(model, 4) ? FSM_EV_RENEW : FSM_EV_RENEW_NOW, at);
		break;
	case 14:
		if (watched && chance(model, 3))
			tell(model, FSM_EV_BROKEN, at);
		else if (watched && chance(model, 30) && !model->hung[model->ours[at]] &&
			model->sent[model->ours[at]])
			tell(model, FSM_EV_SILENT, at);
		else if (chance(model, 30))
			answer_all(model);
		else if (below(model, 20000) == 0)
			tell(model, FSM_EV_GONE, 0);
		break;
	default: tell(model, FSM_EV_TICK, 0); break;
	}
	if (chance(model, 50))
		pass_time(model, below(model, DRIVER_MS));
	if (chance(model, 10)) {
		driver_sees_all(model);
		pass_time(model, below(model, 1 << below(model, 18)));
	}
}

/* --- how an episode ends */

/* All that is under way comes to its end, and the server answers. */
static void benign_turn(struct model *model)
{
	driver_sees_all(model);
	answer_all(model);
	end_receivers(model);
	end_attempt(model, true);
	end_probe(model);
	end_drain(model);
	if (fsm_awaits_quiet(&model->fsm))
		tell(model, FSM_EV_QUIET, 0);
	driver_sees_all(model);
	end_receivers(model);
	end_probe(model);
}

static bool all_links_serve(const struct fsm *fsm)
{
	for (unsigned i = 0; i < fsm->link_count; i++)
		if (fsm->links[i].state != FSM_LINK_ALIVE || !fsm->links[i].proven)
			return false;
	return true;
}

/* Does it, and does the state function know? */
static bool device_serves(const struct model *model)
{
	for (unsigned i = 0; i < model->fsm.link_count; i++)
		if (!model->hung[model->slot[i]])
			return fsm_is_serving(&model->fsm);
	return false;
}

static void sooner(int64_t *at_ms, int64_t other_ms)
{
	if (other_ms >= 0 && (*at_ms < 0 || other_ms < *at_ms))
		*at_ms = other_ms;
}

/* All that is due. When the next is: -1: never. */
static int64_t punctual_turn(struct model *model, int64_t *let_go_ms)
{
	int64_t next_ms = -1;

	for (unsigned i = 0; i < model->fsm.link_count; i++) {
		if (!model->hung[model->slot[i]])
			continue;
		if (model->now_ms >= model->ends_at_ms[i])
			driver_sees(model, i);
		else
			sooner(&next_ms, model->ends_at_ms[i]);
		if (model->slot_ended[i] && model->slot_free_at_ms[i] > *let_go_ms)
			*let_go_ms = model->slot_free_at_ms[i];
	}
	see_notices(model);
	end_receivers(model);
	if (model->negotiating &&
		model->now_ms >= model->attempt_until_ms - ATTEMPT_MS + NEGOTIATION_MS)
		end_attempt(model, true);
	end_probe(model);
	if (model->negotiating)
		sooner(&next_ms, model->attempt_until_ms - ATTEMPT_MS + NEGOTIATION_MS);
	sooner(&next_ms, fsm_deadline_ms(&model->fsm));
	return next_ms;
}

/* Progress: a server that answers, links that hang up, and a driver that takes its time. */
static void hang_up_at_rest(struct model *model)
{
	bool all = chance(model, 60), serves = false;
	int64_t let_go_ms, bound_ms = SERVES_AGAIN_MS + HAND_OVER_MS;
	unsigned turns = 0;

	pass_time(model, 1000 + below(model, 10000)); /* no short lives */
	benign_turn(model);
	if (!all_links_serve(&model->fsm) || model->fsm.phase != FSM_RUNNING)
		return;
	let_go_ms = model->now_ms;
	for (unsigned i = 0; i < model->fsm.link_count; i++) {
		if (all || chance(model, 50))
			model->hung[model->slot[i]] = true;
		model->ends_at_ms[i] =
			model->now_ms + (chance(model, 50) ? 0 : below(model, DRIVER_MS));
	}
	see_hangups(model);
	for (; turns < 50 + 20 * model->fsm.link_count && model->fsm.phase == FSM_RUNNING;
		turns++) {
		int64_t next_ms = punctual_turn(model, &let_go_ms);

		if (device_serves(model) && !serves) {
			serves = true;
			if (model->now_ms - let_go_ms > counts.slowest_ms)
				counts.slowest_ms = model->now_ms - let_go_ms;
		}
		if (all_links_serve(&model->fsm) && serves)
			break;
		if (next_ms >= 0)
			pass_time(model, next_ms - model->now_ms);
		check(model,
			serves || model->fsm.phase == FSM_FAILED ||
				model->now_ms <= let_go_ms + bound_ms);
	}
	if (model->fsm.phase == FSM_FAILED) {
		check(model,
			model->fsm.config.dead_timeout_ms <= DRIVER_MS + LETTING_GO_MS + bound_ms);
		return;
	}
	check(model, serves);
	check(model, all_links_serve(&model->fsm));
	check(model,
		model->now_ms <= let_go_ms + bound_ms +
				(NEGOTIATION_MS + HAND_OVER_MS) * model->fsm.link_count);
	counts.hang_ups++;
}

/* Progress: with a server that answers, every link is back within a few turns. */
static void end_in_good_weather(struct model *model)
{
	int64_t began_ms = model->now_ms, left_ms = model->fsm.config.dead_timeout_ms;
	unsigned turns = 0, limit = 20 + 4 * model->fsm.link_count;
	/* A pause that was begun in bad weather, and what comes after it: a proof has all its time
	 * if nobody looks. */
	int64_t bound_ms = PAUSE_LIMIT_MS + LETTING_GO_MS +
		(model->looks ? 2 * SERVES_AGAIN_MS : PAUSE_LIMIT_MS + PROVE_MS + SETTLE_MS);

	if (model->outage_since_ms >= 0)
		left_ms =
			model->outage_since_ms + model->fsm.config.dead_timeout_ms - model->now_ms;
	model->benign = true;
	for (; turns < limit && model->fsm.phase == FSM_RUNNING; turns++) {
		int64_t deadline_ms;

		benign_turn(model);
		deadline_ms = fsm_deadline_ms(&model->fsm);
		if (all_links_serve(&model->fsm))
			break;
		if (model->negotiating) /* it is answered in the next turn */
			pass_time(model, NEGOTIATION_MS);
		else if (deadline_ms >= 0)
			pass_time(model, deadline_ms - model->now_ms);
	}
	if (model->fsm.phase == FSM_FAILED) {
		check(model, left_ms <= bound_ms); /* it was too late already */
		return;
	}
	check(model, turns < limit);
	/* And what it believes is so. Of several links one may be wrongly believed in until its
	 * first use. */
	check(model, model->fsm.link_count > 1 || !model->slot_ended[0]);
	check(model, model->now_ms - began_ms <= bound_ms + 1000 * model->fsm.link_count);
	counts.rests++;
	for (unsigned rounds = model->looks ? 1 + below(model, 8) : 0;
		rounds && model->fsm.phase == FSM_RUNNING; rounds--)
		hang_up_at_rest(model);
}

/* The server is gone for good: the device fails at its dead-timeout, neither before nor after. */
static void end_in_silence(struct model *model)
{
	model->benign = true;
	for (int i = 0; i < model->socket_count; i++)
		model->hung[i] = true;
	for (unsigned turns = 0; turns < 2000 && model->fsm.phase == FSM_RUNNING; turns++) {
		int64_t wake_ms;

		driver_sees_all(model);
		end_receivers(model);
		end_probe(model);
		if (model->negotiating && chance(model, 50))
			end_attempt(model, false);
		wake_ms = fsm_deadline_ms(&model->fsm);
		pass_time(model, wake_ms < 0 ? ATTEMPT_MS : wake_ms - model->now_ms);
	}
	if (model->fsm.phase == FSM_RUNNING) {
		/* Of an unwatched link whose notice was lost before nothing is known. */
		for (unsigned i = 0; i < model->fsm.link_count; i++)
			check(model,
				model->fsm.config.dead_timeout_ms < 0 ||
					model->fsm.links[i].state != FSM_LINK_ALIVE ||
					!model->fsm.links[i].proven ||
					model->fsm.links[i].unwatched);
		return;
	}
}

static void check_failed(struct model *model)
{
	counts.failed++;
	check(model,
		model->failed_at_ms - model->outage_since_ms - model->fsm.config.dead_timeout_ms <
			HAND_OVER_MS);
	while (fsm_deadline_ms(&model->fsm) >= 0)
		pass_time(model, fsm_deadline_ms(&model->fsm) - model->now_ms);
	end_receivers(model);
	check(model, model->failures_told == 1);
	for (unsigned i = 0; i < 20; i++)
		random_turn(model);
	check(model, model->standby == NONE && !model->negotiating);
	check(model, model->failures_told == 1);
}

static void check_ended(struct model *model)
{
	counts.ended++;
	check(model, model->standby == NONE && !model->negotiating);
	for (unsigned i = 0; i < 20; i++)
		tell(model, (enum fsm_event_type)below(model, FSM_EV_COUNT),
			below(model, model->fsm.link_count));
}

static uint64_t number_from(const char *variable, uint64_t otherwise)
{
	const char *text = getenv(variable);

	return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

static void begin_episode(struct model *model)
{
	static const unsigned link_counts[] = {1, 1, 1, 1, 2, 2, 3, 4, 8};
	static const int64_t dead_timeouts_ms[] = {-1, 1000, 1500, 5000, 60000, 600000, 600000};
	struct fsm_config config = usual;
	unsigned count = below(model, 200) ?
		link_counts[below(model, sizeof(link_counts) / sizeof(link_counts[0]))] :
		LINKS_MAX;
	bool adopted = chance(model, 30);

	config.dead_timeout_ms = dead_timeouts_ms[below(
		model, sizeof(dead_timeouts_ms) / sizeof(dead_timeouts_ms[0]))];
	model->looks = chance(model, 50);
	if (model->looks) {
		config.notice_ms = NOTICE_MS;
		/* with 0 this test must fail */
		config.recheck_ms = (int64_t)number_from("FSM_RECHECK_MS", RECHECK_MS);
	}
	config.awaits_receivers = chance(model, 70);
	config.drains = chance(model, 70);
	fsm_init(&model->fsm, &config, count);
	model->slow_percent = below(model, 2) ? 5 : below(model, 101);
	model->now_ms = (int64_t)(draw(model) % 1000000000000);
	model->socket_count = 0;
	model->notices = 0;
	model->loses_notices = !adopted && chance(model, 50);
	model->trial_address = model->standby = NONE;
	model->negotiating = model->probing = model->draining = model->benign = false;
	model->queue_first = model->queue_count = 0;
	model->outage_since_ms = model->failed_at_ms = -1;
	model->failures_told = model->ends = 0;
	model->server_percent = below(model, 2) ? 95 : below(model, 101);
	model->storm_percent = 1 + below(model, 40);
	model->renew_percent = below(model, 60);
	for (unsigned i = 0; i < count; i++) {
		model->slot[i] = model->ours[i] = model->address[i] = new_socket(model);
		model->sent[model->slot[i]] = true;
		model->slot_ended[i] = false;
		if (!adopted || chance(model, 50))
			continue;
		model->fsm.links[i].unwatched = true;
		model->ours[i] = NONE;
		if (chance(model, 30))
			model->address[i] = NONE;
		else if (chance(model, 30))
			model->address[i] = new_socket(model); /* what is known is out of date */
	}
	counts.episodes++;
}

static void end_episode(struct model *model)
{
	if (model->fsm.phase == FSM_RUNNING) {
		if (chance(model, 60))
			end_in_good_weather(model);
		else if (chance(model, 80))
			end_in_silence(model);
		else
			tell(model, FSM_EV_GONE, 0);
	}
	counts.reconnects += model->fsm.reconnects;
	counts.renewals += model->fsm.renewals;
	if (model->fsm.phase == FSM_FAILED)
		check_failed(model);
	if (model->fsm.phase == FSM_ENDED)
		check_ended(model);
}

static struct model *new_model(uint64_t seed)
{
	struct model *model = calloc(1, sizeof(*model));

	assert_non_null(model);
	model->seed = number_from("FSM_SEED", 20240229);
	model->rng = model->seed + seed;
	model->limit = number_from("FSM_EVENTS", 300000);
	return model;
}

static void nothing_that_can_happen_leads_to_a_standstill(void **state)
{
	struct model *model = new_model(0);

	(void)state;
	while (model->events < model->limit) {
		unsigned turns;

		begin_episode(model);
		for (turns = 10 + below(model, 1500); turns && model->fsm.phase == FSM_RUNNING &&
			model->socket_count < SOCKETS_MAX / 2;
			turns--)
			random_turn(model);
		end_episode(model);
	}
	/* Each part of it must have been seen. */
	if (model->limit >= 100000)
		check(model,
			counts.cancels && counts.dropped && counts.not_taken && counts.renewals &&
				counts.reconnects && counts.failed && counts.ended &&
				counts.rests && counts.taken_at_a_look && counts.not_sent &&
				counts.hang_ups && counts.overdue && counts.drained &&
				counts.answered);
	if (getenv("FSM_EVENTS"))
		print_message(
			"# %llu events, %llu episodes: %llu negotiations, %llu cancelled; %llu "
			"handed over, %llu dropped before, %llu after; %llu reconnects, "
			"%llu renewals; %llu failed, %llu ended, %llu at rest\n"
			"# %llu handed over in vain, %llu looks, %llu taken at one, %llu not sent; "
			"%llu hang-ups at rest, at most %lld ms after the last slot was free\n",
			(unsigned long long)model->events, (unsigned long long)counts.episodes,
			(unsigned long long)counts.negotiations, (unsigned long long)counts.cancels,
			(unsigned long long)counts.handed, (unsigned long long)counts.dropped,
			(unsigned long long)counts.not_taken, (unsigned long long)counts.reconnects,
			(unsigned long long)counts.renewals, (unsigned long long)counts.failed,
			(unsigned long long)counts.ended, (unsigned long long)counts.rests,
			(unsigned long long)counts.in_vain, (unsigned long long)counts.looks,
			(unsigned long long)counts.taken_at_a_look,
			(unsigned long long)counts.not_sent, (unsigned long long)counts.hang_ups,
			(long long)counts.slowest_ms);
	free(model);
}

/* Events that make no sense, of links that do not exist: it may do foolish things then, but not
 * these. */
static void no_event_breaks_it(void **state)
{
	struct model *model = new_model(1);
	bool negotiating = false, standby = false;

	(void)state;
	for (; model->events < model->limit; model->events++) {
		struct fsm_event event = {(enum fsm_event_type)below(model, FSM_EV_COUNT + 2),
			below(model, model->fsm.link_count + 3), 0, (uint32_t)draw(model)};
		struct fsm_actions actions;
		uint64_t alive;
		enum fsm_phase phase;

		if (model->events % 500 == 0) {
			begin_episode(model);
			negotiating = standby = false;
		}
		if (event.type == FSM_EV_GONE && chance(model, 95))
			continue;
		if (below(model, 10) == 0)
			event.link = (unsigned)draw(model);
		event.now_ms = model->now_ms += below(model, 1 << below(model, 16));
		negotiating = negotiating && event.type != FSM_EV_NEGOTIATED &&
			event.type != FSM_EV_REFUSED && event.type != FSM_EV_ATTEMPT_FAILED;
		standby = standby ?
			event.type != FSM_EV_STANDBY_LOST && event.type != FSM_EV_HANDED_OVER &&
				event.type != FSM_EV_HAND_OVER_FAILED :
			event.type == FSM_EV_NEGOTIATED && model->fsm.work == FSM_WORK_NEGOTIATE;
		alive = alive_links(&model->fsm);
		phase = model->fsm.phase;
		fsm_step(&model->fsm, &event, &actions);
		trace(model, &event, &actions);
		for (unsigned i = 0; i < actions.count; i++) {
			check(model,
				actions.list[i].type != FSM_NEGOTIATE ||
					(!negotiating && !standby));
			check(model, actions.list[i].type != FSM_CANCEL || negotiating);
			check(model,
				(actions.list[i].type != FSM_DROP_STANDBY &&
					actions.list[i].type != FSM_HAND_OVER) ||
					standby);
			negotiating = actions.list[i].type == FSM_NEGOTIATE ||
				(negotiating && actions.list[i].type != FSM_CANCEL);
			standby = standby && actions.list[i].type != FSM_DROP_STANDBY;
		}
		check_actions(model, &actions, alive, phase);
		check_state(model);
		check(model,
			negotiating == (model->fsm.work == FSM_WORK_NEGOTIATE) &&
				standby == (model->fsm.work == FSM_WORK_STANDBY));
	}
	free(model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_device_that_works_is_left_alone),
		cmocka_unit_test(a_lost_link_is_replaced_as_soon_as_the_driver_lets_go_of_it),
		cmocka_unit_test(a_notice_that_never_comes_costs_the_settling_time),
		cmocka_unit_test(a_second_hang_up_of_the_same_link_is_no_news),
		cmocka_unit_test(somebody_elses_disconnect_ends_it_at_any_time),
		cmocka_unit_test(pauses_grow_and_are_bounded),
		cmocka_unit_test(a_proof_makes_the_pauses_short_again),
		cmocka_unit_test(an_outage_has_nothing_to_do_with_renewals_that_failed_before),
		cmocka_unit_test(an_offer_that_is_refused_is_asked_for_again_after_a_long_pause),
		cmocka_unit_test(a_refusal_counts_until_the_next_answer_only),
		cmocka_unit_test(
			links_that_die_right_after_their_proof_are_replaced_at_a_slower_pace),
		cmocka_unit_test(several_links_do_not_make_short_lives_faster),
		cmocka_unit_test(a_renewal_waits_for_a_quiet_moment),
		cmocka_unit_test(a_renewal_that_is_urgent_waits_for_nothing),
		cmocka_unit_test(an_outage_begins_with_the_shutting_of_the_only_link),
		cmocka_unit_test(a_renewal_that_becomes_urgent_waits_no_longer),
		cmocka_unit_test(a_renewal_without_a_quiet_moment_is_given_up_and_tried_again),
		cmocka_unit_test(a_renewal_that_cannot_be_negotiated_is_tried_again),
		cmocka_unit_test(a_link_that_dies_during_its_own_renewal_has_its_successor_ready),
		cmocka_unit_test(a_link_that_dies_while_its_renewal_is_negotiated_waits_for_that),
		cmocka_unit_test(a_link_that_dies_between_two_renewals_is_replaced_at_once),
		cmocka_unit_test(a_lost_link_goes_before_a_renewal),
		cmocka_unit_test(the_most_urgent_renewal_goes_first),
		cmocka_unit_test(a_renewed_link_that_dies_before_its_proof_is_reconnected),
		cmocka_unit_test(a_renewal_is_not_waited_for_by_a_link_that_was_replaced_meanwhile),
		cmocka_unit_test(a_standby_socket_that_is_lost_is_negotiated_anew),
		cmocka_unit_test(
			a_standby_socket_past_its_time_waits_for_a_slot_without_being_busy),
		cmocka_unit_test(a_hand_over_that_fails_is_tried_again),
		cmocka_unit_test(a_proof_that_runs_out_of_time_costs_the_link),
		cmocka_unit_test(a_link_that_dies_before_its_proof_is_no_proof),
		cmocka_unit_test(a_socket_that_the_driver_did_not_take_is_dropped),
		cmocka_unit_test(a_late_notice_ends_the_wait_of_a_socket_that_was_not_taken),
		cmocka_unit_test(a_hand_over_before_the_driver_let_go_is_done_again),
		cmocka_unit_test(
			a_hand_over_before_the_driver_let_go_is_noticed_after_an_empty_proof_too),
		cmocka_unit_test(
			a_late_notice_of_a_slot_that_is_tried_already_is_taken_for_its_own),
		cmocka_unit_test(a_link_that_nothing_was_sent_over_counts_until_its_first_use),
		cmocka_unit_test(a_link_that_does_not_answer_is_shut_and_replaced),
		cmocka_unit_test(
			a_silent_link_is_kept_and_its_server_asked_over_another_connection),
		cmocka_unit_test(a_silent_link_is_kept_while_its_server_answers_nothing),
		cmocka_unit_test(
			a_server_that_answers_nothing_for_the_dead_timeout_fails_the_device),
		cmocka_unit_test(a_silent_link_that_hangs_up_gets_the_connection_that_was_to_ask),
		cmocka_unit_test(a_silent_link_is_not_shut_for_its_renewal),
		cmocka_unit_test(a_new_link_whose_first_request_takes_long_is_kept),
		cmocka_unit_test(a_link_that_is_broken_is_shut_whatever_it_owes),
		cmocka_unit_test(an_urgent_renewal_waits_until_the_device_is_drained),
		cmocka_unit_test(room_is_made_on_a_drained_device_only),
		cmocka_unit_test(a_slot_whose_receiver_still_reads_gets_no_socket),
		cmocka_unit_test(io_that_the_driver_fails_by_itself_is_the_end),
		cmocka_unit_test(an_outage_may_be_older_than_the_supervisor),
		cmocka_unit_test(answers_that_nobody_waits_for_are_no_news),
		cmocka_unit_test(a_link_that_does_not_exist_is_left_alone),
		cmocka_unit_test(an_unwatched_link_that_was_dead_is_replaced),
		cmocka_unit_test(an_unwatched_link_that_lives_is_replaced_in_a_quiet_moment),
		cmocka_unit_test(an_unwatched_link_that_cannot_be_shut_is_left_until_it_dies),
		cmocka_unit_test(an_unwatched_link_that_dies_during_its_trial_is_replaced),
		cmocka_unit_test(a_trial_without_an_answer_leaves_the_former_link),
		cmocka_unit_test(an_unwatched_link_without_a_quiet_moment_is_replaced_by_force),
		cmocka_unit_test(an_unwatched_link_that_must_go_is_shut_at_once),
		cmocka_unit_test(a_trial_gives_way_to_a_link_that_is_lost),
		cmocka_unit_test(an_outage_does_not_wait_for_the_next_trial),
		cmocka_unit_test(an_unwatched_link_that_dies_while_its_successor_waits_gets_it),
		cmocka_unit_test(a_notice_is_for_the_link_that_is_seen_to_be_lost),
		cmocka_unit_test(a_slot_is_free_a_moment_after_its_notice),
		cmocka_unit_test(a_notice_at_the_end_of_the_settling_time_gets_its_moment_too),
		cmocka_unit_test(a_successor_that_stands_by_waits_for_that_moment),
		cmocka_unit_test(two_notices_are_for_two_lost_links),
		cmocka_unit_test(one_notice_is_for_one_of_two_lost_links),
		cmocka_unit_test(
			a_slot_that_was_taken_to_be_free_is_so_a_moment_after_its_late_notice),
		cmocka_unit_test(an_unwatched_link_is_free_a_moment_after_its_notice),
		cmocka_unit_test(a_link_under_proof_is_looked_at_now_and_then),
		cmocka_unit_test(a_look_that_is_late_is_made_once),
		cmocka_unit_test(an_outcome_at_the_time_of_a_look_goes_first),
		cmocka_unit_test(nobody_looks_unless_told_to),
		cmocka_unit_test(a_socket_on_trial_is_not_looked_at),
		cmocka_unit_test(a_link_that_dies_between_two_looks_is_not_looked_at_again),
		cmocka_unit_test(a_link_of_several_that_was_not_taken_is_negotiated_anew),
		cmocka_unit_test(a_link_of_several_that_is_never_taken_is_tried_at_a_slower_pace),
		cmocka_unit_test(an_answer_to_a_look_that_nobody_made_is_no_news),
		cmocka_unit_test(the_dead_timeout_ends_the_looks),
		cmocka_unit_test(a_device_with_a_link_left_is_never_given_up),
		cmocka_unit_test(every_one_of_many_links_comes_back),
		cmocka_unit_test(the_device_fails_exactly_at_its_dead_timeout),
		cmocka_unit_test(a_pause_does_not_outlast_the_dead_timeout),
		cmocka_unit_test(a_link_under_proof_is_shut_at_the_dead_timeout),
		cmocka_unit_test(a_successor_that_stands_by_is_dropped_at_the_dead_timeout),
		cmocka_unit_test(a_proof_begins_the_dead_timeout_anew),
		cmocka_unit_test(an_infinite_dead_timeout_never_comes),
		cmocka_unit_test(nothing_that_can_happen_leads_to_a_standstill),
		cmocka_unit_test(no_event_breaks_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
