/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "options/nbdtab-options.h"
#include "tls/credential-file.h"
#include "output/show.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "config/nbd-uri.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum meaning {
	MEANS_OPTION, /* the option of that name, or of the one in TEXT */
	MEANS_LIMIT,  /* the same, but 0 is nbd-client's value for "not given" */
	MEANS_NOTHING,
	MEANS_IGNORED, /* with a warning */
	MEANS_REFUSAL,
	MEANS_EXPORT,
	MEANS_UNIX,
	MEANS_ROOT,
	MEANS_SWAP,
	MEANS_NOAUTO,
	MEANS_NOFAIL,
};

struct name {
	const char *name;
	enum meaning meaning;
	const char *text;
};

static const struct name names[] = {
	/* nbd-client's */
	{"bs", MEANS_OPTION, "block-size"},
	{"cacertfile", MEANS_OPTION, "tls-ca"},
	{"certfile", MEANS_OPTION, "tls-cert"},
	{"conns", MEANS_OPTION, "connections"},
	{"dead-timeout", MEANS_LIMIT, "dead-timeout"},
	{"keyfile", MEANS_OPTION, "tls-key"},
	{"no_optgo", MEANS_IGNORED, "NBD_OPT_GO is always used"},
	{"persist", MEANS_NOTHING, NULL},
	{"preinit", MEANS_REFUSAL,
		"a server that does not negotiate tells neither its size nor who it is"},
	{"priority", MEANS_OPTION, "tls-priority"},
	{"sdp", MEANS_REFUSAL, "there is no SDP in the kernel any more"},
	{"swap", MEANS_SWAP, NULL},
	{"timeout", MEANS_LIMIT, "timeout"},
	{"tlshostname", MEANS_OPTION, "tls-hostname"},
	{"unix", MEANS_UNIX, NULL},
	/* ours, where the name differs from the option's */
	{"certificates", MEANS_OPTION, "tls-certificates"},
	{"export", MEANS_EXPORT, NULL},
	{"noauto", MEANS_NOAUTO, NULL},
	{"nofail", MEANS_NOFAIL, NULL},
	{"psk-file", MEANS_OPTION, "tls-psk"},
	{"psk-identity", MEANS_OPTION, "tls-username"},
	{"readonly", MEANS_OPTION, "read-only"},
	{"root", MEANS_ROOT, NULL},
};

/* What a line says besides the options of the command line. */
struct extras {
	bool root, swap, noauto, nofail, is_unix;
	const char *export_name; /* percent-encoded; NULL: not said */
};

static struct name find_name(const char *name)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i].name, name) == 0)
			return names[i];
	return (struct name){name, MEANS_OPTION, name};
}

/* Is an unknown option one that was meant to ask for TLS? */
bool nbdtab_option_is_about_tls(const char *name)
{
	static const char *const beginnings[] = {"tls", "psk", "cert", "cacert", "ca-", "key"};

	for (size_t i = 0; i < sizeof(beginnings) / sizeof(beginnings[0]); i++)
		if (strncmp(name, beginnings[i], strlen(beginnings[i])) == 0)
			return true;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].text && strncmp(names[i].text, "tls", 3) == 0 &&
			text_distance(name, names[i].name) == 1)
			return true;
	return text_distance(name, "tls") == 1;
}

/* At boot, and for a supervisor, there is no directory that a relative name could be relative
 * to. */
static int check_path(const char *option, const char *value, struct error *err)
{
	static const char *const files[] = {
		"tls-ca", "tls-cert", "tls-key", "tls-psk", "tls-certificates", "unix"};
	char shown[80];

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		if (strcmp(files[i], option) != 0 || !value || !*value || *value == '/' ||
			credential_is_token(value))
			continue;
		text_sanitise(shown, sizeof(shown), value, strlen(value));
		return error_set(err, ERROR_USAGE, EINVAL,
			"'%s' is a relative name: write the whole path, from / on", shown);
	}
	return 0;
}

static int set_flag(bool *flag, const char *name, const char *value, struct error *err)
{
	*flag = true;
	return value ? error_set(err, ERROR_USAGE, EINVAL, "%s takes no value", name) : 0;
}

/* 0; 1 with ERR filled: it is ignored, and somebody should be told; -ENOENT: unknown; else it is
 * refused. */
