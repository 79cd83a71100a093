/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Process model: one supervisor a device. It is the only process that holds privilege for long, and
 * it reads nothing from the network: a negotiator (negotiation.h) does, and hands over one
 * validated struct and the armed socket. Here is one poll loop over
 *
 *  - signals (signalfd): TERM, INT and HUP end us, and detach the device if nobody uses it (not in
 *    an initrd: isolate.h); USR1 says that the machine shuts down;
 *  - the control socket: status, resize;
 *  - the driver's notices of dead links (netlink multicast);
 *  - a duplicate of each link, for its hang-up only: the driver reads the data;
 *  - the children: a negotiator, a read that proves a new link, the one that detaches. None of them
 *    is waited for.
 *
 * What to do is decided in core/machine.c and done in effects.c; how it ends is in ending.c.
 * Nothing here opens the device or waits for its I/O: it may be us on whom that I/O waits. */
#include "supervisor/supervisor.h"
#include "base/run-files.h"
#include "base/clock.h"
#include "supervisor/adopt.h"
#include "isolate/isolate.h"
#include "base/cleanup.h"
#include "child/reaper.h"
#include "output/report.h"
#include "supervisor/notify.h"
#include "net/sock-destroy.h"
#include "supervisor/state-file.h"
#include "supervisor/internal.h"
#include "output/log.h"
#include "kernel/block-attr.h"
#include "kernel/udev.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define SETTLE_MS 200
#define NOTICE_MS 5
#define RECEIVER_LOOK_MS 2
#define SLOW_MS 60000
#define RECHECK_MS 500
#define STANDBY_MS 60000
#define RENEW_PAUSE_MS 10000
#define MANAGER_PATIENCE_MS 5000
#define UDEV_PATIENCE_MS 10000 /* a busy machine at boot; on a quiet one it takes some tens of ms */

int64_t supervisor_now_ms(void)
{
	return monotonic_now_ms();
}

/* --- the control socket */

static void on_word(struct supervisor *self, size_t client, const char *word)
{
	json_object *answer;

	if (strcmp(word, "resize") == 0) {
		supervisor_resize_ask(self, client);
		return;
	}
	if (strcmp(word, "check") == 0)
		supervisor_check_ours(self);
	if (strcmp(word, "status") == 0 || strcmp(word, "check") == 0) {
		answer = supervisor_status(self);
	} else {
		answer = json_object_new_object();
		json_object_object_add(answer, "error", json_object_new_string("unknown command"));
	}
	control_reply(&self->control, client, answer);
}

static void on_client(struct supervisor *self, size_t at)
{
	char word[CONTROL_WORD_SIZE];

	if (control_receive(&self->control, at, word))
		on_word(self, at, word);
	else if (self->control.clients[at] < 0 && self->resize.client == (int)at)
		self->resize.client = -1;
}

/* --- who asked for the device */

static void leave_nothing(const struct attachment *attachment)
{
	char name[STORED_FD_NAME_SIZE];

	run_file_remove(attachment->index, "state");
	if (!notify_can_store())
		return;
	notify_forget_fd("netlink");
	for (size_t i = 0; i < attachment->link_count; i++) {
		snprintf(name, sizeof(name), "link-%zu", i);
		notify_forget_fd(name);
	}
}

/* The device is configured: from here on a failure takes it down again, unless it was there before
 * us. */
static void give_up(struct supervisor *self)
{
	struct attachment *attachment = self->attachment;
	struct error ignored;

	if (!attachment->configured || attachment->adopted)
		return;
	nbd_genl_disconnect_own(
		&attachment->genl, attachment->index, attachment->backend, &ignored);
	if (self->control.lock_fd >= 0)
		leave_nothing(attachment);
}

