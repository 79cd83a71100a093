/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A device's request queue: its limits, and emptying it. Since Linux 6.11 writing a limit freezes
 * the queue and waits for what is in flight, which is for ever when the server is away: it is done
 * by a process of its own, and only where the value is not right already. */
#ifndef NBDA_DEVICE_QUEUE
#define NBDA_DEVICE_QUEUE
#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"
#include "child/job.h"

/* The largest request, for a server that takes at most MAX_BYTES. */
int queue_limit_requests(int index, uint32_t max_bytes, int timeout_ms, struct error *err);
/* When the driver's timer for a request runs out (kernel fact io-timeout-resends). */
int queue_set_io_timeout(int index, int io_timeout_ms, int timeout_ms, struct error *err);
bool queue_has_io_timeout(int index, int io_timeout_ms);
/* No I/O scheduler: with one, a request that was sent in part may be sent again under another tag
 * (kernel fact scheduler-partial-send). True as well when the kernel does not tell. */
int queue_set_scheduler_none(int index, int timeout_ms, struct error *err);
bool queue_has_scheduler_none(int index);
/* Requests in flight are counted only with it (kernel fact unseen-requests). */
int queue_set_iostats(int index, int timeout_ms, struct error *err);
bool queue_has_iostats(int index);
/* Does the queue let through what a server with these transmission flags offers, and no more?
 * Before Linux 7.3 limits of a former attachment stay (kernel fact limits-outlive). What can be set
 * is; otherwise -ENOTSUP. */
int queue_check_offer(int index, unsigned flags, int timeout_ms, struct error *err);
bool queue_has_stale_zeroes(int index, unsigned flags);
/* Hold back what is new until all that was sent before is answered, twice: for an instant each time
 * nothing is in flight. On some kernels (before 6.11, and 6.14) no setting can be read
 * meanwhile. */
int queue_drain_start(struct job *job, int index, struct error *err);

#endif
