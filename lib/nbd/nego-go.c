/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* OPT_INFO and OPT_GO, which differ only in what follows, and OPT_EXPORT_NAME for servers that know
 * neither. */
#include "nbd/nego.h"
#include "nbd/nbd-protocol.h"
#include "base/text.h"
#include "base/wire.h"
#include <errno.h>
#include <string.h>

static int bad_info(const char *what, struct error *err)
{
	return error_set(err, ERROR_SERVER, EPROTO,
		"the server's %s information has a wrong length or content", what);
}

static int info_export(struct wire_reader *reader, struct export_info *info, struct error *err)
{
	uint64_t size_bytes = wire_read_u64(reader);
	uint16_t flags = wire_read_u16(reader);

	if (reader->failed || reader->left)
		return bad_info("NBD_INFO_EXPORT", err);
	if (info->geometry.has_size &&
		(info->geometry.size_bytes != size_bytes || info->geometry.flags != flags))
		return error_set(err, ERROR_SERVER, EPROTO,
			"the server described the export twice, and differently");
	info->geometry.has_size = true;
	info->geometry.size_bytes = size_bytes;
	info->geometry.flags = flags;
	return 0;
}

static int info_block_size(struct wire_reader *reader, struct export_info *info, struct error *err)
{
	struct export_geometry *geometry = &info->geometry;
	uint32_t min_bytes = wire_read_u32(reader), preferred_bytes = wire_read_u32(reader),
		 max_bytes = wire_read_u32(reader);

	if (reader->failed || reader->left)
		return bad_info("NBD_INFO_BLOCK_SIZE", err);
	if (geometry->has_block_size &&
		(geometry->block_min_bytes != min_bytes ||
			geometry->block_preferred_bytes != preferred_bytes ||
			geometry->block_max_bytes != max_bytes))
		return error_set(err, ERROR_SERVER, EPROTO,
			"the server told the export's block sizes twice, and differently");
	geometry->has_block_size = true;
	geometry->block_min_bytes = min_bytes;
	geometry->block_preferred_bytes = preferred_bytes;
	geometry->block_max_bytes = max_bytes;
	return 0;
}

static int info_text(
	struct wire_reader *reader, const char *what, char *out, size_t size, struct error *err)
{
	size_t len = reader->left;
	const void *bytes = wire_read_bytes(reader, len);

	if (len > EXPORT_NAME_MAX)
		return bad_info(what, err);
	text_sanitise(out, size, bytes, len);
	return 0;
}

static int handle_info(struct nego *nego, struct export_info *info, struct error *err)
{
	struct wire_reader reader;
	uint16_t type;

	wire_reader_init(&reader, nego->reply.payload, nego->reply.size);
	type = wire_read_u16(&reader);
	if (reader.failed)
		return bad_info("NBD_REP_INFO", err);
	switch (type) {
	case NBD_INFO_EXPORT: return info_export(&reader, info, err);
	case NBD_INFO_NAME:
		return info_text(&reader, "NBD_INFO_NAME", info->names.canonical_name,
			sizeof(info->names.canonical_name), err);
	case NBD_INFO_DESCRIPTION:
		return info_text(&reader, "NBD_INFO_DESCRIPTION", info->names.description,
			sizeof(info->names.description), err);
	case NBD_INFO_BLOCK_SIZE: return info_block_size(&reader, info, err);
	default: return 0; /* "the client MUST ignore information types it does not understand" */
	}
}

static int send_request(struct nego *nego, uint32_t option, const char *name, struct error *err)
{
	static const uint16_t wanted[] = {NBD_INFO_BLOCK_SIZE, NBD_INFO_NAME, NBD_INFO_DESCRIPTION};
	uint8_t data[4 + EXPORT_NAME_MAX + 2 + sizeof(wanted)];
	size_t len = strlen(name), at;

	if (len > EXPORT_NAME_MAX)
		return error_set(err, ERROR_USAGE, ENAMETOOLONG,
			"export name is longer than %d bytes", EXPORT_NAME_MAX);
	wire_put_u32(data, (uint32_t)len);
	memcpy(data + 4, name, len);
	at = 4 + len;
	wire_put_u16(data + at, sizeof(wanted) / sizeof(wanted[0]));
	at += 2;
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++, at += 2)
		wire_put_u16(data + at, wanted[i]);
	return nego_send_option(nego, option, data, (uint32_t)at, err);
}

