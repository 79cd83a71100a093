/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the machine says, done: most of it by the part that owns the matter. */
#include "supervisor/wiring.h"
#include "base/clock.h"
#include "kernel/block-attr.h"
#include "net/sock-destroy.h"
#include "output/log.h"
#include <errno.h>
#include <string.h>

static void shut_link(struct supervisor *self, unsigned at)
{
	struct attachment *attachment = self->attachment;
	struct link *link = &attachment->links[at];
	struct error err;
	int rc;

	if (link->fd >= 0) {
		if (self->engine.machine.links[at].renewal == RENEWAL_SHUT)
			renewal_shut(&self->renewal, at);
		else
			link_shut(link);
		return;
	}
	rc = sock_destroy(&link->local, &link->peer, &err);
	if (rc && rc != -ENOENT) {
		log_message(LOG_NOTICE,
			"/dev/nbd%d: a link of the former supervisor stays unmonitored until it "
			"ends: %s",
			attachment->index, err.text);
		engine_outcome(&self->engine, EVENT_CANNOT_SHUT, at);
	}
}

/* --- giving the driver a socket */

static void refuse_hand_over(struct supervisor *self, unsigned at, int rc, const struct error *err)
{
	spare_drop(&self->spare);
	if (rc == -ENOTCONN)
		(void)attachment_is_ours(self->attachment);
	else if (rc)
		condition_note(&self->condition, LOG_ERR, "", err);
	engine_outcome(&self->engine, rc == -ENOTCONN ? EVENT_GONE : EVENT_NOT_HANDED_OVER, at);
}

/* What a successor has to know if we are killed in the next moment: by these addresses it finds
 * what the driver may have got. Its slot is free, so of the former link nothing is lost. */
static struct link put_in_place(struct supervisor *self, unsigned at)
{
	struct link *link = &self->attachment->links[at], former = *link;

	*link = spare_take(&self->spare);
	link->carries = false;
	link->base.completed = block_completed_count(self->attachment->index);
	record_save(&self->record);
	return former;
}

static void take_back(struct supervisor *self, unsigned at, const struct link *former)
{
	link_close(&self->attachment->links[at]);
	self->attachment->links[at] = *former;
}

/* What it says of a server that ends is about the links before this one. */
static void read_log_of_former(struct supervisor *self)
{
	self->error_replies_before = UINT64_MAX;
	driver_log_read(&self->log);
	self->error_replies_before = self->log.kmsg.error_replies;
}

static void note_hand_over(struct supervisor *self, unsigned at, const struct link *former)
{
	read_log_of_former(self);
	receivers_handed_over(&self->receivers, at);
	receivers_keep(&self->receivers, former->fd);
	sampler_forget(&self->sampler, at);
	manager_store_link(&self->manager, at);
	engine_outcome(&self->engine, EVENT_HANDED_OVER, at);
}

static void hand_over(struct supervisor *self, unsigned at)
{
	struct attachment *attachment = self->attachment;
	struct nbd_genl_reconfigure params = {.index = attachment->index,
		.backend_identifier = attachment->backend,
		.fd = self->spare.link.fd};
	struct link former;
	struct error err;
	int rc;

	read_log_of_former(self);
	/* a new socket would make it serve again, over lost writes (kernel fact revived-device) */
	rc = self->log.kmsg.io_failed;
	if (!rc && link_prepare(&self->spare.link, &err)) {
		rc = -1;
		condition_note(&self->condition, LOG_ERR, "", &err);
	}
	if (rc) {
		refuse_hand_over(self, at, 0, NULL);
		return;
	}
	former = put_in_place(self, at);
	rc = nbd_genl_reconfigure(&attachment->genl, &params, &err);
	if (rc) {
		take_back(self, at, &former);
		refuse_hand_over(self, at, rc, &err);
	} else {
		note_hand_over(self, at, &former);
	}
}

static void offer_again(struct supervisor *self, unsigned at)
{
	driver_log_read(&self->log);
	if (!self->log.kmsg.io_failed) /* as above */
		proof_offer_again(&self->proof, at);
}

static void drop_link(struct supervisor *self, unsigned at)
{
	struct link *link = &self->attachment->links[at];

	if (link->fd >= 0)
		link_shut(link);
	link_close(link);
	sampler_forget(&self->sampler, at);
	manager_store_link(&self->manager, at); /* that there is none */
}

static void sample(struct supervisor *self, unsigned at)
{
	if (self->engine.machine.links[at].state == LINK_UNPROVEN)
		proof_sample(&self->proof, at);
	else
		sampler_sample_link(&self->sampler, at);
}

static void look_up(struct supervisor *self, unsigned at)
{
	const struct link *link = &self->attachment->links[at];
	int rc = sock_find(&link->local, &link->peer);

	engine_tell_outcome(&self->engine,
		&(struct machine_event){.type = EVENT_LOOKED_UP,
			.link = at,
			.found = rc == 0      ? ADOPTED_FOUND :
				rc == -ENOENT ? ADOPTED_GONE :
						ADOPTED_UNKNOWN});
}

/* --- what has come of it */

static void on_proven(struct supervisor *self, unsigned at, bool is_renewal)
{
	self->attachment->links[at].carries = true;
	record_save(&self->record);
	condition_proven(&self->condition, at, is_renewal);
	expiry_update(&self->expiry); /* the files of our credentials may be others now */
	if (self->attachment->policy.auto_resize)
		growth_begin(&self->growth);
	sampler_sample_by(&self->sampler, monotonic_now_ms()); /* its rate is not known yet */
}

