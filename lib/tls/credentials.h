/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the user trusts and shows: read from files once, kept in memory, so that a reconnect needs
 * no file. */
#ifndef NBDA_TLS_CREDENTIALS
#define NBDA_TLS_CREDENTIALS
#include <stdbool.h>
#include "base/error.h"
#include "tls/info.h"

/* Borrowed strings, NULL when not given. */
struct tls_config {
	const char *ca_file;
	const char *cert_file;
	const char *key_file; /* a file or a pkcs11: URL */
	/* ca-cert.pem, ca-crl.pem, client-cert.pem, client-key.pem: as libnbd, nbdkit and QEMU */
	const char *certificates_dir;
	const char *psk_file; /* psktool's "user:hex" lines; with it, no certificates */
	const char *username; /* PSK identity; the file's only one when not given */
	/* name to verify and to send as SNI; the connected host's when not given */
	const char *hostname;
	/* sha256:HEX or sha256:BASE64 of the server's public key (SPKI) */
	const char *pin;
	/* GnuTLS priority string; refused when it names nothing that kTLS carries */
	const char *priority;
	enum tls_version min_version; /* 0: 1.3 */
};

struct tls_credentials;

/* Load and check everything. Prints nothing. The file's contents are only in GnuTLS's memory
 * afterwards. Free with tls_credentials_free(), which wipes. */
int tls_credentials_load(
	struct tls_credentials **creds, const struct tls_config *config, struct error *err);
void tls_credentials_free(struct tls_credentials *creds);

#endif
