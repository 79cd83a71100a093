/* SPDX-License-Identifier: GPL-2.0-or-later */
/* audit: tries on a server what an attacker would, and says what came of it. */
#include "audit/audit.h"
#include "audit/probe.h"
#include "cmd/commands.h"
#include "options/config.h"
#include "options/retype.h"
#include "output/report.h"
#include "output/show.h"
#include "base/text.h"
#include "tls/library.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Enough for a server on the other side of the world; all probes share ten times that. */
#define PROBE_TIMEOUT_MS 5000

static void show_export_name(const struct audit_facts *facts, char *text, size_t size)
{
	text_sanitise(text, size, facts->export_name, strlen(facts->export_name));
}

static void print_probe(const struct probe *probe, const struct audit_verdict *verdict)
{
	static const char *const marks[] = {
		[AUDIT_PASS] = "pass", [AUDIT_FAIL] = "FAIL", [AUDIT_NOT_APPLICABLE] = "-"};

	show_line(stdout, "%-4s  %-17s  %s%s", marks[verdict->result], probe->name,
		verdict->not_tried ? "not tried: " : "", verdict->evidence);
	if (verdict->result != AUDIT_FAIL)
		return;
	show_line(stdout, "%-4s  %-17s    tried: %s", "", "", probe->what);
	show_line(stdout, "%-4s  %-17s    see:   %s", "", "", probe->reference);
	show_line(stdout, "%-4s  %-17s    do:    %s", "", "", probe->remedy);
}

static void print_text(const struct audit_report *report)
{
	const struct audit_facts *facts = &report->facts;
	char name[200];

	show_export_name(facts, name, sizeof(name));
	show_line(stdout, "server:  %s", facts->address);
	if (facts->has_tls)
		show_line(stdout, "TLS:     %s, %s with %s", audit_mode_name(facts->mode),
			tls_version_name(facts->tls_version), facts->cipher);
	else
		show_line(stdout, "TLS:     %s", audit_mode_name(facts->mode));
	show_line(stdout, "export:  \"%s\"%s", name, facts->has_export ? "" : " (does not open)");
	show_line(stdout, "%s", "");
	for (size_t i = 0; i < report->count; i++)
		print_probe(&probes[i], &report->verdicts[i]);
	show_line(stdout, "%s", "");
	show_line(stdout, "%zu probes in %.1f s: %zu passed, %zu failed, %zu not applicable%s",
		report->count, (double)report->elapsed_ms / 1000, audit_count(report, AUDIT_PASS),
		audit_count(report, AUDIT_FAIL), audit_count(report, AUDIT_NOT_APPLICABLE),
		report->complete ? "" : "; not all could be tried");
}

static void add_string(json_object *object, const char *key, const char *text)
{
	json_object_object_add(object, key, *text ? json_object_new_string(text) : NULL);
}

static json_object *probe_json(const struct probe *probe, const struct audit_verdict *verdict)
{
	json_object *object = json_object_new_object();

	add_string(object, "name", probe->name);
	add_string(object, "result", audit_result_name(verdict->result));
	json_object_object_add(object, "tried", json_object_new_boolean(!verdict->not_tried));
	add_string(object, "what", probe->what);
	add_string(object, "evidence", verdict->evidence);
	add_string(object, "reference", probe->reference);
	add_string(object, "remedy", probe->remedy);
	json_object_object_add(object, "elapsed_ms", json_object_new_int(verdict->elapsed_ms));
	return object;
}

