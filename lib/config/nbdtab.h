/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The text of an nbdtab: lines of "device host export [options]", as nbd-client reads them and more
 * forgiving. A bad line costs only itself. No I/O. What the options mean is the caller's affair. */
#ifndef NBDA_CONFIG_NBDTAB
#define NBDA_CONFIG_NBDTAB
#include <stdbool.h>
#include <stddef.h>

#define NBDTAB_SIZE_MAX (1 << 20) /* bytes of the whole file */
#define NBDTAB_LINE_MAX 16384     /* bytes; an export's name of 4096, each %XX, fits */
#define NBDTAB_ENTRIES_MAX 1024
#define NBDTAB_OPTIONS_MAX 48 /* of one line */
#define NBDTAB_DIAGNOSTICS_MAX 100

struct nbdtab_option {
	const char *name;
	const char *value; /* NULL: there is no '=' */
	unsigned column;   /* of the name; the first is 1 */
};

#define NBDTAB_NO_DEVICE (-1)

struct nbdtab_entry {
	unsigned line, device_column, host_column, export_column;
	/* of /dev/nbdINDEX; NBDTAB_NO_DEVICE in a bad line that names none and yet a host */
	int index;
	/* as it stands there: a host, several, an NBD URI, a path; NULL only in a bad line */
	const char *host;
	/* as it stands there; NULL when HOST is an NBD URI, which names it itself */
	const char *export_name;
	struct nbdtab_option *options;
	size_t option_count;
	/* a diagnostic says why: nobody is to attach by this line. It stands here so that no later
	 * line takes its place */
	bool bad;
};

/* What is to be said about a line. */
struct nbdtab_diagnostic {
	unsigned line, column;
	bool bad;       /* the line is not used; else a warning */
	char text[320]; /* a sentence, and perhaps what to try; printable */
};

struct nbdtab {
	char *text; /* what the entries point into */
	/* one a device: the first line of it; and the bad lines without a device */
	struct nbdtab_entry *entries;
	size_t entry_count;
	struct nbdtab_diagnostic *diagnostics; /* in the order in which they were found */
	size_t diagnostic_count, diagnostics_dropped;
};

/* Parse SIZE bytes of TEXT, which is copied. -ENOMEM; otherwise 0, with all that is wrong in the
 * diagnostics. Free with nbdtab_free(). */
int nbdtab_parse(struct nbdtab *tab, const char *text, size_t size);
void nbdtab_free(struct nbdtab *tab);
/* The line of /dev/nbdINDEX, or NULL. It may be bad. */
struct nbdtab_entry *nbdtab_find(const struct nbdtab *tab, int index);
/* The first diagnostic that makes the entry bad, or NULL. */
const struct nbdtab_diagnostic *nbdtab_reason(
	const struct nbdtab *tab, const struct nbdtab_entry *entry);
/* Add a diagnostic about an entry; BAD marks the entry, too. Foreign text among the arguments goes
 * through text_sanitise() first. */
void nbdtab_diagnostic(struct nbdtab *tab, struct nbdtab_entry *entry, unsigned column, bool bad,
	const char *fmt, ...) __attribute__((format(printf, 5, 6)));

#endif
