/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a process has of its parent's, and a negotiator gives back; and how much it may use. */
#ifndef NBDA_CHILD_SANDBOX_SHED
#define NBDA_CHILD_SANDBOX_SHED
#include <stdbool.h>
#include "base/error.h"

/* So many, from 0 on. */
#define SHED_DESCRIPTORS 32

/* In the child, while it is still root: session and terminal, signal handlers, priority of any
 * kind, exemption from the OOM killer. */
void shed_inheritance(void);
/* All variables but those that glibc's resolver heeds; their text is wiped. */
void shed_environment(void);
/* No process, no file that grows, few descriptors; bounded memory and CPU. A token's module may
 * have threads and write files. */
int shed_limits(bool has_token, struct error *err);

#endif
