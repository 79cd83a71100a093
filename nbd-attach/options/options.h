/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command line: one table of options drives parsing, --help and what each subcommand takes. */
#ifndef NBDA_OPTIONS_OPTIONS
#define NBDA_OPTIONS_OPTIONS
#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"
#include "config/policy.h"
#include "tls/credentials.h"

enum command_mask {
	FOR_ATTACH = 1 << 0,
	FOR_DETACH = 1 << 1,
	FOR_STATUS = 1 << 2,
	FOR_LIST = 1 << 3,
	FOR_INFO = 1 << 4,
	FOR_DOCTOR = 1 << 5,
	FOR_RESIZE = 1 << 6,
	FOR_BOOT = 1 << 7,
	FOR_RELOAD = 1 << 8,
	FOR_AUDIT = 1 << 9,
	FOR_HELP = 1 << 10, /* and for "version" */
	FOR_DEVICE = FOR_ATTACH | FOR_BOOT,
	FOR_SERVER = FOR_DEVICE | FOR_LIST | FOR_INFO | FOR_AUDIT,
	FOR_ALL = FOR_SERVER | FOR_DETACH | FOR_STATUS | FOR_DOCTOR | FOR_RESIZE | FOR_RELOAD |
		FOR_HELP,
};

/* What one source, the command line or a line of nbdtab, says of a server and a device. Plain data;
 * a copy is a copy. */
struct settings {
	struct tls_config tls; /* wanted with any --tls-* option */
	uint16_t port;
	struct device_policy policy;
	uint64_t given; /* which of them were set: see settings_given() */
};

struct options {
	struct settings settings; /* at the front: see option_entries[] */
	const char *arguments[4]; /* positional arguments */
	int argument_count;
	bool help, version, json, verbose, force, foreground, watch;
	bool plan, files;         /* of "boot", as the next three */
	const char *cmdline_file; /* NULL: /proc/cmdline */
	const char *dhcp_server, *dhcp_root_path;
	bool own;            /* of "detach" */
	bool quiet, is_root; /* of "status" */
	int idle_ms;         /* of "audit" */
};

/* What no option says. */
void options_init(struct options *options);
/* Parse ARGV[1..] for the command(s) in MASK, named COMMAND in messages. The arguments, and what
 * only "boot" has, point into ARGV. */
int options_parse(struct options *options, int argc, char **argv, unsigned mask,
	const char *command, struct error *err);
/* Where in ARGV the first argument stands that is neither an option nor its value; 0: nowhere. */
int options_first_argument(int argc, char **argv);
/* "  --name ARG   help" for each option of MASK. */
void options_print_help(unsigned mask);

/* What holds where nothing is given. */
void settings_init(struct settings *settings);
/* Set NAME (long, without dashes) as the command line would: VALUE is NULL for one that takes none.
 * -ENOENT, with nothing in ERR: no setting has that name. */
int settings_set(struct settings *settings, const char *name, const char *value, struct error *err);
/* Was it set since settings_init()? */
bool settings_given(const struct settings *settings, const char *name);
void settings_forget(struct settings *settings, const char *name);
/* What is given in OVER goes before what SETTINGS has. */
void settings_merge(struct settings *settings, const struct settings *over);
/* The same, but only for what is about TLS. */
void settings_merge_tls(struct settings *settings, const struct settings *over);

#endif
