/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor/engine.h"
#include "base/clock.h"
#include "base/random.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

static void on_timer(void *owner, short revents)
{
	(void)revents;
	engine_event(owner, EVENT_TICK, 0);
}

void engine_init(struct engine *engine, const struct engine_owner *owner, struct loop *loop)
{
	engine->owner = *owner;
	loop_add(loop, &engine->timer, LOOP_TIME, on_timer, engine);
}

static struct machine_event stamp(const struct machine_event *event)
{
	struct machine_event stamped = *event;

	stamped.now_ms = monotonic_now_ms();
	stamped.random = random_for_jitter();
	return stamped;
}

static void remember(struct engine *engine, const struct machine_event *event,
	const struct machine_actions *actions)
{
	struct engine_trace *trace = &engine->trace[engine->traced % ENGINE_TRACE_STEPS];

	if (!actions->count && (event->type == EVENT_TICK || event->type == EVENT_IDLE))
		return;
	*trace = (struct engine_trace){.now_ms = event->now_ms,
		.event = event->type,
		.link = event->link,
		.action_count = actions->count};
	for (unsigned i = 0; i < actions->count && i < ENGINE_TRACE_ACTIONS; i++) {
		trace->actions[i].type = actions->list[i].type;
		trace->actions[i].link = actions->list[i].link;
	}
	engine->traced++;
}

static void one_event(struct engine *engine)
{
	const struct machine_event event = engine->events[engine->first];
	struct machine_actions actions;

	engine->first = (engine->first + 1) % ENGINE_EVENTS_MAX;
	engine->count--;
	machine_step(&engine->machine, &event, &actions);
	remember(engine, &event, &actions);
	for (unsigned i = 0; i < actions.count; i++)
		engine->owner.carry_out(engine->owner.self, &actions.list[i]);
}

void engine_tell(struct engine *engine, const struct machine_event *event)
{
	assert(engine->count < ENGINE_EVENTS_MAX);
	engine->events[(engine->first + engine->count++) % ENGINE_EVENTS_MAX] = stamp(event);
	if (engine->is_running)
		return;
	engine->is_running = true;
	while (engine->count)
		one_event(engine);
	engine->is_running = false;
	loop_call_at(&engine->timer, machine_deadline_ms(&engine->machine));
	engine->owner.settled(engine->owner.self);
}

void engine_event(struct engine *engine, enum machine_event_type type, unsigned link)
{
	engine_tell(engine, &(struct machine_event){.type = type, .link = link});
}

void engine_tell_outcome(struct engine *engine, const struct machine_event *event)
{
	assert(engine->is_running && engine->count < ENGINE_EVENTS_MAX);
	engine->first = (engine->first + ENGINE_EVENTS_MAX - 1) % ENGINE_EVENTS_MAX;
	engine->events[engine->first] = stamp(event);
	engine->count++;
}

void engine_outcome(struct engine *engine, enum machine_event_type type, unsigned link)
{
	engine_tell_outcome(engine, &(struct machine_event){.type = type, .link = link});
}

bool engine_owns_device(struct engine *engine, struct attachment *attachment)
{
	if (attachment_is_ours(attachment))
		return true;
	if (!machine_is_over(&engine->machine))
		engine_event(engine, EVENT_GONE, 0);
	return false;
}

static size_t append(char *buf, size_t size, size_t len, const char *before, const char *name,
	bool has_link, unsigned link)
{
	int more = len >= size ? 0 :
		has_link       ? snprintf(buf + len, size - len, "%s%s %u", before, name, link) :
				 snprintf(buf + len, size - len, "%s%s", before, name);

	return len + (size_t)(more > 0 ? more : 0);
}

bool engine_format_step(const struct engine *engine, unsigned at, char *buf, size_t size)
{
	uint64_t first =
		engine->traced > ENGINE_TRACE_STEPS ? engine->traced - ENGINE_TRACE_STEPS : 0;
	const struct engine_trace *trace = &engine->trace[(first + at) % ENGINE_TRACE_STEPS];
	int64_t ago_ms = monotonic_now_ms() - trace->now_ms;
	size_t len;

	if (first + at >= engine->traced)
		return false;
	snprintf(buf, size, "-%lld.%03d s: ", (long long)(ago_ms / 1000), (int)(ago_ms % 1000));
	len = append(buf, size, strlen(buf), "", machine_event_name(trace->event),
		machine_event_is_of_link(trace->event), trace->link);
	for (unsigned i = 0; i < trace->action_count && i < ENGINE_TRACE_ACTIONS; i++)
		len = append(buf, size, len, i ? ", " : ": ",
			machine_action_name(trace->actions[i].type),
			machine_action_is_of_link(trace->actions[i].type), trace->actions[i].link);
	if (trace->action_count > ENGINE_TRACE_ACTIONS)
		append(buf, size, len, ", ...", "", false, 0);
	return true;
}
