/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor/ending.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "device/detach.h"
#include "isolate/isolate.h"
#include "output/log.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DETACH_TIMEOUT_MS 10000
#define SHUTDOWN_IO_TIMEOUT_SEC 30
#define CHECK_MS 500

static void await_detacher(struct ending *ending)
{
	bool is_running = job_is_running(&ending->detacher);

	loop_watch(&ending->detaching, job_poll_fd(&ending->detacher), POLLIN);
	loop_call_at(&ending->detaching,
		is_running ? monotonic_now_ms() + DETACH_TIMEOUT_MS : LOOP_NEVER);
}

static void give_up(struct ending *ending, const char *why, enum detached_how how)
{
	snprintf(ending->why, sizeof(ending->why), "%s", why);
	engine_tell(
		ending->engine, &(struct machine_event){.type = EVENT_DETACHED, .detached = how});
}

void ending_detach(struct ending *ending, bool is_forced)
{
	struct device_detach what = {.index = ending->attachment->index,
		.how = is_forced ? DETACH_FORCED : DETACH_IF_UNUSED,
		.backend = ending->attachment->backend};
	struct error err;

	if (job_start(&ending->detacher, device_detach_job, &what, -1, &err))
		give_up(ending, err.text, DETACHED_NOT);
	await_detacher(ending);
}

/* The machine shuts down. What waits for a server that is away would hold that up for the whole
 * dead-timeout. */
static void shut_down(struct ending *ending)
{
	if (ending->engine->machine.is_shutting_down)
		return;
	engine_event(ending->engine, EVENT_SHUTDOWN, 0);
	log_message(LOG_NOTICE,
		"/dev/nbd%d: the machine shuts down; from here on I/O waits no longer than %d s "
		"for the server",
		ending->attachment->index, MACHINE_SHUTDOWN_MS / 1000);
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

/* Somebody uses the device still. When the machine shuts down, the network goes next: what is in
 * flight then would wait for ever, since the driver by itself ends such a wait only where it has a
 * timeout (kernel fact stuck-request). */
void ending_leave(struct ending *ending)
{
	struct attachment *attachment = ending->attachment;
	const struct machine *machine = &ending->engine->machine;
	struct nbd_genl_reconfigure params = {
		.index = attachment->index,
		.backend_identifier = attachment->backend,
		.fd = -1,
		.set_dead_conn_timeout = true,
		.dead_conn_timeout_sec = MACHINE_SHUTDOWN_MS / 1000,
		.timeout_sec = SHUTDOWN_IO_TIMEOUT_SEC,
	};
	struct error err;

	log_message(LOG_WARNING, "/dev/nbd%d stays: %s", attachment->index,
		machine->stop == STOP_DETACHING ?
			ending->why :
			"its server is away, and what may not be written yet would be lost");
	/* it may have come as far as an order that outlives it (kernel fact disconnect-on-close) */
	if (ending_is_detaching(ending)) {
		job_kill(&ending->detacher);
		if (attachment_is_ours(attachment))
			(void)nbd_genl_disconnect_on_close(
				&attachment->genl, attachment->index, attachment->backend, false);
	}
	if (machine->is_shutting_down && nbd_genl_reconfigure(&attachment->genl, &params, &err))
		log_message(LOG_WARNING, "%s", err.text);
}

void ending_on_signal(struct ending *ending, int signal_number)
{
	if (ending_is_detaching(ending))
		return;
	if (signal_number == SIGUSR1) {
		if (!ending->attachment->policy.root) /* of nbd-attach-shutdown@.service */
			shut_down(ending);
		return;
	}
	log_message(LOG_NOTICE, "/dev/nbd%d: told to end by signal %d", ending->attachment->index,
		signal_number);
	if (engine_owns_device(ending->engine, ending->attachment))
		engine_event(ending->engine, EVENT_STOP, 0);
}

static void on_detached(void *owner, short revents)
{
	struct ending *ending = owner;
	struct error err;
	int rc = revents ? job_step(&ending->detacher, &err) : -ETIMEDOUT;

	if (rc == 1)
		return;
	if (revents)
		await_detacher(ending);
	if (rc == 0) {
		/* The hang-up of our links says so too, but here it is certain. */
		engine_event(ending->engine, EVENT_GONE, 0);
	} else if (rc == -ESTALE) {
		log_message(LOG_NOTICE, "%s", err.text);
		give_up(ending, err.text, DETACHED_FOREIGN);
	} else {
		give_up(ending, revents ? err.text : "detaching takes too long", DETACHED_NOT);
	}
}

static void on_check(void *owner, short revents)
{
	(void)revents;
	ending_update(owner);
}

void ending_update(struct ending *ending)
{
	const struct machine *machine = &ending->engine->machine;

	if (!ending->attachment->policy.root || machine->is_shutting_down ||
		machine->outage_since_ms < 0 || machine_is_over(machine))
		return;
	loop_call_by(&ending->check, monotonic_now_ms() + CHECK_MS);
	if (is_last_program_running())
		shut_down(ending);
}

bool ending_is_detaching(const struct ending *ending)
{
	return job_is_running(&ending->detacher);
}

void ending_init(struct ending *ending, struct attachment *attachment, struct engine *engine,
	struct loop *loop)
{
	*ending = (struct ending){.attachment = attachment, .engine = engine};
	loop_add(loop, &ending->detaching, LOOP_CHILD, on_detached, ending);
	loop_add(loop, &ending->check, LOOP_TIME, on_check, ending);
}

void ending_close(struct ending *ending)
{
	loop_remove(&ending->detaching);
	loop_remove(&ending->check);
	job_kill(&ending->detacher); /* or it might detach a successor's device */
}
