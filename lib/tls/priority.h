/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef NBDA_TLS_PRIORITY
#define NBDA_TLS_PRIORITY
#include <gnutls/gnutls.h>
#include <stdbool.h>
#include "base/error.h"
#include "tls/ktls.h"

/* What GnuTLS is allowed to negotiate. */
int tls_priority_init(gnutls_priority_t *priority, const char *override, int min_version, bool psk,
	struct error *err);
/* NULL when kTLS cannot carry it. */
const struct ktls_cipher *tls_ktls_cipher(gnutls_cipher_algorithm_t algorithm);

#endif
