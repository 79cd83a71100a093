/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor/growth.h"
#include "base/clock.h"
#include "output/log.h"
#include "kernel/block-attr.h"
#include <errno.h>

#define SOON_MS 1
#define CHECK_MS 50

static void reply_error(struct growth *growth, size_t client, const struct error *err)
{
	json_object *object = json_object_new_object();

	json_object_object_add(object, "ok", json_object_new_boolean(false));
	json_object_object_add(object, "error", json_object_new_string(err->text));
	json_object_object_add(object, "hint", json_object_new_string(err->hint));
	json_object_object_add(object, "exit_status", json_object_new_int(err->kind));
	control_reply(growth->control, client, object);
}

/* The end of a resize: tell the client that asked for it, unless that has hung up. */
static int end(struct growth *growth)
{
	int client = growth->client;

	growth->client = -1;
	return client >= 0 && control_has_client(growth->control, (size_t)client) ? client : -1;
}

static void fail(struct growth *growth, const struct error *err)
{
	int client = end(growth);

	log_message(LOG_ERR, "/dev/nbd%d keeps its size: %s", growth->attachment->index, err->text);
	if (client >= 0)
		reply_error(growth, (size_t)client, err);
}

static void succeed(struct growth *growth, uint64_t former_bytes)
{
	int client = end(growth);
	json_object *object;

	if (client < 0)
		return;
	object = json_object_new_object();
	json_object_object_add(object, "ok", json_object_new_boolean(true));
	json_object_object_add(object, "size_bytes",
		json_object_new_uint64(growth->attachment->export.size_bytes));
	json_object_object_add(object, "former_size_bytes", json_object_new_uint64(former_bytes));
	control_reply(growth->control, (size_t)client, object);
}

static int tell_driver(struct attachment *attachment, uint64_t size_bytes, struct error *err)
{
	struct nbd_genl_reconfigure params = {
		.index = attachment->index,
		.backend_identifier = attachment->backend,
		.fd = -1,
		.size_bytes = size_bytes,
	};
	uint64_t sectors = 0;
	int rc = nbd_genl_reconfigure(&attachment->genl, &params, err);

	if (rc)
		return rc;
	if (block_attr_read_u64(attachment->index, "size", &sectors) == 0 &&
		sectors * 512 == size_bytes)
		return 0;
	return error_set(err, ERROR_KERNEL, EIO,
		"the kernel took the new size and does not show it: it shows %llu bytes",
		(unsigned long long)sectors * 512);
}

void growth_resize(struct growth *growth, uint64_t size_bytes)
{
	struct attachment *attachment = growth->attachment;
	uint64_t former_bytes = attachment->export.size_bytes;
	struct error err;

	engine_outcome(growth->engine, EVENT_RESIZED, 0);
	if (size_bytes == former_bytes) { /* it knows, from a growth that ended meanwhile */
		succeed(growth, former_bytes);
		return;
	}
	if (tell_driver(attachment, size_bytes, &err)) {
		fail(growth, &err);
		return;
	}
	attachment->export.size_bytes = size_bytes;
	attachment->offered_size_bytes = 0;
	log_message(LOG_NOTICE, "/dev/nbd%d has grown from %llu to %llu bytes", attachment->index,
		(unsigned long long)former_bytes, (unsigned long long)size_bytes);
	record_save(growth->record);
	succeed(growth, former_bytes);
}

void growth_refuse(struct growth *growth, enum growth_refusal refusal, unsigned at)
{
	const struct attachment *attachment = growth->attachment;
	struct error err;

	switch (refusal) {
	case GROWTH_CANNOT_RENEW:
		error_set(&err, ERROR_BUSY, EBUSY,
			"a connection of the former supervisor cannot be renewed, and its server "
			"may hold to the old size");
		error_hint(&err, 0, "detach the device and attach it again");
		break;
	case GROWTH_TOLD_OLD_SIZE:
		error_set(&err, ERROR_SERVER, EINVAL, "%s told a new connection the old size",
			attachment->links[at].address);
		break;
	case GROWTH_SERVER_AWAY:
		error_set(&err, ERROR_UNREACHABLE, EIO, "its server is away, and I/O fails");
		break;
	case GROWTH_NEVER_IDLE:
		error_set(&err, ERROR_BUSY, EBUSY,
			"/dev/nbd%d was not without requests in flight for a moment in %d s",
			attachment->index,
			machine_growth_limit_ms(&growth->engine->machine) / 1000);
		error_hint(&err, 0,
			"the kernel can change the size only in such a moment: pause what uses it "
			"(fsfreeze, for a file system), and try again");
		break;
	}
	fail(growth, &err);
}

static void begin(struct growth *growth, enum machine_event_type type, uint64_t size_bytes)
{
	engine_tell(
		growth->engine, &(struct machine_event){.type = type, .size_bytes = size_bytes});
	loop_call_by(&growth->idle_check, monotonic_now_ms());
}

void growth_begin(struct growth *growth)
{
	if (growth->attachment->offered_size_bytes)
		begin(growth, EVENT_GROW_SOMETIME, growth->attachment->offered_size_bytes);
}

