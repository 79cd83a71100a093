/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The limits of a device's request queue. Since Linux 6.11 writing one freezes the queue and waits for what is in flight, which is for
 * ever when the server is away: it is done by a process of its own, and only where the value is not right already. */
#ifndef NBDA_QUEUE_H
#define NBDA_QUEUE_H
#include <stdbool.h>
#include <stdint.h>
#include "error.h"

/* The largest request, for a server that takes at most MAX_BYTES. */
int queue_limit_requests(int index, uint32_t max_bytes, int timeout_ms, struct error *err);
/* When the driver looks at a request that is not answered (kernel fact 6). */
int queue_set_io_timeout(int index, int io_timeout_ms, int timeout_ms, struct error *err);
bool queue_has_io_timeout(int index, int io_timeout_ms);

#endif