static void build_report(struct supervisor *self)
{
	struct supervisor_report *report = self->report;
	json_object *status = supervisor_status(self);

	attachment_describe(self->attachment, report->line, sizeof(report->line));
	snprintf(report->json, sizeof(report->json), "%s",
		json_object_to_json_string_ext(status,
			JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
				JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(status);
}

/* Tell whoever started us how it went. */
static void deliver(struct supervisor *self)
{
	struct supervisor_report *report = self->report;

	if (!report->rc) {
		build_report(self);
		/* Before the front end is told, since it ends as soon as it is. */
		prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);
	}
	self->rc = report->rc ? (int)report->error.kind : 0;
	if (report->rc) { /* whoever is told of it finds nothing left */
		give_up(self);
		control_close(&self->control);
	}
	/* Whoever asked may be gone: a device that nobody knows of is of no use. */
	if (!self->deliver(report, self->deliver_data) && !self->rc)
		self->rc = ERROR_OTHER;
	if (self->attachment->options.root)
		isolate_leave_terminal();
	if (self->rc) {
		/* or it is not ours any more, or given up already */
		if (!self->done && !report->rc)
			give_up(self);
		self->done = true;
	} else {
		notify_ready(report->line);
		log_message(LOG_NOTICE, "%s", report->line);
	}
	udev_wait_end(&self->udev);
	free(report);
	self->report = NULL;
}

/* It is told as soon as udev has noted the device, or its time is over; or we are told to end, or
 * are at an end. The device has been supervised all the while: whoever looks at it for udev may be
 * the first to wait for its server. */
static void deliver_if_due(struct supervisor *self, bool told_to_end)
{
	bool noted;

	if (!self->report)
		return;
	noted = udev_has_noted(&self->udev);
	if (self->done)
		self->report->rc = error_set(&self->report->error, ERROR_OTHER, ENODEV,
			"/dev/nbd%d was detached before it was ready", self->attachment->index);
	else if (!noted && !told_to_end && supervisor_now_ms() < self->udev_until_ms)
		return;
	else if (!noted && !told_to_end)
		log_message(LOG_WARNING, "/dev/nbd%d: udev has not noted it within %d s",
			self->attachment->index, UDEV_PATIENCE_MS / 1000);
	deliver(self);
}

/* --- the loop */

enum slot {
	SLOT_SIGNAL,
	SLOT_CONTROL,
	SLOT_NOTICES,
	SLOT_KERNEL_LOG,
	SLOT_ATTEMPT,
	SLOT_STANDBY,
	SLOT_PROBE,
	SLOT_RESIZE,
	SLOT_DRAIN,
	SLOT_RENEWAL_DRAIN,
	SLOT_QUEUE_CHECK,
	SLOT_DETACHER,
	SLOT_UDEV,
	SLOT_CLIENTS,
	SLOT_LINKS = SLOT_CLIENTS + CONTROL_CLIENTS_MAX,
	SLOT_COUNT = SLOT_LINKS + LINKS_MAX,
};

static void fill(const struct supervisor *self, struct pollfd *fds)
{
	for (unsigned i = 0; i < SLOT_COUNT; i++)
		fds[i] = (struct pollfd){.fd = -1, .events = POLLIN};
	fds[SLOT_SIGNAL].fd = self->signal_fd;
	fds[SLOT_CONTROL].fd = self->control.fd;
	fds[SLOT_NOTICES].fd = nbd_genl_listener_fd(&self->listener);
	if (supervisor_now_ms() >= self->log_muted_until_ms)
		fds[SLOT_KERNEL_LOG].fd = self->log.fd;
	if (self->attempting)
		fds[SLOT_ATTEMPT].fd = negotiation_poll_fd(&self->attempt);
	fds[SLOT_STANDBY] = (struct pollfd){.fd = self->standby.fd, .events = POLLRDHUP};
	fds[SLOT_PROBE].fd = job_poll_fd(&self->probe);
	if (self->resize.state == RESIZE_ASKING)
		fds[SLOT_RESIZE].fd = negotiation_poll_fd(&self->resize.attempt);
	fds[SLOT_DRAIN].fd = job_poll_fd(&self->resize.drain);
	fds[SLOT_QUEUE_CHECK].fd = job_poll_fd(&self->queue_check);
	fds[SLOT_RENEWAL_DRAIN].fd = job_poll_fd(&self->renewal_drain);
	fds[SLOT_DETACHER].fd = job_poll_fd(&self->detacher);
	fds[SLOT_UDEV].fd = udev_wait_fd(&self->udev);
	for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++)
		fds[SLOT_CLIENTS + i].fd = self->control.clients[i];
	for (unsigned i = 0; i < self->attachment->link_count; i++)
		if (self->fsm.links[i].state == FSM_LINK_ALIVE)
			fds[SLOT_LINKS + i] = (struct pollfd){
				.fd = self->attachment->links[i].fd, .events = POLLRDHUP};
}