static int set_option(struct settings *settings, struct extras *extras, const char *name,
	const char *value, struct error *err)
{
	struct name known = find_name(name);
	int rc;

	switch (known.meaning) {
	case MEANS_NOTHING: return 0;
	case MEANS_IGNORED:
		error_set(err, ERROR_USAGE, EINVAL, "%s is ignored: %s", name, known.text);
		return 1;
	case MEANS_REFUSAL:
		return error_set(
			err, ERROR_USAGE, EOPNOTSUPP, "%s is not supported: %s", name, known.text);
	case MEANS_EXPORT:
		extras->export_name = value;
		return value ?
			0 :
			error_set(err, ERROR_USAGE, EINVAL,
				"export needs a value; \"export=\" is the server's default export");
	case MEANS_UNIX: return set_flag(&extras->is_unix, name, value, err);
	case MEANS_ROOT:
		rc = set_flag(&extras->root, name, value, err);
		return rc ? rc : settings_set(settings, "root", NULL, err);
	case MEANS_SWAP:
		rc = set_flag(&extras->swap, name, value, err);
		return rc ? rc : settings_set(settings, "root", NULL, err);
	case MEANS_NOAUTO: return set_flag(&extras->noauto, name, value, err);
	case MEANS_NOFAIL: return set_flag(&extras->nofail, name, value, err);
	case MEANS_LIMIT:
		if (value && *value && value[strspn(value, "0")] == 0)
			return 0;
		break;
	case MEANS_OPTION: break;
	}
	rc = check_path(known.text, value, err);
	return rc ? rc : settings_set(settings, known.text, value, err);
}

int nbdtab_options_set(
	struct settings *settings, const char *name, const char *value, struct error *err)
{
	struct extras extras = {0};
	int rc;

	*err = (struct error){0};
	rc = set_option(settings, &extras, name + (*name == '_'), value, err);
	if (rc == -ENOENT && !*err->text && nbdtab_option_is_about_tls(name + (*name == '_')))
		return error_set(err, ERROR_USAGE, EINVAL,
			"there is no such option, and it looks as if TLS were asked for");
	return rc > 0 ? 0 : rc;
}

/* --- a line when it is read */

static int decode_percent(char *out, size_t size, const char *text, struct error *err)
{
	size_t used = 0;
	unsigned byte;
	char hex[3];

	for (; *text; text++) {
		byte = (unsigned char)*text;
		if (*text == '%') {
			snprintf(hex, sizeof(hex), "%.2s", text + 1);
			if (strlen(hex) != 2 || hex[strspn(hex, "0123456789abcdefABCDEF")] ||
				sscanf(hex, "%2x", &byte) != 1 || !byte)
				return error_set(err, ERROR_USAGE, EINVAL,
					"export=: a broken %%XX; a percent sign itself is %%25");
			text += 2;
		}
		if (used + 1 >= size)
			return error_set(err, ERROR_USAGE, EINVAL, "export=: longer than %zu bytes",
				size - 1);
		out[used++] = (char)byte;
	}
	out[used] = 0;
	return 0;
}

static int unix_endpoint(
	struct endpoint *endpoint, const char *path, const char *export_name, struct error *err)
{
	int rc;

	if (*path != '/')
		return error_set(err, ERROR_USAGE, EINVAL,
			"with unix, the path of a socket has to stand in the place of the host");
	/* checks the export's name */
	rc = endpoint_parse(endpoint, "localhost", export_name, err);
	endpoint->host_count = 0;
	if (!rc && !text_copy(endpoint->socket_path, sizeof(endpoint->socket_path), path))
		return error_set(err, ERROR_USAGE, ENAMETOOLONG,
			"the path of the socket is longer than %zu bytes",
			sizeof(endpoint->socket_path) - 1);
	return rc;
}

static int check_uri_paths(const struct config *config, struct error *err)
{
	int rc = check_path("unix", config->endpoint.socket_path, err);

	if (!rc)
		rc = check_path("tls-certificates", config->tls.certificates_dir, err);
	return rc ? rc : check_path("tls-psk", config->tls.psk_file, err);
}

static int entry_server(const struct nbdtab_entry *entry, const struct extras *extras,
	struct config *config, struct error *err)
{
	char decoded[EXPORT_NAME_MAX + 1];
	const char *export_name = entry->export_name;
	int rc;

	*config = (struct config){0};
	if (nbd_uri_is_one(entry->host)) {
		if (extras->export_name || extras->is_unix)
			return error_set(err, ERROR_USAGE, EINVAL,
				"an NBD URI names the export and the kind of socket itself");
		rc = nbd_uri_parse(&config->endpoint, &config->tls, entry->host, err);
		return rc ? rc : check_uri_paths(config, err);
	}
	if (extras->export_name) {
		rc = decode_percent(decoded, sizeof(decoded), extras->export_name, err);
		if (rc)
			return rc;
		export_name = decoded;
	}
	if (extras->is_unix)
		return unix_endpoint(&config->endpoint, entry->host, export_name, err);
	rc = endpoint_parse(&config->endpoint, entry->host, export_name, err);
	if (rc && *entry->host == '/')
		error_hint(err, rc, "for a unix socket, add the option unix");
	return rc;
}

