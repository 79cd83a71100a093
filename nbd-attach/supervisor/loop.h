/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One thread, one poll(). The owner of a descriptor, or of a time, has a source here: it adds it,
 * says what it waits for, and removes it. Nothing is allocated, and nothing here blocks but
 * poll() itself. */
#ifndef NBDA_SUPERVISOR_LOOP
#define NBDA_SUPERVISOR_LOOP
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#define LOOP_SOURCES_MAX 128
#define LOOP_NEVER (-1)

/* What happened in one round is told in this order, and within one order as sources were added. */
enum loop_order {
	/* the kernel's log: it says of receivers what those below have to know */
	LOOP_LOG,
	/* before notices: one of these does not say of which link it is */
	LOOP_HANGUP,
	LOOP_NOTICE,
	LOOP_CHILD,
	LOOP_CLIENT,
	LOOP_SIGNAL,
	/* what time alone brings comes after all that has happened */
	LOOP_TIME,
	LOOP_ORDER_COUNT
};

/* REVENTS is 0 when only the time has come: it was taken from the source before, and so was the
 * descriptor's turn. May add, change and remove any source, this one, too. */
typedef void loop_function(void *owner, short revents);

struct loop_source {
	struct loop_source *next; /* the rest is loop.c's */
	struct loop *loop;
	enum loop_order order;
	loop_function *call;
	void *owner;
	int fd; /* -1: none */
	short events, revents;
	bool due;
	int64_t at_ms; /* LOOP_NEVER: no time */
};

struct loop {
	struct loop_source *first;
	unsigned source_count;
	int64_t longest_round_ms;
};

void loop_init(struct loop *loop);
/* SOURCE lives until it is removed, and waits for nothing yet. */
void loop_add(struct loop *loop, struct loop_source *source, enum loop_order order,
	loop_function *call, void *owner);
/* Does nothing to one that was never added, if it is zeroed. */
void loop_remove(struct loop_source *source);
/* Wait for EVENTS of FD, which stays the caller's, in place of what was waited for; FD -1: for
 * none. What has happened to the former one in this round is not told any more. */
void loop_watch(struct loop_source *source, int fd, short events);
/* Call it at that time (monotonic), once, in place of the former one; LOOP_NEVER: not at all. */
void loop_call_at(struct loop_source *source, int64_t at_ms);
/* The same, unless it will be called earlier. */
void loop_call_by(struct loop_source *source, int64_t at_ms);

/* Wait until something happens, and tell it. 0, or -errno of poll(). */
int loop_round(struct loop *loop);

/* The earlier of two times. */
int64_t loop_earlier(int64_t one_ms, int64_t other_ms);

/* poll(), in a source of its own: a simulator has another. */
int loop_poll(struct pollfd *fds, unsigned count, int timeout_ms);

#endif
