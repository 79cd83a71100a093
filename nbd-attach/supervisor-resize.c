/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Growing a device while it is in use. First each connection is renewed that was told the old size when it was made: nbdkit holds to it, and
 * answers with an error what lies beyond. Then the size is told to the driver in a message of its own and only while nothing is in flight: the
 * driver freezes the queue for it and waits for what is in flight under its own lock, and were a link to die just then, nothing could
 * be put right any more (kernel fact 9). */
#include "supervisor-internal.h"
#include "supervisor-log.h"
#include "state-file.h"
#include "sysfs.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUIET_PATIENCE_MS 15000
#define QUIET_LOOK_MS 2

void supervisor_resize_init(struct supervisor *self)
{
	self->resize.state = RESIZE_NONE;
	self->resize.client = -1;
}

static void reply_error(struct supervisor *self, size_t client, const struct error *err)
{
	json_object *object = json_object_new_object();

	json_object_object_add(object, "ok", json_object_new_boolean(false));
	json_object_object_add(object, "error", json_object_new_string(err->text));
	json_object_object_add(object, "hint", json_object_new_string(err->hint));
	json_object_object_add(object, "exit_status", json_object_new_int(err->kind));
	control_reply(&self->control, client, object);
}

/* The end of a resize: tell whoever asked for it, unless he has hung up meanwhile. */
static int end(struct supervisor *self)
{
	int client = self->resize.client;

	self->resize.state = RESIZE_NONE;
	self->resize.client = -1;
	return client >= 0 && self->control.clients[client] >= 0 ? client : -1;
}

static void fail(struct supervisor *self, const struct error *err)
{
	int client = end(self);

	supervisor_log(LOG_ERR, "/dev/nbd%d keeps its size: %s", self->attachment->index, err->text);
	if (client >= 0)
		reply_error(self, (size_t)client, err);
}

static void succeed(struct supervisor *self, uint64_t former_bytes)
{
	int client = end(self);
	json_object *object;

	if (client < 0)
		return;
	object = json_object_new_object();
	json_object_object_add(object, "ok", json_object_new_boolean(true));
	json_object_object_add(object, "size_bytes", json_object_new_uint64(self->attachment->export.size_bytes));
	json_object_object_add(object, "former_size_bytes", json_object_new_uint64(former_bytes));
	control_reply(&self->control, (size_t)client, object);
}

void supervisor_resize_cancel(struct supervisor *self)
{
	if (self->resize.state == RESIZE_ASKING)
		attempt_cancel(&self->resize.attempt);
	self->resize.state = RESIZE_NONE;
}

static void grow(struct supervisor *self)
{
	struct attachment *attachment = self->attachment;
	struct nbd_genl_reconfigure params = {
		.index = attachment->index,
		.backend_identifier = attachment->backend,
		.fd = -1,
		.size_bytes = self->resize.size_bytes,
	};
	uint64_t former_bytes = attachment->export.size_bytes, sectors = 0;
	struct error err;
	int rc = nbd_genl_reconfigure(&attachment->genl, &params, &err);

	if (!rc && (sysfs_read_u64(attachment->index, "size", &sectors) < 0 || sectors * 512 != params.size_bytes))
		rc = error_set(&err, ERROR_KERNEL, EIO, "the kernel took the new size and does not show it: it shows %llu bytes", (unsigned long long)sectors * 512);
	if (rc) {
		fail(self, &err);
		return;
	}
	attachment->export.size_bytes = params.size_bytes;
	attachment->offered_size_bytes = 0;
	supervisor_log(LOG_NOTICE, "/dev/nbd%d has grown from %llu to %llu bytes", attachment->index, (unsigned long long)former_bytes,
		(unsigned long long)params.size_bytes);
	state_save(attachment);
	succeed(self, former_bytes);
}

static void await_quiet(struct supervisor *self, uint64_t size_bytes, int64_t patience_ms)
{
	self->resize.state = RESIZE_QUIET;
	self->resize.size_bytes = size_bytes;
	memset(self->resize.renewal_asked, 0, sizeof(self->resize.renewal_asked));
	self->resize.until_ms = patience_ms < 0 ? -1 : supervisor_now_ms() + patience_ms;
}

void supervisor_resize_to(struct supervisor *self, uint64_t size_bytes)
{
	if (self->resize.state == RESIZE_NONE)
		await_quiet(self, size_bytes, -1);
}