static int poll_timeout_ms(const struct supervisor *self)
{
	int64_t deadline_ms = fsm_deadline_ms(&self->fsm), left_ms;

	fsm_earlier(&deadline_ms, self->next_sample_ms);
	if (self->log_muted_until_ms > supervisor_now_ms())
		fsm_earlier(&deadline_ms, self->log_muted_until_ms);
	if (self->retired_count)
		fsm_earlier(&deadline_ms, self->retired[0].until_ms);
	if (fsm_receiving_link(&self->fsm) >= 0)
		fsm_earlier(&deadline_ms, supervisor_now_ms() + RECEIVER_LOOK_MS);
	if (self->watchdog_ms)
		fsm_earlier(&deadline_ms, self->watchdog_at_ms);
	if (self->attempting)
		fsm_earlier(&deadline_ms, negotiation_deadline_ms(&self->attempt));
	fsm_earlier(&deadline_ms, supervisor_resize_deadline_ms(self));
	if (job_is_running(&self->detacher))
		fsm_earlier(&deadline_ms, self->detacher_until_ms);
	if (self->fsm.phase == FSM_FAILED)
		fsm_earlier(&deadline_ms, self->fail_again_at_ms);
	if (self->report)
		fsm_earlier(&deadline_ms, self->udev_until_ms);
	if (reaper_has_any())
		fsm_earlier(&deadline_ms, supervisor_now_ms() + REAPER_PAUSE_MS);
	if (self->manager_waits_since_ms >= 0)
		fsm_earlier(&deadline_ms, supervisor_now_ms() + NOTIFY_RETRY_MS);
	if (deadline_ms < 0)
		return -1;
	left_ms = deadline_ms - supervisor_now_ms();
	return left_ms < 0 ? 0 : left_ms > 3600000 ? 3600000 : (int)left_ms;
}

#define HUNG_UP (POLLRDHUP | POLLHUP | POLLERR)

/* Some notices were lost: those links that only a notice tells of have to be looked up. */
static int count_vanished(const struct supervisor *self)
{
	int count = 0;

	for (unsigned i = 0; i < self->attachment->link_count; i++) {
		const struct link *link = &self->attachment->links[i];

		if (self->fsm.links[i].unwatched && link->fd < 0 &&
			sock_find(&link->local, &link->peer) == -ENOENT)
			count++;
	}
	return count;
}

static void on_links(struct supervisor *self, const struct pollfd *fds)
{
	int notices = 0;

	/* Hang-ups first: a notice does not say of which link it is. */
	for (unsigned i = 0; i < self->attachment->link_count; i++)
		if (fds[SLOT_LINKS + i].revents & HUNG_UP &&
			fds[SLOT_LINKS + i].fd == self->attachment->links[i].fd)
			supervisor_event(self, FSM_EV_HANGUP, i);
	if (fds[SLOT_NOTICES].revents)
		notices = nbd_genl_read_notices(&self->listener, self->attachment->index);
	if (notices == -ENOBUFS)
		notices = count_vanished(self);
	for (; notices > 0; notices--)
		supervisor_event(self, FSM_EV_SLOT_FREED, 0);
	if (fds[SLOT_STANDBY].revents & HUNG_UP && self->standby.fd >= 0) {
		link_close(&self->standby);
		supervisor_event(self, FSM_EV_STANDBY_LOST, 0);
	}
}

static void on_children(struct supervisor *self, const struct pollfd *fds)
{
	if (self->attempting &&
		(fds[SLOT_ATTEMPT].revents ||
			supervisor_now_ms() >= negotiation_deadline_ms(&self->attempt)))
		supervisor_step_attempt(self);
	if (fds[SLOT_PROBE].revents && job_is_running(&self->probe))
		supervisor_step_probe(self);
	if (fds[SLOT_RENEWAL_DRAIN].revents && job_is_running(&self->renewal_drain))
		supervisor_step_renewal_drain(self);
	if (fds[SLOT_QUEUE_CHECK].revents && job_is_running(&self->queue_check))
		supervisor_step_queue_check(self);
	supervisor_step_receivers(self);
	supervisor_check_failure(self);
	supervisor_close_retired(self, false);
	supervisor_resize_step(self);
}

