/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "output/status-text.h"
#include "base/json-get.h"
#include "output/report.h"
#include "output/show.h"
#include "output/status-io.h"
#include <inttypes.h>
#include <string.h>
#include <time.h>

static struct text size_text(int64_t bytes)
{
	struct text text;

	report_format_size((uint64_t)bytes, text.s, sizeof(text.s));
	return text;
}

static struct text duration_text(int64_t sec)
{
	struct text text;

	report_format_duration(sec, text.s, sizeof(text.s));
	return text;
}

static void label(FILE *out, const char *name)
{
	fprintf(out, "  %-10s ", name);
}

static void print_head(FILE *out, json_object *status)
{
	struct text uri = json_get_text(status, "uri"), state = json_get_text(status, "state"),
		    device = json_get_text(status, "device");
	int64_t size;

	fprintf(out, "%s:", *device.s ? device.s : "a device");
	if (*uri.s)
		fprintf(out, " %s,", uri.s);
	if (json_get_number(status, "size_bytes", &size))
		fprintf(out, " %s,", size_text(size).s);
	fprintf(out, " %s%s\n", *state.s ? state.s : "in an unknown state",
		json_get_true(status, "read_only") ? ", read-only" : "");
}

static void print_since(FILE *out, json_object *status, int64_t now)
{
	json_object *value;
	bool known;
	int64_t since = 0, pid;
	time_t when;
	char date[40];
	struct tm tm;

	known = json_get_number(status, "since_unix_sec", &since);
	if (!known && !(json_object_object_get_ex(status, "since_unix_sec", &value) && !value))
		return;
	when = (time_t)since;
	if (!localtime_r(&when, &tm) || !strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S", &tm))
		return;
	label(out, "attached:");
	if (known)
		fprintf(out, "%s, %s ago", date, duration_text(now - since).s);
	else
		fputs("at an unknown time", out);
	if (json_get_number(status, "supervisor_pid", &pid))
		fprintf(out, "; its supervisor is process %" PRId64 "%s", pid,
			json_get_true(status, "root") ? " and needs no disk" : "");
	fputc('\n', out);
}

/* No line for what the first one says, nor for "alive" for as long as it is attached. */
static void print_state(FILE *out, json_object *status, int64_t now)
{
	struct text state = json_get_text(status, "state"),
		    reason = json_get_text(status, "reason");
	int64_t since = 0, attached;
	bool has_since = json_get_number(status, "state_since_unix_sec", &since);

	if (!has_since && !*reason.s)
		return;
	if (strcmp(state.s, "alive") == 0 &&
		(!has_since || !json_get_number(status, "since_unix_sec", &attached) ||
			since - attached < 2))
		return;
	label(out, "state:");
	fputs(state.s, out);
	if (has_since)
		fprintf(out, " for %s", duration_text(now - since).s);
	fprintf(out, "%s%s\n", *reason.s ? ": " : "", reason.s);
}

static void print_attempts(FILE *out, json_object *status)
{
	struct text error = json_get_text(status, "last_error"),
		    reason = json_get_text(status, "reason");
	int64_t attempts = json_get_number_or_0(status, "attempts"), next_ms;
	bool planned = json_get_number(status, "next_attempt_in_ms", &next_ms);

	if (!attempts && !planned)
		return;
	label(out, "attempts:");
	fprintf(out, "%" PRId64 " failed", attempts);
	if (planned && next_ms)
		fprintf(out, ", the next in %s",
			duration_text(next_ms / 1000 + (next_ms % 1000 != 0)).s);
	else if (planned)
		fputs(", the next now", out);
	fputc('\n', out);
	if (*error.s && strcmp(error.s, reason.s) != 0) { /* said with the state */
		label(out, "");
		fprintf(out, "the last one: %s\n", error.s);
	}
}

static void print_waiting(FILE *out, json_object *status, int64_t now)
{
	int64_t timeout, since;

	label(out, "I/O:");
	if (!json_get_number(status, "dead_timeout_sec", &timeout))
		fputs("waits for the server, without end\n", out);
	else if (json_get_number(status, "state_since_unix_sec", &since) && since <= now &&
		now - since < timeout)
		fprintf(out, "waits for the server, %s more at most; then it fails\n",
			duration_text(timeout - (now - since)).s);
	else
		fprintf(out, "waits for the server, for %s at most\n", duration_text(timeout).s);
}

/* What to do about it: what somebody looks for who looks at all. */
static void print_advice(FILE *out, json_object *status, int64_t now)
{
	struct text state = json_get_text(status, "state"),
		    device = json_get_text(status, "device");
	int64_t next_ms;

	if (strcmp(state.s, "reconnecting") == 0) {
		print_waiting(out, status, now);
	} else if (strcmp(state.s, "stopped") == 0) {
		label(out, "I/O:");
		fputs("waits for the former offer\n", out);
		label(out, "try:");
		fputs("let the server offer the same disk as before, and it goes on;\n", out);
		label(out, "");
		fprintf(out, "or give it up: nbd-attach detach %s --force\n", device.s);
	} else if (strcmp(state.s, "failed") == 0) {
		label(out, "I/O:");
		fputs("fails; what was not yet written may be lost\n", out);
		label(out, "try:");
		if (json_get_number(status, "next_attempt_in_ms", &next_ms))
			fputs("bring the server back, and the device serves again;\n", out);
		else
			fprintf(out, "unmount it, nbd-attach detach %s, and attach it again;\n",
				device.s);
		label(out, "");
		fputs("then check (fsck) each file system on it before mounting it again\n", out);
	}
}

static void print_warnings(FILE *out, json_object *status)
{
	json_object *warnings = json_get(status, "warnings");

	for (size_t i = 0; json_object_is_type(warnings, json_type_array) &&
		i < json_object_array_length(warnings);
		i++) {
		label(out, "warning:");
		fprintf(out, "%s\n",
			json_object_get_string(json_object_array_get_idx(warnings, i)));
	}
}

static void print_counts(FILE *out, json_object *status)
{
	static const struct {
		const char *key, *name;
	} counts[] = {{"reconnects", "reconnects"}, {"renewals", "key renewals"},
		{"error_replies", "error replies"}};
	struct text last = json_get_text(status, "last_error_reply");
	bool any = false;

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		int64_t count = json_get_number_or_0(status, counts[i].key);

		if (!count)
			continue;
		if (!any)
			label(out, "so far:");
		fprintf(out, "%s%s: %" PRId64, any ? ", " : "", counts[i].name, count);
		any = true;
	}
	if (any)
		fputc('\n', out);
	if (json_get_number_or_0(status, "error_replies") && *last.s) {
		label(out, "");
		fprintf(out, "the server's last error reply: %s\n", last.s);
	}
}

