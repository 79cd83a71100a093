/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor/watch.h"
#include "supervisor/proof.h"
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

static void on_notices(void *owner, short revents)
{
	struct watch *watch = owner;
	int count = nbd_genl_read_notices(&watch->listener, watch->attachment->index);

	(void)revents;
	if (count == -ENOBUFS)
		engine_event(watch->engine, EVENT_NOTICES_LOST, 0);
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
