/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An error as a person reads it: what failed and why, and what to try. Library functions return 0
 * or -errno and fill one of these; the kind decides the exit status, `retry` whether a later
 * attempt could cure it. */
#ifndef NBDA_BASE_ERROR
#define NBDA_BASE_ERROR
#include <stdbool.h>

/* The values are the program's exit statuses (nbd-attach(8), EXIT STATUS). */
enum error_kind {
	ERROR_NONE = 0,
	ERROR_OTHER = 1,
	ERROR_USAGE = 2,
	ERROR_TLS = 3,         /* TLS refused, or the server not verified */
	ERROR_UNREACHABLE = 4, /* no address, no connection, no answer in time */
	ERROR_SERVER = 5,      /* the server refused the export or broke the protocol */
	ERROR_KERNEL = 6,      /* the kernel lacks something */
	ERROR_BUSY = 7,        /* device busy or not attached */
	ERROR_PERMISSION = 8,
	ERROR_ATTACHED = 9, /* to be attached, and it is already */
	ERROR_LAST = ERROR_ATTACHED,
};

/* Is the cause on this side, so that nothing that is done to the server makes a later attempt
 * work? */
bool error_kind_is_lasting(enum error_kind kind);

/* Fixed size and without pointers, so that a negotiator can send it to its parent as it is. */
struct error {
	enum error_kind kind;
	bool retry;
	char text[640]; /* one sentence, printable, no newline */
	char hint[384]; /* what to try; empty when there is nothing to say */
};

/* Fill ERR (which may be NULL) and return -ERRNO_VALUE. Whatever the arguments are, what comes of
 * them is one printable line (text_make_printable()). */
int error_set(struct error *err, enum error_kind kind, int errno_value, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* Add the hint; returns RC, so that it can end a function. */
int error_hint(struct error *err, int rc, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* /dev/nbdINDEX is to be attached, and is already: the one wording, whoever finds it out. */
int error_attached(struct error *err, int index);
/* Mark as retryable: a later attempt may do better; returns RC. */
int error_retry(struct error *err, int rc);
/* Put "PREFIX: " before the text. */
void error_prefix(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
