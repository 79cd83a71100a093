/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a negotiator gives up before it reads the first byte from the network. */
#ifndef NBDA_CHILD_SANDBOX
#define NBDA_CHILD_SANDBOX
#include "base/error.h"

/* In the parent, once: look up whom to become (user "nbd-attach" where there is one, else nobody),
 * so that no later attempt needs the user database. */
void sandbox_prepare(void);
/* In the child: no core dumps, no tracing, and nothing of how the parent takes signals. */
void sandbox_enter_child(void);
/* In the child: no root, no capabilities, no new privileges. */
int sandbox_drop_privileges(struct error *err);
/* In every process that has seen a key: neither core dump nor tracing by the same user. */
void sandbox_no_core_dumps(void);

#endif
