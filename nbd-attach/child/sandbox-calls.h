/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which system calls a negotiator may make. Three answers to the others:
 *
 * - killed: to start a process or a thread, to run a program, to trace or read another process, and
 *   to reach what no program of this kind has a use for: our own code does none of it, so that this
 *   is a fault or an attack;
 * - EPERM: all else that the kernel may know, another kind of socket or of use included, since a
 *   library may ask and go on without;
 * - ENOSYS: calls newer than those known here, and some that have an older form, so that a newer C
 *   library falls back on that. */
#ifndef NBDA_CHILD_SANDBOX_CALLS
#define NBDA_CHILD_SANDBOX_CALLS
#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include "base/error.h"

/* What it is for: any of these together. */
enum calls_purpose {
	CALLS_TALK = 1,    /* over descriptors that it has; memory, time, random numbers, its end */
	CALLS_CONNECT = 2, /* to the server, and to give up CALLS_CONNECT */
	CALLS_RESOLVE = 4, /* names, with glibc's modules: files, DNS, services on this machine */
	CALLS_TLS = 8,     /* to give keys to the kernel */
	CALLS_TOKEN = 16,  /* the code of a token's maker: files, its service, threads */
};

/* Those that are asked for: a token is used with TLS only. */
#define CALLS_ANY_CONNECTION(purposes)                                                             \
	(purposes), (purposes) | CALLS_CONNECT, (purposes) | CALLS_CONNECT | CALLS_RESOLVE
#define CALLS_COMBINATIONS                                                                         \
	CALLS_ANY_CONNECTION(CALLS_TALK), CALLS_ANY_CONNECTION(CALLS_TALK | CALLS_TLS),            \
		CALLS_ANY_CONNECTION(CALLS_TALK | CALLS_TLS | CALLS_TOKEN)
#define CALLS_FILTER_COUNT 9

struct calls_filter {
	unsigned purposes;
	const struct sock_filter *code;
	size_t length; /* instructions */
};

/* Made with the program, by nbd-attach/generate/sandbox-filters.c, which has the rules. */
extern const struct calls_filter calls_filters[CALLS_FILTER_COUNT];

/* For all of PURPOSES together; NULL: none of CALLS_COMBINATIONS. */
const struct calls_filter *calls_find(unsigned purposes);
/* Has this kernel such filters? */
bool calls_can_restrict(void);
/* In the child, after PR_SET_NO_NEW_PRIVS and for good: for all threads that it has, or for none,
 * which is an error. Of several filters each has to allow. */
int calls_restrict(const struct calls_filter *filter, struct error *err);

#endif
