/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command line: one table of options drives parsing, --help and what each subcommand takes. */
#ifndef NBDA_OPTIONS_OPTIONS
#define NBDA_OPTIONS_OPTIONS
#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"
#include "config/limits.h"
#include "config/policy.h"
#include "options/config.h"

enum command_mask {
	FOR_ATTACH = 1 << 0,
	FOR_DETACH = 1 << 1,
	FOR_STATUS = 1 << 2,
	FOR_LIST = 1 << 3,
	FOR_INFO = 1 << 4,
	FOR_DOCTOR = 1 << 5,
	FOR_RESIZE = 1 << 6,
	FOR_BOOT = 1 << 7,
	FOR_DEVICE = FOR_ATTACH | FOR_BOOT,
	FOR_SERVER = FOR_DEVICE | FOR_LIST | FOR_INFO,
	FOR_ALL = FOR_SERVER | FOR_DETACH | FOR_STATUS | FOR_DOCTOR | FOR_RESIZE,
};

struct options {
	const char *words[4]; /* positional arguments */
	int word_count;
	bool help, json, verbose, force, foreground, watch;
	bool tls; /* --tls, or any --tls-* option: wishing for part of it is wishing for it */
	struct tls_config tls_config;
	uint16_t port; /* 0: not given */
	struct device_policy policy;
	bool plan, files;         /* of "boot", as the next three */
	const char *cmdline_file; /* NULL: /proc/cmdline */
	const char *dhcp_server, *dhcp_root_path;
	bool own;            /* of "detach" */
	bool quiet, is_root; /* of "status" */
	uint64_t given;      /* which of them were set: see options_given() */
};

/* Parse ARGV[1..] for the command(s) in MASK, named COMMAND in messages. The words, and what only
 * "boot" has, point into ARGV. */
int options_parse(struct options *options, int argc, char **argv, unsigned mask,
	const char *command, struct error *err);
/* What no option says. */
void options_init(struct options *options);
/* Set the option NAME (long, without dashes) as the command line would: VALUE is NULL for one that
 * takes none. -ENOENT, without a word in ERR: MASK has no option of that
 * name. */
int options_set(struct options *options, const char *name, const char *value, unsigned mask,
	struct error *err);
/* Was it set since options_init()? */
bool options_given(const struct options *options, const char *name);
/* "  --name ARG   help" for each option of MASK. */
void options_print_help(unsigned mask);

/* The server that words[AT..] and the options name: a URI, or a host and perhaps an export. */
int options_target(const struct options *options, int at, struct config *config, struct error *err);
/* What the options say of a server that is known already: its port, and that TLS is spoken. */
int options_adjust_target(const struct options *options, struct config *config, struct error *err);
/* Credentials for CONFIG, or NULL in *CREDS when no TLS is asked for. */
int options_credentials(const struct options *options, const struct config *config,
	struct tls_credentials **creds, struct error *err);

#endif
