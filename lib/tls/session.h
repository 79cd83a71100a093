/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One TLS client session over a connected socket, as a transport. */
#ifndef NBDA_TLS_SESSION
#define NBDA_TLS_SESSION
#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"
#include "base/transport.h"
#include "tls/credentials.h"
#include "tls/info.h"

struct tls_session;

/* Handshake over TRANSPORT's socket, verify, and turn TRANSPORT into the TLS one. No byte may have
 * been read ahead; on failure the transport is unusable, and INFO may say what was presented. HOST
 * is the name to verify and to send as SNI unless CREDS name another; empty (a unix socket) only
 * when there is no certificate to find it in. */
int tls_session_start(struct tls_session **session, struct transport *transport,
	const struct tls_credentials *creds, const char *host, struct tls_info *info,
	struct error *err);
/* Move the session's keys into the kernel, both directions, and wipe GnuTLS's. Refuses when GnuTLS
 * holds an unread byte (kernel fact unread-bytes). After it, the socket carries plaintext for its
 * users and TLS on the wire. */
int tls_session_arm_ktls(
	struct tls_session *session, struct transport *transport, struct error *err);
/* How much the server takes in one record (RFC 8449): KTLS_PAYLOAD_BYTES if it did not say. */
uint16_t tls_session_payload_bytes(const struct tls_session *session);
void tls_session_free(struct tls_session *session);

#endif
