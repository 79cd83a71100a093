/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Landlock, where the kernel has it, and as much as it has: which files a negotiator may read,
 * which TCP and UDP ports it may connect to and which services' Unix sockets; and no signal, and no
 * abstract Unix socket, of a process outside. */
#ifndef NBDA_CHILD_SANDBOX_FILES
#define NBDA_CHILD_SANDBOX_FILES
#include <stdbool.h>
#include "base/error.h"
#include "config/endpoint.h"

struct files_needs {
	const struct endpoint *endpoint; /* to whose ports it connects; none of a Unix socket */
	bool resolves; /* reads what resolving a name reads; else nothing at all */
	bool any_file; /* as its user may: files are not restricted */
};

/* What this kernel's Landlock can do: its ABI, or 0: there is none. */
int files_landlock_abi(void);
/* In the child, after PR_SET_NO_NEW_PRIVS and for good. 0 also where there is no Landlock. */
int files_restrict(const struct files_needs *needs, struct error *err);

#endif
