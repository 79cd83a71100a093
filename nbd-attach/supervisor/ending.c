/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How a supervisor ends. Told to, it takes the device along if nobody uses it, and otherwise leaves
 * it to the kernel rather than pull a disk from under a file system (a unit's restart does just
 * that). And when the machine does, nobody may wait for ever for a server. */
#include "isolate/isolate.h"
#include "base/cleanup.h"
#include "device/detach.h"
#include "supervisor/internal.h"
#include "output/log.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define DETACH_PATIENCE_MS 10000
#define SHUTDOWN_PATIENCE_MS 60000
#define SHUTDOWN_IO_TIMEOUT_SEC 30
/* what comes in while the device begins to fail has to be failed once more */
#define FAILED_LINGER_SEC 3

int supervisor_end_open_signals(struct supervisor *self, struct error *err)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	self->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return self->signal_fd < 0 ?
		error_set(err, ERROR_OTHER, errno, "signalfd: %s", strerror(errno)) :
		0;
}

static void start_detacher(struct supervisor *self, enum detach_how how)
{
	struct device_detach what = {
		.index = self->attachment->index, .how = how, .backend = self->attachment->backend};
	struct error err;

	if (job_start(&self->detacher, device_detach_task, &what, -1, &err))
		log_message(LOG_ERR, "/dev/nbd%d stays: %s", what.index, err.text);
	self->detacher_until_ms = supervisor_now_ms() + DETACH_PATIENCE_MS;
}

/* The machine shuts down. Whoever waits for a server that is away would hold that up for the whole
 * dead-timeout. */
static void limit_outage(struct supervisor *self)
{
	struct fsm *fsm = &self->fsm;
	int64_t limit_ms = SHUTDOWN_PATIENCE_MS;

	if (self->shutting_down)
		return;
	self->shutting_down = true;
	if (fsm->outage_since_ms >= 0)
		limit_ms += supervisor_now_ms() - fsm->outage_since_ms;
	if (fsm->config.dead_timeout_ms < 0 || limit_ms < fsm->config.dead_timeout_ms)
		fsm->config.dead_timeout_ms = limit_ms;
	log_message(LOG_NOTICE,
		"/dev/nbd%d: the machine shuts down; from here on I/O waits no longer than %d s "
		"for the server",
		self->attachment->index, SHUTDOWN_PATIENCE_MS / 1000);
}

/* What is below the root file system or swap must not fail while systemd needs it to come to an
 * end. What is left in the end is the program that unmounts, and that is in memory:
 * systemd-shutdown, once it has locked all of itself, or the /shutdown of dracut's initramfs. */
static bool is_last_program_running(void)
{
	_cleanup_fd_ int fd = open("/proc/1/status", O_RDONLY | O_CLOEXEC);
	char status[4096] = "", *locked;

	if (fd < 0 || read(fd, status, sizeof(status) - 1) <= 0)
		return false;
	locked = strstr(status, "\nVmLck:");
	return strncmp(status, "Name:\tshutdown\n", 15) == 0 ||
		(strncmp(status, "Name:\tsystemd-shutdow\n", 22) == 0 && locked &&
			strtoul(locked + 7, NULL, 10) > 0);
}

static void step_shutdown(struct supervisor *self)
{
	struct fsm_config *config = &self->fsm.config;

	if (self->fsm.outage_since_ms >= 0 && !self->shutting_down &&
		self->attachment->options.root && is_last_program_running())
		limit_outage(self);
	/* Of another outage, nothing has been waited for yet. */
	if (self->fsm.outage_since_ms < 0 && self->shutting_down &&
		(config->dead_timeout_ms < 0 || config->dead_timeout_ms > SHUTDOWN_PATIENCE_MS))
		config->dead_timeout_ms = SHUTDOWN_PATIENCE_MS;
}

/* Somebody uses the device still. When the machine shuts down, the network goes next: what is in
 * flight then would wait for ever, since the driver by itself ends such a wait only where it has a
 * timeout (kernel fact 6). */
static void leave(struct supervisor *self, const char *why)
{
	struct nbd_genl_reconfigure params = {
		.index = self->attachment->index,
		.backend_identifier = self->attachment->backend,
		.fd = -1,
		.set_dead_conn_timeout = true,
		.dead_conn_timeout_sec = SHUTDOWN_PATIENCE_MS / 1000,
		.timeout_sec = SHUTDOWN_IO_TIMEOUT_SEC,
	};
	struct error err;

	log_message(LOG_WARNING, "/dev/nbd%d stays: %s", self->attachment->index, why);
	/* it may have come as far as an order that outlives it (kernel fact 30) */
	if (job_is_running(&self->detacher)) {
		job_kill(&self->detacher);
		if (supervisor_check_ours(self))
			(void)nbd_genl_disconnect_on_close(&self->attachment->genl,
				self->attachment->index, self->attachment->backend, false);
	}
	if (self->shutting_down && nbd_genl_reconfigure(&self->attachment->genl, &params, &err))
		log_message(LOG_WARNING, "%s", err.text);
	self->done = true;
}

static void end(struct supervisor *self)
{
	self->end_after_outage = false;
	if (fsm_is_serving(&self->fsm)) {
		start_detacher(self, DETACH_IF_UNUSED);
	} else if ((self->shutting_down || isolate_is_entered()) &&
		self->fsm.phase == FSM_RUNNING) {
		/* At shutdown somebody hangs in I/O, or the unmount would have come before this;
		 * only we can end that before the driver's time is over. And whoever is to start a
		 * successor may have to read himself from this very disk first. */
		self->end_after_outage = true;
		return;
	} else if (self->shutting_down) {
		/* It is of no use to anybody any more, but systemd would wait for its unit to
		 * disappear. */
		start_detacher(self, DETACH_FORCED);
	} else {
		leave(self, "its server is away, and what may not be written yet would be lost");
	}
	self->done = !job_is_running(&self->detacher);
}

static bool is_outage_over(const struct supervisor *self)
{
	return fsm_is_serving(&self->fsm) ||
		(self->fsm.phase == FSM_FAILED &&
			time(NULL) - self->state_since >= FAILED_LINGER_SEC);
}

void supervisor_end_on_signal(struct supervisor *self)
{
	struct signalfd_siginfo info;

	if (read(self->signal_fd, &info, sizeof(info)) != sizeof(info) ||
		job_is_running(&self->detacher))
		return;
	if (info.ssi_signo == SIGUSR1) {
		if (!self->attachment->options.root) /* of nbd-attach-shutdown@.service */
			limit_outage(self);
		return;
	}
	log_message(LOG_NOTICE, "/dev/nbd%d: told to end by signal %u", self->attachment->index,
		info.ssi_signo);
	if (supervisor_check_ours(self))
		end(self);
}

static void step_detacher(struct supervisor *self)
{
	struct error err;
	int rc = job_step(&self->detacher, &err);

	if (rc == -ESTALE) { /* another's: what leave() tells the driver is not for that one */
		log_message(LOG_NOTICE, "%s", err.text);
		self->done = true;
	} else if (rc < 0) {
		leave(self, err.text);
	}
	/* Detached: the hang-up of our links says so too, but here it is certain. */
	if (rc == 0)
		supervisor_event(self, FSM_EV_GONE, 0);
}

void supervisor_end_step(struct supervisor *self)
{
	if (job_is_running(&self->detacher))
		step_detacher(self);
	if (job_is_running(&self->detacher) && supervisor_now_ms() >= self->detacher_until_ms)
		leave(self, "detaching takes too long");
	step_shutdown(self);
	if (self->end_after_outage && is_outage_over(self))
		end(self);
}
