/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nbd/nego.h"
#include "nbd/nbd-protocol.h"
#include "base/text.h"
#include "base/wire.h"
#include <errno.h>

/* A server that speaks something else first (SSH, SMTP, HTTP) is better named by what it said than
 * by a magic number. */
static int not_nbd(const uint8_t *bytes, struct error *err)
{
	char said[32];

	text_sanitise(said, sizeof(said), bytes, 8);
	error_set(err, ERROR_SERVER, EPROTO, "this is not an NBD server: it greeted with \"%s\"",
		said);
	return error_hint(err, -EPROTO, "check the port (10809 is NBD's)");
}

static int too_old(const struct nego *nego, const char *how, struct error *err)
{
	if (nego->tls_wanted) {
		error_set(err, ERROR_TLS, EPROTO,
			"the server's greeting is %s, which cannot begin TLS", how);
		return error_hint(err, -EPROTO,
			"either the server is too old for TLS, or somebody on the path changed its "
			"greeting to prevent it");
	}
	error_set(err, ERROR_SERVER, EPROTO, "the server's greeting is %s, which is not supported",
		how);
	return error_hint(err, -EPROTO,
		"update the server: newstyle negotiation has been the protocol since 2012");
}

int nego_read_greeting(struct nego *nego, uint16_t *flags, struct error *err)
{
	uint8_t greeting[18];
	int rc;

	nego->transport->waiting_for = "the server's greeting";
	rc = transport_read(nego->transport, greeting, 8, err);
	if (rc)
		return rc;
	if (wire_get_u64(greeting) != NBD_MAGIC)
		return not_nbd(greeting, err);
	rc = transport_read(nego->transport, greeting + 8, 8, err);
	if (rc)
		return rc;
	if (wire_get_u64(greeting + 8) == NBD_OLD_MAGIC)
		return too_old(nego, "oldstyle", err);
	if (wire_get_u64(greeting + 8) != NBD_OPTION_MAGIC)
		return error_set(err, ERROR_SERVER, EPROTO,
			"the server's greeting has an unknown second magic number (0x%016llx)",
			(unsigned long long)wire_get_u64(greeting + 8));
	rc = transport_read(nego->transport, greeting + 16, 2, err);
	if (!rc)
		*flags = wire_get_u16(greeting + 16);
	return rc;
}

int nego_greeting(struct nego *nego, struct error *err)
{
	uint8_t answer[4];
	uint32_t client_flags = 0;
	uint16_t flags = 0;
	int rc = nego_read_greeting(nego, &flags, err);

	if (rc)
		return rc;
	/* Unknown flags are to be ignored; only what both sides know is answered. */
	nego->fixed_newstyle = flags & NBD_HANDSHAKE_FIXED_NEWSTYLE;
	nego->no_zeroes = flags & NBD_HANDSHAKE_NO_ZEROES;
	if (!nego->fixed_newstyle && nego->tls_wanted)
		return too_old(nego, "without \"fixed newstyle\"", err);
	if (nego->fixed_newstyle)
		client_flags |= NBD_HANDSHAKE_FIXED_NEWSTYLE;
	if (nego->no_zeroes)
		client_flags |= NBD_HANDSHAKE_NO_ZEROES;
	wire_put_u32(answer, client_flags);
	return transport_write(nego->transport, answer, sizeof(answer), err);
}