static void feed_watchdog(struct supervisor *self)
{
	if (!self->watchdog_ms || supervisor_now_ms() < self->watchdog_at_ms)
		return;
	notify_watchdog();
	self->watchdog_at_ms = supervisor_now_ms() + self->watchdog_ms;
}

/* Until it knows of our descriptors, a successor will find our links unwatched, as after a start by
 * hand: that is worth a line. */
static void tell_manager(struct supervisor *self)
{
	int64_t now_ms = supervisor_now_ms();

	if (!notify_flush()) {
		if (self->manager_waits_told)
			log_message(LOG_NOTICE,
				"/dev/nbd%d: the service manager reads again what it is told",
				self->attachment->index);
		self->manager_waits_since_ms = -1;
		self->manager_waits_told = false;
	} else if (self->manager_waits_since_ms < 0) {
		self->manager_waits_since_ms = now_ms;
	} else if (!self->manager_waits_told &&
		now_ms - self->manager_waits_since_ms >= MANAGER_PATIENCE_MS) {
		self->manager_waits_told = true;
		log_message(LOG_WARNING,
			"/dev/nbd%d: the service manager does not read: until it does, it keeps "
			"nothing new for the next supervisor",
			self->attachment->index);
	}
}

/* What has happened, in this order: hang-ups before notices, outcomes before what time alone
 * brings. */
static void one_round(struct supervisor *self, const struct pollfd *fds)
{
	if (fds[SLOT_KERNEL_LOG].revents || supervisor_now_ms() >= self->next_sample_ms)
		supervisor_read_kernel_log(self);
	on_links(self, fds);
	on_children(self, fds);
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
		if (fds[SLOT_CLIENTS + i].revents && self->control.clients[i] >= 0)
			on_client(self, i);
	if (fds[SLOT_CONTROL].revents)
		control_accept(&self->control);
	if (fds[SLOT_SIGNAL].revents)
		deliver_if_due(self, true);
	if (fds[SLOT_SIGNAL].revents && !self->done)
		supervisor_end_on_signal(self);
	if (supervisor_now_ms() >= self->next_sample_ms)
		supervisor_sample(self);
	supervisor_event(self, FSM_EV_TICK, 0);
	if (self->fsm.phase == FSM_FAILED && supervisor_now_ms() >= self->fail_again_at_ms)
		supervisor_look_at_failed(self);
	supervisor_end_step(self);
	reaper_collect();
	deliver_if_due(self, false);
	feed_watchdog(self);
	tell_manager(self);
}

static void loop(struct supervisor *self)
{
	struct pollfd fds[SLOT_COUNT];
	int64_t began_ms;

	while (!self->done) {
		fill(self, fds);
		if (poll(fds, SLOT_COUNT, poll_timeout_ms(self)) < 0) {
			if (errno == EINTR)
				continue;
			log_message(LOG_CRIT, "poll: %s", strerror(errno));
			return;
		}
		began_ms = supervisor_now_ms();
		one_round(self, fds);
		if (supervisor_now_ms() - began_ms > self->longest_round_ms)
			self->longest_round_ms = supervisor_now_ms() - began_ms;
	}
}

/* --- beginning and end */

static void init(struct supervisor *self, struct attachment *attachment)
{
	*self = (struct supervisor){.attachment = attachment,
		.signal_fd = -1,
		.lost_at_ms = -1,
		.manager_waits_since_ms = -1};
	self->standby.fd = self->trial_former.fd = self->log.fd = self->fail_peer_fd = -1;
	self->watchdog_ms = notify_watchdog_ms();
	control_init(&self->control);
	supervisor_resize_init(self);
}

/* A link of an attachment that is new, or that was adopted: then it may have died while nobody was
 * looking. */
