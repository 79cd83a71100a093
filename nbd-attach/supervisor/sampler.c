/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What has to be looked at, since nobody says it: record numbers, silence, quiet moments, the
 * kernel's log. When to look is core/sampling.c's to say. */
#include "supervisor/internal.h"
#include "isolate/isolate.h"
#include "device/queue.h"
#include "output/log.h"
#include "kernel/block-attr.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

/* A device that has failed sends no notice when somebody detaches it. */
#define FAILED_LOOK_MS 5000
#define FAIL_AGAIN_COUNT 10
#define LOG_MUTED_MS 250
#define RECEIVER_LOST_MS 1000 /* as a rule its link hangs up at once */
#define QUEUE_CHECK_MS 60000
#define TLS_RECORD_MAX (5 + 16384 + 256) /* RFC 8446, 5.2 */

/* Bytes, records, and what is owed. A Unix socket does not tell what it has carried. */
static int sample_link(
	const struct supervisor *self, unsigned at, struct sampling_input *sample, int *lost_ms)
{
	const struct attachment *attachment = self->attachment;
	const struct link *link = &attachment->links[at];
	struct link_sample now;
	int rc = link_sample(link, &now);

	if (rc)
		return rc;
	if (link->local.ss_family == AF_UNSPEC)
		now.received_bytes = block_completed_count(attachment->index);
	*sample = (struct sampling_input){
		.sent_bytes = now.sent_bytes,
		.received_bytes = now.received_bytes,
		.records = now.transmitted > now.received ? now.transmitted : now.received,
		.record_limit = link_record_limit(link, attachment->options.rekey_records),
		.owed = now.owed,
	};
	*lost_ms = now.lost_ms;
	return 0;
}

static void tell_silence(struct supervisor *self, unsigned at, bool silent)
{
	const struct attachment *attachment = self->attachment;
	const struct link *link = &attachment->links[at];

	if (silent && self->fsm.links[at].silence == FSM_SLOW && !self->silence_told[at]) {
		log_message(LOG_WARNING,
			"/dev/nbd%d: still waiting for %s, which answers a new connection: a "
			"request takes long",
			attachment->index, link->address);
		self->silence_told[at] = true;
	}
	if (!silent && self->silence_told[at])
		log_message(LOG_NOTICE, "/dev/nbd%d: %s has answered", attachment->index,
			link->address);
	self->silence_told[at] = self->silence_told[at] && silent;
}

/* What the verdict means for a link that carries what it should. */
static void judge_silence(struct supervisor *self, unsigned at, unsigned verdict)
{
	const struct attachment *attachment = self->attachment;
	const struct link *link = &attachment->links[at];
	const struct fsm_link *state = &self->fsm.links[at];

	tell_silence(self, at, verdict & SAMPLING_SILENT);
	if (verdict & SAMPLING_OVERTIME) {
		log_message(LOG_WARNING,
			"/dev/nbd%d: %s has not answered a request within --request-timeout %lld "
			"s: closing this connection",
			attachment->index, link->address,
			(long long)attachment->options.request_timeout_sec);
		supervisor_event(self, FSM_EV_BROKEN, at);
	} else if (verdict & SAMPLING_SILENT) {
		if (state->silence == FSM_ANSWERING)
			log_message(LOG_WARNING,
				"/dev/nbd%d: %s has not answered for %d s and requests wait: "
				"asking it over another connection",
				attachment->index, link->address,
				attachment->options.liveness_timeout_ms / 1000);
		supervisor_event(self, FSM_EV_SILENT, at);
	} else if (state->silence != FSM_ANSWERING) {
		supervisor_event(self, FSM_EV_ANSWERED, at);
		/* A Unix socket has no counters of its own (link_has_moved()); what was answered is
		 * answered by it, if it is the only one. */
		if (link->local.ss_family == AF_UNSPEC && attachment->link_count == 1 &&
			!state->proven)
			supervisor_event(self, FSM_EV_PROVEN, at);
	}
}

/* A receiver that has met a reply which it does not know ends, and then waits to say so for a
 * sender that waits for room, while the server waits for somebody to read: nothing moves any more,
 * and nobody hangs up. Of several links the log does not say whose it was: then one that is
 * silent. */
static bool has_lost_receiver(const struct supervisor *self, unsigned at, bool silent)
{
	uint64_t ended = self->log.receivers_ended - self->receivers_ended_before[at],
		 lost = self->losses - self->losses_before[at];

	return ended > lost && (self->fsm.link_count == 1 || silent);
}

