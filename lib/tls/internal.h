/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the tls-*.c files share; GnuTLS's types stay behind this header. */
#ifndef NBDA_TLS_INTERNAL_H
#define NBDA_TLS_INTERNAL_H
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include "base/error.h"
#include "tls/credentials.h"
#include "tls/session.h"

#define TLS_PIN_BYTES 32

struct tls_credentials {
	gnutls_certificate_credentials_t x509; /* one of the two is NULL */
	gnutls_psk_client_credentials_t psk;
	gnutls_priority_t priority;
	char hostname[256];      /* to verify, and for SNI, without brackets; empty: that of the host which answers */
	bool has_client_cert;
	bool verify_chain;       /* false: a pinned key stands in */
	bool has_pin;
	uint8_t pin[TLS_PIN_BYTES];
	char trust_name[300];    /* "CA file /x" or "this system's trusted authorities", for messages */
	int min_version;
};

/* tls-priority.c: what GnuTLS is allowed to negotiate. */
int tls_priority_init(gnutls_priority_t *priority, const char *wish, int min_version, bool psk, struct error *err);
int tls_kernel_cipher(gnutls_cipher_algorithm_t algorithm); /* TLS_CIPHER_*, or 0 when kTLS cannot carry it */

/* tls-verify.c: is this certificate HOSTNAME's? Fills INFO's peer fields; ERR says which check failed, for which name, and what
 * the certificate says instead. */
int tls_verify_peer(gnutls_session_t session, const struct tls_credentials *creds, const char *hostname, struct tls_info *info,
	struct error *err);
int tls_pin_parse(uint8_t pin[TLS_PIN_BYTES], const char *text, struct error *err);

#endif
