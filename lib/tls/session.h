/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One TLS client session over a connected socket, as a transport. */
#ifndef NBDA_TLS_SESSION_H
#define NBDA_TLS_SESSION_H
#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"
#include "tls/credentials.h"
#include "base/transport.h"

/* What was negotiated, for people; no pointers. */
struct tls_info {
	int version;            /* enum tls_version; 0: no TLS */
	int kernel_cipher;      /* TLS_CIPHER_* of linux/tls.h */
	char cipher[32];        /* "AES-128-GCM" */
	char group[48];         /* "X25519"; empty for pure PSK */
	char authentication[16]; /* "X.509", "PSK" or "pin" */
	char peer_name[256];    /* the certificate's subject, sanitised; empty with PSK */
	char peer_issuer[256];
	int64_t peer_not_after; /* Unix time; 0 without a certificate */
	char peer_pin[80];      /* "sha256:HEX" of the server's public key, ready for --tls-pin */
};

struct tls_session;

/* Handshake over TRANSPORT's socket, verify, and turn TRANSPORT into the TLS one. No byte may have been read ahead. On
 * failure the transport is unusable. INFO may be filled also on failure (what was presented). HOST is the name of the host at the
 * other end: the one to verify and to send as SNI unless CREDS name another. It may be empty (a unix socket) when there is no
 * certificate to find it in. */
int tls_session_start(struct tls_session **session, struct transport *transport, const struct tls_credentials *creds, const char *host,
	struct tls_info *info, struct error *err);
/* Move the session's keys into the kernel, both directions, and wipe GnuTLS's. Refuses when GnuTLS holds an unread byte
 * (kernel fact 15). After it, the socket carries plaintext for its users and TLS on the wire. */
int tls_session_arm_ktls(struct tls_session *session, struct transport *transport, struct error *err);
/* How much the server takes in one record (RFC 8449): KTLS_PAYLOAD_BYTES if it did not say. */
uint16_t tls_session_payload_bytes(const struct tls_session *session);
void tls_session_free(struct tls_session *session);
/* Names for GnuTLS of what this build can do ("3.7.9"), and whether it knows a post-quantum hybrid group. */
const char *tls_library_version(void);
bool tls_has_hybrid_group(void);

#endif
