/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "audit/segment.h"
#include "base/wire.h"
#include "nbd/nbd-protocol.h"
#include <string.h>

#define META_CONTEXT "base:allocation"

void segment_add(struct segment *segment, const void *bytes, size_t size)
{
	if (size > sizeof(segment->bytes) - segment->size)
		size = sizeof(segment->bytes) - segment->size;
	memcpy(segment->bytes + segment->size, bytes, size);
	segment->size += size;
}

void segment_add_header(struct segment *segment, uint32_t option, uint32_t claimed)
{
	uint8_t header[16];

	wire_put_u64(header, NBD_OPTION_MAGIC);
	wire_put_u32(header + 8, option);
	wire_put_u32(header + 12, claimed);
	segment_add(segment, header, sizeof(header));
}

void segment_add_option(struct segment *segment, uint32_t option, const void *data, size_t size)
{
	segment_add_header(segment, option, (uint32_t)size);
	if (size)
		segment_add(segment, data, size);
}

size_t segment_go_data(uint8_t *out, const char *name, size_t size, uint32_t claimed)
{
	wire_put_u32(out, claimed);
	memcpy(out + 4, name, size);
	wire_put_u16(out + 4 + size, 1);
	wire_put_u16(out + 6 + size, NBD_INFO_BLOCK_SIZE);
	return 8 + size;
}

size_t segment_meta_data(uint8_t *out, const char *name, uint32_t claimed)
{
	uint32_t size = (uint32_t)strlen(name);

	wire_put_u32(out, size);
	memcpy(out + 4, name, size);
	wire_put_u32(out + 4 + size, claimed);
	wire_put_u32(out + 8 + size, sizeof(META_CONTEXT) - 1);
	memcpy(out + 12 + size, META_CONTEXT, sizeof(META_CONTEXT) - 1);
	return 12 + size + sizeof(META_CONTEXT) - 1;
}
