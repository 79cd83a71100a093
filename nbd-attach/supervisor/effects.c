/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The actions of the state function, and the events that they and what they started lead to. */
#include "supervisor/internal.h"
#include "isolate/isolate.h"
#include "supervisor/notify.h"
#include "device/queue.h"
#include "net/sock-destroy.h"
#include "supervisor/state-file.h"
#include "output/log.h"
#include "kernel/block-attr.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <unistd.h>

#define FAIL_AGAIN_MS 1000
#define RETIRED_MS 5000
#define LAST_ANSWERS_MS 20

void supervisor_note(
	struct supervisor *self, int priority, const char *what, const struct error *err)
{
	if (strcmp(self->reason, err->text) != 0)
		log_message(priority, "/dev/nbd%d: %s%s%s%s", self->attachment->index, what,
			err->text, *err->hint ? "; " : "", err->hint);
	memcpy(self->reason, err->text, sizeof(self->reason));
}

#define EVENTS_MAX (sizeof(((struct supervisor *)0)->events) / sizeof(struct fsm_event))

static struct fsm_event make_event(enum fsm_event_type type, unsigned link)
{
	struct fsm_event event = {.type = type, .link = link, .now_ms = supervisor_now_ms()};

	if (getrandom(&event.random, sizeof(event.random), GRND_NONBLOCK) < 0)
		event.random = (uint32_t)event.now_ms * 2654435761U;
	return event;
}

static void enqueue(struct supervisor *self, enum fsm_event_type type, unsigned link)
{
	if (self->event_count < EVENTS_MAX) /* each action leads to one event at most */
		self->events[(self->event_first + self->event_count++) % EVENTS_MAX] =
			make_event(type, link);
}

/* What an action led to goes before what else has happened. */
static void enqueue_outcome(struct supervisor *self, enum fsm_event_type type, unsigned link)
{
	if (self->event_count == EVENTS_MAX)
		return;
	self->event_first = (self->event_first + EVENTS_MAX - 1) % EVENTS_MAX;
	self->events[self->event_first] = make_event(type, link);
	self->event_count++;
}

bool supervisor_check_ours(struct supervisor *self)
{
	const struct attachment *attachment = self->attachment;

	if (block_backend_is(attachment->index, attachment->backend))
		return true;
	self->taken = self->taken || block_is_configured(attachment->index);
	if (self->fsm.phase != FSM_ENDED)
		supervisor_event(self, FSM_EV_GONE, 0);
	return false;
}

/* --- sockets that the driver had */

