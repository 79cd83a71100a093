/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a file is that cannot be used for what it was given as, and how it becomes that. For this
 * folder's sources only. */
#ifndef NBDA_TLS_CREDENTIAL_KIND
#define NBDA_TLS_CREDENTIAL_KIND
#include <gnutls/gnutls.h>
#include "base/error.h"

/* What may be in a file, a bit for each. */
enum credential_kind {
	CREDENTIAL_CERTIFICATE = 1 << 0,
	CREDENTIAL_KEY = 1 << 1,
	CREDENTIAL_ENCRYPTED_KEY = 1 << 2,
	CREDENTIAL_TRUSTED = 1 << 3, /* openssl's certificate with trust settings */
	CREDENTIAL_REQUEST = 1 << 4,
	CREDENTIAL_PUBLIC_KEY = 1 << 5,
	CREDENTIAL_REVOCATION = 1 << 6,
	CREDENTIAL_PKCS7 = 1 << 7,
	CREDENTIAL_SSH_KEY = 1 << 8,
	CREDENTIAL_PKCS12 = 1 << 9,
	CREDENTIAL_UTF16 = 1 << 10,
	CREDENTIAL_PSK = 1 << 11,
	CREDENTIAL_DER = 1 << 12, /* of what the other bit says */
};

/* What it was given as. */
enum credential_role {
	CREDENTIAL_AS_AUTHORITY,
	CREDENTIAL_AS_CERTIFICATE,
	CREDENTIAL_AS_KEY,
	CREDENTIAL_AS_PSK,
};

/* The kinds in DATA, which is terminated; 0: none that is known. */
unsigned credential_kinds(const gnutls_datum_t *data);

/* -EINVAL, with a sentence that says what PATH is and what is wanted, and with the command that
 * makes the one of the other. WHY is what GnuTLS says of a file of the right kind. */
int credential_kind_refuse(const char *path, const gnutls_datum_t *data, enum credential_role role,
	const char *why, struct error *err);
/* The same for a certificate and its key, of which one at least cannot be used. */
int credential_kind_refuse_pair(const char *cert_path, const gnutls_datum_t *cert,
	const char *key_path, const gnutls_datum_t *key, const char *why, struct error *err);

#endif