static void judge_option(struct nbdtab_options *tab, struct nbdtab_entry *entry,
	const struct nbdtab_option *option, struct settings *settings, struct extras *extras)
{
	bool is_optional = *option->name == '_';
	const char *name = option->name + is_optional;
	struct error err = {0};
	char shown[64];
	int rc = set_option(settings, extras, name, option->value, &err);

	text_sanitise(shown, sizeof(shown), name, strlen(name));
	if (rc == -ENOENT && !*err.text) {
		/* A typo must not become a connection in clear. */
		if (nbdtab_option_is_about_tls(name))
			nbdtab_diagnostic(&tab->nbdtab, entry, option->column, true,
				"there is no option '%s', and it looks as if TLS were asked for",
				shown);
		else if (!is_optional)
			nbdtab_diagnostic(&tab->nbdtab, entry, option->column, false,
				"the unknown option '%s' is ignored", shown);
	} else if (rc) {
		nbdtab_diagnostic(&tab->nbdtab, entry, option->column, rc < 0, "%s%s%s", err.text,
			*err.hint ? "; " : "", err.hint);
	}
}

static void refuse(struct nbdtab_options *tab, struct nbdtab_entry *entry, const struct error *err)
{
	nbdtab_diagnostic(&tab->nbdtab, entry, entry->host_column, true, "%s%s%s", err->text,
		*err->hint ? "; " : "", err->hint);
}

static void judge_server(struct nbdtab_options *tab, struct nbdtab_entry *entry,
	const struct extras *extras, struct nbdtab_line *line)
{
	const struct settings *const layers[] = {&line->settings, NULL};
	struct config config;
	struct error err;
	int rc = entry_server(entry, extras, &config, &err);

	line->uri_tls = config.tls;
	if (!rc)
		rc = config_merge(&config, layers, &err);
	line->endpoint = config.endpoint;
	if (!rc)
		rc = config_check_attachable(&config, &err);
	if (rc)
		refuse(tab, entry, &err);
}

static void judge_entry(
	struct nbdtab_options *tab, struct nbdtab_entry *entry, struct nbdtab_line *line)
{
	struct extras extras = {0};

	settings_init(&line->settings);
	for (size_t i = 0; i < entry->option_count; i++)
		judge_option(tab, entry, &entry->options[i], &line->settings, &extras);
	/* A page that cannot be read back costs a process its life: that is waited for, unless
	 * somebody said for how long. */
	if (extras.swap && !settings_given(&line->settings, "dead-timeout"))
		settings_set(&line->settings, "dead-timeout", "infinity", NULL);
	line->root = extras.root;
	line->swap = extras.swap;
	line->noauto = extras.noauto;
	line->nofail = extras.nofail;
	if (!entry->bad)
		judge_server(tab, entry, &extras, line);
}

/* --- the file */

static int read_whole(const char *path, char **text, size_t *size, struct error *err)
{
	/* Not waiting: whatever stands there, nobody must hang on it at boot. */
	_cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	ssize_t n = 1;

	if (fd < 0)
		return error_set(
			err, ERROR_USAGE, errno, "%s cannot be read: %s", path, strerror(errno));
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return error_set(err, ERROR_USAGE, EINVAL, "%s is not a file", path);
	*text = malloc(NBDTAB_SIZE_MAX + 1);
	if (!*text)
		return error_set(err, ERROR_OTHER, ENOMEM, "out of memory");
	for (*size = 0; n > 0 && *size <= NBDTAB_SIZE_MAX; *size += n > 0 ? (size_t)n : 0)
		n = read(fd, *text + *size, NBDTAB_SIZE_MAX + 1 - *size);
	if (n < 0)
		return error_set(
			err, ERROR_USAGE, errno, "%s cannot be read: %s", path, strerror(errno));
	if (*size > NBDTAB_SIZE_MAX)
		return error_set(err, ERROR_USAGE, EFBIG, "%s is larger than %d bytes", path,
			NBDTAB_SIZE_MAX);
	return 0;
}

static int compare_diagnostics(const void *a, const void *b)
{
	const struct nbdtab_diagnostic *one = a, *other = b;

	if (one->line != other->line)
		return one->line < other->line ? -1 : 1;
	return one->column < other->column ? -1 : one->column > other->column;
}

