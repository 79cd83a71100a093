/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the block layer has counted of a device's requests: what iostat(1) and /proc/diskstats
 * show. */
#ifndef NBDA_KERNEL_BLOCK_IO
#define NBDA_KERNEL_BLOCK_IO
#include <stdint.h>

struct block_io_kind {
	uint64_t requests, bytes;
	uint64_t time_ms; /* of all requests together, each from its start to its answer */
};

struct block_io {
	struct block_io_kind reads, writes, discards, flushes; /* flushes have no bytes */
	uint64_t busy_ms;                                      /* something was in flight */
	uint64_t in_flight;                                    /* now; flushes are not among them */
};

/* Counted since the device is there, former attachments included. Unlike what is below queue/, this
 * waits for nobody. -EINVAL when it makes no sense. */
int block_io_read(int index, struct block_io *io);
/* IO less what it was BEFORE; 0 for what was more then: the device was made anew. */
void block_io_subtract(struct block_io *io, const struct block_io *before);

#endif
