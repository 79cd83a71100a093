/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cmd/boot-plan.h"
#include "output/show.h"
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
	char text[1400]; /* an error with its hint, and the word that it is about */
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	show_note("%s", text);
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
	const struct nbdtab_line *known = nbdtab_line(tab, entry);

	if (entry->bad)
		return MATCH_NONE;
	if (same_disk(&asked->endpoint, &known->endpoint, asked->port_given))
		return entry->index == asked->index ? MATCH_DEVICE : MATCH_DISK;
	return nbdtab_line_wants_tls(known) && share_a_host(&asked->endpoint, &known->endpoint) ?
		MATCH_HOST :
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

/* What holds for each of them, where nothing else is said. */
static void init_settings(struct settings *settings, const struct settings *defaults)
{
	settings_init(settings);
	settings_set(settings, "root", NULL, NULL);
	settings_set(settings, "wait", "infinity", NULL);
	settings_set(settings, "dead-timeout", "infinity", NULL);
	settings_merge(settings, defaults);
}

static struct boot_plan_entry *new_job(struct boot_plan *jobs, int index)
{
	struct boot_plan_entry *job = &jobs->jobs[jobs->count];

	if (jobs->count == BOOT_PLAN_MAX) {
		refuse(jobs, "nbd%d: more than %d devices at boot", index, BOOT_PLAN_MAX);
		return NULL;
	}
	*job = (struct boot_plan_entry){.index = index};
	return job;
}

/* SETTINGS has all layers: boot's own, nbdtab's, and what the kernel's command line says. */
static int finish_job(
	struct boot_plan_entry *job, const struct settings *settings, struct error *err)
{
	const struct settings *const layers[] = {settings, NULL};
	int rc = config_merge(&job->config, layers, err);

	job->config.policy.at_boot = true;
	return rc;
}

/* dracut's NBDOPTS, cut in place. They are nbd-client's, and may have its dashes. */
static int parse_nbdopts(struct settings *settings, struct kcmdline_attachment *asked)
{
	char *rest = asked->options, *name, *value, shown[64];
	struct error err;
	int rc;

	settings_init(settings);
	while ((name = strsep(&rest, ","))) {
		name += strspn(name, "-");
		value = strchr(name, '=');
		if (value)
			*value++ = 0;
		if (!*name)
			continue;
		rc = nbdtab_options_set(settings, name, value, &err);
		text_sanitise(shown, sizeof(shown), name, strlen(name));
		if (rc == -ENOENT && !*err.text) {
			show_note(
				"%s: the unknown option '%s' is ignored", asked->parameter, shown);
		} else if (rc) {
			show_note("%s: option '%s': %s", asked->parameter, shown, err.text);
			return rc;
		}
	}
	return 0;
}

/* What nbdtab knows of the server that is asked for. */
static enum match apply_line(const struct boot_plan *jobs, struct config *config,
	struct settings *settings, const struct kcmdline_attachment *asked)
{
	const struct nbdtab_entry *entry;
	const struct nbdtab_line *known;
	enum match match;

	entry = find_line(jobs, asked, &match);
	/* An argument that asks for TLS names its authority: another disk's line adds nothing. */
	if (!entry || (match == MATCH_HOST && asked->tls.wanted))
		return match;
	known = nbdtab_line(&jobs->tab, entry);
	take_uri_credentials(&config->tls, &known->uri_tls);
	if (match == MATCH_HOST) {
		settings_merge_tls(settings, &known->settings);
		return match;
	}
	settings_merge(settings, &known->settings);
	for (size_t i = 0; !asked->port_given && i < known->endpoint.host_count; i++)
		config->endpoint.hosts[i].port = known->endpoint.hosts[i].port;
	return match;
}

/* May it be spoken to without TLS? */
static int check_clear(const struct boot_plan *jobs, const struct boot_plan_entry *job,
	enum match match, struct error *err)
{
	const struct nbdtab_entry *entry = nbdtab_find(&jobs->tab.nbdtab, job->index), *bad;

