/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/block-io.h"
#include "kernel/block-attr.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SECTOR_BYTES 512 /* whatever the device's block size is */

/* Documentation/block/stat.rst: kinds have a count, merges, sectors and milliseconds; discards are
 * there since 4.18, flushes since 5.5. */
int block_io_read(int index, struct block_io *io)
{
	char text[512];
	int rc = block_attr_read(index, "stat", text, sizeof(text)), found;

	memset(io, 0, sizeof(*io));
	if (rc < 0)
		return rc;
	found = sscanf(text,
		"%" SCNu64 " %*u %" SCNu64 " %" SCNu64 " %" SCNu64 " %*u %" SCNu64 " %" SCNu64
		" %" SCNu64 " %" SCNu64 " %*u %" SCNu64 " %*u %" SCNu64 " %" SCNu64 " %" SCNu64
		" %" SCNu64,
		&io->reads.requests, &io->reads.bytes, &io->reads.time_ms, &io->writes.requests,
		&io->writes.bytes, &io->writes.time_ms, &io->in_flight, &io->busy_ms,
		&io->discards.requests, &io->discards.bytes, &io->discards.time_ms,
		&io->flushes.requests, &io->flushes.time_ms);
	io->reads.bytes *= SECTOR_BYTES;
	io->writes.bytes *= SECTOR_BYTES;
	io->discards.bytes *= SECTOR_BYTES;
	return found < 8 ? -EINVAL : 0;
}

static void subtract(uint64_t *now, uint64_t before)
{
	*now -= before < *now ? before : *now;
}

static void subtract_kind(struct block_io_kind *now, const struct block_io_kind *before)
{
	subtract(&now->requests, before->requests);
	subtract(&now->bytes, before->bytes);
	subtract(&now->time_ms, before->time_ms);
}

void block_io_subtract(struct block_io *io, const struct block_io *before)
{
	subtract_kind(&io->reads, &before->reads);
	subtract_kind(&io->writes, &before->writes);
	subtract_kind(&io->discards, &before->discards);
	subtract_kind(&io->flushes, &before->flushes);
	subtract(&io->busy_ms, before->busy_ms);
}
