/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "machine-script.h"
#include <string.h>

#define TEXT_SIZE 4096

const struct machine_config script_config = {
	.dead_timeout_ms = DEAD_MS,
	.settle_ms = SETTLE_MS,
	.sample_ms = PROVE_MS,
	.prove_ms = PROVE_MS,
	.spare_ms = SPARE_MS,
	.renew_pause_ms = RENEW_PAUSE_MS,
	.slow_ms = SLOW_MS,
	.io_timeout_ms = IO_TIMEOUT_MS,
	.size_waits_for_io = true,
};

static const char *const refusals[] = {[GROWTH_CANNOT_RENEW] = "cannot renew",
	[GROWTH_TOLD_OLD_SIZE] = "told old size",
	[GROWTH_SERVER_AWAY] = "server away",
	[GROWTH_NEVER_IDLE] = "never idle"};

static bool is_left_out(enum machine_action_type type)
{
	return type == ACTION_SAVE || type == ACTION_TELL_LOST || type == ACTION_TELL_PROVEN ||
		type == ACTION_AWAIT_RECEIVER;
}

static size_t append(char *text, size_t size, size_t len, const char *more)
{
	int added = len < size ? snprintf(text + len, size - len, "%s", more) : 0;

	return len + (size_t)added;
}

static void describe(const struct machine_action *action, bool is_complete, char *text, size_t size)
{
	const char *name = machine_action_name(action->type);

	if (action->type == ACTION_RESIZE)
		snprintf(text, size, "%s %llu", name, (unsigned long long)action->size_bytes);
	else if (action->type == ACTION_REFUSE_GROWTH)
		snprintf(text, size, "%s: %s %u", name, refusals[action->refusal], action->link);
	else if (action->type == ACTION_NEGOTIATE && is_complete)
		snprintf(text, size, "%s %s %u", name, action->is_pinned ? "only" : "from",
			action->host);
	else if (machine_action_is_of_link(action->type))
		snprintf(text, size, "%s %u%s", name, action->link,
			action->is_renewal ? " for renewal" : "");
	else
		snprintf(text, size, "%s", name);
}

void format_actions(
	const struct machine_actions *actions, bool is_complete, char *text, size_t size)
{
	size_t len = 0;
	char one[96];

	*text = 0;
	for (unsigned i = 0; i < actions->count; i++) {
		if (!is_complete && is_left_out(actions->list[i].type))
			continue;
		describe(&actions->list[i], is_complete, one, sizeof(one));
		len = append(text, size, len, len ? ", " : "");
		len = append(text, size, len, one);
	}
}

struct script begin(unsigned link_count)
{
	struct script script = {.now_ms = 1000000};

	machine_init(&script.machine, &script_config, link_count);
	return script;
}

struct script begin_sampling(unsigned link_count)
{
	struct script script = begin(link_count);

	script.machine.config.notice_ms = NOTICE_MS;
	script.machine.config.sample_ms = SAMPLE_MS;
	return script;
}

static size_t step(struct script *script, const struct machine_event *event, char *text,
	size_t size, size_t len)
{
	struct machine_event stamped = *event;
	struct machine_actions actions;
	char more[TEXT_SIZE];

	stamped.now_ms = script->now_ms;
	stamped.random = 0x80000000;
	machine_step(&script->machine, &stamped, &actions);
	format_actions(&actions, script->compares_all, more, sizeof(more));
	len = append(text, size, len, len && *more ? ", " : "");
	len = append(text, size, len, more);
	for (unsigned i = 0; i < actions.count && !script->keeps_receivers; i++)
		if (actions.list[i].type == ACTION_AWAIT_RECEIVER)
			len = step(script,
				&(struct machine_event){
					.type = EVENT_RECEIVER_ENDED, .link = actions.list[i].link},
				text, size, len);
	return len;
}

void expect_event(struct script *script, int64_t after_ms, const struct machine_event *event,
	const char *actions, int line)
{
	char text[TEXT_SIZE] = "";

	script->now_ms += after_ms;
	step(script, event, text, sizeof(text), 0);
	if (strcmp(text, actions) != 0)
		fail_msg("line %d: after \"%s\" expected \"%s\", but it was \"%s\"", line,
			machine_event_name(event->type), actions, text);
}

void expect_deadline_at(struct script *script, int64_t after_ms, const char *actions, int line)
{
	const struct machine_event tick = {.type = EVENT_TICK};
	int64_t deadline_ms = machine_deadline_ms(&script->machine);

	if (deadline_ms != script->now_ms + after_ms)
		fail_msg("line %d: expected a deadline in %lld ms, but it was in %lld ms", line,
			(long long)after_ms, (long long)(deadline_ms - script->now_ms));
	expect_event(script, after_ms - 1, &tick, "", line);
	expect_event(script, 1, &tick, actions, line);
}

