/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Process model: one supervisor a device. It is the only process that holds privilege for long, and
 * it reads nothing from the network: a negotiator (negotiation.h) does, and hands over one
 * validated struct and the armed socket. Here is one loop (loop.h) over
 *
 *  - signals (signalfd): TERM, INT and HUP end us, and detach the device if nobody uses it (not in
 *    an initrd: isolate.h); USR1 says that the machine shuts down;
 *  - the control socket: status, resize, reload;
 *  - the driver's notices of dead links (netlink multicast), and its lines in the kernel's log;
 *  - a duplicate of each link, for its hang-up only: the driver reads the data;
 *  - the children: a negotiator, a read that proves a new link, the one that detaches. None of them
 *    is waited for.
 *
 * What to do is decided in core/machine.h, and done by the parts that wiring.h puts together.
 * Nothing here opens the device or waits for its I/O: it may be us on whom that I/O waits. */
#include "supervisor/supervisor.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/run-files.h"
#include "child/reaper.h"
#include "isolate/isolate.h"
#include "kernel/block-attr.h"
#include "net/sock-destroy.h"
#include "output/log.h"
#include "output/show.h"
#include "supervisor/adopt.h"
#include "supervisor/notify.h"
#include "supervisor/opening.h"
#include "supervisor/wiring.h"
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/utsname.h>
#include <unistd.h>

#define SETTLE_MS 200
#define NOTICE_MS 5
#define SLOW_MS 60000
#define SAMPLE_MS 500
#define SPARE_MS 60000
#define RENEW_PAUSE_MS 10000

static bool is_done(const struct supervisor *self)
{
	return machine_is_over(&self->engine.machine) || self->announce.rc;
}

static bool is_over(void *owner)
{
	return is_done(owner);
}

/* --- what comes from outside */

/* What attaching took, or an answer, is free but still ours. With --root it is kept: see
 * isolate_enter(). */
static void give_memory_back(const struct supervisor *self)
{
	if (!self->attachment->policy.root)
		malloc_trim(0);
}

static void on_command(void *owner, size_t at, const char *command)
{
	struct supervisor *self = owner;
	json_object *answer;

	growth_forget_client(&self->growth, at); /* it has hung up, or asks for something else */
	if (!command)
		return;
	if (strcmp(command, "resize") == 0) {
		growth_ask(&self->growth, at);
		return;
	}
	if (strcmp(command, "check") == 0)
		engine_owns_device(&self->engine, self->attachment);
	if (strcmp(command, "status") == 0 || strcmp(command, "check") == 0) {
		answer = supervisor_status(self);
	} else if (strcmp(command, "files") == 0) {
		answer = reload_files(self->attachment);
	} else if (strcmp(command, "reload") == 0) {
		answer = reload_take(self->attachment, control_received_fd(&self->control, at));
		expiry_update(&self->expiry);
	} else {
		answer = json_object_new_object();
		json_object_object_add(answer, "error", json_object_new_string("unknown command"));
	}
	control_reply(&self->control, at, answer);
	give_memory_back(self);
}