void growth_note_offer(struct growth *growth, uint64_t offered_bytes)
{
	struct attachment *attachment = growth->attachment;

	if (offered_bytes && attachment->offered_size_bytes != offered_bytes &&
		!growth_is_under_way(growth))
		log_message(LOG_NOTICE,
			"/dev/nbd%d: the export has grown from %llu to %llu bytes%s",
			attachment->index, (unsigned long long)attachment->export.size_bytes,
			(unsigned long long)offered_bytes,
			attachment->policy.auto_resize ?
				"" :
				"; the device keeps its size until: nbd-attach resize");
	attachment->offered_size_bytes = offered_bytes;
}

static void judge_offer(struct growth *growth, const struct export_geometry *offer)
{
	struct attachment *attachment = growth->attachment;
	struct error err;
	bool grown;
	int rc = attachment_check_offer(attachment, offer, &grown, &err);

	if (!rc && grown && offer->size_bytes % attachment->block_size_bytes)
		rc = error_set(&err, ERROR_SERVER, EINVAL,
			"the server's new size of %llu bytes is not a multiple of the device's "
			"block size of %u",
			(unsigned long long)offer->size_bytes, attachment->block_size_bytes);
	if (rc)
		fail(growth, &err);
	else if (grown)
		begin(growth, EVENT_GROW, offer->size_bytes);
	else
		succeed(growth, attachment->export.size_bytes);
}

static void await_answer(struct growth *growth)
{
	loop_watch(&growth->asking, negotiation_poll_fd(&growth->negotiation), POLLIN);
	loop_call_at(&growth->asking, negotiation_deadline_ms(&growth->negotiation));
}

static void on_answer(void *owner, short revents)
{
	struct growth *growth = owner;
	struct negotiation_result result;
	struct error err;
	int rc = negotiation_step(&growth->negotiation, &result, &err);

	(void)revents;
	await_answer(growth);
	if (rc < 0)
		fail(growth, &err);
	else if (rc == 0)
		judge_offer(growth, &result.export);
}

static bool is_anything_owed(const struct growth *growth)
{
	struct link_sample now;

	for (unsigned i = 0; i < growth->attachment->link_count; i++)
		if (link_sample(&growth->attachment->links[i], &now) == 0 && now.owed)
			return true;
	return false;
}

/* An idle moment is short: while it is drained, or somebody waits, none is to be missed. */
static void on_idle_check(void *owner, short revents)
{
	struct growth *growth = owner;
	const struct machine *machine = &growth->engine->machine;
	bool is_urgent = machine->is_draining || !machine->growth.is_background;

	(void)revents;
	if (!machine_is_growing(machine) || !engine_owns_device(growth->engine, growth->attachment))
		return;
	if (machine_growth_awaits_idle(machine) && !block_in_flight(growth->attachment->index) &&
		!is_anything_owed(growth) &&
		!sampling_is_stuck(&growth->sampler->sampling, monotonic_now_ms()))
		engine_event(growth->engine, EVENT_IDLE, 0);
	if (machine_is_growing(machine))
		loop_call_by(&growth->idle_check,
			monotonic_now_ms() +
				(machine_growth_awaits_idle(machine) && is_urgent ? SOON_MS :
										    CHECK_MS));
}

void growth_ask(struct growth *growth, size_t at)
{
	struct negotiation_job job = attachment_job(growth->attachment, NEGOTIATION_INFO, true);
	int index = growth->attachment->index;
	struct error err;

	job.verbose = false;
	if (negotiation_is_running(&growth->negotiation) || growth->client >= 0) {
		error_set(&err, ERROR_BUSY, EBUSY, "/dev/nbd%d is being resized already", index);
	} else if (!machine_is_serving(&growth->engine->machine)) {
		error_set(&err, ERROR_UNREACHABLE, ENOTCONN,
			"/dev/nbd%d has no connection to its server just now", index);
		error_hint(&err, 0, "see: nbd-attach status /dev/nbd%d", index);
	} else if (negotiation_start(&growth->negotiation, &job, &err) == 0) {
		growth->client = (int)at;
		await_answer(growth);
		return;
	}
	reply_error(growth, at, &err);
}

void growth_forget_client(struct growth *growth, size_t at)
{
	if (growth->client == (int)at)
		growth->client = -1;
}

bool growth_is_under_way(const struct growth *growth)
{
	return negotiation_is_running(&growth->negotiation) ||
		machine_is_growing(&growth->engine->machine);
}

void growth_init(struct growth *growth, struct attachment *attachment, struct engine *engine,
	struct sampler *sampler, struct record *record, struct control *control, struct loop *loop)
{
	*growth = (struct growth){.attachment = attachment,
		.engine = engine,
		.sampler = sampler,
		.record = record,
		.control = control,
		.client = -1};
	loop_add(loop, &growth->asking, LOOP_CHILD, on_answer, growth);
	loop_add(loop, &growth->idle_check, LOOP_TIME, on_idle_check, growth);
}

void growth_close(struct growth *growth)
{
	loop_remove(&growth->asking);
	loop_remove(&growth->idle_check);
	if (negotiation_is_running(&growth->negotiation))
		negotiation_cancel(&growth->negotiation);
}
