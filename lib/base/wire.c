/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/wire.h"
#include <endian.h>
#include <string.h>

void wire_put_u16(uint8_t *at, uint16_t value)
{
	value = htobe16(value);
	memcpy(at, &value, sizeof(value));
}

void wire_put_u32(uint8_t *at, uint32_t value)
{
	value = htobe32(value);
	memcpy(at, &value, sizeof(value));
}

void wire_put_u64(uint8_t *at, uint64_t value)
{
	value = htobe64(value);
	memcpy(at, &value, sizeof(value));
}

uint16_t wire_get_u16(const uint8_t *at)
{
	uint16_t value_be;

	memcpy(&value_be, at, sizeof(value_be));
	return be16toh(value_be);
}

uint32_t wire_get_u32(const uint8_t *at)
{
	uint32_t value_be;

	memcpy(&value_be, at, sizeof(value_be));
	return be32toh(value_be);
}

uint64_t wire_get_u64(const uint8_t *at)
{
	uint64_t value_be;

	memcpy(&value_be, at, sizeof(value_be));
	return be64toh(value_be);
}

void wire_reader_init(struct wire_reader *reader, const void *bytes, size_t size)
{
	*reader = (struct wire_reader){.at = bytes, .left = size};
}

const void *wire_read_bytes(struct wire_reader *reader, size_t size)
{
	const uint8_t *at = reader->at;

	if (reader->failed || reader->left < size) {
		reader->failed = true;
		return NULL;
	}
	reader->at += size;
	reader->left -= size;
	return at;
}

uint16_t wire_read_u16(struct wire_reader *reader)
{
	const void *at = wire_read_bytes(reader, 2);

	return at ? wire_get_u16(at) : 0;
}

uint32_t wire_read_u32(struct wire_reader *reader)
{
	const void *at = wire_read_bytes(reader, 4);

	return at ? wire_get_u32(at) : 0;
}

uint64_t wire_read_u64(struct wire_reader *reader)
{
	const void *at = wire_read_bytes(reader, 8);

	return at ? wire_get_u64(at) : 0;
}
