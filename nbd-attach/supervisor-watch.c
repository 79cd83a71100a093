/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What has to be looked at, since nobody says it: record numbers, silence, quiet moments, the kernel's log. When to look is
 * supervisor-look.c's to say. */
#include "supervisor-internal.h"
#include "supervisor-log.h"
#include "sysfs.h"
#include <errno.h>
#include <string.h>

/* A device that has failed sends no notice when somebody detaches it. */
#define FAILED_LOOK_MS 5000
#define FAIL_AGAIN_COUNT 10

void supervisor_look(struct supervisor *self)
{
	struct attachment *attachment = self->attachment;
	int64_t now_ms = supervisor_now_ms();
	bool in_flight = sysfs_in_flight(attachment->index);
	uint64_t wish = attachment->options.rekey_records;

	look_begin(&self->look, in_flight);
	for (unsigned i = 0; i < attachment->link_count; i++) {
		struct link *link = &attachment->links[i];
		struct link_sample now;
		struct look_sample sample;
		unsigned verdict;
		struct error err;

		if (self->fsm.links[i].state != FSM_LINK_ALIVE || link_sample(link, &now) < 0)
			continue;
		if (link->local.ss_family == AF_UNSPEC) /* a Unix socket does not tell what it has carried */
			now.received_bytes = sysfs_completed(attachment->index);
		sample = (struct look_sample){now.sent_bytes, now.received_bytes, now.transmitted > now.received ? now.transmitted : now.received,
			link_record_limit(link, wish)};
		verdict = look_link(&self->look, i, &sample, in_flight, now_ms);
		if (link_prove(link, &err) == -EPROTO) {
			supervisor_note(self, LOG_CRIT, "", &err);
			verdict |= LOOK_SILENT;
		} else if (verdict & LOOK_SILENT) {
			supervisor_log(LOG_WARNING, "/dev/nbd%d: %s has not answered for %d s and requests wait: closing this connection", attachment->index,
				link->address, attachment->options.liveness_timeout_ms / 1000);
		}
		if (verdict & LOOK_RENEW_NOW)
			supervisor_event(self, FSM_EV_RENEW_NOW, i);
		else if (verdict & LOOK_RENEW)
			supervisor_event(self, FSM_EV_RENEW, i);
		if (verdict & LOOK_SILENT)
			supervisor_event(self, FSM_EV_SILENT, i);
	}
	/* Asked again at the last moment: what is sent before the link is shut waits for its timer. */
	if (!in_flight && fsm_awaits_quiet(&self->fsm) && !sysfs_in_flight(attachment->index))
		supervisor_event(self, FSM_EV_QUIET, 0);
	self->look_at_ms = look_finish(&self->look, supervisor_now_ms(), fsm_awaits_quiet(&self->fsm));
}

/* An error reply is final (kernel fact 13a). One of them can be kept from coming again: a server that is shutting down (nbdkit on SIGTERM)
 * answers so whatever it is sent, for as long as it is sent something; requests that find no link wait instead. */
static void read_error_replies(struct supervisor *self)
{
	if (self->log.error_replies == self->error_replies_told)
		return;
	self->error_replies_told = self->log.error_replies;
	for (unsigned i = 0; self->log.last_error == ESHUTDOWN && self->log.error_replies > self->error_replies_before && i < self->fsm.link_count; i++)
		supervisor_event(self, FSM_EV_SILENT, i);
	supervisor_log(LOG_ERR, "/dev/nbd%d: the server answered requests with an error (%s; %llu so far, at least): that I/O has failed, and no reconnect can cure it",
		self->attachment->index, strerror(self->log.last_error), (unsigned long long)self->log.error_replies);
}

/* Requests that wait for long are told there: a server that hangs is noticed on a device that nobody looks at just then. But the kernel
 * has much to say that is not for us. */
void supervisor_read_kernel_log(struct supervisor *self)
{
	self->log_muted = !kernel_log_read(&self->log);
	if (self->log.stuck != self->stuck_seen && !self->look.active)
		self->look_at_ms = supervisor_now_ms();
	self->stuck_seen = self->log.stuck;
	read_error_replies(self);
}

void supervisor_look_at_failed(struct supervisor *self)
{
	self->fail_again_at_ms = supervisor_now_ms() + FAILED_LOOK_MS;
	if (!sysfs_device_configured(self->attachment->index))
		supervisor_event(self, FSM_EV_GONE, 0);
	else if (self->fail_count++ < FAIL_AGAIN_COUNT)
		supervisor_fail_device(self); /* one may have been too early for the driver, as any hand-over, and have missed who waits */
}
