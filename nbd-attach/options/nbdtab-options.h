/* SPDX-License-Identifier: GPL-2.0-or-later */
/* /etc/nbdtab with its meaning: each line as a server and options, through the same validators as
 * the command line. */
#ifndef NBDA_OPTIONS_NBDTAB_OPTIONS
#define NBDA_OPTIONS_NBDTAB_OPTIONS
#include "config/nbdtab.h"
#include "options/config.h"

#define NBDTAB_PATH "/etc/nbdtab"

/* What only nbdtab says of a device. */
struct nbdtab_line {
	bool root; /* attached by "boot", in the initramfs */
	bool swap;
	bool noauto, nofail; /* for the generator */
	/* undefined in a bad line: */
	struct endpoint endpoint;  /* with the port that the options say */
	struct tls_config uri_tls; /* what the host says, if that is a URI */
	struct settings settings;  /* what the options say */
};

struct nbdtab_options {
	char path[256];
	struct nbdtab nbdtab;
	struct nbdtab_line *lines; /* one for each of nbdtab.entries */
};

/* Read and judge the file ($NBD_ATTACH_TAB, or NBDTAB_PATH). What is wrong with a line goes to its
 * diagnostics, and makes the entry bad. -ENOENT: there is no such file. Free with
 * nbdtab_options_free(), which leaves the path. */
int nbdtab_options_load(struct nbdtab_options *tab, struct error *err);
void nbdtab_options_free(struct nbdtab_options *tab);
/* "FILE:LINE:COLUMN: TEXT". */
void nbdtab_options_format_diagnostic(const struct nbdtab_options *tab,
	const struct nbdtab_diagnostic *diagnostic, char *buf, size_t size);
/* All diagnostics on stderr. */
void nbdtab_options_print_notes(const struct nbdtab_options *tab);

const struct nbdtab_line *nbdtab_line(
	const struct nbdtab_options *tab, const struct nbdtab_entry *entry);
bool nbdtab_line_wants_tls(const struct nbdtab_line *line);
/* One option by a name of nbdtab (nbd-client's or ours, with or without '_'): 0, -ENOENT when it is
 * unknown, another -errno with ERR when it is not acceptable. For lists of options that stand
 * elsewhere. */
int nbdtab_options_set(
	struct settings *settings, const char *name, const char *value, struct error *err);

/* Is it, known or not, one that is only written where TLS is wanted? */
bool nbdtab_option_is_about_tls(const char *name);

/* The configuration of /dev/nbdINDEX according to the file; what COMMAND_LINE gives goes before the
 * line: for `nbd-attach DEVICE`. Prints the diagnostics. */
int nbdtab_options_lookup(
	int index, const struct settings *command_line, struct config *config, struct error *err);

#endif