static void print_json(const struct audit_report *report, const struct endpoint *endpoint)
{
	const struct audit_facts *facts = &report->facts;
	json_object *top = json_object_new_object(), *list = json_object_new_array();
	char uri[512], name[EXPORT_NAME_MAX + 1];

	endpoint_format(endpoint, true, uri, sizeof(uri));
	show_export_name(facts, name, sizeof(name));
	add_string(top, "uri", uri);
	add_string(top, "address", facts->address);
	json_object_object_add(top, "export", json_object_new_string(name));
	add_string(top, "tls_mode", audit_mode_name(facts->mode));
	add_string(
		top, "tls_version", facts->tls_version ? tls_version_name(facts->tls_version) : "");
	add_string(top, "cipher", facts->cipher);
	for (size_t i = 0; i < report->count; i++)
		json_object_array_add(list, probe_json(&probes[i], &report->verdicts[i]));
	json_object_object_add(top, "probes", list);
	json_object_object_add(
		top, "passed", json_object_new_uint64(audit_count(report, AUDIT_PASS)));
	json_object_object_add(
		top, "failed", json_object_new_uint64(audit_count(report, AUDIT_FAIL)));
	json_object_object_add(top, "not_applicable",
		json_object_new_uint64(audit_count(report, AUDIT_NOT_APPLICABLE)));
	json_object_object_add(top, "complete", json_object_new_boolean(report->complete));
	json_object_object_add(top, "sound", json_object_new_boolean(audit_is_sound(report)));
	json_object_object_add(top, "elapsed_ms", json_object_new_int64(report->elapsed_ms));
	report_print_json(top);
}

static int check_endpoint(const struct endpoint *endpoint, struct error *err)
{
	if (endpoint->host_count <= 1)
		return 0;
	error_set(err, ERROR_USAGE, EINVAL, "%zu hosts are given, and an audit is of one server",
		endpoint->host_count);
	return error_hint(err, -EINVAL, "audit them one after the other");
}

/* TLS is tried in any case, with what was given for it. What cannot be loaded and was not named,
 * such as the system's authorities, fails the probe of the certificate alone. */
static int load_credentials(struct config *config, struct tls_credentials **creds,
	struct error *no_creds, struct error *err)
{
	bool named = config->tls.wanted;
	int rc = tls_library_load(err);

	if (rc)
		return rc;
	config->tls.wanted = true;
	/* which versions there are is told by other probes */
	if (!config->tls.min_version)
		config->tls.min_version = TLS_VERSION_1_2;
	rc = config_load_credentials(config, creds, no_creds);
	if (!rc || (!named && no_creds->kind == ERROR_USAGE) || no_creds->kind == ERROR_TLS)
		return 0;
	*err = *no_creds;
	return rc;
}

static int audit(const struct options *options, struct config *config, struct error *err)
{
	struct tls_credentials *creds = NULL;
	struct error no_creds = {0};
	struct audit_report report = {0};
	struct audit_job job = {
		.endpoint = &config->endpoint,
		.timeout_ms = PROBE_TIMEOUT_MS,
		.idle_ms = options->idle_ms,
		.verbose = options->verbose,
		.no_creds = &no_creds,
	};
	int rc = config_from_arguments(config, options, 0, err);

	if (!rc)
		rc = check_endpoint(&config->endpoint, err);
	if (!rc)
		rc = load_credentials(config, &creds, &no_creds, err);
	report_warnings(creds);
	if (settings_given(&options->settings, "connect-timeout"))
		job.timeout_ms = config->policy.connect_timeout_ms;
	job.creds = creds;
	job.has_psk = creds && *config->tls.psk_file;
	job.tls_host = *config->tls.hostname ? config->tls.hostname :
		config->endpoint.host_count  ? config->endpoint.hosts[0].name :
					       "";
	if (!rc)
		rc = audit_run(&job, &report, err);
	if (!rc && options->json)
		print_json(&report, &config->endpoint);
	else if (!rc)
		print_text(&report);
	if (!rc && !audit_is_sound(&report))
		rc = 1;
	audit_report_free(&report);
	tls_credentials_free(creds);
	return rc;
}

int command_audit(struct options *options)
{
	struct config *config = calloc(1, sizeof(*config));
	struct error err = {.kind = ERROR_OTHER, .text = "out of memory"};
	int rc;

	rc = config ? audit(options, config, &err) : -ENOMEM;
	free(config);
	if (rc < 0)
		retype_hint(&err, options, 0);
	return rc < 0 ? report_error(&err) : report_finish(rc);
}
