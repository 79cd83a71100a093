/* SPDX-License-Identifier: GPL-2.0-or-later */
/* info and list: the same question to a server, of one export or of all. */
#include "child/negotiation.h"
#include "cmd/commands.h"
#include "options/config.h"
#include "nbd/nbd-protocol.h"
#include "options/retype.h"
#include "output/report.h"
#include "output/show.h"
#include "base/text.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_tls(const struct tls_info *tls)
{
	char date[32];

	if (!tls->version) {
		show_line(stdout, "TLS:         none: everything is sent in clear");
		return;
	}
	show_line(stdout, "TLS:         %s, %s%s%s", tls_version_name(tls->version), tls->cipher,
		*tls->group ? ", " : "", tls->group);
	if (!*tls->peer_name && !*tls->peer_pin) {
		show_line(stdout, "verified:    by %s", tls->authentication);
		return;
	}
	report_format_date(tls->peer_not_after, date, sizeof(date));
	show_line(stdout, "verified:    by %s: %s, until %s", tls->authentication,
		*tls->peer_name ? tls->peer_name : "(no subject)", date);
	show_line(stdout, "issuer:      %s", tls->peer_issuer);
	show_line(stdout, "pin:         %s", tls->peer_pin);
}

static void print_flags(uint16_t flags)
{
	show_part(stdout, "flags:      ");
	for (unsigned bit = 0; bit < 16; bit++)
		if (flags & (1U << bit) && export_flag_name(bit))
			show_part(stdout, " %s", export_flag_name(bit));
	show_line(stdout, "%s", "");
}

static void print_export(const struct export_names *names, const struct export_geometry *geometry)
{
	char text[EXPORT_NAME_MAX + 1], size[32];

	text_sanitise(text, sizeof(text), names->name, strlen(names->name));
	show_line(stdout, "export:      \"%s\"%s", text, *text ? "" : " (the default)");
	if (*names->canonical_name && strcmp(names->canonical_name, names->name) != 0)
		show_line(stdout, "canonical:   \"%s\"", names->canonical_name);
	if (*names->description)
		show_line(stdout, "description: %s", names->description);
	if (geometry->has_size) {
		report_format_size(geometry->size_bytes, size, sizeof(size));
		show_line(stdout, "size:        %s (%" PRIu64 " bytes)%s", size,
			geometry->size_bytes,
			geometry->flags & NBD_TFLAG_READ_ONLY ? ", read-only" : "");
		print_flags(geometry->flags);
	}
	if (geometry->has_block_size)
		show_line(stdout, "block sizes: minimum %u, preferred %u, maximum %u",
			geometry->block_min_bytes, geometry->block_preferred_bytes,
			geometry->block_max_bytes);
}

struct collector {
	bool json;
	json_object *exports;
	size_t count;
};

static void on_export(const struct export_info *info, void *data)
{
	struct collector *collector = data;

	if (collector->json) {
		json_object_array_add(
			collector->exports, report_export_json(&info->names, &info->geometry));
	} else {
		if (collector->count)
			show_line(stdout, "%s", "");
		print_export(&info->names, &info->geometry);
	}
	collector->count++;
}

static void print_nothing_listed(const struct options *options)
{
	struct retyped server = {""};

	retype_server(&server, options, 0);
	show_line(stdout,
		"the server lists no exports; the default one may be there all the same: "
		"nbd-attach info %s",
		server.s);
}

static void print_result(const struct options *options, const struct config *config,
	const struct negotiation_result *result, const struct export_names *names,
	enum negotiation_kind kind, struct collector *collector)
{
	char uri[512];
	json_object *top;

	if (!collector->json) {
		if (kind == NEGOTIATION_INFO)
			print_export(names, &result->export);
		else if (collector->count == 0)
			print_nothing_listed(options);
		if (kind == NEGOTIATION_LIST && collector->count)
			show_line(stdout, "%s", "");
		show_line(stdout, "server:      %s", result->address);
		print_tls(&result->tls);
		return;
	}
	endpoint_format(&config->endpoint, config->tls.wanted, uri, sizeof(uri));
	top = json_object_new_object();
	json_object_object_add(top, "uri", json_object_new_string(uri));
	json_object_object_add(top, "address", json_object_new_string(result->address));
	json_object_object_add(top, "tls", report_tls_json(&result->tls));
	if (kind == NEGOTIATION_INFO)
		json_object_array_add(
			collector->exports, report_export_json(names, &result->export));
	json_object_object_add(top, "exports", json_object_get(collector->exports));
	report_print_json(top);
}

static int ask(struct options *options, enum negotiation_kind kind)
{
	struct collector collector = {.json = options->json, .exports = json_object_new_array()};
	struct export_names *names = calloc(1, sizeof(*names));
	struct negotiation_result result;
	struct config *config = calloc(1, sizeof(*config));
	struct tls_credentials *creds = NULL;
	struct error err = {.kind = ERROR_OTHER, .text = "out of memory"};
	struct negotiation_job job = {
		.kind = kind,
		.endpoint = &config->endpoint,
		.timeout_ms = options->settings.policy.connect_timeout_ms,
		.verbose = options->verbose,
		.names = kind == NEGOTIATION_INFO ? names : NULL,
		.on_export = on_export,
		.on_export_data = &collector,
	};
	int rc = names && config ? config_from_arguments(config, options, 0, &err) : -1;

	if (!rc)
		rc = config_load_credentials(config, &creds, &err);
	job.tls = creds;
	report_warnings(creds);
	if (!rc)
		rc = negotiation_run(&job, &result, &err);
	if (!rc)
		print_result(options, config, &result, names, kind, &collector);
	if (rc)
		retype_hint(&err, options, 0);
	json_object_put(collector.exports);
	tls_credentials_free(creds);
	free(config);
	free(names);
	return rc ? report_error(&err) : report_finish(0);
}

int command_info(struct options *options)
{
	return ask(options, NEGOTIATION_INFO);
}

int command_list(struct options *options)
{
	return ask(options, NEGOTIATION_LIST);
}
