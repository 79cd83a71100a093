/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Big-endian integers in and out of byte arrays; no I/O. A reader knows its bounds: a read past the
 * end returns 0 and marks it failed, so that a parser can read a whole structure and ask once. */
#ifndef NBDA_BASE_WIRE
#define NBDA_BASE_WIRE
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void wire_put_u16(uint8_t *at, uint16_t value);
void wire_put_u32(uint8_t *at, uint32_t value);
void wire_put_u64(uint8_t *at, uint64_t value);
uint16_t wire_get_u16(const uint8_t *at);
uint32_t wire_get_u32(const uint8_t *at);
uint64_t wire_get_u64(const uint8_t *at);

struct wire_reader {
	const uint8_t *at;
	size_t left;
	bool failed;
};

void wire_reader_init(struct wire_reader *reader, const void *bytes, size_t size);
uint16_t wire_read_u16(struct wire_reader *reader);
uint32_t wire_read_u32(struct wire_reader *reader);
uint64_t wire_read_u64(struct wire_reader *reader);
/* SIZE bytes in place, or NULL. */
const void *wire_read_bytes(struct wire_reader *reader, size_t size);

#endif
