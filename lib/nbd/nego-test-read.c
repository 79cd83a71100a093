/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nbd/nego.h"
#include "base/cleanup.h"
#include "nbd/nbd-protocol.h"
#include "base/wire.h"
#include <errno.h>
#include <string.h>
#include <sys/random.h>

static int reply_error(uint32_t nbd_errno, struct error *err)
{
	int rc;

	if (nbd_errno == NBD_ESHUTDOWN) {
		rc = error_set(err, ERROR_SERVER, ESHUTDOWN, "the server is shutting down");
		return error_retry(err, rc);
	}
	error_set(err, ERROR_SERVER, EIO,
		"the server cannot read the export's first block: %s (NBD error %u)",
		nbd_errno < 134 ? strerror((int)nbd_errno) : "an error the protocol does not know",
		nbd_errno);
	return error_hint(err, -EIO, "look into the server's log: its backing disk or file fails");
}

static int wrong_magic(const struct nego *nego, uint32_t magic, struct error *err)
{
	if (magic != NBD_STRUCTURED_REPLY_MAGIC && magic != NBD_EXTENDED_REPLY_MAGIC)
		return error_set(err, ERROR_SERVER, EPROTO, "%s has a wrong magic number (0x%08x)",
			nego->transport->waiting_for, magic);
	error_set(err, nego->tls_active ? ERROR_TLS : ERROR_SERVER, EPROTO,
		"the server sent a structured reply that nobody negotiated%s",
		nego->tls_active ? " within TLS: options were injected before TLS began, and this "
				   "server kept them (CVE-2021-3716)" :
				   "");
	return error_hint(err, -EPROTO,
		nego->tls_active ? "somebody on the path tampers with connections: find out who, "
				   "and update the server" :
				   "the server is broken, or somebody on the path tampers with it");
}

int nego_test_read(
	struct nego *nego, uint32_t block_size_bytes, const char *name, struct error *err)
{
	_cleanup_free_ uint8_t *data = malloc(block_size_bytes);
	uint8_t request[28] = {0}, reply[16];
	int rc;

	if (!data)
		return error_set(err, ERROR_OTHER, ENOMEM, "out of memory");
	nego->transport->waiting_for = name;
	wire_put_u32(request, NBD_REQUEST_MAGIC_);
	wire_put_u16(request + 6, NBD_COMMAND_READ);
	if (getrandom(request + 8, 8, 0) != 8)
		return error_set(err, ERROR_OTHER, errno, "getrandom: %s", strerror(errno));
	wire_put_u32(request + 24, block_size_bytes);
	rc = transport_write(nego->transport, request, sizeof(request), err);
	/* the magic alone first: the other kinds of reply are longer, and what is not read cannot
	 * be misread */
	if (!rc)
		rc = transport_read(nego->transport, reply, 4, err);
	if (rc)
		return rc;
	if (wire_get_u32(reply) != NBD_SIMPLE_REPLY_MAGIC)
		return wrong_magic(nego, wire_get_u32(reply), err);
	rc = transport_read(nego->transport, reply + 4, 12, err);
	if (rc)
		return rc;
	if (memcmp(reply + 8, request + 8, 8) != 0)
		return error_set(err, ERROR_SERVER, EPROTO,
			"the server answered a request that we did not send (wrong handle)");
	if (wire_get_u32(reply + 4) != 0)
		return reply_error(wire_get_u32(reply + 4), err);
	return transport_read(nego->transport, data, block_size_bytes, err);
}
