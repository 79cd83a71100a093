/* SPDX-License-Identifier: GPL-2.0-or-later */
/* TLS as an attacker speaks it, without verifying the peer. No data of ours goes over it; the one
 * probe that judges the certificate uses the client's own code. All of it under the transport's
 * deadline. */
#ifndef NBDA_AUDIT_ATTACKER_TLS
#define NBDA_AUDIT_ATTACKER_TLS
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "base/transport.h"
#include "tls/credentials.h"

struct attacker_tls;

/* What came from the server after the handshake, and is neither data nor an alert. */
struct attacker_tls_seen {
	unsigned key_updates, tickets, hello_requests;
};

/* A handshake on a connection that is ready for it, and TRANSPORT becomes the TLS one. CREDS may be
 * NULL; HOST is for SNI, empty for none. PRIORITY is GnuTLS's; NULL: TLS 1.3 or 1.2, and what
 * GnuTLS has by itself. */
int attacker_tls_start(struct attacker_tls **tls, struct transport *transport,
	const struct tls_credentials *creds, const char *host, const char *priority,
	struct error *err);
/* Tell the server that nothing more comes, without waiting for anything. */
void attacker_tls_end(struct attacker_tls *tls);
void attacker_tls_free(struct attacker_tls *tls);

const char *attacker_tls_alert_name(uint8_t description);
/* enum tls_version */
int attacker_tls_version(const struct attacker_tls *tls);
/* "AES-256-GCM" */
const char *attacker_tls_cipher(const struct attacker_tls *tls);
struct attacker_tls_seen attacker_tls_seen(const struct attacker_tls *tls);
/* What the server takes in one record (RFC 8449) in bytes of data; 0: it did not say. */
unsigned attacker_tls_record_limit(const struct attacker_tls *tls);
/* Bytes of padding in the server's records of TLS 1.3 so far. */
uint64_t attacker_tls_padding_seen(const struct attacker_tls *tls);

/* New keys of ours, and a request for new ones of theirs. */
int attacker_tls_update_keys(struct attacker_tls *tls, struct error *err);
/* One record with PADDING bytes more than needed. */
int attacker_tls_send_padded(struct attacker_tls *tls, const void *bytes, size_t size,
	size_t padding, struct error *err);
/* TLS 1.2: a second handshake in the first. 0: it came about. */
int attacker_tls_renegotiate(struct attacker_tls *tls, struct error *err);

#endif
