/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The machine in its surroundings: it is told one event after the other, what it says to each is
 * carried out before the next, its timeouts are kept, and its last steps are remembered. */
#ifndef NBDA_SUPERVISOR_ENGINE
#define NBDA_SUPERVISOR_ENGINE
#include "supervisor/attachment.h"
#include "supervisor/core/machine.h"
#include "supervisor/loop.h"

/* What is seen at once is told of each link, and each action leads to one event at most. */
#define ENGINE_EVENTS_MAX (4 * LINKS_MAX)
#define ENGINE_TRACE_STEPS 32
#define ENGINE_TRACE_ACTIONS 6

struct engine_owner {
	void (*carry_out)(void *self, const struct machine_action *action);
	/* All is told and carried out. */
	void (*settled)(void *self);
	void *self;
};

struct engine_trace {
	int64_t now_ms;
	enum machine_event_type event;
	unsigned link, action_count;
	struct {
		enum machine_action_type type;
		unsigned link;
	} actions[ENGINE_TRACE_ACTIONS]; /* the first of them */
};

struct engine {
	struct machine machine;
	struct engine_owner owner;
	struct machine_event events[ENGINE_EVENTS_MAX]; /* a ring */
	unsigned first, count;
	bool is_running;
	struct engine_trace trace[ENGINE_TRACE_STEPS]; /* a ring */
	uint64_t traced;
	struct loop_source timer;
};

void engine_init(struct engine *engine, const struct engine_owner *owner, struct loop *loop);
/* Tell it, and carry out what it says until it says nothing more. Within that it only waits for its
 * turn. Of EVENT the time and the randomness are added. */
void engine_tell(struct engine *engine, const struct machine_event *event);
void engine_event(struct engine *engine, enum machine_event_type type, unsigned link);
/* What an action led to goes before what else has happened. */
void engine_tell_outcome(struct engine *engine, const struct machine_event *event);
void engine_outcome(struct engine *engine, enum machine_event_type type, unsigned link);
/* Is the device configured, and ours? If not, that is told. Asked before anything is done to it. */
bool engine_owns_device(struct engine *engine, struct attachment *attachment);
/* One of the last steps, 0 the oldest: "-1.250 s: hang-up 0: save, tell lost 0". False: there is no
 * such step. Nothing is remembered of a step in which only time passed. */
bool engine_format_step(const struct engine *engine, unsigned at, char *buf, size_t size);

#endif