static void on_lost(struct supervisor *self, unsigned at, bool is_renewal)
{
	receivers_lost(&self->receivers, at);
	if (!is_renewal && condition_lost(&self->condition, at))
		driver_log_read(&self->log); /* it may have said why */
}

/* When an outage began has to outlive this process: the driver's own waiters go on counting. */
static void save(struct supervisor *self)
{
	const struct machine *machine = &self->engine.machine;

	self->attachment->outage_since_ms = machine->outage_since_ms;
	sampler_note_outage(&self->sampler);
	if (machine->phase == PHASE_FAILED && !self->attachment->failed)
		failed_begin(&self->failed);
	self->attachment->failed = self->attachment->failed || machine->phase == PHASE_FAILED;
	record_save(&self->record);
}

static void carry_out_for_link(struct supervisor *self, const struct machine_action *action)
{
	unsigned at = action->link;

	switch (action->type) {
	case ACTION_TELL_LOST: on_lost(self, at, action->is_renewal); break;
	case ACTION_TELL_PROVEN: on_proven(self, at, action->is_renewal); break;
	case ACTION_SHUT: shut_link(self, at); break;
	case ACTION_AWAIT_RECEIVER: receivers_await(&self->receivers, at); break;
	case ACTION_HAND_OVER: hand_over(self, at); break;
	case ACTION_OFFER_AGAIN: offer_again(self, at); break;
	case ACTION_SAMPLE: sample(self, at); break;
	case ACTION_LOOK_UP: look_up(self, at); break;
	case ACTION_DROP_LINK: drop_link(self, at); break;
	default: break;
	}
}

static void carry_out(void *owner, const struct machine_action *action)
{
	struct supervisor *self = owner;

	switch (action->type) {
	case ACTION_SAVE: save(self); break;
	case ACTION_NEGOTIATE:
		spare_negotiate(&self->spare, action->host, action->is_pinned);
		break;
	case ACTION_CANCEL: spare_cancel(&self->spare); break;
	case ACTION_DROP_SPARE: spare_drop(&self->spare); break;
	case ACTION_PROBE: proof_probe(&self->proof); break;
	case ACTION_DRAIN: renewal_drain(&self->renewal); break;
	case ACTION_FAIL_DEVICE: failed_fail_io(&self->failed); break;
	case ACTION_RESIZE: growth_resize(&self->growth, action->size_bytes); break;
	case ACTION_REFUSE_GROWTH:
		growth_refuse(&self->growth, action->refusal, action->link);
		break;
	case ACTION_DETACH: ending_detach(&self->ending, false); break;
	case ACTION_DETACH_FORCED: ending_detach(&self->ending, true); break;
	case ACTION_LEAVE: ending_leave(&self->ending); break;
	default: carry_out_for_link(self, action); break;
	}
}

static void settled(void *owner)
{
	struct supervisor *self = owner;
	bool awaits_idle = machine_awaits_idle(&self->engine.machine);

	watch_update(&self->watch);
	if (awaits_idle && !self->awaited_idle)
		sampler_sample_by(&self->sampler, monotonic_now_ms());
	self->awaited_idle = awaits_idle;
	condition_tell(&self->condition);
	ending_update(&self->ending);
}

struct engine_owner effects_of(struct supervisor *self)
{
	return (struct engine_owner){carry_out, settled, self};
}

/* --- what the driver says in the kernel's log */

/* An error reply is final (kernel fact error-reply-final). One of them can be kept from coming
 * again: a server that is shutting down (nbdkit on SIGTERM) answers so whatever it is sent, for as
 * long as it is sent something; requests that find no link wait instead. */
static void on_error_reply(struct supervisor *self)
{
	const struct kernel_log *log = &self->log.kmsg;

	if (log->last_error == ESHUTDOWN && log->error_replies > self->error_replies_before)
		engine_event(&self->engine, EVENT_SERVER_ENDS, 0);
	log_message(LOG_ERR,
		"/dev/nbd%d: the server answered requests with an error (%s; %llu so far, at "
		"least): that I/O has failed, and no reconnect can cure it",
		self->attachment->index, strerror(log->last_error),
		(unsigned long long)log->error_replies);
}

/* The driver has waited for a link for as long as it was told to, and fails what comes. */
static void on_failed_io(struct supervisor *self)
{
	if (self->engine.machine.phase != PHASE_RUNNING || ending_is_detaching(&self->ending) ||
		!engine_owns_device(&self->engine, self->attachment))
		return;
	condition_set_reason(&self->condition,
		"the kernel's driver has waited for a connection for too long, and has begun to "
		"fail I/O");
	engine_event(&self->engine, EVENT_IO_FAILED, 0);
}

void effects_on_news(void *owner, unsigned news)
{
	struct supervisor *self = owner;

	if (news & DRIVER_IS_STUCK)
		sampler_note_stuck(&self->sampler);
	if (news & DRIVER_ENDED_RECEIVER)
		sampler_note_receiver(&self->sampler);
	if (news & DRIVER_GOT_ERROR_REPLY)
		on_error_reply(self);
	if (news & DRIVER_HAS_FAILED_IO)
		on_failed_io(self);
}
