/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "audit/request.h"
#include "base/text.h"
#include "base/wire.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

int request_encode(uint8_t *out, uint16_t command, uint64_t offset, uint32_t length)
{
	memset(out, 0, REQUEST_BYTES);
	wire_put_u32(out, NBD_REQUEST_MAGIC_);
	wire_put_u16(out + 6, command);
	wire_put_u64(out + 16, offset);
	wire_put_u32(out + 24, length);
	return getrandom(out + 8, 8, 0) == 8 ? 0 : -errno;
}

static int drop_data(struct attacker *attacker, uint32_t length)
{
	uint8_t data[4096];
	int rc = 0;

	for (uint32_t size; !rc && length; length -= size) {
		size = length < sizeof(data) ? length : (uint32_t)sizeof(data);
		rc = transport_read(&attacker->transport, data, size, &attacker->err);
	}
	return rc;
}

static void result_set(struct request_result *result, enum request_kind kind, const char *text)
{
	result->kind = kind;
	text_copy(result->text, sizeof(result->text), text);
}

static int receive_simple(
	struct attacker *attacker, const uint8_t *request, struct request_result *result)
{
	uint32_t length = wire_get_u32(request + 24);
	uint8_t rest[12];
	int rc = transport_read(&attacker->transport, rest, sizeof(rest), &attacker->err);

	if (rc)
		return rc;
	if (memcmp(rest + 4, request + 8, 8) != 0) {
		result_set(result, READ_BROKEN,
			"it answered a request that was not sent (wrong cookie)");
		return 0;
	}
	result->nbd_errno = wire_get_u32(rest);
	if (result->nbd_errno) {
		snprintf(result->text, sizeof(result->text), "it refused (NBD error %u)",
			result->nbd_errno);
		result->kind = READ_ERROR;
		return 0;
	}
	result_set(result, READ_DATA, "it answered with a simple reply");
	if (wire_get_u16(request + 6) != NBD_COMMAND_READ)
		return 0;
	if (length <= REQUEST_READ_MAX_BYTES)
		return drop_data(attacker, length);
	attacker->phase = ATTACKER_LOST;
	return 0;
}

static int receive_structured(struct attacker *attacker, struct request_result *result)
{
	uint8_t rest[16];
	int rc = transport_read(&attacker->transport, rest, sizeof(rest), &attacker->err);

	attacker->phase = ATTACKER_LOST;
	result->kind = READ_STRUCTURED;
	result->chunk_type = rc ? 0 : wire_get_u16(rest + 2);
	snprintf(result->text, sizeof(result->text),
		"it answered with a structured reply (chunk type %u)", result->chunk_type);
	return 0;
}

static int receive_reply(
	struct attacker *attacker, const uint8_t *request, struct request_result *result)
{
	uint8_t magic[4];
	int rc = transport_read(&attacker->transport, magic, sizeof(magic), &attacker->err);

	if (rc)
		return rc;
	switch (wire_get_u32(magic)) {
	case NBD_SIMPLE_REPLY_MAGIC: return receive_simple(attacker, request, result);
	case NBD_STRUCTURED_REPLY_MAGIC: return receive_structured(attacker, result);
	case NBD_EXTENDED_REPLY_MAGIC:
		result_set(result, READ_EXTENDED, "it answered with an extended reply");
		break;
	default:
		snprintf(result->text, sizeof(result->text),
			"it answered with what is no reply (magic 0x%08x)", wire_get_u32(magic));
		result->kind = READ_BROKEN;
	}
	attacker->phase = ATTACKER_LOST;
	return 0;
}

static void result_none(struct attacker *attacker, int rc, struct request_result *result)
{
	attacker->phase = ATTACKER_LOST;
	if (rc == -ETIMEDOUT)
		result_set(result, READ_SILENT, "it did not answer");
	else
		result_set(result, READ_CLOSED, "it hung up");
}

void request_receive(
	struct attacker *attacker, const uint8_t *request, struct request_result *result)
{
	int rc;

	*result = (struct request_result){0};
	attacker->transport.waiting_for = "the reply to a request";
	attacker_renew_deadline(attacker, attacker->answer_ms);
	rc = receive_reply(attacker, request, result);
	if (rc)
		result_none(attacker, rc, result);
}

void request_run(struct attacker *attacker, uint16_t command, uint64_t offset, uint32_t length,
	struct request_result *result)
{
	uint8_t request[REQUEST_BYTES];
	int rc = request_encode(request, command, offset, length);

	*result = (struct request_result){0};
	if (!rc)
		rc = attacker_send(attacker, request, sizeof(request));
	if (rc)
		result_none(attacker, rc, result);
	else
		request_receive(attacker, request, result);
}