	/* Another server, named by the command line or by DHCP, which anybody may answer, in the
	 * place of one that was to be verified. */
	if (entry && match < MATCH_DISK &&
		(entry->bad || nbdtab_line_wants_tls(nbdtab_line(&jobs->tab, entry)))) {
		error_set(err, ERROR_USAGE, EINVAL,
			"%s:%u %s for TLS on nbd%d, and this server would be spoken to without",
			jobs->tab.path, entry->line,
			entry->bad ? "cannot be read and may ask" : "asks", job->index);
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

static bool names_port(const struct endpoint *endpoint)
{
	for (size_t i = 0; i < endpoint->host_count; i++)
		if (endpoint->hosts[i].port != ENDPOINT_DEFAULT_PORT)
			return true;
	return false;
}

/* Below nbdtab's, since any host may answer to DHCP; and no disk that nbdtab knows fails, or loses
 * its connections, as soon as such a host says. */
static void merge_dhcps(const struct boot_plan *jobs, struct settings *settings,
	const struct kcmdline_attachment *asked, const struct settings *nbdopts)
{
	struct settings allowed = *nbdopts;
	enum match match;

	find_line(jobs, asked, &match);
	if (match > MATCH_HOST) {
		settings_forget(&allowed, "request-timeout");
		settings_forget(&allowed, "dead-timeout");
	}
	settings_merge(settings, &allowed);
}

/* URI < boot's command line < nbdtab < NBDOPTS, which are below nbdtab if they are DHCP's; but a
 * port that stands beside the server, here or in nbdtab, goes before all, and DHCP gives no port
 * to a disk that nbdtab knows. */
static int configure_asked(const struct boot_plan *jobs, struct boot_plan_entry *job,
	const struct kcmdline_attachment *asked, const struct settings *nbdopts,
	const struct settings *defaults, struct error *err)
{
	struct settings settings;
	enum match match;
	int rc;

	job->config.endpoint = asked->endpoint;
	job->config.tls = asked->tls;
	init_settings(&settings, defaults);
	if (asked->is_dhcps)
		merge_dhcps(jobs, &settings, asked, nbdopts);
	match = apply_line(jobs, &job->config, &settings, asked);
	if (!asked->is_dhcps)
		settings_merge(&settings, nbdopts);
	if (asked->port_given ||
		(match > MATCH_HOST && (asked->is_dhcps || names_port(&job->config.endpoint))))
		settings_forget(&settings, "port");
	rc = finish_job(job, &settings, err);
	if (!rc && !job->config.tls.wanted)
		rc = check_clear(jobs, job, match, err);
	return rc ? rc : config_check_attachable(&job->config, err);
}

static void add_asked(
	struct boot_plan *jobs, struct kcmdline_attachment *asked, const struct settings *defaults)
{
	struct boot_plan_entry *job = new_job(jobs, asked->index);
	struct settings nbdopts;
	struct error err;

	if (!job)
		return;
	if (parse_nbdopts(&nbdopts, asked)) {
		jobs->refused = true;
		return;
	}
	if (configure_asked(jobs, job, asked, &nbdopts, defaults, &err)) {
		refuse(jobs, "%s: %s%s%s", asked->parameter, err.text, *err.hint ? "; " : "",
			err.hint);
		return;
	}
	jobs->count++;
}

static void add_line(
	struct boot_plan *jobs, const struct nbdtab_entry *entry, const struct settings *defaults)
{
	const struct nbdtab_line *line = nbdtab_line(&jobs->tab, entry);
	struct boot_plan_entry *job;
	struct settings settings;
	struct error err;

	/* What the command line says of a device, or of that disk, goes before. */
	for (size_t i = 0; i < jobs->count; i++)
		if (jobs->jobs[i].index == entry->index ||
			(!entry->bad &&
				same_disk(&jobs->jobs[i].config.endpoint, &line->endpoint, true)))
			return;
	for (size_t i = 0; i < jobs->plan->attachment_count; i++) /* one that was refused, too */
		if (jobs->plan->attachments[i].index == entry->index)
			return;
	if (entry->bad) {
		refuse(jobs, "nbd%d is not attached: its line in %s cannot be used", entry->index,
			jobs->tab.path);
		return;
	}
	job = new_job(jobs, entry->index);
	if (!job)
		return;
	job->config.endpoint = line->endpoint;
	job->config.tls = line->uri_tls;
	init_settings(&settings, defaults);
	settings_merge(&settings, &line->settings);
	if (finish_job(job, &settings, &err) || config_check_attachable(&job->config, &err)) {
		refuse(jobs, "nbd%d: %s", entry->index, err.text);
		return;
	}
	jobs->count++;
}

static void add_lines(struct boot_plan *jobs, const struct settings *defaults)
{
	struct kcmdline *plan = jobs->plan;
	const struct nbdtab_entry *named = NULL;
	size_t before = jobs->count;

	/* root=/dev/nbd0, and nothing names the server: nbdtab may know it. */
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

/* --- what DHCP may say: the first answer counts there, of any host */

/* Also what looks as if it were meant to be about TLS. */
static bool options_say_tls(const char *options)
{
	char copy[sizeof(((struct kcmdline_attachment *)0)->options)], *rest = copy, *name, *value;
	struct settings settings;
	struct error err;

	text_copy(copy, sizeof(copy), options);
	settings_init(&settings);
	while ((name = strsep(&rest, ","))) {
		name += strspn(name, "-_");
		value = strchr(name, '=');
		if (value)
			*value++ = 0;
		if (nbdtab_options_set(&settings, name, value, &err) == -EINVAL &&
			nbdtab_option_is_about_tls(name))
			return true;
	}
	return settings.tls.wanted;
}

/* nbds:// asks for TLS, which is well; by whom it is verified, and how, is not DHCP's to say. */
static bool uri_says_more(const struct tls_config *tls)
{
	return tls->type != TLS_TYPE_ANY || *tls->certificates_dir || *tls->psk_file ||
		*tls->username || *tls->hostname;
}

/* One that cannot be read may be one that asks for it. */
static bool may_want_tls(const struct boot_plan *jobs, const struct nbdtab_entry *entry)
{
	return entry->bad || nbdtab_line_wants_tls(nbdtab_line(&jobs->tab, entry));
}

/* Or whose options, of which one may be "root", cannot be read. CMDLINE_INDEX: the device that the
 * command line names; -1: none. */
static bool is_tls_root(
	const struct boot_plan *jobs, const struct nbdtab_entry *entry, int cmdline_index)
{
	bool is_root = nbdtab_line(&jobs->tab, entry)->root ||
		(entry->bad && !entry->option_count) ||
		(cmdline_index >= 0 && entry->index == cmdline_index);

	return is_root && may_want_tls(jobs, entry);
}

static const struct nbdtab_entry *find_tls_root(const struct boot_plan *jobs, int cmdline_index)
{
	for (size_t i = 0; i < jobs->tab.nbdtab.entry_count; i++)
		if (is_tls_root(jobs, &jobs->tab.nbdtab.entries[i], cmdline_index))
			return &jobs->tab.nbdtab.entries[i];
	return NULL;
}

/* The line that DHCP would have to name, and does not; NULL: it may say what it says. */
static const struct nbdtab_entry *find_overstepped(
	const struct boot_plan *jobs, const struct kcmdline_attachment *asked, int cmdline_index)
{
	const struct nbdtab_entry *root = find_tls_root(jobs, cmdline_index),
				  *own = nbdtab_find(&jobs->tab.nbdtab, asked->index), *found;
	enum match match;

	found = find_line(jobs, asked, &match);
	if (root)
		return match == MATCH_DEVICE && is_tls_root(jobs, found, cmdline_index) ? NULL :
											  root;
	return own && may_want_tls(jobs, own) && match != MATCH_DEVICE ? own : NULL;
}

static int check_dhcp(const struct boot_plan *jobs, const struct kcmdline_attachment *asked,
	int cmdline_index, struct error *err)
{
	const struct nbdtab_entry *line;

	if (!asked->is_dhcps && !asked->is_dhcps_server)
		return 0;
	if (asked->is_dhcps && (uri_says_more(&asked->tls) || options_say_tls(asked->options)))
		return error_set(err, ERROR_USAGE, EINVAL,
			"DHCP does not say how a server is verified: that stands in nbdtab");
	line = find_overstepped(jobs, asked, cmdline_index);
	if (!line)
		return 0;
	return error_set(err, ERROR_USAGE, EINVAL,
		"%s:%u %s for TLS, so DHCP names neither another server or export nor another "
		"device",
		jobs->tab.path, line->line, line->bad ? "cannot be read and may ask" : "asks");
}

/* A mount option can name another device: ext4's journal_path=, XFS's logdev=, Btrfs's device=. */
static void check_dhcp_mount(struct boot_plan *jobs, int cmdline_index)
{
	struct kcmdline *plan = jobs->plan;

	for (size_t i = 0; i < plan->attachment_count; i++) {
		if (!plan->attachments[i].is_dhcps || !(*plan->fstype || *plan->mountopts) ||
			!find_tls_root(jobs, cmdline_index))
			continue;
		show_note("%s: how the root is mounted is not DHCP's to say, and is left out",
			plan->attachments[i].parameter);
		*plan->fstype = *plan->mountopts = 0;
	}
}

/* root=/dev/nbd0, and nothing names the server: what nbdtab has for it goes before what DHCP may
 * have. Many a network has a root path for others, and anybody may answer there. What DHCP must not
 * say is as if it were not said. */
static void parse_cmdline(struct boot_plan *jobs, const struct kcmdline_input *input)
{
	struct kcmdline_input without_dhcp = *input;
	struct kcmdline *plan = jobs->plan;
	struct error err;
	int cmdline_index;

	without_dhcp.dhcp_server = without_dhcp.dhcp_root_path = NULL;
	kcmdline_parse(plan, &without_dhcp);
	cmdline_index = plan->root_index;
	if (jobs->has_tab && plan->needs_dhcp && !plan->names_dhcp && cmdline_index >= 0 &&
		nbdtab_find(&jobs->tab.nbdtab, cmdline_index))
		return;
	kcmdline_parse(plan, input);
	for (size_t i = 0; i < plan->attachment_count; i++) {
		if (check_dhcp(jobs, &plan->attachments[i], cmdline_index, &err) == 0)
			continue;
		refuse(jobs, "%s: %s", plan->attachments[i].parameter, err.text);
		kcmdline_parse(plan, &without_dhcp);
		return;
	}
	check_dhcp_mount(jobs, cmdline_index);
}

/* The process that attaches by it locks all memory (--root). */
static void give_back(struct boot_plan *jobs)
{
	struct boot_plan_entry *fewer = realloc(jobs->jobs, (jobs->count + 1) * sizeof(*fewer));

	jobs->jobs = fewer ? fewer : jobs->jobs;
	nbdtab_options_free(&jobs->tab);
}

int boot_plan_make(struct boot_plan *jobs, const struct kcmdline_input *input,
	const struct settings *defaults, struct error *err)
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
	give_back(jobs);
	return 0;
}

void boot_plan_free(struct boot_plan *jobs)
{
	nbdtab_options_free(&jobs->tab);
	free(jobs->jobs);
	free(jobs->plan);
	*jobs = (struct boot_plan){0};
}
