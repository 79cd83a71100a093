/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the supervisor decides: each rule as a script of events and the actions that must follow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "backoff.h"
#include "supervisor-fsm.h"

#define SETTLE_MS 200
#define PROVE_MS 30000
#define STANDBY_MS 60000
#define RENEW_PAUSE_MS 10000
#define DEAD_MS 600000
#define PAUSE_LIMIT_MS (BACKOFF_MAX_MS * 5 / 4)

static const struct fsm_config usual = {
	.dead_timeout_ms = DEAD_MS,
	.settle_ms = SETTLE_MS,
	.prove_ms = PROVE_MS,
	.standby_ms = STANDBY_MS,
	.renew_pause_ms = RENEW_PAUSE_MS,
};

static const char *const action_names[] = {"negotiate", "cancel", "drop-standby", "shut", "hand-over", "prove", "drop-link", "fail-device", "end"};

static bool names_link(enum fsm_action_type type)
{
	return type == FSM_SHUT || type == FSM_HAND_OVER || type == FSM_PROVE || type == FSM_DROP_LINK;
}

/* "shut 1, cancel" */
static void format_actions(const struct fsm_actions *actions, char *text, size_t size)
{
	size_t len = 0;

	*text = 0;
	for (unsigned i = 0; i < actions->count && len < size; i++) {
		const struct fsm_action *action = &actions->list[i];

		len += (size_t)snprintf(text + len, size - len, "%s%s", i ? ", " : "", action_names[action->type]);
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
static void expect_(struct script *script, int64_t after_ms, enum fsm_event_type type, unsigned link, const char *actions, int line)
{
	struct fsm_event event = {.type = type, .link = link, .now_ms = script->now_ms += after_ms, .random = 0x80000000};
	struct fsm_actions done;
	char text[2048];

	fsm_step(&script->fsm, &event, &done);
	format_actions(&done, text, sizeof(text));
	if (strcmp(text, actions) != 0)
		fail_msg("line %d: expected \"%s\", but it was \"%s\"", line, actions, text);
}

#define expect(script, after_ms, type, link, actions) expect_(script, after_ms, FSM_EV_##type, link, actions, __LINE__)
/* The deadline comes, so long after the last event. */
#define expect_deadline(script, after_ms, actions) \
	do { \
		assert_int_equal(fsm_deadline_ms(&(script)->fsm), (script)->now_ms + (after_ms)); \
		expect(script, (after_ms) - 1, TICK, 0, ""); \
		expect(script, 1, TICK, 0, actions); \
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
	expect_deadline(&script, BACKOFF_MAX_MS, "negotiate"); /* an eighth of 40.1 s, within its limit */
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
	static const int64_t pauses_ms[] = {0, BACKOFF_MIN_MS, 2 * BACKOFF_MIN_MS, 4 * BACKOFF_MIN_MS, 8 * BACKOFF_MIN_MS, 8 * BACKOFF_MIN_MS};
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

/* A server that lives for no longer than the first requests of a link, and never for both links at once. */
static void several_links_do_not_make_short_lives_faster(void **state)
{
	struct script script = begin(2);
	int64_t end_ms = script.now_ms + 10000;
	unsigned attempts = 0;

	(void)state;
	for (struct fsm_event event = {.type = FSM_EV_HANGUP, .now_ms = script.now_ms}; event.now_ms < end_ms;) {
		struct fsm_actions actions;

		fsm_step(&script.fsm, &event, &actions);
		event = (struct fsm_event){.type = FSM_EV_TICK, .now_ms = event.now_ms + 1};
		for (unsigned i = 0; i < actions.count; i++)
			attempts += actions.list[i].type == FSM_NEGOTIATE;
		if (actions.count && actions.list[actions.count - 1].type == FSM_HAND_OVER)
			event.type = FSM_EV_HANDED_OVER;
		else if (script.fsm.work == FSM_WORK_PROVE)
			event.type = FSM_EV_PROVEN;
		else if (script.fsm.links[0].state == FSM_LINK_ALIVE || script.fsm.links[1].state == FSM_LINK_ALIVE)
			event = (struct fsm_event){FSM_EV_HANGUP, script.fsm.links[0].state != FSM_LINK_ALIVE, event.now_ms, 0};
		else if (script.fsm.links[0].state == FSM_LINK_LOST || script.fsm.links[1].state == FSM_LINK_LOST)
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
	expect_deadline(&script, PROVE_MS, "shut 0");
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
	/* Were it tried again at once, a device whose slot nobody can free would keep its server busy for ever. */
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
	expect(&script, 50, SLOT_FREED, 0, "shut 0"); /* so the new socket is in no slot: why wait for its proof? */
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
	expect(&script, 0, SILENT, 0, "shut 0");
	expect(&script, 0, SILENT, 0, "");
	expect(&script, 1, SLOT_FREED, 0, "negotiate");
	expect(&script, 0, SILENT, 0, "");
	expect(&script, 30, NEGOTIATED, 0, "hand-over 0");
	expect(&script, 0, HANDED_OVER, 0, "prove 0");
	expect(&script, 5, SILENT, 0, "shut 0");
	expect(&script, 0, SLOT_FREED, 0, "");
	expect_deadline(&script, BACKOFF_MIN_MS, "negotiate");
	expect_reconnect(&script, 0);
	assert_int_equal(script.fsm.reconnects, 1);
}

static void answers_that_nobody_waits_for_are_no_news(void **state)
{
	static const enum fsm_event_type types[] = {FSM_EV_NEGOTIATED, FSM_EV_REFUSED, FSM_EV_ATTEMPT_FAILED, FSM_EV_STANDBY_LOST, FSM_EV_HANDED_OVER,
		FSM_EV_HAND_OVER_FAILED, FSM_EV_PROVEN, FSM_EV_NOT_TAKEN, FSM_EV_UNUSED, FSM_EV_QUIET, FSM_EV_CANNOT_SHUT};
	struct script script = begin(1);

	(void)state;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		expect_(&script, 1, types[i], 0, "", __LINE__);
	assert_at_rest(&script);
	assert_int_equal(script.fsm.reconnects, 0);
}

static void a_link_that_does_not_exist_is_left_alone(void **state)
{
	static const enum fsm_event_type types[] = {FSM_EV_HANGUP, FSM_EV_RENEW, FSM_EV_RENEW_NOW, FSM_EV_SILENT, FSM_EV_CANNOT_SHUT};
	static const unsigned links[] = {1, FSM_LINKS_MAX, UINT32_MAX};
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
	expect(&script, 30, NEGOTIATED, 0, "hand-over 0"); /* nothing is lost by it: the driver drops it unless the slot is free */
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

static void a_trial_without_an_answer_ends(void **state)
{
	struct script script = begin_unwatched();

	(void)state;
	expect_deadline(&script, PROVE_MS, "drop-link 0, negotiate");
	assert_true(script.fsm.links[0].tried);
	assert_true(fsm_is_serving(&script.fsm));
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
	struct script script = begin(FSM_LINKS_MAX);

	(void)state;
	for (unsigned i = 0; i < FSM_LINKS_MAX; i++)
		expect(&script, 0, HANGUP, i, "");
	for (unsigned i = 0; i < FSM_LINKS_MAX; i++)
		expect(&script, 0, SLOT_FREED, 0, i ? "" : "negotiate");
	for (unsigned i = 0; i < FSM_LINKS_MAX; i++) {
		char hand_over[32], prove[32];

		snprintf(hand_over, sizeof(hand_over), "hand-over %u", i);
		snprintf(prove, sizeof(prove), "prove %u", i);
		expect(&script, 5, NEGOTIATED, 0, hand_over);
		expect(&script, 0, HANDED_OVER, i, prove);
		expect(&script, 1, PROVEN, i, i + 1 < FSM_LINKS_MAX ? "negotiate" : "");
	}
	assert_int_equal(script.fsm.reconnects, FSM_LINKS_MAX);
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
	expect_deadline(&script, SETTLE_MS, "fail-device"); /* as soon as there is a slot to put the end into */
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
		cmocka_unit_test(links_that_die_right_after_their_proof_are_replaced_at_a_slower_pace),
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
		cmocka_unit_test(a_standby_socket_past_its_time_waits_for_a_slot_without_being_busy),
		cmocka_unit_test(a_hand_over_that_fails_is_tried_again),
		cmocka_unit_test(a_proof_that_runs_out_of_time_costs_the_link),
		cmocka_unit_test(a_link_that_dies_before_its_proof_is_no_proof),
		cmocka_unit_test(a_socket_that_the_driver_did_not_take_is_dropped),
		cmocka_unit_test(a_late_notice_ends_the_wait_of_a_socket_that_was_not_taken),
		cmocka_unit_test(a_hand_over_before_the_driver_let_go_is_done_again),
		cmocka_unit_test(a_hand_over_before_the_driver_let_go_is_noticed_after_an_empty_proof_too),
		cmocka_unit_test(a_late_notice_of_a_slot_that_is_tried_already_is_taken_for_its_own),
		cmocka_unit_test(a_link_that_nothing_was_sent_over_counts_until_its_first_use),
		cmocka_unit_test(a_link_that_does_not_answer_is_shut_and_replaced),
		cmocka_unit_test(answers_that_nobody_waits_for_are_no_news),
		cmocka_unit_test(a_link_that_does_not_exist_is_left_alone),
		cmocka_unit_test(an_unwatched_link_that_was_dead_is_replaced),
		cmocka_unit_test(an_unwatched_link_that_lives_is_replaced_in_a_quiet_moment),
		cmocka_unit_test(an_unwatched_link_that_cannot_be_shut_is_left_until_it_dies),
		cmocka_unit_test(an_unwatched_link_that_dies_during_its_trial_is_replaced),
		cmocka_unit_test(a_trial_without_an_answer_ends),
		cmocka_unit_test(an_unwatched_link_that_dies_while_its_successor_waits_gets_it),
		cmocka_unit_test(a_notice_is_for_the_link_that_is_seen_to_be_lost),
		cmocka_unit_test(a_device_with_a_link_left_is_never_given_up),
		cmocka_unit_test(every_one_of_many_links_comes_back),
		cmocka_unit_test(the_device_fails_exactly_at_its_dead_timeout),
		cmocka_unit_test(a_pause_does_not_outlast_the_dead_timeout),
		cmocka_unit_test(a_link_under_proof_is_shut_at_the_dead_timeout),
		cmocka_unit_test(a_successor_that_stands_by_is_dropped_at_the_dead_timeout),
		cmocka_unit_test(a_proof_begins_the_dead_timeout_anew),
		cmocka_unit_test(an_infinite_dead_timeout_never_comes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
