/* SPDX-License-Identifier: GPL-2.0-or-later */
/* /etc/nbdtab with its meaning: each line as a server and options, through the same validators as
 * the command line. */
#ifndef NBDA_OPTIONS_NBDTAB_OPTIONS
#define NBDA_OPTIONS_NBDTAB_OPTIONS
#include "config/nbdtab.h"
#include "options/options.h"

#define NBDTAB_PATH "/etc/nbdtab"

/* What only nbdtab says of a device. */
struct nbdtab_line {
	bool root; /* attached by "boot", in the initramfs */
	bool swap;
	bool noauto, nofail; /* for the generator */
	/* with the port and TLS that the options say; undefined in a bad line */
	struct config config;
};

struct nbdtab_options {
	char path[256];
	struct nbdtab nbdtab;
	struct nbdtab_line *lines; /* one for each of nbdtab.entries */
};

/* Read and judge the file ($NBD_ATTACH_TAB, or NBDTAB_PATH). What is wrong with a line goes to its
 * notes, and makes the entry bad. -ENOENT: there is no such file. TAB holds what options point at:
 * keep it as long as they are used, then nbdtab_options_free(). */
int nbdtab_options_load(struct nbdtab_options *tab, struct error *err);
void nbdtab_options_free(struct nbdtab_options *tab);
/* "FILE:LINE:COLUMN: TEXT". */
void nbdtab_options_format_note(
	const struct nbdtab_options *tab, const struct nbdtab_note *note, char *buf, size_t size);
/* All notes on stderr. */
void nbdtab_options_print_notes(const struct nbdtab_options *tab);

const struct nbdtab_line *nbdtab_line(
	const struct nbdtab_options *tab, const struct nbdtab_entry *entry);
/* Let the options of a line that is not bad act on OPTIONS, where those that were given already go
 * first; with TLS_ONLY just those about TLS. Only what nbdtab_options_load() accepted is applied,
 * so that this cannot fail. */
void nbdtab_options_apply(const struct nbdtab_options *tab, const struct nbdtab_entry *entry,
	struct options *options, bool tls_only);
/* One option by a name of nbdtab (nbd-client's or ours, with or without '_'): 0, -ENOENT when it is
 * unknown, another -errno with ERR when it is not acceptable. For lists of options that stand
 * elsewhere. */
int nbdtab_options_set(
	struct options *options, const char *name, const char *value, struct error *err);

/* The server and the options by which DEVICE is attached according to the file: for `nbd-attach
 * DEVICE`. Prints the notes. */
int nbdtab_options_lookup(struct nbdtab_options *tab, int index, struct options *options,
	struct config *config, struct error *err);

#endif
