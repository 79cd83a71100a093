/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command line: one table of options drives parsing, --help and what each subcommand takes. */
#ifndef NBDA_OPTIONS_OPTIONS
#define NBDA_OPTIONS_OPTIONS
#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"
#include "config/target.h"
#include "tls/credentials.h"
#include "config/limits.h"

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

#define OPTION_INFINITE_SEC (-1)

struct options {
	const char *words[4]; /* positional arguments */
	int word_count;
	bool help, json, verbose, force, foreground, read_only, shared, auto_resize, watch;
	/* the device holds the root file system or swap: nothing may be needed from a disk */
	bool root;
	bool tls; /* --tls, or any --tls-* option: wishing for part of it is wishing for it */
	struct tls_config tls_config;
	uint16_t port; /* 0: not given */
	unsigned connections;
	uint32_t block_size_bytes; /* 0: not given */
	int connect_timeout_ms;
	int liveness_timeout_ms; /* --timeout */
	/* a link with a request unanswered for so long is closed; or OPTION_INFINITE_SEC */
	int64_t request_timeout_sec;
	int io_timeout_ms;        /* 0: chosen by the number of connections */
	int64_t dead_timeout_sec; /* or OPTION_INFINITE_SEC */
	/* for the first connection: 0 does not wait; or OPTION_INFINITE_SEC */
	int64_t wait_sec;
	uint64_t rekey_records;   /* 0: the cipher's own limit */
	bool plan, files;         /* of "boot", as the next three */
	const char *cmdline_file; /* NULL: /proc/cmdline */
	const char *dhcp_server, *dhcp_root_path;
	bool own;            /* of "detach" */
	bool quiet, is_root; /* of "status" */
	/* set by "boot": what another attempt may cure is tried for ever, with a line on stderr now
	 * and then */
	bool at_boot;
	uint64_t given; /* which of them were set: see options_given() */
};

/* Parse ARGV[1..] for the command(s) in MASK, named COMMAND in messages. */
int options_parse(struct options *options, int argc, char **argv, unsigned mask,
	const char *command, struct error *err);
/* What no option says. */
void options_init(struct options *options);
/* Set the option NAME (long, without dashes) as the command line would: VALUE is NULL for one that
 * takes none, and is kept, not copied. -ENOENT, without a word in ERR: MASK has no option of that
 * name. */
int options_set(struct options *options, const char *name, const char *value, unsigned mask,
	struct error *err);
/* Was it set since options_init()? */
bool options_given(const struct options *options, const char *name);
/* "  --name ARG   help" for each option of MASK. */
void options_print_help(unsigned mask);

/* The target that words[AT..] and the options name: a URI, or a host and perhaps an export. */
int options_target(const struct options *options, int at, struct target *target, struct error *err);
/* What the options say of a target that is known already: its port, and that TLS is spoken. */
int options_adjust_target(const struct options *options, struct target *target, struct error *err);
/* Credentials for TARGET, or NULL in *CREDS when no TLS is asked for. */
int options_credentials(struct options *options, struct target *target,
	struct tls_credentials **creds, struct error *err);

#endif