/* "0.42 ms": of one of them, on the average */
static struct text time_each(const struct block_io_kind *kind)
{
	struct text text;
	double ms = (double)kind->time_ms / (double)kind->requests;

	snprintf(text.s, sizeof(text.s), ms < 10 ? "%.2f ms" : "%.0f ms", ms);
	return text;
}

static struct text speed(uint64_t bytes, uint64_t ms)
{
	struct text text;

	snprintf(text.s, sizeof(text.s), "%.1f MiB/s",
		(double)bytes / (1 << 20) / ((double)ms / 1000));
	return text;
}

static void print_kind(
	FILE *out, const char *name, const struct block_io_kind *kind, uint64_t busy_ms)
{
	if (!kind->requests)
		return;
	label(out, name);
	fprintf(out, "%s in %" PRIu64 " requests, %s each", size_text((int64_t)kind->bytes).s,
		kind->requests, time_each(kind).s);
	if (busy_ms)
		fprintf(out, ", %s while busy", speed(kind->bytes, busy_ms).s);
	fputc('\n', out);
}

static void print_rate(
	FILE *out, const char *name, const struct block_io_kind *kind, int64_t ms, bool *any)
{
	if (!kind->requests)
		return;
	fprintf(out, "%s%s ", *any ? "; " : "", name);
	if (kind->bytes)
		fprintf(out, "%s, ", speed(kind->bytes, (uint64_t)ms).s);
	fprintf(out, "%.0f/s of %s", (double)kind->requests * 1000 / (double)ms, time_each(kind).s);
	*any = true;
}

static void print_interval(FILE *out, json_object *status)
{
	struct block_io io;
	bool any = false;
	int64_t ms;

	if (!status_io_parse(json_get(status, "io_interval"), &io) ||
		!json_get_number(json_get(status, "io_interval"), "ms", &ms) || !ms)
		return;
	label(out, "now:");
	print_rate(out, "reads", &io.reads, ms, &any);
	print_rate(out, "writes", &io.writes, ms, &any);
	print_rate(out, "discards", &io.discards, ms, &any);
	print_rate(out, "flushes", &io.flushes, ms, &any);
	fprintf(out, "%s", any ? "" : "no request was answered");
	if (io.in_flight)
		fprintf(out, "; %" PRIu64 " in flight", io.in_flight);
	fputc('\n', out);
}

/* Since it was attached; with --watch, of the last second, too. */
static void print_io(FILE *out, json_object *status)
{
	struct block_io io;

	if (!status_io_parse(json_get(status, "io"), &io))
		return;
	print_kind(out, "read:", &io.reads, io.busy_ms);
	print_kind(out, "written:", &io.writes, io.busy_ms);
	print_kind(out, "discarded:", &io.discards, 0);
	if (io.flushes.requests) {
		label(out, "flushed:");
		fprintf(out, "%" PRIu64 " times, %s each\n", io.flushes.requests,
			time_each(&io.flushes).s);
	}
	print_interval(out, status);
}

