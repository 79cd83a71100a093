/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How a supervisor ends. Told to, it takes the device along if nobody uses it, and otherwise leaves
 * it to the kernel rather than pull a disk from under a file system (a unit's restart does just
 * that). And when the machine does, nobody may wait for ever for a server. */
#ifndef NBDA_SUPERVISOR_ENDING
#define NBDA_SUPERVISOR_ENDING
#include <stdbool.h>
#include "child/job.h"
#include "supervisor/engine.h"

struct ending {
	struct attachment *attachment;
	struct engine *engine;
	struct job detacher; /* a child sees whether the device can be taken along */
	struct loop_source detaching, check;
	char why[sizeof(((struct error *)0)->text)]; /* it could not */
};

void ending_init(struct ending *ending, struct attachment *attachment, struct engine *engine,
	struct loop *loop);
/* SIGTERM, SIGINT, SIGHUP: end. SIGUSR1: the machine shuts down. */
void ending_on_signal(struct ending *ending, int signal_number);
/* There may be an outage, or none any more. Under --root nobody tells us that the machine shuts
 * down: it has to be found out. */
void ending_update(struct ending *ending);
/* These are called by actions: EVENT_DETACHED or _GONE follows. */
void ending_detach(struct ending *ending, bool is_forced);
void ending_leave(struct ending *ending);
/* Is a child detaching the device? */
bool ending_is_detaching(const struct ending *ending);
void ending_close(struct ending *ending);

#endif
