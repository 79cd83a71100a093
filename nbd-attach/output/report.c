/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "output/report.h"
#include "output/show.h"
#include "nbd/nbd-protocol.h"
#include "base/text.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

int report_error(const struct error *err)
{
	show_note("%s", err->text);
	if (*err->hint)
		show_line(stderr, "  %s", err->hint);
	return err->kind == ERROR_NONE ? ERROR_OTHER : (int)err->kind;
}

void report_warnings(const struct tls_credentials *creds)
{
	const char *texts[8];
	size_t count = creds ? tls_credentials_warnings(creds, texts, 8) : 0;

	for (size_t i = 0; i < count; i++)
		show_note("warning: %s", texts[i]);
}

void report_format_size(uint64_t bytes, char *buf, size_t size)
{
	static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double value = (double)bytes;
	size_t unit = 0;

	while (value >= 1024 && unit + 1 < sizeof(units) / sizeof(units[0])) {
		value /= 1024;
		unit++;
	}
	if (unit == 0 || value == (double)(uint64_t)value)
		snprintf(buf, size, "%.0f %s", value, units[unit]);
	else
		snprintf(buf, size, "%.1f %s", value, units[unit]);
}

void report_format_date(int64_t when, char *buf, size_t size)
{
	time_t t = (time_t)when;
	struct tm tm;

	if (!gmtime_r(&t, &tm) || strftime(buf, size, "%Y-%m-%d", &tm) == 0)
		snprintf(buf, size, "?");
}

void report_format_duration(int64_t sec, char *buf, size_t size)
{
	static const struct {
		int64_t sec;
		const char *name;
	} units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
	size_t unit = 0, last = sizeof(units) / sizeof(units[0]) - 1;
	int64_t rest;

	if (sec < 0)
		sec = 0;
	while (unit < last && sec < units[unit].sec)
		unit++;
	rest = unit < last ? sec % units[unit].sec / units[unit + 1].sec : 0;
	if (rest)
		snprintf(buf, size, "%" PRId64 " %s %" PRId64 " %s", sec / units[unit].sec,
			units[unit].name, rest, units[unit + 1].name);
	else
		snprintf(buf, size, "%" PRId64 " %s", sec / units[unit].sec, units[unit].name);
}

static void add_string(json_object *object, const char *key, const char *text)
{
	if (*text)
		json_object_object_add(object, key, json_object_new_string(text));
}

json_object *report_flags_json(uint16_t flags)
{
	json_object *names = json_object_new_array();

	for (unsigned bit = 0; bit < 16; bit++)
		if (flags & (1U << bit) && export_flag_name(bit))
			json_object_array_add(names, json_object_new_string(export_flag_name(bit)));
	return names;
}

json_object *report_export_json(
	const struct export_names *names, const struct export_geometry *geometry)
{
	json_object *object = json_object_new_object();
	char name[EXPORT_NAME_MAX + 1];

	text_sanitise(name, sizeof(name), names->name, strlen(names->name));
	json_object_object_add(object, "name", json_object_new_string(name));
	add_string(object, "canonical_name", names->canonical_name);
	add_string(object, "description", names->description);
	if (geometry->has_size) {
		json_object_object_add(
			object, "size_bytes", json_object_new_uint64(geometry->size_bytes));
		json_object_object_add(object, "read_only",
			json_object_new_boolean(geometry->flags & NBD_TFLAG_READ_ONLY));
		json_object_object_add(object, "flags", report_flags_json(geometry->flags));
	}
	if (geometry->has_block_size) {
		json_object_object_add(object, "block_size_minimum_bytes",
			json_object_new_uint64(geometry->block_min_bytes));
		json_object_object_add(object, "block_size_preferred_bytes",
			json_object_new_uint64(geometry->block_preferred_bytes));
		json_object_object_add(object, "block_size_maximum_bytes",
			json_object_new_uint64(geometry->block_max_bytes));
	}
	return object;
}

static void add_validity(json_object *object, const char *until, const char *warn_from,
	const struct tls_validity *validity)
{
	if (!validity->until)
		return;
	json_object_object_add(object, until, json_object_new_int64(validity->until));
	json_object_object_add(object, warn_from, json_object_new_int64(validity->warn_from));
}

json_object *report_tls_json(const struct tls_info *tls)
{
	json_object *object;

	if (!tls->version)
		return NULL; /* JSON null */
	object = json_object_new_object();
	add_string(object, "version", tls_version_name(tls->version));
	add_string(object, "cipher", tls->cipher);
	add_string(object, "group", tls->group);
	add_string(object, "authentication", tls->authentication);
	add_string(object, "peer_name", tls->peer_name);
	add_string(object, "peer_issuer", tls->peer_issuer);
	if (tls->peer_not_after)
		json_object_object_add(object, "peer_not_after_unix_sec",
			json_object_new_int64(tls->peer_not_after));
	add_string(object, "peer_pin", tls->peer_pin);
	add_validity(object, "chain_until_unix_sec", "chain_warn_from_unix_sec", &tls->chain);
	add_validity(object, "own_until_unix_sec", "own_warn_from_unix_sec", &tls->own);
	add_validity(object, "revocation_until_unix_sec", "revocation_warn_from_unix_sec",
		&tls->revocation);
	if (tls->is_stale)
		json_object_object_add(object, "is_stale", json_object_new_boolean(true));
	return object;
}

int report_print_json(json_object *object)
{
	show_json(object, true);
	json_object_put(object);
	return report_finish(0);
}

int report_finish(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	show_note("cannot write to standard output: %s", strerror(errno));
	return status ? status : ERROR_OTHER;
}
