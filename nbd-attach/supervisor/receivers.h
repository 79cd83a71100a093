/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The driver's receivers (core/receiver.h), and the former sockets that one of them may still read
 * from. */
#ifndef NBDA_SUPERVISOR_RECEIVERS
#define NBDA_SUPERVISOR_RECEIVERS
#include "supervisor/core/receiver.h"
#include "supervisor/driver-log.h"
#include "supervisor/engine.h"

#define RECEIVERS_FORMER_MAX (2 * LINKS_MAX)

struct receivers {
	const struct attachment *attachment;
	struct engine *engine;
	struct driver_log *log;
	struct loop_source waiting, closing;
	struct receiver links[LINKS_MAX];
	uint64_t ended_before[LINKS_MAX]; /* each link was handed over: as the log says */
	/* links that were lost, in all and when each was handed over */
	uint64_t losses, losses_before[LINKS_MAX];
	struct former_socket {
		int fd;
		int64_t until_ms;
	} former[RECEIVERS_FORMER_MAX]; /* the oldest first */
	unsigned former_count;
};

void receivers_init(struct receivers *receivers, const struct attachment *attachment,
	struct engine *engine, struct driver_log *log, struct loop *loop);
/* The machine knows its links by now, and of some it may wait for the receiver. */
void receivers_begin(struct receivers *receivers);
/* Link AT is lost: EVENT_RECEIVER_ENDED follows when its receiver has ended. */
void receivers_lost(struct receivers *receivers, unsigned at);
/* ... at once, if it has ended by now. Called by an action. */
void receivers_await(struct receivers *receivers, unsigned at);
/* The driver has another socket for link AT. */
void receivers_handed_over(struct receivers *receivers, unsigned at);
/* Keep a former socket open for some time: a receiver that is late has no reference of its own to
 * the one that it reads from. FD may be -1. */
void receivers_keep(struct receivers *receivers, int fd);
/* Has a receiver ended although its link is not lost? Of several links the log does not say whose
 * it was: then one that IS_SILENT. */
bool receivers_have_lost(const struct receivers *receivers, unsigned at, bool is_silent);
void receivers_close(struct receivers *receivers);

#endif
