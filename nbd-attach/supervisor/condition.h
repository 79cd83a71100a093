/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How the device is, in words: what the log and the service manager are told of it, and the last
 * reason for trouble. */
#ifndef NBDA_SUPERVISOR_CONDITION
#define NBDA_SUPERVISOR_CONDITION
#include "supervisor/attachment.h"
#include "supervisor/core/machine.h"
#include "supervisor/manager.h"

struct condition {
	const struct attachment *attachment;
	const struct machine *machine;
	struct manager *manager;
	const char *state; /* as told last: condition_state() */
	int64_t since_ms;  /* by the boot clock */
	/* the last error; empty: none since the last proof */
	char reason[sizeof(((struct error *)0)->text)];
	int64_t lost_at_ms; /* -1: no link is lost; for "after N s" */
	char lost_address[64];
};

void condition_init(struct condition *condition, const struct attachment *attachment,
	const struct machine *machine, struct manager *manager);
/* "alive", "reconnecting", "stopped" or "failed". */
const char *condition_state(const struct machine *machine);
/* The state as it stands has been reported. */
void condition_begin(struct condition *condition);
/* Log, and tell the manager, if the state is another than it was. */
void condition_tell(struct condition *condition);
/* Remember an error, and log it unless it is the same as before. WHAT goes before it. */
void condition_note(
	struct condition *condition, int priority, const char *what, const struct error *err);
/* A reason that is no error of ours, and that is told when the state is. */
void condition_set_reason(struct condition *condition, const char *reason);
/* Link AT is gone, and not for its renewal. True if it is the first one. */
bool condition_lost(struct condition *condition, unsigned at);
/* The first attempt to bring it back begins. */
void condition_tell_lost(const struct condition *condition);
void condition_proven(struct condition *condition, unsigned at, bool is_renewal);

#endif