static void enter_link(struct supervisor *self, unsigned at)
{
	const struct link *link = &self->attachment->links[at];
	struct fsm_link *state = &self->fsm.links[at];
	int rc;

	receiver_begin(&self->receivers[at]);
	state->unwatched = link->fd < 0;
	if (link->fd >= 0) {
		if (!link_is_up(link))
			state->state = FSM_LINK_FREE;
	} else {
		rc = sock_find(&link->local, &link->peer);
		if (rc == -ENOENT)
			state->state = FSM_LINK_FREE;
		else if (rc && !self->attachment->answers)
			state->proven = false; /* what cannot be looked up is not taken for alive */
	}
	state->receiving = state->state == FSM_LINK_FREE;
}

/* The device is there: know what it does from here on. */
static int enter(struct supervisor *self, struct error *err)
{
	struct attachment *attachment = self->attachment;
	const struct options *options = &attachment->options;
	int64_t dead_sec = options->dead_timeout_sec;
	struct fsm_config config = {
		.dead_timeout_ms = dead_sec == OPTION_INFINITE_SEC ? -1 : dead_sec * 1000,
		.settle_ms = SETTLE_MS,
		.notice_ms = NOTICE_MS,
		.recheck_ms = RECHECK_MS,
		.prove_ms = options->liveness_timeout_ms,
		.standby_ms = STANDBY_MS,
		.renew_pause_ms = RENEW_PAUSE_MS,
		.slow_ms = SLOW_MS,
		.awaits_receivers = true,
		.drains = true,
	};
	int rc = nbd_genl_listen(&self->listener, err);

	fsm_init(&self->fsm, &config, (unsigned)attachment->link_count);
	for (size_t i = 0; i < attachment->link_count; i++) {
		const struct link *link = &attachment->links[i];

		enter_link(self, (unsigned)i);
		/* TLS asked for is TLS: the former supervisor may not have been asked. If that
		 * fails, the link is shut. */
		if (attachment->creds && !link->tls.version &&
			(link->fd >= 0 || link->local.ss_family != AF_UNSPEC)) {
			log_message(LOG_WARNING,
				"/dev/nbd%d was attached without TLS: its connection is replaced "
				"by one with it",
				attachment->index);
			self->fsm.links[i].renew_now = true;
		}
	}
	if (attachment->outage_since_ms >= 0)
		fsm_set_outage(&self->fsm, attachment->outage_since_ms);
	attachment->outage_since_ms = self->fsm.outage_since_ms;
	sampling_init(&self->sampling, options->liveness_timeout_ms,
		options->request_timeout_sec == OPTION_INFINITE_SEC ?
			-1 :
			options->request_timeout_sec * 1000,
		(unsigned)attachment->link_count, supervisor_now_ms());
	self->next_sample_ms = supervisor_now_ms();
	if (attachment->adopted)
		kmsg_open_past(&self->log, attachment->index);
	else
		kmsg_open(&self->log, attachment->index);
	if (self->log.fd < 0)
		log_message(LOG_NOTICE,
			"/dev/nbd%d: the kernel's log cannot be read: error replies are not seen, "
			"and the end of a link is waited for longer",
			attachment->index);
	self->state = supervisor_state(self);
	self->state_since = time(NULL);
	if (self->fsm.outage_since_ms >= 0)
		self->state_since -= (supervisor_now_ms() - self->fsm.outage_since_ms) / 1000;
	return rc ? rc : supervisor_end_open_signals(self, err);
}

static int begin(struct supervisor *self, int index, struct error *err)
{
	struct attachment *attachment = self->attachment;
	struct stored_fd fds[ADOPT_FDS_MAX];
	size_t fd_count = notify_take_fds(fds, ADOPT_FDS_MAX);
	bool adopt = adopt_is_ours(attachment, index);
	int rc = index >= 0 && (adopt || !block_is_configured(index)) ?
		control_open(&self->control, index, err) :
		0;

	if (!rc && self->control.fd >= 0)
		control_close_on_signals(index);
	if (!rc && adopt) {
		rc = adopt_device(attachment, index, fds, fd_count, err);
	} else {
		for (size_t i = 0; i < fd_count; i++)
			close(fds[i].fd);
		if (!rc && self->control.fd >= 0)
			/* of a former attachment: udev's rules take it for this one's readiness */
			run_file_remove(index, "state");
		if (!rc)
			rc = attachment_open(attachment, index, &self->control, err);
	}
	return rc ? rc : enter(self, err);
}

