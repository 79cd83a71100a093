/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a supervisor says of its device. */
#include "supervisor/wiring.h"
#include "base/clock.h"
#include "isolate/isolate.h"
#include "nbd/nbd-protocol.h"
#include "output/report.h"
#include "output/status-io.h"
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *link_state(const struct machine_link *link)
{
	if (!machine_link_is_up(link))
		return "dead";
	return link->state == LINK_UNMONITORED ? "unmonitored" : "alive";
}

static const char *silence(const struct machine_link *link)
{
	if (link->silence == SILENCE_NONE)
		return "";
	return link->silence == SILENCE_SLOW ? "slow" : "suspected";
}

static void add_number(json_object *object, const char *key, uint64_t value)
{
	json_object_object_add(object, key, json_object_new_uint64(value));
}

static void add_text(json_object *object, const char *key, const char *text)
{
	json_object_object_add(object, key, *text ? json_object_new_string(text) : NULL);
}

/* By the wall clock as it is now: it may have been wrong at that time, as it is at boot on a
 * machine that keeps none. */
static void add_since(json_object *object, const char *key, int64_t since_ms)
{
	int64_t age_sec = (boot_now_ms() - since_ms) / 1000;

	json_object_object_add(object, key,
		since_ms < 0 ? NULL : json_object_new_int64((int64_t)time(NULL) - age_sec));
}

static json_object *link_status(const struct supervisor *self, unsigned at)
{
	const struct link *link = &self->attachment->links[at];
	uint64_t limit = link_record_limit(link, self->attachment->policy.rekey_records);
	json_object *object = json_object_new_object();
	struct link_sample now;

	json_object_object_add(object, "address", json_object_new_string(link->address));
	json_object_object_add(object, "state",
		json_object_new_string(link_state(&self->engine.machine.links[at])));
	if (!link->is_tls_unknown)
		json_object_object_add(object, "tls", report_tls_json(&link->tls));
	add_text(object, "silence", silence(&self->engine.machine.links[at]));
	json_object_object_add(object, "silent_for_ms",
		*silence(&self->engine.machine.links[at]) ?
			json_object_new_int64(sampling_silent_ms(
				&self->sampler.sampling, at, monotonic_now_ms())) :
			NULL);
	add_since(object, "since_unix_sec", link->since_ms);
	if (link->tls.version)
		json_object_object_add(
			object, "encryption_proven", json_object_new_boolean(link->proven));
	if (machine_link_is_up(&self->engine.machine.links[at]) && link_sample(link, &now) == 0) {
		if (link_is_tcp(link)) {
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
	const struct machine *machine = &self->engine.machine;
	int64_t left_ms = machine->work_until_ms - monotonic_now_ms(),
		dead_sec = attachment->policy.dead_timeout_sec;
	int64_t request_sec = attachment->policy.request_timeout_sec;
	const char *error = machine->phase == PHASE_FAILED || !machine_is_serving(machine) ?
		self->condition.reason :
		"";
	bool log_readable = self->log.kmsg.fd >= 0;

	add_since(object, "state_since_unix_sec", self->condition.since_ms);
	add_text(object, "reason", error);
	json_object_object_add(object, "dead_timeout_sec",
		dead_sec == POLICY_INFINITE_SEC ? NULL : json_object_new_int64(dead_sec));
	json_object_object_add(object, "request_timeout_sec",
		request_sec == POLICY_INFINITE_SEC ? NULL : json_object_new_int64(request_sec));
	json_object_object_add(object, "kernel_log", json_object_new_boolean(log_readable));
	add_number(object, "attempts", machine->attempts);
	json_object_object_add(object, "next_attempt_in_ms",
		machine->phase == PHASE_RUNNING && machine->work == WORK_PAUSE ?
			json_object_new_int64(left_ms > 0 ? left_ms : 0) :
			NULL);
	add_text(object, "last_error", self->condition.reason);
	add_number(object, "reconnects", machine->reconnects);
	add_number(object, "renewals", machine->renewals);
	json_object_object_add(object, "error_replies",
		log_readable ? json_object_new_uint64(self->log.kmsg.error_replies) : NULL);
	add_number(object, "longest_round_ms", (uint64_t)self->loop.longest_round_ms);
	add_text(object, "last_error_reply",
		self->log.kmsg.error_replies ? strerror(self->log.kmsg.last_error) : "");
}

static void add_io(json_object *object, const struct attachment *attachment)
{
	struct block_io io;

	if (!attachment->io_known || block_io_read(attachment->index, &io) < 0) {
		json_object_object_add(object, "io", NULL);
		return;
	}
	block_io_subtract(&io, &attachment->io_before);
	json_object_object_add(object, "io", status_io_json(&io));
	json_object_object_add(object, "io_at_ms", json_object_new_int64(monotonic_now_ms()));
}

static json_object *warnings(const struct supervisor *self)
{
	struct expiry_warning list[EXPIRY_WARNINGS_MAX];
	size_t count = expiry_list(self->attachment, time(NULL), list);
	json_object *array = json_object_new_array();

	for (size_t i = 0; i < count; i++)
		json_object_array_add(array, json_object_new_string(list[i].text));
	if (self->record.problem.kind)
		json_object_array_add(array, json_object_new_string(self->record.problem.text));
	return array;
}

/* What the supervisor was told and did of late: for a report of a fault. */
static json_object *trace(const struct supervisor *self)
{
	json_object *steps = json_object_new_array();
	char text[256];

	for (unsigned i = 0; engine_format_step(&self->engine, i, text, sizeof(text)); i++)
		json_object_array_add(steps, json_object_new_string(text));
	return steps;
}

json_object *supervisor_status(void *owner)
{
	struct supervisor *self = owner;
	const struct attachment *attachment = self->attachment;
	json_object *object = json_object_new_object(), *links = json_object_new_array();
	char text[1024];

	driver_log_read(&self->log);
	snprintf(text, sizeof(text), "/dev/nbd%d", attachment->index);
	json_object_object_add(object, "device", json_object_new_string(text));
	json_object_object_add(
		object, "state", json_object_new_string(condition_state(&self->engine.machine)));
	endpoint_format(&attachment->endpoint, attachment->creds, text, sizeof(text));
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
	add_since(object, "since_unix_sec", attachment->since_ms);
	json_object_object_add(object, "adopted", json_object_new_boolean(attachment->adopted));
	json_object_object_add(object, "root", json_object_new_boolean(isolate_is_entered()));
	add_supervision(object, self);
	add_io(object, attachment);
	json_object_object_add(object, "warnings", warnings(self));
	for (unsigned i = 0; i < attachment->link_count; i++)
		json_object_array_add(links, link_status(self, i));
	json_object_object_add(object, "links", links);
	json_object_object_add(object, "trace", trace(self));
	return object;
}
