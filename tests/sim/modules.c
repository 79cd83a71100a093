/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Modules that a supervisor calls beside and that only have to answer, and what it logs. */
#include "device/queue.h"
#include "isolate/isolate.h"
#include "kernel/udev.h"
#include "modules/kernel-modules.h"
#include "output/log.h"
#include "sim.h"
#include "supervisor/core/machine.h"
#include "tls/credentials.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

static bool is_entered;

int isolate_enter(int index, struct error *err)
{
	(void)index;
	(void)err;
	is_entered = true;
	return 0;
}

bool isolate_is_entered(void)
{
	return is_entered;
}

bool isolate_ignores_signals(void)
{
	return false;
}

void isolate_leave_terminal(void)
{
}

bool udev_knows(int index, const char *backend)
{
	(void)index;
	(void)backend;
	return true;
}

int udev_announce(struct udev_wait *wait, int index, struct error *err)
{
	(void)wait;
	(void)index;
	(void)err;
	return 0;
}

int udev_wait_fd(const struct udev_wait *wait)
{
	(void)wait;
	return -1;
}

bool udev_has_noted(struct udev_wait *wait)
{
	(void)wait;
	return true;
}

void udev_wait_end(struct udev_wait *wait)
{
	(void)wait;
}

int kernel_load_nbd(struct error *err)
{
	(void)err;
	return 0;
}

int kernel_load_tls(struct error *err)
{
	(void)err;
	return 0;
}

int kernel_load_cipher(int kernel_cipher, bool whole, struct error *err)
{
	(void)kernel_cipher;
	(void)whole;
	(void)err;
	return 0;
}

bool kernel_is_ready(bool tls, bool whole)
{
	(void)tls;
	(void)whole;
	return true;
}

int queue_limit_requests(int index, uint32_t max_bytes, int timeout_ms, struct error *err)
{
	(void)index;
	(void)max_bytes;
	(void)timeout_ms;
	(void)err;
	sim_blocks("queue_limit_requests()");
	return 0;
}

int queue_set_io_timeout(int index, int io_timeout_ms, int timeout_ms, struct error *err)
{
	(void)index;
	(void)timeout_ms;
	(void)err;
	sim_blocks("queue_set_io_timeout()");
	sim_driver.io_timeout_ms = io_timeout_ms;
	return 0;
}

bool queue_has_io_timeout(int index, int io_timeout_ms)
{
	(void)index;
	sim_blocks("queue_has_io_timeout()");
	return sim_driver.io_timeout_ms == io_timeout_ms;
}

int queue_set_scheduler_none(int index, int timeout_ms, struct error *err)
{
	(void)index;
	(void)timeout_ms;
	(void)err;
	sim_blocks("queue_set_scheduler_none()");
	return 0;
}

bool queue_has_scheduler_none(int index)
{
	(void)index;
	sim_blocks("queue_has_scheduler_none()");
	return true;
}

int queue_set_iostats(int index, int timeout_ms, struct error *err)
{
	(void)index;
	(void)timeout_ms;
	(void)err;
	sim_blocks("queue_set_iostats()");
	return 0;
}

bool queue_has_iostats(int index)
{
	(void)index;
	sim_blocks("queue_has_iostats()");
	return true;
}

int queue_check_offer(int index, unsigned flags, int timeout_ms, struct error *err)
{
	(void)index;
	(void)flags;
	(void)timeout_ms;
	(void)err;
	sim_blocks("queue_check_offer()");
	return 0;
}

bool queue_has_stale_zeroes(int index, unsigned flags)
{
	(void)index;
	(void)flags;
	return false;
}

int tls_credentials_load(
	struct tls_credentials **creds, const struct tls_config *config, struct error *err)
{
	(void)creds;
	(void)config;
	return error_set(err, ERROR_OTHER, ENOSYS, "not here");
}

void tls_credentials_replace(struct tls_credentials *creds, struct tls_credentials *fresh)
{
	(void)creds;
	(void)fresh;
}

const struct tls_config *tls_credentials_config(const struct tls_credentials *creds)
{
	(void)creds;
	return NULL;
}

int tls_credentials_unpack(struct tls_credentials **creds, const struct tls_config *config,
	const void *bytes, size_t size, bool has_disk, struct error *err)
{
	(void)bytes;
	(void)size;
	(void)has_disk;
	return tls_credentials_load(creds, config, err);
}

void tls_credentials_validity(const struct tls_credentials *creds, struct tls_validity *own,
	struct tls_validity *revocation)
{
	(void)creds;
	*own = *revocation = (struct tls_validity){0};
}

size_t tls_credentials_warnings(
	const struct tls_credentials *creds, const char *texts[], size_t max)
{
	(void)creds;
	(void)texts;
	(void)max;
	return 0;
}

void log_open(bool foreground, bool root)
{
	(void)foreground;
	(void)root;
}

void log_message(int priority, const char *fmt, ...)
{
	char text[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	sim_note("<%d> %s", priority, text);
}

void sim_modules_begin(void)
{
	is_entered = false;
}

/* --- the machine's steps, for the notes */

static bool is_told_often(enum machine_event_type type)
{
	return type == EVENT_TICK || type == EVENT_IDLE || type == EVENT_SILENT ||
		type == EVENT_SAMPLED;
}

void __real_machine_step(struct machine *machine, const struct machine_event *event,
	struct machine_actions *actions);
void __wrap_machine_step(struct machine *machine, const struct machine_event *event,
	struct machine_actions *actions);
void __wrap_machine_step(
	struct machine *machine, const struct machine_event *event, struct machine_actions *actions)
{
	char text[160] = "";
	size_t len = 0;

	__real_machine_step(machine, event, actions);
	for (unsigned i = 0; i < actions->count && len < sizeof(text); i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s %u", i ? ", " : "",
			machine_action_name(actions->list[i].type), actions->list[i].link);
	if (actions->count || !is_told_often(event->type))
		sim_note("  %s %u %#x: %s", machine_event_name(event->type), event->link,
			event->facts, text);
}
