// SPDX-License-Identifier: GPL-2.0-or-later
#include "path-hello.h"
#include "tls-record.h"
#include "base/wire.h"
#include <string.h>

#define EXTENSION_SIGNATURES 13
#define EXTENSION_MASTER_SECRET 23
#define EXTENSION_VERSIONS 43
/* Before the session's identifier: type and length of the message, version, random. */
#define FIXED_BYTES (TLS_RECORD_HEADER_BYTES + 4 + 2 + 32)

bool path_hello_is_tls13(const uint8_t *record, size_t size)
{
	struct wire_reader reader;
	uint8_t id_size;

	if (size <= FIXED_BYTES)
		return false;
	id_size = record[FIXED_BYTES];
	wire_reader_init(&reader, record + FIXED_BYTES + 1, size - FIXED_BYTES - 1);
	wire_read_bytes(&reader, id_size + 2 + 1); /* and cipher, compression */
	wire_read_u16(&reader);                    /* the size of all extensions */
	while (!reader.failed && reader.left > 0) {
		uint16_t type = wire_read_u16(&reader), extension_size = wire_read_u16(&reader);

		if (type == EXTENSION_VERSIONS)
			return true;
		wire_read_bytes(&reader, extension_size);
	}
	return false;
}

static uint8_t *put(uint8_t *at, const void *bytes, size_t size)
{
	memcpy(at, bytes, size);
	return at + size;
}

static uint8_t *put_ciphers(enum path_edit edit, struct wire_reader *reader, uint8_t *at)
{
	/* RSA and ECDHE with AES-128-CBC and SHA-1, and "no renegotiation" */
	static const uint8_t weak[] = {0, 10, 0, 0x2f, 0xc0, 0x13, 0xc0, 0x09, 0, 0x35, 0, 0xff};
	const uint8_t *list;
	uint16_t size = wire_read_u16(reader);

	list = wire_read_bytes(reader, size);
	if (!list)
		return at;
	if (edit == EDIT_IN_WEAK_CIPHERS)
		return put(at, weak, sizeof(weak));
	wire_put_u16(at, size);
	return put(at + 2, list, size);
}

static bool is_left_out(enum path_edit edit, uint16_t type)
{
	if (type == EXTENSION_MASTER_SECRET)
		return edit == EDIT_OUT_MASTER_SECRET;
	return type == EXTENSION_VERSIONS && edit != EDIT_OUT_OTHER_SIGNATURES;
}

static uint8_t *put_extension(
	enum path_edit edit, uint16_t type, const uint8_t *data, uint16_t size, uint8_t *at)
{
	static const uint8_t sha1[] = {0, 4, 2, 3, 2, 1}; /* with ECDSA and RSA */

	if (is_left_out(edit, type))
		return at;
	if (type == EXTENSION_SIGNATURES && edit == EDIT_OUT_OTHER_SIGNATURES) {
		data = sha1;
		size = sizeof(sha1);
	}
	wire_put_u16(at, type);
	wire_put_u16(at + 2, size);
	return put(at + 4, data, size);
}

static uint8_t *put_extensions(enum path_edit edit, struct wire_reader *reader, uint8_t *at)
{
	uint8_t *start = at;

	wire_read_u16(reader); /* the size of all */
	at += 2;
	while (!reader->failed && reader->left > 0) {
		uint16_t type = wire_read_u16(reader), size = wire_read_u16(reader);
		const uint8_t *data = wire_read_bytes(reader, size);

		if (data)
			at = put_extension(edit, type, data, size, at);
	}
	wire_put_u16(start, (uint16_t)(at - start - 2));
	return at;
}

size_t path_hello_edit(enum path_edit edit, const uint8_t *record, size_t size, uint8_t *out)
{
	struct wire_reader reader;
	const uint8_t *bytes;
	uint8_t *at = out;
	size_t message;

	if (size <= FIXED_BYTES + 1)
		return 0;
	at = put(at, record, FIXED_BYTES + 1);
	wire_reader_init(&reader, record + FIXED_BYTES + 1, size - FIXED_BYTES - 1);
	bytes = wire_read_bytes(&reader, record[FIXED_BYTES]);
	if (bytes)
		at = put(at, bytes, record[FIXED_BYTES]);
	at = put_ciphers(edit, &reader, at);
	bytes = wire_read_bytes(&reader, 2); /* compression: none */
	if (bytes)
		at = put(at, bytes, 2);
	at = put_extensions(edit, &reader, at);
	if (reader.failed)
		return 0;
	message = (size_t)(at - out) - TLS_RECORD_HEADER_BYTES;
	wire_put_u16(out + 3, (uint16_t)message);
	wire_put_u16(out + 7, (uint16_t)(message - 4));
	return (size_t)(at - out);
}
