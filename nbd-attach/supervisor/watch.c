/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor/watch.h"
#include "supervisor/proof.h"
#include "net/sock-destroy.h"
#include <errno.h>

static void on_hangup(void *owner, short revents)
{
	struct watched_link *link = owner;
	struct watch *watch = link->watch;
	bool has_moved = proof_has_moved(watch->attachment, &watch->engine->machine, link->at);

	if (revents & WATCH_HUNG_UP)
		engine_tell(watch->engine,
			&(struct machine_event){.type = EVENT_HANGUP,
				.link = link->at,
				.facts = has_moved ? FACT_MOVED : 0});
}

/* Of a Unix socket that was handed over before the former one's notice nobody knows whether the
 * driver has it. */
static bool only_a_notice_tells(const struct link *link, const struct machine_link *state)
{
	if (state->state == LINK_UNMONITORED)
		return sock_find(&link->local, &link->peer) != 0;
	return machine_link_is_up(state) && state->owes_notice && !link_is_tcp(link);
}

/* Some notices were lost: those links that only a notice tells of have to be looked up. One that
 * cannot be is taken to be among them: a socket that is offered for it in vain does no harm. */
static int count_vanished(const struct watch *watch)
{
	int count = 0;

	for (unsigned i = 0; i < watch->attachment->link_count; i++)
		if (only_a_notice_tells(
			    &watch->attachment->links[i], &watch->engine->machine.links[i]))
			count++;
	return count;
}

static void on_notices(void *owner, short revents)
{
	struct watch *watch = owner;
	int count = nbd_genl_read_notices(&watch->listener, watch->attachment->index);

	(void)revents;
	if (count == -ENOBUFS)
		count = count_vanished(watch);
	for (; count > 0; count--)
		engine_event(watch->engine, EVENT_NOTICE, 0);
}

int watch_listen(struct watch *watch, struct error *err)
{
	return nbd_genl_listen(&watch->listener, err);
}

void watch_begin(struct watch *watch, const struct attachment *attachment, struct engine *engine,
	struct loop *loop)
{
	watch->attachment = attachment;
	watch->engine = engine;
	for (unsigned i = 0; i < attachment->link_count; i++) {
		watch->links[i].watch = watch;
		watch->links[i].at = i;
		loop_add(loop, &watch->links[i].source, LOOP_HANGUP, on_hangup, &watch->links[i]);
	}
	loop_add(loop, &watch->notices, LOOP_NOTICE, on_notices, watch);
	loop_watch(&watch->notices, nbd_genl_listener_fd(&watch->listener), POLLIN);
}

void watch_update(struct watch *watch)
{
	for (unsigned i = 0; i < watch->attachment->link_count; i++) {
		bool is_up = machine_link_is_up(&watch->engine->machine.links[i]);
		int fd = is_up ? watch->attachment->links[i].fd : -1;

		if (watch->links[i].source.fd != fd)
			loop_watch(&watch->links[i].source, fd, POLLRDHUP);
	}
}

void watch_close(struct watch *watch)
{
	for (unsigned i = 0; i < LINKS_MAX; i++)
		loop_remove(&watch->links[i].source);
	loop_remove(&watch->notices);
	nbd_genl_close(&watch->listener);
}