static void print_records(FILE *out, json_object *link)
{
	int64_t sent, received, limit;

	if (!json_get_number(link, "records_sent", &sent) ||
		!json_get_number(link, "records_received", &received))
		return;
	label(out, "  records:");
	fprintf(out, "%" PRId64 " sent, %" PRId64 " received", sent, received);
	if (json_get_number(link, "record_limit", &limit) && limit)
		fprintf(out, ", %.0f %% of the limit",
			100.0 * (double)(sent > received ? sent : received) / (double)limit);
	fprintf(out, "; %s\n",
		json_get_true(link, "encryption_proven") ? "encrypted by the kernel" :
							   "no data yet");
}

static void print_silence(FILE *out, json_object *link)
{
	struct text silence = json_get_text(link, "silence");
	bool slow = strcmp(silence.s, "slow") == 0;

	if (!*silence.s)
		return;
	label(out, "  waits:");
	fprintf(out, "%s without an answer; %s\n",
		duration_text(json_get_number_or_0(link, "silent_for_ms") / 1000).s,
		slow ? "the server answers a new connection, so a request takes long" :
		       "the server is asked over a new connection");
}

static void print_link(FILE *out, json_object *link, size_t number, int64_t now)
{
	struct text address = json_get_text(link, "address"), state = json_get_text(link, "state"),
		    peer;
	json_object *tls = json_get(link, "tls");
	int64_t when;
	char name[24], date[32];

	snprintf(name, sizeof(name), "link %zu:", number);
	label(out, name);
	fprintf(out, "%s%s%s", address.s, *address.s ? ", " : "",
		*state.s ? state.s : "in an unknown state");
	if (json_get_number(link, "since_unix_sec", &when))
		fprintf(out, ", %s old", duration_text(now - when).s);
	if (tls)
		fprintf(out, ", TLS %s %s %s\n", json_get_text(tls, "version").s,
			json_get_text(tls, "cipher").s, json_get_text(tls, "group").s);
	else /* told: null. A key that is not there says nothing */
		fputs(json_object_object_get_ex(link, "tls", NULL) ?
				", not encrypted\n" :
				", whether encrypted is unknown\n",
			out);
	if (strcmp(state.s, "unmonitored") == 0) {
		label(out, "");
		fputs("made by a former supervisor: monitored by the kernel alone, until it is "
		      "replaced\n",
			out);
	}
	print_silence(out, link);
	if (!tls)
		return;
	label(out, "  server:");
	fprintf(out, "verified by %s", json_get_text(tls, "authentication").s);
	peer = json_get_text(tls, "peer_name");
	if (*peer.s)
		fprintf(out, ": %s", peer.s);
	if (json_get_number(tls, "peer_not_after_unix_sec", &when) && when) {
		report_format_date(when, date, sizeof(date));
		fprintf(out, ", until %s", date);
	}
	fputc('\n', out);
	print_records(out, link);
}

/* Attached by us, and so adoptable: config/backend-id.h. */
static bool is_ours(const char *backend)
{
	return strlen(backend) == 32 && strspn(backend, "0123456789abcdef") == 32;
}

static void print_unmonitored(FILE *out, json_object *status, bool is_root)
{
	label(out, "monitored:");
	if (!is_root) {
		fputs("not known: supervisors answer root only\n", out);
		return;
	}
	fputs("by nobody: whether the server is there is not known, and a lost link stays lost\n",
		out);
	label(out, "try:");
	if (is_ours(json_get_text(status, "backend").s))
		fputs("run the command again that attached it: it adopts the device as it is\n",
			out);
	else
		fputs("another program attached it; it can say more\n", out);
}

void status_text_print(FILE *out, json_object *status, int64_t now_unix_sec, bool is_root)
{
	json_object *links = json_get(status, "links");
	struct text state, device;
	int64_t offered;

	show_clean_json(status); /* what a former supervisor, or another program, left there */
	state = json_get_text(status, "state");
	device = json_get_text(status, "device");
	print_head(out, status);
	if (strcmp(state.s, "configured") == 0) {
		print_unmonitored(out, status, is_root);
		return;
	}
	print_since(out, status, now_unix_sec);
	print_state(out, status, now_unix_sec);
	print_attempts(out, status);
	print_advice(out, status, now_unix_sec);
	if (json_get_number(status, "offered_size_bytes", &offered)) {
		label(out, "offered:");
		fprintf(out, "the server offers %s: nbd-attach resize %s\n", size_text(offered).s,
			device.s);
	}
	print_warnings(out, status);
	print_counts(out, status);
	print_io(out, status);
	for (size_t i = 0;
		json_object_is_type(links, json_type_array) && i < json_object_array_length(links);
		i++)
		print_link(out, json_object_array_get_idx(links, i), i + 1, now_unix_sec);
}

int status_text_exit_status(json_object *status)
{
	static const struct {
		const char *state;
		int exit_status;
	} table[] = {
		{"alive", 0},
		{"reconnecting", 10},
		{"stopped", 11},
		{"failed", 12},
		{"configured", 13},
		{"detached", ERROR_BUSY},
	};
	struct text state = json_get_text(status, "state");

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (strcmp(state.s, table[i].state) == 0)
			return table[i].exit_status;
	return ERROR_OTHER;
}
