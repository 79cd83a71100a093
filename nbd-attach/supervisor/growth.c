/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Growing a device while it is in use. First each connection is renewed that was told the old size
 * when it was made: nbdkit holds to it, and answers with an error what lies beyond. Then the size
 * is told to the driver in a message of its own, and only while nothing is in flight: since Linux
 * 6.9 the driver waits for what is in flight under its own lock, and were a link to die just then,
 * nothing could be put right any more (kernel fact 9). A device under load has hardly such a moment
 * by itself; it is given one by a process that empties its queue. What cannot be seen is a flush in
 * flight (fact 25). */
#include "supervisor/internal.h"
#include "isolate/isolate.h"
#include "output/log.h"
#include "device/queue.h"
#include "supervisor/state-file.h"
#include "kernel/block-attr.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#define PAUSE_PATIENCE_MS 7500 /* for a pause in which a link can be renewed at no cost */
#define PATIENCE_MS 15000
#define QUICK_DRAIN_MS 1000
#define DRAINED_MS 1000 /* no flush is expected to take longer, or the next drain waits for it */
#define DRAIN_PAUSE_MIN_MS 50
#define DRAIN_PAUSE_MAX_MS 2000
#define LINKS_LOOK_MS 50

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

	log_message(LOG_ERR, "/dev/nbd%d keeps its size: %s", self->attachment->index, err->text);
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
	json_object_object_add(
		object, "size_bytes", json_object_new_uint64(self->attachment->export.size_bytes));
	json_object_object_add(object, "former_size_bytes", json_object_new_uint64(former_bytes));
	control_reply(&self->control, (size_t)client, object);
}

void supervisor_resize_cancel(struct supervisor *self)
{
	if (self->resize.state == RESIZE_ASKING)
		negotiation_cancel(&self->resize.attempt);
	job_abandon(&self->resize.drain);
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

	if (!rc &&
		(block_attr_read_u64(attachment->index, "size", &sectors) < 0 ||
			sectors * 512 != params.size_bytes))
		rc = error_set(&err, ERROR_KERNEL, EIO,
			"the kernel took the new size and does not show it: it shows %llu bytes",
			(unsigned long long)sectors * 512);
	if (rc) {
		fail(self, &err);
		return;
	}
	attachment->export.size_bytes = params.size_bytes;
	attachment->offered_size_bytes = 0;
	log_message(LOG_NOTICE, "/dev/nbd%d has grown from %llu to %llu bytes", attachment->index,
		(unsigned long long)former_bytes, (unsigned long long)params.size_bytes);
	state_save(attachment);
	succeed(self, former_bytes);
}

/* Without a pause in what users do, a link is shut under requests that then wait for its timer,
 * which is long with several (kernel fact 6). */
static int patience_ms(const struct supervisor *self)
{
	return PAUSE_PATIENCE_MS + attachment_io_timeout_ms(self->attachment) + PATIENCE_MS;
}

static void await_moment(struct supervisor *self, uint64_t size_bytes, bool patiently)
{
	self->resize.state = RESIZE_AGREED;
	self->resize.size_bytes = size_bytes;
	memset(self->resize.renewal_asked, 0, sizeof(self->resize.renewal_asked));
	self->resize.until_ms = patiently ? -1 : supervisor_now_ms() + patience_ms(self);
	self->resize.ready_since_ms = -1;
	self->resize.drain_at_ms = 0;
	self->resize.drained_until_ms = -1;
	self->resize.drain_pause_ms = DRAIN_PAUSE_MIN_MS;
}

void supervisor_resize_to(struct supervisor *self, uint64_t size_bytes)
{
	if (self->resize.state == RESIZE_NONE)
		await_moment(self, size_bytes, true);
}

static void judge_offer(struct supervisor *self, const struct export_geometry *offer)
{
	struct attachment *attachment = self->attachment;
	struct error err;
	bool grown;
	int rc = attachment_check_offer(attachment, offer, &grown, &err);

	if (!rc && grown && offer->size_bytes % attachment->block_size_bytes)
		rc = error_set(&err, ERROR_SERVER, EINVAL,
			"the server's new size of %llu bytes is not a multiple of the device's "
			"block size of %u",
			(unsigned long long)offer->size_bytes, attachment->block_size_bytes);
	if (rc)
		fail(self, &err);
	else if (grown)
		await_moment(self, offer->size_bytes, false);
	else
		succeed(self, attachment->export.size_bytes);
}