void expect_hand_over(struct script *script, unsigned link)
{
	char hand_over[32];

	snprintf(hand_over, sizeof(hand_over), "hand over %u", link);
	expect(script, 30, NEGOTIATED, 0, hand_over);
	expect(script, 0, HANDED_OVER, link, script->machine.config.is_isolated ? "" : "probe");
}

void expect_reconnect(struct script *script, unsigned link)
{
	expect_hand_over(script, link);
	expect_facts(script, 3, MOVED, link, FACT_COUNTED, "");
}

void expect_renewed(struct script *script, unsigned link)
{
	char hand_over[32];
	uint64_t renewals = script->machine.renewals, reconnects = script->machine.reconnects;

	snprintf(hand_over, sizeof(hand_over), "hand over %u", link);
	expect(script, 1, NOTICE, 0, hand_over);
	expect(script, 0, HANDED_OVER, link, "probe");
	assert_int_equal(script->machine.links[link].renewal, RENEWAL_SHUT);
	expect(script, 1, MOVED, link, "");
	assert_int_equal(script->machine.links[link].renewal, RENEWAL_NONE);
	assert_int_equal(script->machine.renewals, renewals + 1);
	assert_int_equal(script->machine.reconnects, reconnects);
}

void assert_at_rest(const struct script *script)
{
	assert_int_equal(script->machine.phase, PHASE_RUNNING);
	assert_int_equal(script->machine.work, WORK_NONE);
	assert_true(machine_is_serving(&script->machine));
	assert_int_equal(script->machine.outage_since_ms, -1);
	assert_int_equal(machine_deadline_ms(&script->machine), -1);
	assert_false(machine_awaits_idle(&script->machine));
}

void assert_given_up(struct script *script)
{
	assert_int_equal(script->machine.phase, PHASE_FAILED);
	assert_int_equal(machine_deadline_ms(&script->machine), -1);
	for (int type = 0; type <= EVENT_COUNT; type++) {
		const struct machine_event event = {.type = (enum machine_event_type)type};

		if (type != EVENT_GONE && type != EVENT_STOP && type != EVENT_GROW &&
			type != EVENT_GROW_SOMETIME)
			expect_event(script, 10000, &event, "", __LINE__);
	}
	assert_int_equal(machine_deadline_ms(&script->machine), -1);
}

void stay(struct script *script)
{
	(void)script;
}

void go_to_lost(struct script *script)
{
	expect(script, 0, HANGUP, 0, "");
}

void go_to_negotiate(struct script *script)
{
	go_to_lost(script);
	expect(script, 1, NOTICE, 0, "negotiate");
}

void go_to_pause(struct script *script)
{
	go_to_negotiate(script);
	expect(script, 1, NOT_NEGOTIATED, 0, "");
}

void go_to_spare(struct script *script)
{
	expect(script, 0, REKEY, 0, "negotiate");
	expect(script, 30, NEGOTIATED, 0, "");
	assert_true(machine_awaits_idle(&script->machine));
}

void go_to_prove(struct script *script)
{
	go_to_negotiate(script);
	expect_hand_over(script, 0);
}

void go_to_failed(struct script *script)
{
	go_to_negotiate(script);
	expect(script, DEAD_MS, TICK, 0, "cancel, fail device");
}

void assert_state(const struct script *script, unsigned at, enum link_state state)
{
	assert_int_equal(script->machine.links[at].state, state);
}

struct script begin_without_notice(unsigned link_count)
{
	struct script script = begin(link_count);

	expect(&script, 0, HANGUP, 0, "");
	expect_deadline(&script, SETTLE_MS, "negotiate");
	expect(&script, 30, NEGOTIATED, 0, "hand over 0");
	expect(&script, 0, HANDED_OVER, 0, "probe");
	return script;
}

struct script begin_sampling_proof(unsigned link_count)
{
	struct script script = begin_sampling(link_count);

	expect(&script, 0, HANGUP, 0, "");
	expect(&script, 1, NOTICE, 0, "");
	expect_deadline(&script, NOTICE_MS, "negotiate");
	expect(&script, 30, NEGOTIATED, 0, "hand over 0");
	expect(&script, 0, HANDED_OVER, 0, "probe");
	return script;
}

struct script begin_adopted(enum adopted_as how)
{
	struct script script = begin(1);

	machine_adopt_link(&script.machine, 0, how);
	return script;
}