static int acknowledged(
	const struct nego *nego, uint32_t option, const struct export_info *info, struct error *err)
{
	if (nego->reply.size != 0)
		return nego_unexpected_reply(nego, option, err);
	if (!info->geometry.has_size)
		return error_set(err, ERROR_SERVER, EPROTO,
			"the server accepted %s without telling the export's size",
			nego_option_name(option));
	return 0;
}

static int info_or_go(struct nego *nego, uint32_t option, const char *name,
	struct export_info *info, struct error *err)
{
	int rc;

	memset(info, 0, sizeof(*info));
	text_copy(info->names.name, sizeof(info->names.name), name);
	nego->transport->waiting_for =
		option == NBD_OPT_GO ? "the answer to NBD_OPT_GO" : "the answer to NBD_OPT_INFO";
	rc = send_request(nego, option, name, err);
	for (int count = 0; rc == 0 && count < NEGO_REPLY_MAX_COUNT; count++) {
		rc = nego_read_reply(nego, option, err);
		if (rc)
			return rc;
		if (nego->reply.type & NBD_REP_FLAG_ERROR)
			return nego_reply_error(nego, option, name, err);
		if (nego->reply.type == NBD_REP_ACK)
			return acknowledged(nego, option, info, err);
		if (nego->reply.type != NBD_REP_INFO)
			return nego_unexpected_reply(nego, option, err);
		rc = handle_info(nego, info, err);
	}
	if (rc)
		return rc;
	return error_set(err, ERROR_SERVER, EPROTO, "the server sent %d replies to %s and no end",
		NEGO_REPLY_MAX_COUNT, nego_option_name(option));
}

int nego_info(struct nego *nego, const char *name, struct export_info *info, struct error *err)
{
	if (!nego->fixed_newstyle)
		return error_set(err, ERROR_SERVER, EOPNOTSUPP,
			"the server is too old to tell about an export without opening it");
	return info_or_go(nego, NBD_OPT_INFO, name, info, err);
}

static int export_name(
	struct nego *nego, const char *name, struct export_info *info, struct error *err)
{
	uint8_t answer[10 + 124];
	int rc;

	memset(info, 0, sizeof(*info));
	text_copy(info->names.name, sizeof(info->names.name), name);
	nego->transport->waiting_for = "the answer to NBD_OPT_EXPORT_NAME";
	nego->silent = true;
	rc = nego_send_option(nego, NBD_OPT_EXPORT_NAME, name, (uint32_t)strlen(name), err);
	if (!rc)
		rc = transport_read(
			nego->transport, answer, nego->no_zeroes ? 10 : sizeof(answer), err);
	/* NBD_OPT_EXPORT_NAME has no error reply: a server that has no such export hangs up */
	if (rc == -ECONNRESET) {
		error_set(err, ERROR_SERVER, ENOENT,
			"the server hung up when asked for export \"%s\"", name);
		return error_hint(err, -ENOENT,
			"it probably has no export of that name, which this old server cannot say; "
			"see: nbd-attach list HOST");
	}
	if (rc)
		return rc;
	info->geometry.has_size = true;
	info->geometry.size_bytes = wire_get_u64(answer);
	info->geometry.flags = wire_get_u16(answer + 8);
	return 0;
}

int nego_go(struct nego *nego, const char *name, struct export_info *info, struct error *err)
{
	int rc = nego->fixed_newstyle ? info_or_go(nego, NBD_OPT_GO, name, info, err) : -EOPNOTSUPP;

	if (rc == -EOPNOTSUPP && nego->tls_active)
		return error_hint(err, rc,
			"under TLS only NBD_OPT_GO is used, so this server cannot be: update it");
	if (rc == -EOPNOTSUPP)
		rc = export_name(nego, name, info, err);
	return rc;
}
