/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Process model: one supervisor a device. It is the only process that holds privilege for long, and it reads nothing from the
 * network: a negotiator (attempt.h) does, and hands over one validated struct and the armed socket. Here is one poll loop over
 *  - signals (signalfd): TERM, INT and HUP end us, and detach the device if nobody uses it;
 *  - the control socket: status;
 *  - a duplicate of each link, for its hang-up only: the driver reads the data.
 * While every link is well and proven nothing wakes us up. */
#include "supervisor.h"
#include "cleanup.h"
#include "control.h"
#include "device.h"
#include "report.h"
#include "sd-notify.h"
#include "supervisor-log.h"
#include "sysfs.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>

/* After a hang-up the driver may take a moment to say whether the device was disconnected or only its link. */
#define DISCONNECT_SETTLE_MS 1000
#define UNPROVEN_LOOK_MS 1000
#define FAILED_LOOK_MS 1000

struct supervisor {
	struct attachment *attachment;
	int signal_fd, control_fd;
	bool done;
};

static void build_report(const struct attachment *attachment, struct supervisor_report *report)
{
	json_object *status = control_status(attachment);

	attachment_describe(attachment, report->line, sizeof(report->line));
	snprintf(report->json, sizeof(report->json), "%s",
		json_object_to_json_string_ext(status, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(status);
}

static int open_signals(struct supervisor *self, struct error *err)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	self->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return self->signal_fd < 0 ? error_set(err, ERROR_OTHER, errno, "signalfd: %s", strerror(errno)) : 0;
}

/* Told to end: take the device along if nobody uses it, and otherwise leave it to the kernel rather than pull a disk from under a
 * file system (a unit's restart does just that). */
static void on_signal(struct supervisor *self)
{
	struct signalfd_siginfo info;
	char warning[256];
	struct error err;

	if (read(self->signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	self->done = true;
	if (device_detach(&self->attachment->genl, self->attachment->index, false, warning, sizeof(warning), &err) == 0)
		supervisor_log(LOG_NOTICE, "/dev/nbd%d detached on signal %u%s%s", self->attachment->index, info.ssi_signo, *warning ? "; " : "", warning);
	else
		supervisor_log(LOG_WARNING, "ending on signal %u, but /dev/nbd%d stays: %s", info.ssi_signo, self->attachment->index, err.text);
}

static void on_hangup(struct supervisor *self, size_t at)
{
	struct attachment *attachment = self->attachment;

	attachment->links[at].dead = true;
	if (device_wait_gone(attachment->index, DISCONNECT_SETTLE_MS)) {
		supervisor_log(LOG_NOTICE, "/dev/nbd%d is detached", attachment->index);
		self->done = true;
		return;
	}
	supervisor_log(LOG_ERR, "/dev/nbd%d: the connection to %s is gone; I/O on it fails until the device is detached and attached again",
		attachment->index, attachment->links[at].address);
}

static bool all_dead(const struct attachment *attachment)
{
	for (size_t i = 0; i < attachment->link_count; i++)
		if (!attachment->links[i].dead)
			return false;
	return true;
}

/* -1: nothing to look at by itself. */
static int next_look_ms(const struct attachment *attachment)
{
	if (all_dead(attachment))
		return FAILED_LOOK_MS;
	return attachment_is_proven(attachment) ? -1 : UNPROVEN_LOOK_MS;
}

static void look(struct supervisor *self)
{
	struct attachment *attachment = self->attachment;
	struct error err;

	for (size_t i = 0; i < attachment->link_count; i++)
		if (attachment_prove_link(&attachment->links[i], &err) == -EPROTO)
			supervisor_log(LOG_CRIT, "/dev/nbd%d: %s", attachment->index, err.text);
	if (all_dead(attachment) && !sysfs_device_configured(attachment->index)) {
		supervisor_log(LOG_NOTICE, "/dev/nbd%d is detached", attachment->index);
		self->done = true;
	}
}

static void loop(struct supervisor *self)
{
	struct attachment *attachment = self->attachment;
	struct pollfd fds[2 + CONNECTIONS_MAX];

	fds[0] = (struct pollfd){.fd = self->signal_fd, .events = POLLIN};
	fds[1] = (struct pollfd){.fd = self->control_fd, .events = POLLIN};
	while (!self->done) {
		for (size_t i = 0; i < attachment->link_count; i++)
			fds[2 + i] = (struct pollfd){.fd = attachment->links[i].dead ? -1 : attachment->links[i].fd, .events = POLLRDHUP};
		if (poll(fds, 2 + attachment->link_count, next_look_ms(attachment)) < 0 && errno != EINTR) {
			supervisor_log(LOG_CRIT, "poll: %s", strerror(errno));
			return;
		}
		if (fds[1].revents)
			control_answer(self->control_fd, attachment);
		for (size_t i = 0; i < attachment->link_count && !self->done; i++)
			if (fds[2 + i].revents & (POLLRDHUP | POLLHUP | POLLERR))
				on_hangup(self, i);
		if (fds[0].revents && !self->done)
			on_signal(self);
		if (!self->done)
			look(self);
	}
}

/* The device is configured: from here on a failure takes it down again. */
static void give_up(struct attachment *attachment)
{
	struct error ignored;

	nbd_genl_disconnect(&attachment->genl, attachment->index, &ignored);
	control_remove(attachment->index);
	attachment_close(attachment);
}

static int enter(struct supervisor *self, struct error *err)
{
	int rc = control_listen(self->attachment->index, &self->control_fd, err);

	if (!rc)
		rc = open_signals(self, err);
	if (rc)
		give_up(self->attachment);
	return rc;
}

int supervisor_run(struct attachment *attachment, int index, supervisor_report_function *report, void *data, bool foreground)
{
	struct supervisor self = {.attachment = attachment, .signal_fd = -1, .control_fd = -1};
	_cleanup_free_ struct supervisor_report *message = calloc(1, sizeof(*message));
	int rc;

	if (!message)
		return ERROR_OTHER;
	supervisor_log_open(foreground);
	message->rc = attachment_open(attachment, index, &message->error);
	if (!message->rc)
		message->rc = enter(&self, &message->error);
	if (!message->rc) {
		build_report(attachment, message);
		/* Before the front end is told, since it ends as soon as it is. */
		prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);
	}
	rc = message->rc ? (int)message->error.kind : 0;
	if (!report(message, data) && !rc) {
		/* Whoever asked is gone: a device that nobody knows of is of no use. */
		give_up(attachment);
		return ERROR_OTHER;
	}
	if (!rc) {
		sd_notify_ready(message->line);
		supervisor_log(LOG_NOTICE, "%s", message->line);
		loop(&self);
		control_remove(attachment->index);
		attachment_close(attachment);
	}
	return rc;
}
