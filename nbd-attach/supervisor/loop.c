/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor/loop.h"
#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include "base/clock.h"

#define WAIT_MAX_MS 3600000

int64_t loop_earlier(int64_t one_ms, int64_t other_ms)
{
	if (one_ms < 0 || (other_ms >= 0 && other_ms < one_ms))
		return other_ms;
	return one_ms;
}

void loop_init(struct loop *loop)
{
	*loop = (struct loop){0};
}

void loop_add(struct loop *loop, struct loop_source *source, enum loop_order order,
	loop_function *call, void *owner)
{
	struct loop_source **at = &loop->first;

	assert(!source->loop && loop->source_count < LOOP_SOURCES_MAX);
	while (*at && (*at)->order <= order)
		at = &(*at)->next;
	*source = (struct loop_source){.next = *at,
		.loop = loop,
		.order = order,
		.call = call,
		.owner = owner,
		.fd = -1,
		.at_ms = LOOP_NEVER};
	*at = source;
	loop->source_count++;
}

void loop_remove(struct loop_source *source)
{
	struct loop_source **at;

	if (!source->loop)
		return;
	for (at = &source->loop->first; *at != source; at = &(*at)->next)
		;
	*at = source->next;
	source->loop->source_count--;
	*source = (struct loop_source){0};
}

void loop_watch(struct loop_source *source, int fd, short events)
{
	source->fd = fd;
	source->events = events;
	source->revents = 0;
	source->due = false;
}

void loop_call_at(struct loop_source *source, int64_t at_ms)
{
	source->at_ms = at_ms;
}

void loop_call_by(struct loop_source *source, int64_t at_ms)
{
	source->at_ms = loop_earlier(source->at_ms, at_ms);
}

static int timeout_ms(const struct loop *loop)
{
	int64_t at_ms = LOOP_NEVER, left_ms;

	for (const struct loop_source *source = loop->first; source; source = source->next)
		at_ms = loop_earlier(at_ms, source->at_ms);
	if (at_ms == LOOP_NEVER)
		return -1;
	left_ms = at_ms - monotonic_now_ms();
	return left_ms < 0 ? 0 : left_ms > WAIT_MAX_MS ? WAIT_MAX_MS : (int)left_ms;
}

/* Those that are due are marked before the first is called: what one call makes possible is for the
 * next round, where it stands in the right order. */
static void mark_due(struct loop *loop, const struct pollfd *fds, int64_t now_ms)
{
	for (struct loop_source *source = loop->first; source; source = source->next, fds++) {
		source->revents = source->fd >= 0 ? fds->revents : 0;
		source->due =
			source->revents || (source->at_ms != LOOP_NEVER && now_ms >= source->at_ms);
	}
}

static struct loop_source *find_due(const struct loop *loop)
{
	for (struct loop_source *source = loop->first; source; source = source->next)
		if (source->due)
			return source;
	return NULL;
}

static void call(struct loop_source *source, int64_t now_ms)
{
	short revents = source->revents;

	source->due = false;
	source->revents = 0;
	if (source->at_ms != LOOP_NEVER && now_ms >= source->at_ms)
		source->at_ms = LOOP_NEVER;
	source->call(source->owner, revents);
}

int loop_round(struct loop *loop)
{
	struct pollfd fds[LOOP_SOURCES_MAX];
	struct loop_source *source;
	unsigned count = 0;
	int64_t began_ms, took_ms;
	int rc;

	for (source = loop->first; source; source = source->next)
		fds[count++] = (struct pollfd){.fd = source->fd, .events = source->events};
	rc = loop_poll(fds, count, timeout_ms(loop));
	if (rc)
		return rc == -EINTR ? 0 : rc;
	began_ms = monotonic_now_ms();
	mark_due(loop, fds, began_ms);
	/* From the top each time: a call may have removed whatever comes next. */
	while ((source = find_due(loop)))
		call(source, began_ms);
	took_ms = monotonic_now_ms() - began_ms;
	if (took_ms > loop->longest_round_ms)
		loop->longest_round_ms = took_ms;
	return 0;
}