static void close_oldest(struct supervisor *self)
{
	static const struct linger none = {0};

	/* as link_close() */
	setsockopt(self->retired[0].fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
	close(self->retired[0].fd);
	memmove(&self->retired[0], &self->retired[1],
		--self->retired_count * sizeof(self->retired[0]));
}

void supervisor_close_retired(struct supervisor *self, bool forced)
{
	while (self->retired_count && (forced || supervisor_now_ms() >= self->retired[0].until_ms))
		close_oldest(self);
}

/* A receiver that is late has no reference of its own to the socket that it reads from: ours keeps
 * that alive meanwhile. */
static void retire(struct supervisor *self, struct link *link)
{
	if (link->fd < 0)
		return;
	if (self->retired_count == RETIRED_MAX)
		close_oldest(self);
	self->retired[self->retired_count++] =
		(struct retired){link->fd, supervisor_now_ms() + RETIRED_MS};
	link->fd = -1;
}

static void look_at_receiver(struct supervisor *self, unsigned at)
{
	const struct link *former = &self->attachment->links[at];
	uint64_t ended = self->log.receivers_ended - self->receivers_ended_before[at];
	struct receiver_look look = {
		.now_ms = supervisor_now_ms(),
		.log_is_read = self->log.fd >= 0,
		.log_says_ended = ended >= self->losses - self->losses_before[at] && ended > 0,
		.several = self->fsm.link_count > 1,
		.in_flight = block_in_flight(self->attachment->index),
	};

	if (former->fd < 0 || ioctl(former->fd, FIONREAD, &look.unread_bytes) < 0)
		look.unread_bytes = 0;
	if (receiver_has_ended(&self->receivers[at], &look))
		supervisor_event(self, FSM_EV_RECEIVER_ENDED, at);
}

void supervisor_step_receivers(struct supervisor *self)
{
	if (fsm_receiving_link(&self->fsm) < 0)
		return;
	kmsg_read(&self->log);
	for (unsigned i = 0; i < self->fsm.link_count; i++)
		if (self->fsm.links[i].state != FSM_LINK_ALIVE && self->fsm.links[i].receiving)
			look_at_receiver(self, i);
}

static void store_link(unsigned at, int fd)
{
	char name[STORED_FD_NAME_SIZE];

	if (!notify_can_store())
		return;
	snprintf(name, sizeof(name), "link-%u", at);
	notify_forget_fd(name);
	if (fd >= 0)
		notify_store_fd(name, fd);
}

/* While any link serves, another one must be to the same host: two hosts of which each holds a part
 * of the writes are no disk. */
static void choose_host(const struct supervisor *self, struct negotiation_job *job)
{
	job->first_host = self->fsm.attempts;
	for (unsigned i = 0; i < self->fsm.link_count; i++) {
		if (self->fsm.links[i].state != FSM_LINK_ALIVE)
			continue;
		job->first_host = self->attachment->links[i].host_index;
		/* A single one that nobody watches may be dead, and so may its host. */
		job->only_first_host = self->fsm.link_count > 1 || !self->fsm.links[i].unwatched;
	}
}

static void start_attempt(struct supervisor *self)
{
	struct attachment *attachment = self->attachment;
	struct negotiation_job job = attachment_job(attachment, NEGOTIATION_ATTACH, true);
	struct error err;

	/* A hang-up is also how somebody else's disconnect looks. */
	if (!block_backend_is(attachment->index, attachment->backend)) {
		self->taken = block_is_configured(attachment->index);
		enqueue_outcome(self, FSM_EV_GONE, 0);
		return;
	}
	if (self->lost_at_ms >= 0 && self->fsm.attempts == 0)
		log_message(LOG_WARNING, "/dev/nbd%d: the connection to %s is lost; reconnecting",
			attachment->index, self->lost_address);
	job.verbose = false;
	job.names = attachment->export_known ? NULL : &attachment->names;
	choose_host(self, &job);
	if (negotiation_start(&self->attempt, &job, &err) == 0) {
		self->attempting = true;
		return;
	}
	supervisor_note(self, LOG_ERR, "cannot try to connect: ", &err);
	enqueue_outcome(self, FSM_EV_ATTEMPT_FAILED, 0);
}

static void refuse_offer(
	struct supervisor *self, struct negotiation_result *result, const struct error *err)
{
	close(result->fd);
	supervisor_note(self, LOG_ERR, "", err);
	enqueue(self, FSM_EV_REFUSED, 0);
}

static void accept_offer(struct supervisor *self, struct negotiation_result *result, bool grown)
{
	struct attachment *attachment = self->attachment;
	uint64_t size_bytes = attachment->export.size_bytes;

	if (!attachment->export_known) {
		attachment->export = result->export;
		attachment->export.size_bytes = size_bytes;
		attachment->export_known = true;
	}
	if (grown && attachment->offered_size_bytes != result->export.size_bytes &&
		self->resize.state == RESIZE_NONE)
		log_message(LOG_NOTICE,
			"/dev/nbd%d: the export has grown from %llu to %llu bytes%s",
			attachment->index, (unsigned long long)size_bytes,
			(unsigned long long)result->export.size_bytes,
			attachment->options.auto_resize ?
				"" :
				"; the device keeps its size until: nbd-attach resize");
	attachment->offered_size_bytes = grown ? result->export.size_bytes : 0;
	attachment_take_link(attachment, &self->standby, result);
	enqueue(self, FSM_EV_NEGOTIATED, 0);
}

void supervisor_step_attempt(struct supervisor *self)
{
	struct negotiation_result result;
	struct error err;
	int rc = negotiation_step(&self->attempt, &result, &err);
	bool grown = false;

	if (rc == 1)
		return;
	self->attempting = false;
	if (rc) {
		supervisor_note(self, LOG_WARNING, "cannot connect: ", &err);
		enqueue(self, FSM_EV_ATTEMPT_FAILED, 0);
	} else if (attachment_check_offer(self->attachment, &result.export, &grown, &err)) {
		refuse_offer(self, &result, &err);
	} else {
		accept_offer(self, &result, grown);
	}
	supervisor_event(self, FSM_EV_TICK, 0);
}

static void shut_link(struct supervisor *self, unsigned at)
{
	struct link *link = &self->attachment->links[at];
	struct error err;
	int rc;

	if (link->fd >= 0) {
		/* What was sent since the look, or is in flight when it is done by force, is given
		 * some more time: its answer would be lost. */
		for (int waited_ms = 0; self->fsm.links[at].renewing &&
			waited_ms < LAST_ANSWERS_MS && block_in_flight(self->attachment->index);
			waited_ms++)
			poll(NULL, 0, 1);
		link_shut(link);
		return;
	}
	rc = sock_destroy(&link->local, &link->peer, &err);
	if (rc && rc != -ENOENT) {
		log_message(LOG_NOTICE,
			"/dev/nbd%d: a link of the former supervisor stays unwatched until it "
			"ends: %s",
			self->attachment->index, err.text);
		enqueue_outcome(self, FSM_EV_CANNOT_SHUT, at);
	}
}

static void hand_over(struct supervisor *self, unsigned at)
{
	struct attachment *attachment = self->attachment;
	struct nbd_genl_reconfigure params = {.index = attachment->index,
		.backend_identifier = attachment->backend,
		.fd = self->standby.fd};
	struct error err;
	int rc = link_prepare(&self->standby, &err);

	kmsg_read(&self->log);
	/* a new socket would make it serve again, over lost writes (kernel fact 51) */
	if (self->log.io_failed) {
		link_close(&self->standby);
		enqueue_outcome(self, FSM_EV_HAND_OVER_FAILED, at);
		return; /* supervisor_check_failure() */
	}
	if (!rc)
		rc = nbd_genl_reconfigure(&attachment->genl, &params, &err);
	if (rc) {
		link_close(&self->standby);
		if (rc == -ENOTCONN)
			self->taken = block_is_configured(attachment->index) &&
				!block_backend_is(attachment->index, attachment->backend);
		else
			supervisor_note(self, LOG_ERR, "", &err);
		enqueue_outcome(self, rc == -ENOTCONN ? FSM_EV_GONE : FSM_EV_HAND_OVER_FAILED, at);
		return;
	}
	kmsg_read(&self->log);
	self->error_replies_before = self->log.error_replies;
	self->receivers_ended_before[at] = self->log.receivers_ended;
	self->losses_before[at] = self->losses;
	if (self->fsm.trial)
		self->trial_former = attachment->links[at];
	retire(self, &attachment->links[at]);
	attachment->links[at] = self->standby;
	self->standby.fd = -1;
	sampling_forget(&self->sampling, at, supervisor_now_ms());
	/* Now, and not when it is proven: a successor must not take the former link's addresses for
	 * the device's. On trial they may be that. */
	if (!self->fsm.trial) {
		store_link(at, attachment->links[at].fd);
		state_save(attachment);
	}
	enqueue_outcome(self, FSM_EV_HANDED_OVER, at);
}

static void start_probe(struct supervisor *self)
{
	struct probe probe = attachment_probe(self->attachment);
	struct error err;

	/* One that hangs from a former link will be done by this one as well as a new one would. */
	if (!job_is_running(&self->probe) && probe_start(&self->probe, &probe, &err))
		supervisor_note(self, LOG_ERR, "cannot prove the new link: ", &err);
}

/* Was the new link dropped by the driver (kernel fact 4)? With one link the same socket can simply
 * be offered again: where the slot is taken, by it or by another, that does nothing. With several
 * it might end up in two slots. */
static void recheck(struct supervisor *self, unsigned at)
{
	struct attachment *attachment = self->attachment;
	struct link *link = &attachment->links[at];
	struct nbd_genl_reconfigure params = {.index = attachment->index,
		.backend_identifier = attachment->backend,
		.fd = link->fd};
	struct link_sample now;

	if (link_has_moved(link) && link_prove(link, NULL) == 0) {
		enqueue_outcome(self, FSM_EV_PROVEN, at);
		return;
	}
	if (isolate_is_entered())
		start_probe(self);
	if ((link->local.ss_family == AF_UNSPEC && attachment->link_count > 1) ||
		(link_sample(link, &now) == 0 && now.sent_bytes > link->base_sent_bytes))
		return;
	if (attachment->link_count > 1 && job_is_running(&self->resize.drain))
		return; /* the probe is held back, too */
	if (attachment->link_count > 1)
		enqueue_outcome(self, FSM_EV_NOT_SENT, at);
	else if (nbd_genl_reconfigure(&attachment->genl, &params, NULL) == -ENOTCONN)
		enqueue_outcome(self, FSM_EV_GONE, at);
}

/* Something was sent, and it is not answered: the server may be about to. Nothing was: there is
 * nothing to lose. */
static void judge_overdue(struct supervisor *self, unsigned at)
{
	enqueue_outcome(self,
		link_was_used(&self->attachment->links[at]) ? FSM_EV_SILENT : FSM_EV_BROKEN, at);
}

/* Not under swap: starting a process may have to wait for memory that only this link can get
 * back. */
static void start_renewal_drain(struct supervisor *self)
{
	struct error err;

	if (job_is_running(&self->renewal_drain))
		return; /* its end will say so, too */
	if (isolate_is_entered() ||
		queue_drain_start(&self->renewal_drain, self->attachment->index, &err))
		enqueue_outcome(self, FSM_EV_DRAINED, 0);
}

void supervisor_step_renewal_drain(struct supervisor *self)
{
	if (job_step(&self->renewal_drain, NULL) != 1)
		supervisor_event(self, FSM_EV_DRAINED, 0);
}

/* What waits will be sent again, and prove the link. Under swap, memory for another process may
 * have to wait for just that: there the probe is for when nothing has moved at the first look
 * (recheck). */
static void prove(struct supervisor *self)
{
	if (!isolate_is_entered() || self->fsm.trial)
		start_probe(self);
}

static void drop_link(struct supervisor *self, unsigned at)
{
	struct link *link = &self->attachment->links[at];

	if (link->fd >= 0)
		link_shut(link);
	link_close(link);
	if (self->fsm.trial) {
		*link = self->trial_former;
		link->fd = -1;
	}
	sampling_forget(&self->sampling, at, supervisor_now_ms());
}

/* The device stays configured: only its users know when they are done with it. */
void supervisor_fail_device(struct supervisor *self)
{
	struct attachment *attachment = self->attachment;
	struct error err;
	int peer_fd;

	if (!*self->reason)
		snprintf(self->reason, sizeof(self->reason), "the server did not come back");
	self->fail_again_at_ms = supervisor_now_ms() + FAIL_AGAIN_MS;
	if (attachment_fail_io(attachment, &peer_fd, &err))
		log_message(LOG_CRIT, "/dev/nbd%d: cannot end the wait of its I/O: %s",
			attachment->index, err.text);
	if (peer_fd < 0)
		return;
	if (self->fail_peer_fd >= 0)
		close(self->fail_peer_fd);
	self->fail_peer_fd = peer_fd;
}

static void carry_out(struct supervisor *self, const struct fsm_action *action)
{
	switch (action->type) {
	case FSM_NEGOTIATE: start_attempt(self); break;
	case FSM_CANCEL:
		if (self->attempting)
			negotiation_cancel(&self->attempt);
		self->attempting = false;
		break;
	case FSM_DROP_STANDBY: link_close(&self->standby); break;
	case FSM_SHUT: shut_link(self, action->link); break;
	case FSM_HAND_OVER: hand_over(self, action->link); break;
	case FSM_PROVE: prove(self); break;
	case FSM_RECHECK: recheck(self, action->link); break;
	case FSM_OVERDUE: judge_overdue(self, action->link); break;
	case FSM_DRAIN: start_renewal_drain(self); break;
	case FSM_DROP_LINK: drop_link(self, action->link); break;
	case FSM_FAIL_DEVICE: supervisor_fail_device(self); break;
	case FSM_END: self->done = true; break;
	}
}

static void on_proven(struct supervisor *self, unsigned at, bool renewal)
{
	struct attachment *attachment = self->attachment;
	int64_t ms = self->lost_at_ms < 0 ? 0 : supervisor_now_ms() - self->lost_at_ms;

	if (renewal)
		log_message(LOG_INFO, "/dev/nbd%d: the link to %s was renewed", attachment->index,
			attachment->links[at].address);
	else
		log_message(LOG_NOTICE, "/dev/nbd%d: reconnected to %s after %lld.%lld s",
			attachment->index, attachment->links[at].address, (long long)(ms / 1000),
			(long long)(ms % 1000 / 100));
	self->lost_at_ms = -1;
	for (unsigned i = 0; i < self->fsm.link_count; i++)
		if (self->fsm.links[i].state != FSM_LINK_ALIVE)
			self->lost_at_ms = supervisor_now_ms(); /* there are more to bring back */
	*self->reason = 0;
	store_link(at, attachment->links[at].fd);
	state_save(attachment);
	if (attachment->offered_size_bytes && attachment->options.auto_resize)
		supervisor_resize_to(self, attachment->offered_size_bytes);
	self->next_sample_ms = supervisor_now_ms(); /* its rate is not known yet */
}

/* A link is gone, and not for its renewal. */
static void note_loss(struct supervisor *self)
{
	for (unsigned i = 0; i < self->fsm.link_count && self->lost_at_ms < 0; i++) {
		if (self->fsm.links[i].state == FSM_LINK_ALIVE || self->fsm.links[i].renewing)
			continue;
		self->lost_at_ms = supervisor_now_ms();
		memcpy(self->lost_address, self->attachment->links[i].address,
			sizeof(self->lost_address));
		kmsg_read(&self->log);
	}
}

static uint64_t alive_links(const struct fsm *fsm)
{
	uint64_t alive = 0;

	for (unsigned i = 0; i < fsm->link_count; i++)
		alive |= (uint64_t)(fsm->links[i].state == FSM_LINK_ALIVE) << i;
	return alive;
}

/* Of each link that was lost now, the driver's receiver is waited for. */
static void note_losses(struct supervisor *self, uint64_t lost)
{
	for (unsigned i = 0; i < self->fsm.link_count; i++) {
		if (!(lost >> i & 1))
			continue;
		self->losses++;
		receiver_begin(&self->receivers[i]);
	}
}

/* When it began has to outlive this process: the driver's own waiters go on counting. */
static void save_outage(struct supervisor *self)
{
	self->attachment->outage_since_ms = self->fsm.outage_since_ms;
	state_save(self->attachment);
}

static void one_event(struct supervisor *self, const struct fsm_event *event)
{
	uint64_t reconnects = self->fsm.reconnects, renewals = self->fsm.renewals;
	bool proves_other = event->type == FSM_EV_PROVEN && event->link < self->fsm.link_count;
	unsigned at = proves_other ? event->link : self->fsm.work_link;
	int64_t outage_since_ms = self->fsm.outage_since_ms;
	uint64_t alive = alive_links(&self->fsm);
	struct fsm_actions actions;

	fsm_step(&self->fsm, event, &actions);
	note_losses(self, alive & ~alive_links(&self->fsm));
	note_loss(self);
	if (self->fsm.reconnects != reconnects || self->fsm.renewals != renewals)
		on_proven(self, at, self->fsm.renewals != renewals);
	if ((outage_since_ms < 0) != (self->fsm.outage_since_ms < 0))
		save_outage(self);
	if (self->fsm.phase == FSM_FAILED && !self->attachment->failed) {
		self->attachment->failed = true;
		state_save(self->attachment);
	}
	for (unsigned i = 0; i < actions.count; i++)
		carry_out(self, &actions.list[i]);
}

void supervisor_event(struct supervisor *self, enum fsm_event_type type, unsigned link)
{
	bool awaited_quiet = fsm_awaits_quiet(&self->fsm);

	enqueue(self, type, link);
	while (self->event_count) {
		struct fsm_event event = self->events[self->event_first];

		self->event_first = (self->event_first + 1) % EVENTS_MAX;
		self->event_count--;
		one_event(self, &event);
	}
	if (fsm_awaits_quiet(&self->fsm) && !awaited_quiet)
		self->next_sample_ms = supervisor_now_ms();
	supervisor_tell_state(self);
}

/* Has the link under proof carried data? PROBED: the read through the device was done. */
static void judge_proof(struct supervisor *self, bool probed)
{
	unsigned at = self->fsm.work_link;
	struct link *link = &self->attachment->links[at];
	struct error err;

	if (link_prove(link, &err) == -EPROTO) {
		supervisor_note(self, LOG_CRIT, "", &err);
		supervisor_event(self, FSM_EV_BROKEN, at);
	} else if (link_has_moved(link) ||
		(probed && link->local.ss_family == AF_UNSPEC && !self->fsm.trial)) {
		supervisor_event(self, FSM_EV_PROVEN, at);
	} else if (probed) {
		supervisor_event(self,
			self->attachment->link_count == 1 || self->fsm.trial ? FSM_EV_NOT_TAKEN :
									       FSM_EV_UNUSED,
			at);
	}
}

void supervisor_step_probe(struct supervisor *self)
{
	int rc = job_step(&self->probe, NULL);
	bool proving = self->fsm.work == FSM_WORK_PROVE;

	if (rc == 0 && !proving && self->fsm.link_count == 1 &&
		self->attachment->links[0].local.ss_family == AF_UNSPEC)
		supervisor_event(self, FSM_EV_PROVEN, 0); /* late, if at all */
	if (rc == 1 || !proving)
		return;
	if (rc < 0)
		log_message(LOG_WARNING, "/dev/nbd%d: a read of the first block fails: %s",
			self->attachment->index, strerror(-rc));
	/* A failure that came from the server is an answer. Any other moved nothing. */
	judge_proof(self, rc == 0);
	/* Others' requests may be under way over it: then its time goes on (FSM_OVERDUE). */
	if (rc < 0 && self->fsm.work == FSM_WORK_PROVE &&
		!link_was_used(&self->attachment->links[self->fsm.work_link]))
		supervisor_event(self, FSM_EV_BROKEN, self->fsm.work_link);
}