static void on_signal(void *owner, short revents)
{
	struct supervisor *self = owner;
	struct signalfd_siginfo info;

	(void)revents;
	if (read(self->signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	announce_now(&self->announce, is_done(self));
	if (!is_done(self))
		ending_on_signal(&self->ending, (int)info.ssi_signo);
}

static int open_signals(struct supervisor *self, struct error *err)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	self->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (self->signal_fd < 0)
		return error_set(err, ERROR_OTHER, errno, "signalfd: %s", strerror(errno));
	loop_add(&self->loop, &self->signals, LOOP_SIGNAL, on_signal, self);
	loop_watch(&self->signals, self->signal_fd, POLLIN);
	return 0;
}

static void close_signals(struct supervisor *self)
{
	loop_remove(&self->signals);
	if (self->signal_fd >= 0)
		close(self->signal_fd);
	self->signal_fd = -1;
}

/* Those that were killed or left alone end when they can. */
static void on_reaping(void *owner, short revents)
{
	struct supervisor *self = owner;

	(void)revents;
	reaper_collect();
	if (reaper_has_any())
		loop_call_at(&self->reaping, monotonic_now_ms() + REAPER_PAUSE_MS);
}

static void loop(struct supervisor *self)
{
	while (!is_done(self)) {
		int rc = loop_round(&self->loop);

		if (rc) {
			log_message(LOG_CRIT, "poll: %s", strerror(-rc));
			return;
		}
		if (reaper_has_any())
			loop_call_by(&self->reaping, monotonic_now_ms() + REAPER_PAUSE_MS);
	}
	announce_now(&self->announce, true);
}

/* --- beginning and end */

/* How a link is found whose socket we have not, or have and it is dead. */
static enum adopted_as look_up_link(const struct supervisor *self, const struct link *link)
{
	int rc = link->fd >= 0 ? -ENOENT : sock_find(&link->local, &link->peer);

	if (rc == 0)
		return ADOPTED_FOUND;
	if (self->attachment->answers && (rc != -ENOENT || self->attachment->link_count == 1))
		return ADOPTED_ANSWERING; /* over a connection that nobody told of, if need be */
	return rc == -ENOENT ? ADOPTED_GONE : ADOPTED_UNKNOWN;
}

/* A link of an attachment that is new, or that was adopted: then it may have died without a
 * supervisor. */
static void enter_link(struct supervisor *self, unsigned at)
{
	const struct link *link = &self->attachment->links[at];
	struct machine *machine = &self->engine.machine;

	machine_set_link(machine, at, link->host_index, link->size_bytes);
	if (!link_is_up(link))
		machine_adopt_link(machine, at, look_up_link(self, link));
	else if (!link->carries)
		machine_adopt_link(machine, at, ADOPTED_UNPROVEN);
	if (machine->links[at].state == LINK_UNMONITORED)
		link_close(&self->attachment->links[at]); /* ours is dead, and not the driver's */
	if (!machine_link_is_up(&machine->links[at]))
		condition_lost(&self->condition, at);
	/* TLS asked for is TLS: the former supervisor may not have been asked. If that fails, the
	 * link is shut. */
	if (self->attachment->creds && !link->tls.version && (link->fd >= 0 || link_is_tcp(link))) {
		bool stays = machine->links[at].renewal == RENEWAL_IMPOSSIBLE;

		log_message(stays ? LOG_CRIT : LOG_WARNING, "/dev/nbd%d %s: its connection %s",
			self->attachment->index,
			link->is_tls_unknown ? "may have been attached without TLS" :
					       "was attached without TLS",
			stays ? "cannot be ended from here, and goes on as it is until it ends; to "
				"end it: detach, and attach again" :
				"is replaced by one with it");
		machine_renew_link(machine, at);
	}
}

/* Since Linux 6.9 (kernel fact size-freezes-queue). */
static bool size_waits_for_io(void)
{
	struct utsname kernel;
	unsigned major, minor;

	return uname(&kernel) != 0 || sscanf(kernel.release, "%u.%u", &major, &minor) != 2 ||
		major > 6 || (major == 6 && minor >= 9);
}

static void begin_machine(struct supervisor *self)
{
	const struct device_policy *policy = &self->attachment->policy;
	int64_t dead_sec = policy->dead_timeout_sec;
	struct machine_config config = {
		.dead_timeout_ms = dead_sec == POLICY_INFINITE_SEC ? -1 : dead_sec * 1000,
		.settle_ms = SETTLE_MS,
		.notice_ms = NOTICE_MS,
		.sample_ms = SAMPLE_MS,
		.prove_ms = policy->liveness_timeout_ms,
		.spare_ms = SPARE_MS,
		.renew_pause_ms = RENEW_PAUSE_MS,
		.slow_ms = SLOW_MS,
		.io_timeout_ms = attachment_io_timeout_ms(self->attachment),
		.is_isolated = policy->root,
		.is_unix = *self->attachment->endpoint.socket_path != 0,
		.size_waits_for_io = size_waits_for_io(),
	};

	machine_init(&self->engine.machine, &config, (unsigned)self->attachment->link_count);
}

static void enter_links(struct supervisor *self)
{
	struct attachment *attachment = self->attachment;
	struct machine *machine = &self->engine.machine;

	for (size_t i = 0; i < attachment->link_count; i++)
		enter_link(self, (unsigned)i);
	if (attachment->outage_since_ms >= 0)
		machine_set_outage(machine, attachment->outage_since_ms, monotonic_now_ms());
	attachment->outage_since_ms = machine->outage_since_ms;
	condition_begin(&self->condition);
}

/* The device is there: know what it does from here on. */
static int enter(struct supervisor *self, struct error *err)
{
	struct attachment *attachment = self->attachment;
	struct engine *engine = &self->engine;
	struct loop *loop = &self->loop;
	int rc;

	begin_machine(self);
	rc = open_signals(self, err);
	if (rc)
		return rc;
	enter_links(self);
	watch_begin(&self->watch, attachment, engine, loop);
	driver_log_open(
		&self->log, loop, attachment->index, attachment->adopted, effects_on_news, self);
	if (self->log.kmsg.fd < 0)
		log_message(LOG_NOTICE,
			"/dev/nbd%d: the kernel's log cannot be read: error replies are not seen, "
			"and the end of a link is waited for longer",
			attachment->index);
	sampler_init(&self->sampler, attachment, engine, &self->condition, &self->receivers, loop);
	receivers_begin(&self->receivers);
	expiry_update(&self->expiry);
	control_serve(&self->control, loop, on_command, self);
	return 0;
}

static int begin(struct supervisor *self, int index, struct error *err)
{
	struct attachment *attachment = self->attachment;
	struct stored_fd fds[ADOPT_FDS_MAX];
	size_t fd_count = notify_take_fds(fds, ADOPT_FDS_MAX);
	bool adopt = adopt_is_ours(&attachment->endpoint, index);
	int rc = index >= 0 && (adopt || !block_is_configured(index)) ?
		control_open(&self->control, index, err) :
		0;

	if (!rc && self->control.fd >= 0)
		control_close_on_signals(index);
	/* Before the links are looked up: one may end meanwhile. */
	if (!rc && adopt)
		rc = watch_listen(&self->watch, err);
	if (!rc && adopt) {
		rc = adopt_device(attachment, index, fds, fd_count, err);
	} else {
		for (size_t i = 0; i < fd_count; i++)
			close(fds[i].fd);
		if (!rc && self->control.fd >= 0)
			/* of a former attachment: udev's rules take it for this one's readiness */
			run_file_remove(index, "state");
		if (!rc)
			rc = opening_run(attachment, index, &self->control, err);
		if (!rc)
			rc = watch_listen(&self->watch, err);
	}
	return rc ? rc : enter(self, err);
}

/* Before anybody is told that the device is ready: from then on a disk may depend on us. */
static int isolate(struct supervisor *self, struct error *err)
{
	int rc = isolate_enter(self->attachment->index, err);

	if (!rc && isolate_ignores_signals())
		close_signals(self);
	return rc;
}

static int init(struct supervisor *self, struct attachment *attachment)
{
	struct engine_owner owner = effects_of(self);
	struct engine *engine = &self->engine;
	struct condition *condition = &self->condition;
	struct loop *loop = &self->loop;

	self->attachment = attachment;
	self->signal_fd = self->log.kmsg.fd = -1;
	loop_init(loop);
	loop_add(loop, &self->reaping, LOOP_TIME, on_reaping, self);
	control_init(&self->control);
	manager_init(&self->manager, attachment, loop);
	engine_init(engine, &owner, loop);
	condition_init(condition, attachment, &engine->machine, &self->manager);
	receivers_init(&self->receivers, attachment, engine, &self->log, loop);
	proof_init(&self->proof, attachment, engine, condition, loop);
	renewal_init(&self->renewal, attachment, engine, loop);
	growth_init(&self->growth, attachment, engine, &self->sampler, &self->record,
		&self->control, loop);
	spare_init(&self->spare, attachment, engine, condition, &self->growth, loop);
	failed_init(&self->failed, attachment, engine, condition, loop);
	ending_init(&self->ending, attachment, engine, loop);
	expiry_init(&self->expiry, attachment, loop);
	record_init(&self->record, attachment, loop);
	return announce_init(&self->announce, attachment, &self->control, &self->manager, loop);
}

static void leave_nothing(struct supervisor *self)
{
	run_file_remove(self->attachment->index, "state");
	manager_forget_all(&self->manager);
}

static void finish(struct supervisor *self)
{
	spare_cancel(&self->spare);
	spare_drop(&self->spare);
	growth_close(&self->growth);
	receivers_close(&self->receivers);
	renewal_close(&self->renewal);
	sampler_close(&self->sampler);
	proof_close(&self->proof);
	ending_close(&self->ending);
	expiry_close(&self->expiry);
	record_close(&self->record);
	failed_close(&self->failed);
	watch_close(&self->watch);
	driver_log_close(&self->log);
	control_close(&self->control);
	close_signals(self);
	if (self->engine.machine.phase == PHASE_ENDED)
		leave_nothing(self);
	announce_close(&self->announce);
	attachment_close(self->attachment);
}

/* The log tells it; and who attaches, too, where that is not the same place. */
static void record_first(struct supervisor *self, bool log_is_stderr)
{
	record_save(&self->record);
	if (self->record.problem.kind && !log_is_stderr)
		show_note("warning: %s; %s", self->record.problem.text, self->record.problem.hint);
}

static void supervise(struct supervisor *self)
{
	const struct attachment *attachment = self->attachment;

	manager_store_all(&self->manager);
	engine_event(&self->engine, EVENT_TICK, 0);
	give_memory_back(self);
	loop(self);
	if (attachment->taken)
		log_message(LOG_ERR,
			"/dev/nbd%d is somebody else's now, and is left alone: its backend "
			"identifier is not the one that was set",
			attachment->index);
	else if (self->engine.machine.phase == PHASE_ENDED)
		log_message(LOG_NOTICE, "/dev/nbd%d is detached", attachment->index);
}

int supervisor_run(struct attachment *attachment, int index, supervisor_report_function *report,
	void *data, bool foreground)
{
	_cleanup_free_ struct supervisor *self = calloc(1, sizeof(*self));
	struct announce *announce;
	struct error *err;
	int rc;

	if (!self || init(self, attachment))
		return ERROR_OTHER;
	signal(SIGPIPE, SIG_IGN); /* the reader of the log may go away */
	announce = &self->announce;
	err = &announce->report->error;
	announce->deliver = report;
	announce->deliver_data = data;
	announce->status = supervisor_status;
	announce->is_over = is_over;
	announce->owner = self;
	log_open(foreground, attachment->policy.root);
	rc = begin(self, index, err);
	if (!rc && attachment->policy.root)
		rc = isolate(self, err);
	if (rc) {
		announce_failure(announce, rc);
	} else {
		record_first(self, foreground && !attachment->policy.root);
		announce_begin(announce);
		if (!is_done(self))
			supervise(self);
	}
	finish(self);
	return announce->rc;
}
