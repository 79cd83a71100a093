/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is sent: options as bytes, with lengths that need not be true. Pure: no I/O. */
#ifndef NBDA_AUDIT_SEGMENT
#define NBDA_AUDIT_SEGMENT
#include <stddef.h>
#include <stdint.h>

/* Several options, or what looks like some, that leave in one segment. */
struct segment {
	size_t size;
	uint8_t bytes[16384];
};

void segment_add(struct segment *segment, const void *bytes, size_t size);
void segment_add_option(struct segment *segment, uint32_t option, const void *data, size_t size);
/* The header claims CLAIMED bytes of data, and none follow. */
void segment_add_header(struct segment *segment, uint32_t option, uint32_t claimed);

/* Data of GO and INFO, of which the name's length is said to be CLAIMED; of SET_META_CONTEXT,
 * "base:allocation", of which there are said to be CLAIMED. Return the size; OUT has room for a
 * name and 64 bytes. */
size_t segment_go_data(uint8_t *out, const char *name, size_t size, uint32_t claimed);
size_t segment_meta_data(uint8_t *out, const char *name, uint32_t claimed);

#endif