int nbdtab_options_load(struct nbdtab_options *tab, struct error *err)
{
	const char *path = getenv("NBD_ATTACH_TAB");
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	int rc;

	*tab = (struct nbdtab_options){0};
	if (!text_copy(tab->path, sizeof(tab->path), path && *path ? path : NBDTAB_PATH))
		return error_set(
			err, ERROR_USAGE, ENAMETOOLONG, "NBD_ATTACH_TAB: the path is too long");
	rc = read_whole(tab->path, &text, &size, err);
	if (rc)
		return rc;
	if (nbdtab_parse(&tab->nbdtab, text, size) == 0)
		tab->lines = calloc(tab->nbdtab.entry_count + 1, sizeof(*tab->lines));
	if (!tab->lines) {
		nbdtab_options_free(tab);
		return error_set(err, ERROR_OTHER, ENOMEM, "out of memory");
	}
	for (size_t i = 0; i < tab->nbdtab.entry_count; i++)
		judge_entry(tab, &tab->nbdtab.entries[i], &tab->lines[i]);
	qsort(tab->nbdtab.diagnostics, tab->nbdtab.diagnostic_count,
		sizeof(*tab->nbdtab.diagnostics), compare_diagnostics);
	return 0;
}

void nbdtab_options_free(struct nbdtab_options *tab)
{
	nbdtab_free(&tab->nbdtab);
	free(tab->lines);
	tab->lines = NULL;
}

const struct nbdtab_line *nbdtab_line(
	const struct nbdtab_options *tab, const struct nbdtab_entry *entry)
{
	return &tab->lines[entry - tab->nbdtab.entries];
}

void nbdtab_options_format_diagnostic(const struct nbdtab_options *tab,
	const struct nbdtab_diagnostic *diagnostic, char *buf, size_t size)
{
	snprintf(buf, size, "%s:%u:%u: %s%s", tab->path, diagnostic->line, diagnostic->column,
		diagnostic->text, diagnostic->bad ? " (the line is not used)" : "");
}

void nbdtab_options_print_notes(const struct nbdtab_options *tab)
{
	char text[sizeof(tab->path) + sizeof(struct nbdtab_diagnostic) + 64];

	for (size_t i = 0; i < tab->nbdtab.diagnostic_count; i++) {
		nbdtab_options_format_diagnostic(
			tab, &tab->nbdtab.diagnostics[i], text, sizeof(text));
		show_note("%s", text);
	}
	if (tab->nbdtab.diagnostics_dropped)
		show_note("%s: and %zu more", tab->path, tab->nbdtab.diagnostics_dropped);
}

/* --- using a line */

bool nbdtab_line_wants_tls(const struct nbdtab_line *line)
{
	return line->uri_tls.wanted || line->settings.tls.wanted;
}

static int no_line(const struct nbdtab_options *tab, int index, struct error *err)
{
	char list[200] = "";
	size_t used = 0;

	for (size_t i = 0; i < tab->nbdtab.entry_count && used < sizeof(list) - 16; i++)
		if (tab->nbdtab.entries[i].index != NBDTAB_NO_DEVICE)
			used += (size_t)snprintf(list + used, sizeof(list) - used, "%s/dev/nbd%d",
				used ? ", " : "", tab->nbdtab.entries[i].index);
	error_set(err, ERROR_USAGE, ENOENT, "%s has no line for /dev/nbd%d", tab->path, index);
	if (!*list)
		return error_hint(err, -ENOENT,
			"name the server: nbd-attach nbd%d HOST [EXPORT]; or add a line: nbd%d "
			"HOST EXPORT [OPTIONS]",
			index, index);
	return error_hint(err, -ENOENT, "it has lines for %s%s", list,
		used >= sizeof(list) - 16 ? " and others" : "");
}

static int use_line(const struct nbdtab_options *tab, int index,
	const struct settings *command_line, struct config *config, struct error *err)
{
	const struct nbdtab_entry *entry = nbdtab_find(&tab->nbdtab, index);
	const struct nbdtab_line *line = entry ? nbdtab_line(tab, entry) : NULL;
	const struct nbdtab_diagnostic *reason;

	if (!entry)
		return no_line(tab, index, err);
	if (entry->bad) {
		reason = nbdtab_reason(&tab->nbdtab, entry);
		return error_set(err, ERROR_USAGE, EINVAL,
			"%s:%u:%u: the line of /dev/nbd%d cannot be used: %s", tab->path,
			entry->line, reason ? reason->column : 1, index,
			reason ? reason->text : "see above");
	}
	*config = (struct config){.endpoint = line->endpoint, .tls = line->uri_tls};
	return config_merge(
		config, (const struct settings *const[]){&line->settings, command_line, NULL}, err);
}

int nbdtab_options_lookup(
	int index, const struct settings *command_line, struct config *config, struct error *err)
{
	struct nbdtab_options tab;
	int rc = nbdtab_options_load(&tab, err);

	if (rc == -ENOENT)
		error_hint(err, rc,
			"name the server: nbd-attach nbd%d HOST [EXPORT]; or see nbdtab(5)", index);
	if (rc)
		return rc;
	nbdtab_options_print_notes(&tab);
	rc = use_line(&tab, index, command_line, config, err);
	nbdtab_options_free(&tab);
	return rc;
}
