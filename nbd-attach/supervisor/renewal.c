/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor/renewal.h"
#include "base/clock.h"
#include "device/queue.h"
#include "isolate/isolate.h"
#include "kernel/block-attr.h"
#include <errno.h>

#define QUICK_DRAIN_MS 1000
#define LAST_ANSWERS_MS 20
#define CHECK_MS 1
#define ANSWERS_SAMPLE_MS 10

/* Done quickly, or not possible on this queue: then what is in flight has to be believed. */
static void on_drained(void *owner, short revents)
{
	struct renewal *renewal = owner;
	int rc = job_step(&renewal->drain, NULL);
	int64_t took_ms = monotonic_now_ms() - renewal->drain_begun_ms;
	bool is_done = (rc == 0 && took_ms <= QUICK_DRAIN_MS) || rc == -ERANGE;

	(void)revents;
	if (rc == 1)
		return;
	loop_watch(&renewal->draining, -1, 0);
	engine_tell(renewal->engine,
		&(struct machine_event){.type = EVENT_DRAINED, .facts = is_done ? FACT_DONE : 0});
}

static bool owes_since_drain(const struct renewal *renewal, unsigned at)
{
	struct link_sample now;

	return link_sample(&renewal->attachment->links[at], &now) == 0 && now.owed &&
		now.received_bytes == renewal->received_before[at];
}

/* As many answers as requests were in flight: fewer may all be from before a server that hangs
 * ceased to answer. */
static bool is_answered(const struct renewal *renewal)
{
	int index = renewal->attachment->index;

	if (!block_in_flight(index))
		return true;
	if (block_answered_count(index) < renewal->answered_before + renewal->in_flight_before)
		return false;
	for (unsigned i = 0; i < renewal->attachment->link_count; i++)
		if (owes_since_drain(renewal, i))
			return false;
	return true;
}

/* Under --root, where no process is started for it, a link is taken to be free of requests that
 * take long when nothing is in flight, or while answers come. One among many that are quick is not
 * seen. */
static void on_answers(void *owner, short revents)
{
	struct renewal *renewal = owner;

	(void)revents;
	if (is_answered(renewal))
		engine_event(renewal->engine, EVENT_DRAINED, 0);
	else
		loop_call_at(&renewal->answers, monotonic_now_ms() + ANSWERS_SAMPLE_MS);
}

/* What is answered between the two samples counts as in flight. */
static void note_before(struct renewal *renewal)
{
	const struct attachment *attachment = renewal->attachment;
	struct link_sample now;

	renewal->in_flight_before = block_in_flight_count(attachment->index);
	renewal->answered_before = block_answered_count(attachment->index);
	for (unsigned i = 0; i < attachment->link_count; i++)
		if (link_sample(&attachment->links[i], &now) == 0)
			renewal->received_before[i] = now.received_bytes;
}

void renewal_drain(struct renewal *renewal)
{
	int index = renewal->attachment->index;
	struct error err;

	renewal->drain_begun_ms = monotonic_now_ms();
	note_before(renewal);
	/* starting a process may have to wait for memory that only this link can get back */
	if (isolate_is_entered() || queue_drain_start(&renewal->drain, index, &err))
		loop_call_at(&renewal->answers, renewal->drain_begun_ms);
	loop_watch(&renewal->draining, job_poll_fd(&renewal->drain), POLLIN);
}

/* What was sent since the sample, or is in flight when it is done by force, is given some more
 * time: its answer would be lost. */
static void shut_due(struct renewal *renewal)
{
	int64_t now_ms = monotonic_now_ms();
	bool in_flight = block_in_flight(renewal->attachment->index);

	for (unsigned i = 0; i < renewal->attachment->link_count; i++) {
		struct shutting *shutting = &renewal->links[i];

		if (!shutting->is_due)
			continue;
		if (in_flight && now_ms < shutting->until_ms) {
			loop_call_by(&renewal->shutting, now_ms + CHECK_MS);
			continue;
		}
		shutting->is_due = false;
		link_shut(&renewal->attachment->links[i]);
	}
}

static void on_shutting(void *owner, short revents)
{
	(void)revents;
	shut_due(owner);
}

void renewal_shut(struct renewal *renewal, unsigned at)
{
	renewal->links[at] = (struct shutting){true, monotonic_now_ms() + LAST_ANSWERS_MS};
	shut_due(renewal);
}

void renewal_init(struct renewal *renewal, struct attachment *attachment, struct engine *engine,
	struct loop *loop)
{
	*renewal = (struct renewal){.attachment = attachment, .engine = engine};
	loop_add(loop, &renewal->draining, LOOP_CHILD, on_drained, renewal);
	loop_add(loop, &renewal->shutting, LOOP_TIME, on_shutting, renewal);
	loop_add(loop, &renewal->answers, LOOP_TIME, on_answers, renewal);
}

void renewal_close(struct renewal *renewal)
{
	loop_remove(&renewal->draining);
	loop_remove(&renewal->shutting);
	loop_remove(&renewal->answers);
	job_abandon(&renewal->drain);
}
