/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef NBDA_TLS_VERIFY
#define NBDA_TLS_VERIFY
#include <gnutls/gnutls.h>
#include "base/error.h"
#include "tls/credentials-struct.h"
#include "tls/info.h"

/* Is this certificate HOSTNAME's? Fills INFO's peer fields; ERR says which check failed, for which
 * name, and what the certificate says instead. */
int tls_verify_peer(gnutls_session_t session, const struct tls_credentials *creds,
	const char *hostname, struct tls_info *info, struct error *err);
/* What proves the server: "PSK", "X.509" or "pin". */
const char *tls_authentication(const struct tls_credentials *creds);
int tls_pin_parse(uint8_t pin[TLS_PIN_BYTES], const char *text, struct error *err);

#endif
