/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lists of revoked certificates: GnuTLS takes any, of any issuer and of any time. For this
 * folder's sources only. */
#ifndef NBDA_TLS_CRL
#define NBDA_TLS_CRL
#include <gnutls/gnutls.h>
#include <time.h>
#include "base/error.h"
#include "tls/info.h"

struct tls_credentials;

/* Give CREDS the lists of PEM, each of which has to be signed by one of its authorities, that may
 * sign such a list: call it when these are all there. PATH is for messages. */
int tls_crl_load(struct tls_credentials *creds, const gnutls_datum_t *pem, const char *path,
	struct error *err);
/* Are they in force? -EACCES: one is out of date, or not yet made. *VALIDITY: until when they are,
 * the first that ends. */
int tls_crl_check(const struct tls_credentials *creds, time_t now, struct tls_validity *validity,
	struct error *err);

#endif
