/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nbd/nego.h"
#include "nbd/nbd-protocol.h"
#include "base/text.h"
#include "base/wire.h"
#include <errno.h>
#include <string.h>

static int handle_server(struct nego *nego, struct export_info *info, struct error *err)
{
	struct wire_reader reader;
	uint32_t name_size;
	const char *name;

	memset(info, 0, sizeof(*info));
	wire_reader_init(&reader, nego->reply.payload, nego->reply.size);
	name_size = wire_read_u32(&reader);
	name = wire_read_bytes(&reader, name_size);
	if (reader.failed || name_size > EXPORT_NAME_MAX || reader.left > EXPORT_NAME_MAX ||
		memchr(name, 0, name_size))
		return error_set(err, ERROR_SERVER, EPROTO,
			"the server's list has an entry of wrong length or content");
	/* The name stays as it is, since it has to be sent back as it is: what shows it
	 * sanitises it. */
	memcpy(info->names.name, name, name_size);
	text_sanitise(
		info->names.description, sizeof(info->names.description), reader.at, reader.left);
	return 0;
}

int nego_list(struct nego *nego, int (*emit)(const struct export_info *info, void *data),
	void *data, struct error *err)
{
	struct export_info info;
	size_t total_bytes = 0;
	int rc;

	if (!nego->fixed_newstyle)
		return error_set(
			err, ERROR_SERVER, EOPNOTSUPP, "the server is too old to list its exports");
	nego->transport->waiting_for = "the answer to NBD_OPT_LIST";
	rc = nego_send_option(nego, NBD_OPT_LIST, NULL, 0, err);
	for (size_t count = 0; rc == 0; count++) {
		rc = nego_read_reply(nego, NBD_OPT_LIST, err);
		if (rc)
			return rc;
		total_bytes += 20 + nego->reply.size;
		if (nego->reply.type & NBD_REP_FLAG_ERROR)
			return nego_reply_error(nego, NBD_OPT_LIST, NULL, err);
		if (nego->reply.type == NBD_REP_ACK)
			return nego->reply.size ? nego_unexpected_reply(nego, NBD_OPT_LIST, err) :
						  0;
		if (nego->reply.type != NBD_REP_SERVER)
			return nego_unexpected_reply(nego, NBD_OPT_LIST, err);
		if (count >= NEGO_LIST_MAX_COUNT || total_bytes > NEGO_LIST_MAX_BYTES)
			return error_set(err, ERROR_SERVER, EPROTO,
				"the server's list of exports has no end (over %d entries or %u "
				"bytes)",
				NEGO_LIST_MAX_COUNT, NEGO_LIST_MAX_BYTES);
		rc = handle_server(nego, &info, err);
		if (!rc)
			rc = emit(&info, data);
	}
	return rc;
}