static void step_asking(struct supervisor *self)
{
	struct negotiation_result result;
	struct error err;
	int rc = negotiation_step(&self->resize.attempt, &result, &err);

	if (rc < 0)
		fail(self, &err);
	else if (rc == 0)
		judge_offer(self, &result.export);
}

static bool knows_size(const struct supervisor *self, unsigned at)
{
	return self->attachment->links[at].size_bytes >= self->resize.size_bytes;
}

/* In a moment without requests in flight, as for a new key; by force if there is none. */
static int renew_links(struct supervisor *self, struct error *err)
{
	bool by_force = self->resize.until_ms >= 0 &&
		supervisor_now_ms() >=
			self->resize.until_ms - patience_ms(self) + PAUSE_PATIENCE_MS;

	for (unsigned i = 0; i < self->fsm.link_count; i++) {
		const struct fsm_link *link = &self->fsm.links[i];

		if (link->state == FSM_LINK_ALIVE && link->unshuttable && !knows_size(self, i)) {
			error_set(err, ERROR_BUSY, EBUSY,
				"a connection of the former supervisor cannot be renewed, and its "
				"server may hold to the old size");
			return error_hint(err, -EBUSY, "detach the device and attach it again");
		}
		if (link->state != FSM_LINK_ALIVE || knows_size(self, i) || link->renew_now ||
			(link->renew && !by_force))
			continue;
		if (self->resize.renewal_asked[i] && !link->renew && !link->unwatched)
			return error_set(err, ERROR_SERVER, EINVAL,
				"%s told a new connection the old size",
				self->attachment->links[i].address);
		self->resize.renewal_asked[i] = true;
		supervisor_event(self, by_force ? FSM_EV_RENEW_NOW : FSM_EV_RENEW, i);
		self->next_sample_ms = supervisor_now_ms();
	}
	return 0;
}

/* Every link is alive, proven, and one whose server knows of the new size. */
static bool links_are_ready(const struct supervisor *self)
{
	for (unsigned i = 0; i < self->fsm.link_count; i++)
		if (self->fsm.links[i].state != FSM_LINK_ALIVE || !self->fsm.links[i].proven ||
			!knows_size(self, i))
			return false;
	return self->fsm.work != FSM_WORK_PROVE;
}

static bool freezes_for_size(void)
{
	struct utsname kernel;
	unsigned major, minor;

	return uname(&kernel) != 0 || sscanf(kernel.release, "%u.%u", &major, &minor) != 2 ||
		major > 6 || (major == 6 && minor >= 9);
}

/* Not under swap, where starting a process may have to wait for memory that only this one can get
 * back. That it fails is no matter: the moment may come without it. */
static void drain_if_due(struct supervisor *self)
{
	struct resize *resize = &self->resize;
	int64_t now_ms = supervisor_now_ms();

	if (job_is_running(&resize->drain) || now_ms < resize->drain_at_ms || isolate_is_entered())
		return;
	resize->drain_begun_ms = now_ms;
	(void)queue_drain_start(&resize->drain, self->attachment->index, NULL);
	resize->drain_at_ms = now_ms + resize->drain_pause_ms;
	resize->drain_pause_ms = resize->drain_pause_ms * 2 < DRAIN_PAUSE_MAX_MS ?
		resize->drain_pause_ms * 2 :
		DRAIN_PAUSE_MAX_MS;
}

static bool is_anything_owed(const struct supervisor *self)
{
	struct link_sample now;

	for (unsigned i = 0; i < self->fsm.link_count; i++)
		if (link_sample(&self->attachment->links[i], &now) == 0 && now.owed)
			return true;
	return false;
}

