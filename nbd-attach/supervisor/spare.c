/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor/spare.h"
#include "output/log.h"
#include "supervisor/watch.h"
#include <errno.h>

void spare_drop(struct spare *spare)
{
	loop_watch(&spare->socket, -1, 0);
	link_close(&spare->link);
}

static void on_socket(void *owner, short revents)
{
	struct spare *spare = owner;

	if (!(revents & WATCH_HUNG_UP))
		return;
	spare_drop(spare);
	engine_event(spare->engine, EVENT_SPARE_LOST, 0);
}

static void await_child(struct spare *spare)
{
	loop_watch(&spare->child, negotiation_poll_fd(&spare->negotiation), POLLIN);
	loop_call_at(&spare->child, negotiation_deadline_ms(&spare->negotiation));
}

static void refuse_offer(
	struct spare *spare, struct negotiation_result *result, const struct error *err)
{
	struct link refused = {.fd = result->fd};

	link_close(&refused);
	condition_note(spare->condition, LOG_ERR, "", err);
	engine_event(spare->engine, EVENT_REFUSED, 0);
}

static void accept_offer(struct spare *spare, struct negotiation_result *result, bool grown)
{
	struct attachment *attachment = spare->attachment;
	uint64_t size_bytes = attachment->export.size_bytes;

	if (!attachment->export_known) {
		attachment->export = result->export;
		attachment->export.size_bytes = size_bytes;
		attachment->names = spare->names;
		attachment->export_known = true;
	}
	growth_note_offer(spare->growth, grown ? result->export.size_bytes : 0);
	attachment_take_link(attachment, &spare->link, result);
	loop_watch(&spare->socket, spare->link.fd, POLLRDHUP);
	engine_tell(spare->engine,
		&(struct machine_event){.type = EVENT_NEGOTIATED,
			.host = spare->link.host_index,
			.size_bytes = spare->link.size_bytes});
}

static void on_child(void *owner, short revents)
{
	struct spare *spare = owner;
	struct negotiation_result result;
	struct error err;
	bool grown = false;
	int rc = negotiation_step(&spare->negotiation, &result, &err);

	(void)revents;
	await_child(spare);
	if (rc == 0)
		spare->keeps_credentials = false;
	else if (rc == -ETIMEDOUT && !spare->negotiation.stage_count)
		spare->keeps_credentials = true;
	if (rc < 0) {
		condition_note(spare->condition, LOG_WARNING, "cannot connect: ", &err);
		engine_event(spare->engine, EVENT_NOT_NEGOTIATED, 0);
	} else if (rc == 0) {
		if (attachment_check_offer(spare->attachment, &result.export, &grown, &err))
			refuse_offer(spare, &result, &err);
		else
			accept_offer(spare, &result, grown);
	}
}

void spare_init(struct spare *spare, struct attachment *attachment, struct engine *engine,
	struct condition *condition, struct growth *growth, struct loop *loop)
{
	*spare = (struct spare){.attachment = attachment,
		.engine = engine,
		.condition = condition,
		.growth = growth,
		.link = {.fd = -1}};
	loop_add(loop, &spare->child, LOOP_CHILD, on_child, spare);
	loop_add(loop, &spare->socket, LOOP_HANGUP, on_socket, spare);
}

void spare_negotiate(struct spare *spare, uint32_t host, bool is_pinned)
{
	struct negotiation_job job = attachment_job(spare->attachment, NEGOTIATION_ATTACH, true);
	struct error err;

	/* A hang-up is also how somebody else's disconnect looks. */
	if (!attachment_is_ours(spare->attachment)) {
		engine_outcome(spare->engine, EVENT_GONE, 0);
		return;
	}
	if (spare->engine->machine.attempts == 0)
		condition_tell_lost(spare->condition);
	job.verbose = false;
	job.names = spare->attachment->export_known ? NULL : &spare->names;
	job.first_host = host;
	job.only_first_host = is_pinned;
	job.keeps_credentials = spare->keeps_credentials;
	if (negotiation_start(&spare->negotiation, &job, &err) < 0) {
		condition_note(spare->condition, LOG_ERR, "cannot try to connect: ", &err);
		engine_outcome(spare->engine, EVENT_NOT_NEGOTIATED, 0);
	}
	await_child(spare);
}

void spare_cancel(struct spare *spare)
{
	if (negotiation_is_running(&spare->negotiation))
		negotiation_cancel(&spare->negotiation);
	await_child(spare);
}

struct link spare_take(struct spare *spare)
{
	struct link link = spare->link;

	loop_watch(&spare->socket, -1, 0);
	spare->link.fd = -1;
	return link;
}
