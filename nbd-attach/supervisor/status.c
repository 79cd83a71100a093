/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a supervisor says of its device. */
#include "supervisor/internal.h"
#include "isolate/isolate.h"
#include "nbd/nbd-protocol.h"
#include "output/report.h"
#include "supervisor/notify.h"
#include "output/log.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

const char *supervisor_state(const struct supervisor *self)
{
	if (self->fsm.phase == FSM_FAILED)
		return "failed";
	if (fsm_is_serving(&self->fsm))
		return "alive";
	return self->fsm.refused ? "stopped" : "reconnecting";
}

static const char *link_state(const struct fsm_link *link)
{
	if (link->state != FSM_LINK_ALIVE)
		return "dead";
	return link->unwatched ? "unwatched" : "alive";
}

static const char *silence(const struct fsm_link *link)
{
	if (link->silence == FSM_ANSWERING)
		return "";
	return link->silence == FSM_SLOW ? "slow" : "suspected";
}

static void add_number(json_object *object, const char *key, uint64_t value)
{
	json_object_object_add(object, key, json_object_new_uint64(value));
}

static void add_text(json_object *object, const char *key, const char *text)
{
	json_object_object_add(object, key, *text ? json_object_new_string(text) : NULL);
}

static json_object *link_status(const struct supervisor *self, unsigned at)
{
	const struct link *link = &self->attachment->links[at];
	uint64_t limit = link_record_limit(link, self->attachment->options.rekey_records);
	json_object *object = json_object_new_object();
	struct link_sample now;

	json_object_object_add(object, "address", json_object_new_string(link->address));
	json_object_object_add(
		object, "state", json_object_new_string(link_state(&self->fsm.links[at])));
	json_object_object_add(object, "tls", report_tls_json(&link->tls));
	add_text(object, "silence", silence(&self->fsm.links[at]));
	json_object_object_add(object, "silent_for_ms",
		*silence(&self->fsm.links[at]) ?
			json_object_new_int64(
				sampling_silent_ms(&self->sampling, at, supervisor_now_ms())) :
			NULL);
	json_object_object_add(object, "since_unix_sec", json_object_new_int64(link->since));
	if (link->tls.version)
		json_object_object_add(
			object, "encryption_proven", json_object_new_boolean(link->proven));
	if (self->fsm.links[at].state == FSM_LINK_ALIVE && link_sample(link, &now) == 0) {
		if (link->local.ss_family != AF_UNSPEC) {
			add_number(object, "sent_bytes", now.sent_bytes);
			add_number(object, "received_bytes", now.received_bytes);
		}
		if (link->tls.version) {
			add_number(object, "records_sent", now.transmitted);
			add_number(object, "records_received", now.received);
		}
	}
	if (limit)
		add_number(object, "record_limit", limit);
	return object;
}

static void add_supervision(json_object *object, const struct supervisor *self)
{
	const struct attachment *attachment = self->attachment;
	const struct fsm *fsm = &self->fsm;
	int64_t left_ms = fsm->work_until_ms - supervisor_now_ms(),
		dead_sec = attachment->options.dead_timeout_sec;
	int64_t request_sec = attachment->options.request_timeout_sec;
	const char *error = fsm->phase == FSM_FAILED || !fsm_is_serving(fsm) ? self->reason : "";
	bool log_readable = self->log.fd >= 0;

	json_object_object_add(
		object, "state_since_unix_sec", json_object_new_int64(self->state_since));
	add_text(object, "reason", error);
	json_object_object_add(object, "dead_timeout_sec",
		dead_sec == OPTION_INFINITE_SEC ? NULL : json_object_new_int64(dead_sec));
	json_object_object_add(object, "request_timeout_sec",
		request_sec == OPTION_INFINITE_SEC ? NULL : json_object_new_int64(request_sec));
	json_object_object_add(object, "kernel_log", json_object_new_boolean(log_readable));
	add_number(object, "attempts", fsm->attempts);
	json_object_object_add(object, "next_attempt_in_ms",
		fsm->phase == FSM_RUNNING && fsm->work == FSM_WORK_PAUSE ?
			json_object_new_int64(left_ms > 0 ? left_ms : 0) :
			NULL);
	add_text(object, "last_error", self->reason);
	add_number(object, "reconnects", fsm->reconnects);
	add_number(object, "renewals", fsm->renewals);
	json_object_object_add(object, "error_replies",
		log_readable ? json_object_new_uint64(self->log.error_replies) : NULL);
	add_number(object, "longest_round_ms", (uint64_t)self->longest_round_ms);
	add_text(object, "last_error_reply",
		self->log.error_replies ? strerror(self->log.last_error) : "");
}

json_object *supervisor_status(struct supervisor *self)
{
	const struct attachment *attachment = self->attachment;
	json_object *object = json_object_new_object(), *links = json_object_new_array();
	char text[1024];

	kmsg_read(&self->log);
	snprintf(text, sizeof(text), "/dev/nbd%d", attachment->index);
	json_object_object_add(object, "device", json_object_new_string(text));
	json_object_object_add(object, "state", json_object_new_string(supervisor_state(self)));
	target_format(&attachment->target, text, sizeof(text));
	json_object_object_add(object, "uri", json_object_new_string(text));
	json_object_object_add(
		object, "export", report_export_json(&attachment->names, &attachment->export));
	add_number(object, "size_bytes", attachment->export.size_bytes);
	json_object_object_add(object, "offered_size_bytes",
		attachment->offered_size_bytes ?
			json_object_new_uint64(attachment->offered_size_bytes) :
			NULL);
	add_number(object, "block_size_bytes", attachment->block_size_bytes);
	json_object_object_add(object, "read_only",
		json_object_new_boolean(attachment->flags & NBD_TFLAG_READ_ONLY));
	json_object_object_add(object, "backend", json_object_new_string(attachment->backend));
	json_object_object_add(object, "supervisor_pid", json_object_new_int64(getpid()));
	json_object_object_add(object, "since_unix_sec", json_object_new_int64(attachment->since));
	json_object_object_add(object, "adopted", json_object_new_boolean(attachment->adopted));
	json_object_object_add(object, "root", json_object_new_boolean(isolate_is_entered()));
	add_supervision(object, self);
	for (unsigned i = 0; i < attachment->link_count; i++)
		json_object_array_add(links, link_status(self, i));
	json_object_object_add(object, "links", links);
	return object;
}

static void tell_failed(const struct supervisor *self)
{
	if (self->shutting_down)
		log_message(LOG_CRIT,
			"/dev/nbd%d: the machine shuts down and the server is away: I/O fails from "
			"now on, and what was not written is lost (%s)",
			self->attachment->index, self->reason);
	else
		log_message(LOG_CRIT,
			"/dev/nbd%d: the server was away for longer than --dead-timeout %lld s: "
			"I/O fails from now on, and what was not written is lost (%s)",
			self->attachment->index,
			(long long)self->attachment->options.dead_timeout_sec, self->reason);
}

void supervisor_tell_state(struct supervisor *self)
{
	const char *state = supervisor_state(self);
	char line[900];

	if (self->state == state)
		return;
	self->state = state;
	self->state_since = time(NULL);
	if (self->fsm.phase == FSM_FAILED)
		tell_failed(self);
	if (strcmp(state, "alive") == 0)
		attachment_describe(self->attachment, line, sizeof(line));
	else
		snprintf(line, sizeof(line), "/dev/nbd%d: %s%s%s", self->attachment->index, state,
			*self->reason ? ": " : "", self->reason);
	notify_status(line);
}