/* The silence is on our side: answers have come, and the driver takes none of them. An incomplete
 * TLS record waits for its rest, more than one does not. VERDICT: of this look; twice in a row the
 * same is left. */
static bool is_left_unread(struct supervisor *self, unsigned at, unsigned verdict)
{
	const struct link *link = &self->attachment->links[at];
	int unread_bytes = 0, before = self->unread_bytes[at];

	self->unread_bytes[at] = 0;
	if (!(verdict & SAMPLING_SILENT) || ioctl(link->fd, FIONREAD, &unread_bytes) < 0 ||
		unread_bytes <= (link->tls.version ? TLS_RECORD_MAX : 0))
		return false;
	self->unread_bytes[at] = unread_bytes;
	return unread_bytes == before;
}

/* Returns whether it owes something. */
static bool sample_and_judge(struct supervisor *self, unsigned at)
{
	struct link *link = &self->attachment->links[at];
	struct sampling_input sample;
	unsigned verdict;
	struct error err;
	int lost_ms = 0;

	if (self->fsm.links[at].state != FSM_LINK_ALIVE ||
		sample_link(self, at, &sample, &lost_ms) < 0)
		return false;
	verdict = sampling_link(&self->sampling, at, &sample, supervisor_now_ms());
	if (lost_ms >= self->attachment->options.liveness_timeout_ms) {
		log_message(LOG_WARNING,
			"/dev/nbd%d: the path to %s is dead: nothing was acknowledged for %d s; "
			"closing this connection",
			self->attachment->index, link->address, lost_ms / 1000);
		supervisor_event(self, FSM_EV_BROKEN, at);
		return sample.owed;
	}
	if (has_lost_receiver(self, at, verdict & SAMPLING_SILENT) ||
		is_left_unread(self, at, verdict)) {
		log_message(LOG_WARNING,
			"/dev/nbd%d: the driver reads no more from %s: closing this connection",
			self->attachment->index, link->address);
		supervisor_event(self, FSM_EV_BROKEN, at);
		return sample.owed;
	}
	if (link_prove(link, &err) == -EPROTO) {
		supervisor_note(self, LOG_CRIT, "", &err);
		supervisor_event(self, FSM_EV_BROKEN, at);
		return sample.owed;
	}
	if (verdict & SAMPLING_REKEY_NOW)
		supervisor_event(self, FSM_EV_RENEW_NOW, at);
	else if (verdict & SAMPLING_REKEY)
		supervisor_event(self, FSM_EV_RENEW, at);
	judge_silence(self, at, verdict);
	if (self->fsm.links[at].state == FSM_LINK_ALIVE && !self->fsm.links[at].proven &&
		link_has_moved(link))
		supervisor_event(self, FSM_EV_PROVEN, at);
	return sample.owed;
}

/* --- what somebody else has set of the queue: a rule of the distribution's, or a hand, at any
 * time. Looked at in a process of its own, since even reading an attribute there waits for whoever
 * writes one, and he for what is in flight (kernel fact 55). Put right by udev's rule, or by
 * nobody. */

#define NO_IOSTATS 1
#define HAS_SCHEDULER 2

static int look_at_queue(const void *argument, struct error *err)
{
	int index = *(const int *)argument;

	(void)err;
	return -((queue_has_iostats(index) ? 0 : NO_IOSTATS) |
		(queue_has_scheduler_none(index) ? 0 : HAS_SCHEDULER));
}

static void start_queue_check(struct supervisor *self)
{
	if (isolate_is_entered() || job_is_running(&self->queue_check) ||
		supervisor_now_ms() < self->queue_check_at_ms)
		return;
	self->queue_check_at_ms = supervisor_now_ms() + QUEUE_CHECK_MS;
	(void)job_start(&self->queue_check, look_at_queue, &self->attachment->index, -1, NULL);
}

