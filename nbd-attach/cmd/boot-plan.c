/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cmd/boot-plan.h"
#include "cmd/attach.h"
#include "base/text.h"
#include "config/nbd-uri.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static void refuse(struct boot_plan *jobs, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void refuse(struct boot_plan *jobs, const char *fmt, ...)
{
	va_list args;

	fputs("nbd-attach: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	jobs->refused = true;
}

/* --- what nbdtab knows of a server */

static bool share_a_host(const struct endpoint *a, const struct endpoint *b)
{
	for (size_t i = 0; i < a->host_count; i++)
		for (size_t j = 0; j < b->host_count; j++)
			if (strcasecmp(a->hosts[i].name, b->hosts[j].name) == 0)
				return true;
	return false;
}

static bool same_hosts(const struct endpoint *a, const struct endpoint *b, bool with_ports)
{
	if (a->host_count != b->host_count || !a->host_count)
		return false;
	for (size_t i = 0; i < a->host_count; i++)
		if (strcasecmp(a->hosts[i].name, b->hosts[i].name) != 0 ||
			(with_ports && a->hosts[i].port != b->hosts[i].port))
			return false;
	return true;
}

static bool same_disk(const struct endpoint *a, const struct endpoint *b, bool with_ports)
{
	return same_hosts(a, b, with_ports) && strcmp(a->export_name, b->export_name) == 0;
}

enum match { MATCH_NONE, MATCH_HOST, MATCH_DISK, MATCH_DEVICE };

static enum match match_line(const struct nbdtab_options *tab, const struct nbdtab_entry *entry,
	const struct kcmdline_attachment *asked)
{
	const struct config *known = &nbdtab_line(tab, entry)->config;

	if (entry->bad)
		return MATCH_NONE;
	if (same_disk(&asked->endpoint, &known->endpoint, asked->port_given))
		return entry->index == asked->index ? MATCH_DEVICE : MATCH_DISK;
	return known->tls.wanted && share_a_host(&asked->endpoint, &known->endpoint) ? MATCH_HOST :
										       MATCH_NONE;
}

static const struct nbdtab_entry *find_line(
	const struct boot_plan *jobs, const struct kcmdline_attachment *asked, enum match *match)
{
	const struct nbdtab_entry *best = NULL;

	*match = MATCH_NONE;
	for (size_t i = 0; i < jobs->tab.nbdtab.entry_count; i++) {
		enum match this = match_line(&jobs->tab, &jobs->tab.nbdtab.entries[i], asked);

		if (this > *match) {
			*match = this;
			best = &jobs->tab.nbdtab.entries[i];
		}
	}
	return best;
}

/* A line that cannot be read may be the one that asks for TLS. */
static const struct nbdtab_entry *find_bad_line(
	const struct boot_plan *jobs, const struct endpoint *asked)
{
	struct config *config = malloc(sizeof(*config));
	const struct nbdtab_entry *found = NULL;
	struct error ignored;

	for (size_t i = 0; config && !found && i < jobs->tab.nbdtab.entry_count; i++) {
		const struct nbdtab_entry *entry = &jobs->tab.nbdtab.entries[i];

		if (!entry->bad || !entry->host)
			continue;
		if (nbd_uri_is_one(entry->host) ?
				nbd_uri_parse(
					&config->endpoint, &config->tls, entry->host, &ignored) :
				endpoint_parse(&config->endpoint, entry->host, NULL, &ignored))
			continue;
		if (share_a_host(&config->endpoint, asked))
			found = entry;
	}
	free(config);
	return found;
}

static void take_uri_credentials(struct tls_config *tls, const struct tls_config *known)
{
	tls->wanted = tls->wanted || known->wanted;
	if (*tls->certificates_dir || *tls->psk_file)
		return;
	memcpy(tls->certificates_dir, known->certificates_dir, sizeof(tls->certificates_dir));
	memcpy(tls->psk_file, known->psk_file, sizeof(tls->psk_file));
	if (!*tls->username)
		memcpy(tls->username, known->username, sizeof(tls->username));
	if (!*tls->hostname)
		memcpy(tls->hostname, known->hostname, sizeof(tls->hostname));
	if (tls->type == TLS_TYPE_ANY)
		tls->type = known->type;
}

/* --- jobs */

/* Options that hold for each of them, where nothing else is said. */
static void init_job(struct boot_plan_entry *job, int index, const struct options *defaults)
{
	*job = (struct boot_plan_entry){.index = index, .options = *defaults};
	job->options.policy.at_boot = job->options.policy.root = true;
	job->options.given = 0; /* the lines go before them */
	if (!options_given(defaults, "wait"))
		job->options.policy.wait_sec = POLICY_INFINITE_SEC;
	if (!options_given(defaults, "dead-timeout"))
		job->options.policy.dead_timeout_sec = POLICY_INFINITE_SEC;
}

static struct boot_plan_entry *new_job(
	struct boot_plan *jobs, int index, const struct options *defaults)
{
	if (jobs->count == BOOT_PLAN_MAX) {
		refuse(jobs, "nbd%d: more than %d devices at boot", index, BOOT_PLAN_MAX);
		return NULL;
	}
	init_job(&jobs->jobs[jobs->count], index, defaults);
	return &jobs->jobs[jobs->count];
}

/* dracut's NBDOPTS, cut in place: OPTIONS comes to point into them. They are nbd-client's, and may
 * have its dashes. */
static int apply_nbdopts(struct boot_plan_entry *job, struct kcmdline_attachment *asked)
{
	char *rest = asked->options, *name, *value, shown[64];
	struct error err;
	int rc;

	while ((name = strsep(&rest, ","))) {
		name += strspn(name, "-");
		value = strchr(name, '=');
		if (value)
			*value++ = 0;
		if (!*name)
			continue;
		rc = nbdtab_options_set(&job->options, name, value, &err);
		text_sanitise(shown, sizeof(shown), name, strlen(name));
		if (rc == -ENOENT && !*err.text) {
			fprintf(stderr, "nbd-attach: %s: the unknown option '%s' is ignored\n",
				asked->word, shown);
		} else if (rc) {
			fprintf(stderr, "nbd-attach: %s: option '%s': %s\n", asked->word, shown,
				err.text);
			return rc;
		}
	}
	return 0;
}

static int apply_line(const struct boot_plan *jobs, struct boot_plan_entry *job,
	const struct kcmdline_attachment *asked, struct error *err)
{
	const struct nbdtab_entry *entry, *bad;
	uint16_t default_port = job->options.port;
	enum match match;

	entry = find_line(jobs, asked, &match);
	/* Whoever wished for TLS said by which authority: another disk's line has no say in it. */
	if (entry && (match > MATCH_HOST || !asked->tls.wanted)) {
		const struct config *known = &nbdtab_line(&jobs->tab, entry)->config;

		nbdtab_options_apply(&jobs->tab, entry, &job->options, match == MATCH_HOST);
		take_uri_credentials(&job->config.tls, &known->tls);
		for (size_t i = 0;
			match > MATCH_HOST && !asked->port_given && i < known->endpoint.host_count;
			i++)
			job->config.endpoint.hosts[i].port = known->endpoint.hosts[i].port;
	}
	job->options.port = asked->port_given || match > MATCH_HOST ? 0 : default_port;
	if (options_adjust_target(&job->options, &job->config, err))
		return -EINVAL;
	if (job->config.tls.wanted)
		return 0;
	/* Another server, named by the command line or by DHCP, which anybody may answer, in the
	 * place of one that was to be verified. */
	entry = nbdtab_find(&jobs->tab.nbdtab, asked->index);
	if (entry && match < MATCH_DISK &&
		(entry->bad || nbdtab_line(&jobs->tab, entry)->config.tls.wanted)) {
		error_set(err, ERROR_USAGE, EINVAL,
			"%s:%u %s for TLS on nbd%d, and this server would be spoken to without",
			jobs->tab.path, entry->line,
			entry->bad ? "cannot be read and may ask" : "asks", asked->index);
		return error_hint(
			err, -EINVAL, "name the server with nbds://, or take that line out");
	}
	bad = find_bad_line(jobs, &job->config.endpoint);
	if (!bad)
		return 0;
	return error_set(err, ERROR_USAGE, EINVAL,
		"%s:%u is about the same host and cannot be read: it may ask for TLS",
		jobs->tab.path, bad->line);
}

static void add_asked(
	struct boot_plan *jobs, struct kcmdline_attachment *asked, const struct options *defaults)
{
	struct boot_plan_entry *job = new_job(jobs, asked->index, defaults);
	struct error err;

	if (!job)
		return;
	job->config = (struct config){asked->endpoint, asked->tls};
	if (apply_nbdopts(job, asked)) {
		jobs->refused = true;
		return;
	}
	if (apply_line(jobs, job, asked, &err) || config_check_attachable(&job->config, &err)) {
		refuse(jobs, "%s: %s%s%s", asked->word, err.text, *err.hint ? "; " : "", err.hint);
		return;
	}
	jobs->count++;
}

static void add_line(
	struct boot_plan *jobs, const struct nbdtab_entry *entry, const struct options *defaults)
{
	const struct nbdtab_line *line = nbdtab_line(&jobs->tab, entry);
	struct boot_plan_entry *job;
	struct error err;

	/* What the command line says of a device, or of that disk, goes before. */
	for (size_t i = 0; i < jobs->count; i++)
		if (jobs->jobs[i].index == entry->index ||
			(!entry->bad &&
				same_disk(&jobs->jobs[i].config.endpoint, &line->config.endpoint,
					true)))
			return;
	for (size_t i = 0; i < jobs->plan->attachment_count; i++) /* one that was refused, too */
		if (jobs->plan->attachments[i].index == entry->index)
			return;
	if (entry->bad) {
		refuse(jobs, "nbd%d is not attached: its line in %s cannot be used", entry->index,
			jobs->tab.path);
		return;
	}
	job = new_job(jobs, entry->index, defaults);
	if (!job)
		return;
	nbdtab_options_apply(&jobs->tab, entry, &job->options, false);
	job->config = line->config;
	if (options_adjust_target(&job->options, &job->config, &err) ||
		config_check_attachable(&job->config, &err)) {
		refuse(jobs, "nbd%d: %s", entry->index, err.text);
		return;
	}
	jobs->count++;
}

static void add_lines(struct boot_plan *jobs, const struct options *defaults)
{
	struct kcmdline *plan = jobs->plan;
	const struct nbdtab_entry *named = NULL;
	size_t before = jobs->count;

	/* root=/dev/nbd0 and no word of the server: nbdtab may know it. */
	if (plan->root_index >= 0)
		named = nbdtab_find(&jobs->tab.nbdtab, plan->root_index);
	if (named) {
		add_line(jobs, named, defaults);
		plan->needs_dhcp = plan->needs_dhcp && jobs->count == before;
	}
	for (size_t i = 0; i < jobs->tab.nbdtab.entry_count; i++)
		if (jobs->tab.lines[i].root && &jobs->tab.nbdtab.entries[i] != named)
			add_line(jobs, &jobs->tab.nbdtab.entries[i], defaults);
}

/* root=/dev/nbd0 and no word of the server: what nbdtab has for it goes before what DHCP may have.
 * Many a network has a root path for others, and anybody may answer there. */
static void parse_cmdline(struct boot_plan *jobs, const struct kcmdline_input *input)
{
	struct kcmdline_input without_dhcp = *input;

	without_dhcp.dhcp_server = without_dhcp.dhcp_root_path = NULL;
	kcmdline_parse(jobs->plan, &without_dhcp);
	if (!jobs->has_tab || !jobs->plan->needs_dhcp || jobs->plan->names_dhcp ||
		jobs->plan->root_index < 0 ||
		!nbdtab_find(&jobs->tab.nbdtab, jobs->plan->root_index))
		kcmdline_parse(jobs->plan, input);
}

int boot_plan_make(struct boot_plan *jobs, const struct kcmdline_input *input,
	const struct options *defaults, struct error *err)
{
	int rc;

	*jobs = (struct boot_plan){0};
	jobs->plan = calloc(1, sizeof(*jobs->plan));
	jobs->jobs = calloc(BOOT_PLAN_MAX, sizeof(*jobs->jobs));
	if (!jobs->plan || !jobs->jobs)
		return error_set(err, ERROR_OTHER, ENOMEM, "out of memory");
	rc = nbdtab_options_load(&jobs->tab, err);
	jobs->has_tab = rc == 0;
	if (jobs->has_tab)
		nbdtab_options_print_notes(&jobs->tab);
	else if (rc != -ENOENT) /* who knows what it would say about TLS */
		return rc;
	parse_cmdline(jobs, input);
	for (size_t i = 0; i < jobs->plan->error_count; i++)
		refuse(jobs, "%s", jobs->plan->errors[i].text);
	for (size_t i = 0; i < jobs->plan->attachment_count; i++)
		add_asked(jobs, &jobs->plan->attachments[i], defaults);
	if (jobs->has_tab)
		add_lines(jobs, defaults);
	return 0;
}

void boot_plan_free(struct boot_plan *jobs)
{
	nbdtab_options_free(&jobs->tab);
	free(jobs->jobs);
	free(jobs->plan);
	*jobs = (struct boot_plan){0};
}
