/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Emptying the device's queue, and shutting a link that serves, so that one with a new key can take
 * its place, without losing what is in flight over it. */
#ifndef NBDA_SUPERVISOR_RENEWAL
#define NBDA_SUPERVISOR_RENEWAL
#include "child/job.h"
#include "supervisor/engine.h"

struct renewal {
	struct attachment *attachment;
	struct engine *engine;
	struct job drain; /* empties the queue */
	int64_t drain_begun_ms;
	/* when a drain began that starts no process: of the device, and of each link */
	uint64_t in_flight_before, answered_before, received_before[LINKS_MAX];
	struct loop_source draining, shutting, answers;
	struct shutting {
		bool is_due;
		int64_t until_ms;
	} links[LINKS_MAX];
};

void renewal_init(struct renewal *renewal, struct attachment *attachment, struct engine *engine,
	struct loop *loop);
/* EVENT_DRAINED follows. Called by an action. */
void renewal_drain(struct renewal *renewal);
/* Shut link AT as soon as nothing is in flight, and soon in any case. */
void renewal_shut(struct renewal *renewal, unsigned at);
void renewal_close(struct renewal *renewal);

#endif