static void judge_offer(struct supervisor *self, const struct export_info *offer)
{
	struct attachment *attachment = self->attachment;
	struct error err;
	bool grown;
	int rc = attachment_check_offer(attachment, offer, &grown, &err);

	if (!rc && grown && offer->size_bytes % attachment->block_size_bytes)
		rc = error_set(&err, ERROR_SERVER, EINVAL, "the server's new size of %llu bytes is not a multiple of the device's block size of %u",
			(unsigned long long)offer->size_bytes, attachment->block_size_bytes);
	if (rc)
		fail(self, &err);
	else if (grown)
		await_quiet(self, offer->size_bytes, QUIET_PATIENCE_MS);
	else
		succeed(self, attachment->export.size_bytes);
}

static void step_asking(struct supervisor *self)
{
	struct attempt_result *result = calloc(1, sizeof(*result)); /* several export names: large */
	struct error err = {.kind = ERROR_OTHER, .text = "out of memory"};
	int rc = result ? attempt_step(&self->resize.attempt, result, &err) : -ENOMEM;

	if (!result)
		attempt_cancel(&self->resize.attempt);
	if (rc < 0)
		fail(self, &err);
	else if (rc == 0)
		judge_offer(self, &result->export);
	free(result);
}

static bool knows_size(const struct supervisor *self, unsigned at)
{
	return self->attachment->links[at].size_bytes >= self->resize.size_bytes || self->fsm.links[at].unshuttable;
}

/* In a moment without requests in flight, as for a new key; by force if there is none. */
static int renew_links(struct supervisor *self, struct error *err)
{
	bool by_force = self->resize.until_ms >= 0 && supervisor_now_ms() >= self->resize.until_ms - QUIET_PATIENCE_MS / 2;

	for (unsigned i = 0; i < self->fsm.link_count; i++) {
		const struct fsm_link *link = &self->fsm.links[i];

		if (link->state != FSM_LINK_ALIVE || knows_size(self, i) || link->renew_now || (link->renew && !by_force))
			continue;
		if (self->resize.renewal_asked[i] && !link->renew && !link->unwatched)
			return error_set(err, ERROR_SERVER, EINVAL, "%s told a new connection the old size", self->attachment->links[i].address);
		self->resize.renewal_asked[i] = true;
		supervisor_event(self, by_force ? FSM_EV_RENEW_NOW : FSM_EV_RENEW, i);
		self->look_at_ms = supervisor_now_ms();
	}
	return 0;
}

/* Every link is alive, proven, idle, and one whose server knows of the new size. */
static bool is_quiet(const struct supervisor *self)
{
	for (unsigned i = 0; i < self->fsm.link_count; i++)
		if (self->fsm.links[i].state != FSM_LINK_ALIVE || !self->fsm.links[i].proven || !knows_size(self, i))
			return false;
	return self->fsm.work != FSM_WORK_PROVE && !sysfs_in_flight(self->attachment->index);
}

void supervisor_resize_step(struct supervisor *self)
{
	struct error err;

	if (self->resize.state == RESIZE_ASKING)
		step_asking(self);
	if (self->resize.state != RESIZE_QUIET)
		return;
	if (renew_links(self, &err)) {
		fail(self, &err);
	} else if (is_quiet(self)) {
		grow(self);
	} else if (self->resize.until_ms >= 0 && supervisor_now_ms() >= self->resize.until_ms) {
		error_set(&err, ERROR_BUSY, EBUSY, "/dev/nbd%d was not without requests in flight for a moment in %d s", self->attachment->index, QUIET_PATIENCE_MS / 1000);
		error_hint(&err, 0, "the kernel can change the size only in such a moment: pause what uses it, and try again");
		fail(self, &err);
	}
}

int64_t supervisor_resize_deadline_ms(const struct supervisor *self)
{
	if (self->resize.state == RESIZE_ASKING)
		return self->resize.attempt.deadline_ms;
	if (self->resize.state == RESIZE_QUIET)
		return supervisor_now_ms() + (self->resize.until_ms < 0 ? 50 * QUIET_LOOK_MS : QUIET_LOOK_MS);
	return -1;
}

void supervisor_resize_ask(struct supervisor *self, size_t client)
{
	struct attempt_job job = attachment_job(self->attachment, ATTEMPT_INFO, true);
	struct error err;

	job.verbose = false;
	if (self->resize.state == RESIZE_ASKING || self->resize.client >= 0) {
		error_set(&err, ERROR_BUSY, EBUSY, "/dev/nbd%d is being resized already", self->attachment->index);
	} else if (!fsm_is_serving(&self->fsm)) {
		error_set(&err, ERROR_UNREACHABLE, ENOTCONN, "/dev/nbd%d has no connection to its server just now", self->attachment->index);
		error_hint(&err, 0, "see: nbd-attach status /dev/nbd%d", self->attachment->index);
	} else if (attempt_start(&self->resize.attempt, &job, &err) == 0) {
		self->resize.state = RESIZE_ASKING;
		self->resize.client = (int)client;
		return;
	}
	reply_error(self, client, &err);
}
