/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nbd/nego.h"
#include "nbd/nbd-protocol.h"
#include <errno.h>

#define DOWNGRADE_HINT                                                                             \
	"TLS was asked for, so nothing else is done: let the server offer TLS, or find out who "   \
	"on the path prevents it"

static int refused(struct nego *nego, struct error *err)
{
	int rc = nego_reply_error(nego, NBD_OPT_STARTTLS, NULL, err);

	if (!err)
		return rc;
	err->kind = ERROR_TLS;
	switch (nego->reply.type) {
	case NBD_REP_ERR_UNSUP: error_prefix(err, "the server does not offer TLS"); break;
	case NBD_REP_ERR_POLICY: error_prefix(err, "the server has TLS switched off"); break;
	default: error_prefix(err, "the server refused to start TLS");
	}
	return error_hint(err, rc, DOWNGRADE_HINT);
}

int nego_starttls(struct nego *nego, struct error *err)
{
	int rc;

	nego->transport->waiting_for = "the answer to NBD_OPT_STARTTLS";
	rc = nego_send_option(nego, NBD_OPT_STARTTLS, NULL, 0, err);
	if (!rc)
		rc = nego_read_reply(nego, NBD_OPT_STARTTLS, err);
	if (rc == -EPROTO && err)
		err->kind = ERROR_TLS;
	if (rc)
		return rc;
	if (nego->reply.type & NBD_REP_FLAG_ERROR)
		return refused(nego, err);
	if (nego->reply.type != NBD_REP_ACK || nego->reply.size != 0) {
		rc = nego_unexpected_reply(nego, NBD_OPT_STARTTLS, err);
		if (err)
			err->kind = ERROR_TLS;
		return error_hint(err, rc, DOWNGRADE_HINT);
	}
	/* A server waits for our ClientHello now. Anything that is there already was put there to
	 * be taken for part of the encrypted conversation (NBD specification, "TLS versions and
	 * downgrade"; the STARTTLS injections of 2021). */
	rc = nego_check_silence(nego, "behind the server's consent to TLS, before TLS began", err);
	if (rc && err)
		err->kind = ERROR_TLS;
	return rc;
}