static void step_drain(struct supervisor *self)
{
	int rc = job_step(&self->resize.drain, NULL);
	int64_t now_ms = supervisor_now_ms();

	/* Where requests take long, so would those that slip in between the look and the message;
	 * and were the link to die then, nothing could be put right. A drain that cannot be done on
	 * this queue says nothing; then what is in flight has to be believed. */
	if ((rc == 0 && now_ms - self->resize.drain_begun_ms <= QUICK_DRAIN_MS) || rc == -ERANGE)
		self->resize.drained_until_ms = now_ms + DRAINED_MS;
}

static bool is_moment(struct supervisor *self)
{
	struct resize *resize = &self->resize;

	if (!links_are_ready(self)) {
		resize->ready_since_ms = -1;
		/* what is new need not wait with what a former link has lost (kernel fact 6) */
		if (self->fsm.link_count > 1)
			resize->drain_at_ms = supervisor_now_ms() +
				attachment_io_timeout_ms(self->attachment) + DRAIN_PAUSE_MAX_MS;
		return false;
	}
	if (resize->ready_since_ms < 0)
		resize->ready_since_ms = supervisor_now_ms();
	if (!freezes_for_size())
		return true;
	/* A flush in flight is told by TCP only as long as nothing that was sent later is answered
	 * (fact 25): so there must have been an empty queue a moment ago. */
	if (!block_in_flight(self->attachment->index) && !is_anything_owed(self) &&
		!sampling_is_stuck(&self->sampling, supervisor_now_ms()) &&
		(isolate_is_entered() || supervisor_now_ms() < resize->drained_until_ms))
		return true;
	if (supervisor_now_ms() >= resize->drained_until_ms)
		drain_if_due(self);
	return false;
}

static int give_up(struct supervisor *self, struct error *err)
{
	error_set(err, ERROR_BUSY, EBUSY,
		"/dev/nbd%d was not without requests in flight for a moment in %d s",
		self->attachment->index, patience_ms(self) / 1000);
	return error_hint(err, -EBUSY,
		"the kernel can change the size only in such a moment: pause what uses it "
		"(fsfreeze, for a file system), and try again");
}

void supervisor_resize_step(struct supervisor *self)
{
	struct error err;
	int rc;

	if (job_is_running(&self->resize.drain)) /* it may outlast the resize that it was for */
		step_drain(self);
	if (self->resize.state == RESIZE_ASKING)
		step_asking(self);
	if (self->resize.state != RESIZE_AGREED || !supervisor_check_ours(self))
		return;
	rc = self->fsm.phase == FSM_FAILED ?
		error_set(&err, ERROR_UNREACHABLE, EIO, "its server is away, and I/O fails") :
		renew_links(self, &err);
	if (!rc && is_moment(self))
		grow(self);
	else if (!rc && self->resize.until_ms >= 0 && supervisor_now_ms() >= self->resize.until_ms)
		rc = give_up(self, &err);
	if (rc)
		fail(self, &err);
}

int64_t supervisor_resize_deadline_ms(const struct supervisor *self)
{
	const struct resize *resize = &self->resize;

	if (resize->state == RESIZE_ASKING)
		return negotiation_deadline_ms(&resize->attempt);
	if (resize->state != RESIZE_AGREED)
		return -1;
	return supervisor_now_ms() +
		(job_is_running(&resize->drain) ||
					(resize->ready_since_ms >= 0 && resize->until_ms >= 0) ?
				1 :
				LINKS_LOOK_MS);
}

void supervisor_resize_ask(struct supervisor *self, size_t client)
{
	struct negotiation_job job = attachment_job(self->attachment, NEGOTIATION_INFO, true);
	struct error err;

	job.verbose = false;
	if (self->resize.state == RESIZE_ASKING || self->resize.client >= 0) {
		error_set(&err, ERROR_BUSY, EBUSY, "/dev/nbd%d is being resized already",
			self->attachment->index);
	} else if (!fsm_is_serving(&self->fsm)) {
		error_set(&err, ERROR_UNREACHABLE, ENOTCONN,
			"/dev/nbd%d has no connection to its server just now",
			self->attachment->index);
		error_hint(&err, 0, "see: nbd-attach status /dev/nbd%d", self->attachment->index);
	} else if (negotiation_start(&self->resize.attempt, &job, &err) == 0) {
		self->resize.state = RESIZE_ASKING;
		self->resize.client = (int)client;
		return;
	}
	reply_error(self, client, &err);
}