void supervisor_step_queue_check(struct supervisor *self)
{
	int rc = job_step(&self->queue_check, NULL), index = self->attachment->index;
	bool no_iostats = rc < 0 && -rc & NO_IOSTATS, scheduler = rc < 0 && -rc & HAS_SCHEDULER;

	if (rc > 0 || -rc > (NO_IOSTATS | HAS_SCHEDULER)) /* not yet, or it came to nothing */
		return;
	if (no_iostats && !self->iostats_told)
		log_message(LOG_WARNING,
			"/dev/nbd%d: somebody has set queue/iostats to 0: that a request waits is "
			"now told by TCP alone",
			index);
	if (scheduler && !self->scheduler_told)
		log_message(LOG_WARNING,
			"/dev/nbd%d: somebody has set an I/O scheduler: requests that signals "
			"interrupt may be sent in pieces that do not "
			"belong together; set it back: echo none > "
			"/sys/block/nbd%d/queue/scheduler",
			index, index);
	self->iostats_told = no_iostats;
	self->scheduler_told = scheduler;
}

void supervisor_sample(struct supervisor *self)
{
	struct attachment *attachment = self->attachment;
	bool owed = false;

	if (!supervisor_check_ours(self))
		return;
	sampling_begin(&self->sampling, block_in_flight(attachment->index), supervisor_now_ms());
	for (unsigned i = 0; i < attachment->link_count; i++)
		owed = sample_and_judge(self, i) || owed;
	start_queue_check(self);
	/* Asked again at the last moment: what is sent before the link is shut waits for its
	 * timer. */
	if (!self->sampling.in_flight && !owed && fsm_awaits_quiet(&self->fsm) &&
		!block_in_flight(attachment->index))
		supervisor_event(self, FSM_EV_QUIET, 0);
	self->next_sample_ms =
		sampling_finish(&self->sampling, supervisor_now_ms(), fsm_awaits_quiet(&self->fsm));
}

/* An error reply is final (kernel fact 13a). One of them can be kept from coming again: a server
 * that is shutting down (nbdkit on SIGTERM) answers so whatever it is sent, for as long as it is
 * sent something; requests that find no link wait instead. */
static void read_error_replies(struct supervisor *self)
{
	if (self->log.error_replies == self->error_replies_told)
		return;
	self->error_replies_told = self->log.error_replies;
	for (unsigned i = 0; self->log.last_error == ESHUTDOWN &&
		self->log.error_replies > self->error_replies_before && i < self->fsm.link_count;
		i++)
		supervisor_event(self, FSM_EV_BROKEN, i);
	log_message(LOG_ERR,
		"/dev/nbd%d: the server answered requests with an error (%s; %llu so far, at "
		"least): that I/O has failed, and no reconnect can cure it",
		self->attachment->index, strerror(self->log.last_error),
		(unsigned long long)self->log.error_replies);
}

/* The driver has waited for a link for as long as it was told to, and fails what comes. What was
 * lost stays lost. */
void supervisor_check_failure(struct supervisor *self)
{
	if (!self->log.io_failed || self->fsm.phase != FSM_RUNNING ||
		job_is_running(&self->detacher) || !supervisor_check_ours(self))
		return;
	snprintf(self->reason, sizeof(self->reason),
		"the kernel's driver has waited for a connection for too long, and has begun to "
		"fail I/O");
	supervisor_event(self, FSM_EV_IO_FAILED, 0);
}

/* Requests that wait for long are told there, and a flush, which nothing else may tell of (kernel
 * fact 25): a server that hangs is noticed on a device that nobody looks at just then. But the
 * kernel has much to say that is not for us: then it is not listened to for a moment. */
void supervisor_read_kernel_log(struct supervisor *self)
{
	if (!kmsg_read(&self->log))
		self->log_muted_until_ms = supervisor_now_ms() + LOG_MUTED_MS;
	if (self->log.stuck != self->stuck_seen) {
		sampling_stuck(&self->sampling, supervisor_now_ms());
		if (!self->sampling.active)
			self->next_sample_ms = supervisor_now_ms();
	}
	self->stuck_seen = self->log.stuck;
	if (self->log.receivers_ended != self->receivers_seen)
		fsm_earlier(&self->next_sample_ms, supervisor_now_ms() + RECEIVER_LOST_MS);
	self->receivers_seen = self->log.receivers_ended;
	read_error_replies(self);
	supervisor_check_failure(self);
}

void supervisor_look_at_failed(struct supervisor *self)
{
	self->fail_again_at_ms = supervisor_now_ms() + FAILED_LOOK_MS;
	if (supervisor_check_ours(self) && self->fail_count++ < FAIL_AGAIN_COUNT)
		/* one may have been too early for the driver, as any hand-over, and have missed who
		 * waits */
		supervisor_fail_device(self);
}
