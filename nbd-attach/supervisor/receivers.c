/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor/receivers.h"
#include "base/clock.h"
#include "kernel/block-attr.h"
#include <string.h>

#define SAMPLE_MS 2
#define KEPT_MS 5000

static void close_oldest(struct receivers *receivers)
{
	struct link former = {.fd = receivers->former[0].fd};

	link_close(&former);
	memmove(&receivers->former[0], &receivers->former[1],
		--receivers->former_count * sizeof(receivers->former[0]));
}

static void on_closing(void *owner, short revents)
{
	struct receivers *receivers = owner;

	(void)revents;
	while (receivers->former_count && monotonic_now_ms() >= receivers->former[0].until_ms)
		close_oldest(receivers);
	if (receivers->former_count)
		loop_call_at(&receivers->closing, receivers->former[0].until_ms);
}

void receivers_keep(struct receivers *receivers, int fd)
{
	int64_t until_ms = monotonic_now_ms() + KEPT_MS;

	if (fd < 0)
		return;
	if (receivers->former_count == RECEIVERS_FORMER_MAX)
		close_oldest(receivers);
	receivers->former[receivers->former_count++] = (struct former_socket){fd, until_ms};
	loop_call_by(&receivers->closing, until_ms);
}

/* LOST or NOTICED: its receiver is sampled already, since it may end before the slot is free. */
static bool is_awaited(const struct receivers *receivers, unsigned at)
{
	const struct machine_link *link = &receivers->engine->machine.links[at];

	return !machine_link_is_up(link) && link->state != LINK_FREE;
}

static bool has_ended(struct receivers *receivers, unsigned at)
{
	uint64_t ended = receivers->log->kmsg.receivers_ended - receivers->ended_before[at],
		 lost = receivers->losses - receivers->losses_before[at];
	struct receiver_sample sample = {
		.now_ms = monotonic_now_ms(),
		.unread_bytes = link_unread_bytes(&receivers->attachment->links[at]),
		.log_is_read = receivers->log->kmsg.fd >= 0,
		.log_says_ended = ended >= lost && ended > 0,
		.several = receivers->attachment->link_count > 1,
		.in_flight = block_in_flight(receivers->attachment->index),
	};

	return receiver_has_ended(&receivers->links[at], &sample);
}

static void on_waiting(void *owner, short revents)
{
	struct receivers *receivers = owner;
	unsigned count = (unsigned)receivers->attachment->link_count;

	(void)revents;
	driver_log_read(receivers->log);
	for (unsigned i = 0; i < count; i++) {
		if (!is_awaited(receivers, i))
			continue;
		if (has_ended(receivers, i) &&
			receivers->engine->machine.links[i].state == LINK_RECEIVING)
			engine_event(receivers->engine, EVENT_RECEIVER_ENDED, i);
		if (is_awaited(receivers, i))
			loop_call_by(&receivers->waiting, monotonic_now_ms() + SAMPLE_MS);
	}
}

void receivers_init(struct receivers *receivers, const struct attachment *attachment,
	struct engine *engine, struct driver_log *log, struct loop *loop)
{
	*receivers = (struct receivers){.attachment = attachment, .engine = engine, .log = log};
	loop_add(loop, &receivers->waiting, LOOP_TIME, on_waiting, receivers);
	loop_add(loop, &receivers->closing, LOOP_TIME, on_closing, receivers);
}

void receivers_begin(struct receivers *receivers)
{
	for (unsigned i = 0; i < receivers->attachment->link_count; i++)
		receiver_begin(&receivers->links[i]);
	loop_call_at(&receivers->waiting, monotonic_now_ms());
}

void receivers_lost(struct receivers *receivers, unsigned at)
{
	receivers->losses++;
	receiver_begin(&receivers->links[at]);
	loop_call_by(&receivers->waiting, monotonic_now_ms());
}

void receivers_await(struct receivers *receivers, unsigned at)
{
	driver_log_read(receivers->log);
	if (has_ended(receivers, at))
		engine_outcome(receivers->engine, EVENT_RECEIVER_ENDED, at);
	loop_call_by(&receivers->waiting, monotonic_now_ms() + SAMPLE_MS);
}

void receivers_handed_over(struct receivers *receivers, unsigned at)
{
	receivers->ended_before[at] = receivers->log->kmsg.receivers_ended;
	receivers->losses_before[at] = receivers->losses;
}

bool receivers_have_lost(const struct receivers *receivers, unsigned at, bool is_silent)
{
	uint64_t ended = receivers->log->kmsg.receivers_ended - receivers->ended_before[at],
		 lost = receivers->losses - receivers->losses_before[at];

	return ended > lost && (receivers->attachment->link_count == 1 || is_silent);
}

void receivers_close(struct receivers *receivers)
{
	loop_remove(&receivers->waiting);
	loop_remove(&receivers->closing);
	while (receivers->former_count)
		close_oldest(receivers);
}
