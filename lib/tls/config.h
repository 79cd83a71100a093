/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the user says of TLS. */
#ifndef NBDA_TLS_CONFIG
#define NBDA_TLS_CONFIG
#include <stdbool.h>
#include "tls/info.h"

#define TLS_TEXT_SIZE 1024 /* bytes, with the NUL */
/* client-cert-N.pem and client-key-N.pem, as libnbd 1.24 numbers them: from 0 to the first that is
 * missing */
#define TLS_NUMBERED_MAX 100

/* What a URI's tls-type asks for: credentials of another kind are refused. */
enum tls_type { TLS_TYPE_ANY, TLS_TYPE_X509, TLS_TYPE_PSK };

/* Texts are empty when not given. Plain data; a copy is a copy. */
struct tls_config {
	bool wanted; /* asking for part of it is asking for it */
	enum tls_type type;
	char ca_file[TLS_TEXT_SIZE];
	char cert_file[TLS_TEXT_SIZE];
	char key_file[TLS_TEXT_SIZE]; /* a file or a pkcs11: URL */
	/* ca-cert.pem, ca-crl.pem, client-cert.pem, client-key.pem as for libnbd, nbdkit and QEMU,
	 * and client-cert-N.pem, client-key-N.pem */
	char certificates_dir[TLS_TEXT_SIZE];
	char psk_file[TLS_TEXT_SIZE]; /* psktool's "user:hex" lines; with it, no certificates */
	char username[TLS_TEXT_SIZE]; /* PSK identity; the file's only one when not given */
	/* name to verify and to send as SNI; the connected host's when not given */
	char hostname[TLS_TEXT_SIZE];
	/* sha256:HEX or sha256:BASE64 of the server's public key (SPKI) */
	char pin[TLS_TEXT_SIZE];
	/* GnuTLS priority string; refused when it names nothing that kTLS carries */
	char priority[TLS_TEXT_SIZE];
	enum tls_version min_version; /* 0: 1.3 */
};

#endif
