/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A device whose server was away for too long: the driver is made to fail what waits and what
 * comes, again and again for a while, and then only checked whether somebody detached it. It
 * stays configured: only its users know when they are done with it. */
#ifndef NBDA_SUPERVISOR_FAILED
#define NBDA_SUPERVISOR_FAILED
#include "supervisor/condition.h"
#include "supervisor/engine.h"

struct failed {
	struct attachment *attachment;
	struct engine *engine;
	struct condition *condition;
	struct loop_source again;
	int peer_fd; /* attachment_fail_io() */
	int count;
};

void failed_init(struct failed *failed, struct attachment *attachment, struct engine *engine,
	struct condition *condition, struct loop *loop);
/* From now on it counts as failed: checked, in whatever state its links are. */
void failed_begin(struct failed *failed);
/* Called by the action. */
void failed_fail_io(struct failed *failed);
void failed_close(struct failed *failed);

#endif