static void finish(struct supervisor *self)
{
	struct attachment *attachment = self->attachment;

	if (self->attempting)
		negotiation_cancel(&self->attempt);
	supervisor_resize_cancel(self);
	supervisor_close_retired(self, true);
	job_abandon(&self->renewal_drain);
	job_abandon(&self->queue_check);
	job_abandon(&self->probe);
	job_kill(&self->detacher); /* or it might detach a successor's device */
	link_close(&self->standby);
	if (self->fail_peer_fd >= 0)
		close(self->fail_peer_fd);
	nbd_genl_close(&self->listener);
	kmsg_close(&self->log);
	control_close(&self->control);
	if (self->signal_fd >= 0)
		close(self->signal_fd);
	if (self->fsm.phase == FSM_ENDED)
		leave_nothing(attachment);
	udev_wait_end(&self->udev);
	free(self->report);
	attachment_close(attachment);
}

static void keep_for_a_successor(const struct supervisor *self)
{
	const struct attachment *attachment = self->attachment;
	char name[STORED_FD_NAME_SIZE];

	if (!notify_can_store())
		return;
	notify_store_fd("netlink", nbd_genl_fd(&attachment->genl));
	for (size_t i = 0; i < attachment->link_count; i++) {
		snprintf(name, sizeof(name), "link-%zu", i);
		if (attachment->links[i].fd >= 0)
			notify_store_fd(name, attachment->links[i].fd);
	}
}

/* From here on the device counts as ready. With an adopted one mostly nothing is new, and to look
 * at it now would only hang udev if its server is away. */
static void tell_udev(struct supervisor *self)
{
	const struct attachment *attachment = self->attachment;
	struct error err;

	if ((!attachment->adopted || !udev_knows(attachment->index, attachment->backend)) &&
		udev_announce(&self->udev, attachment->index, &err) < 0)
		log_message(LOG_WARNING, "/dev/nbd%d: udev is told of it, and not waited for: %s",
			attachment->index, err.text);
	self->udev_until_ms = supervisor_now_ms() + UDEV_PATIENCE_MS;
}

/* Before anybody is told that the device is ready: from then on a disk may depend on us. */
static int keep_aloof(struct supervisor *self, struct error *err)
{
	int rc = isolate_enter(self->attachment->index, err);

	if (!rc && isolate_ignores_signals())
		close(steal_fd(&self->signal_fd));
	return rc;
}

int supervisor_run(struct attachment *attachment, int index, supervisor_report_function *report,
	void *data, bool foreground)
{
	_cleanup_free_ struct supervisor *self = calloc(1, sizeof(*self));
	struct supervisor_report *message = calloc(1, sizeof(*message));

	if (!self || !message) {
		free(message);
		return ERROR_OTHER;
	}
	init(self, attachment);
	signal(SIGPIPE, SIG_IGN); /* whoever reads our log may go away */
	self->report = message;
	self->deliver = report;
	self->deliver_data = data;
	log_open(foreground, attachment->options.root);
	message->rc = begin(self, index, &message->error);
	if (!message->rc && attachment->options.root)
		message->rc = keep_aloof(self, &message->error);
	if (message->rc) {
		deliver(self);
	} else {
		state_save(attachment);
		tell_udev(self);
		deliver_if_due(self, false);
	}
	if (!self->done) {
		keep_for_a_successor(self);
		supervisor_event(self, FSM_EV_TICK, 0);
		loop(self);
		if (self->taken)
			log_message(LOG_ERR,
				"/dev/nbd%d is somebody else's now, and is left alone: its backend "
				"identifier is not the one that was set",
				attachment->index);
		else if (self->fsm.phase == FSM_ENDED)
			log_message(LOG_NOTICE, "/dev/nbd%d is detached", attachment->index);
	}
	finish(self);
	return self->rc;
}
