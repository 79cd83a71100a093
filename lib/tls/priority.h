/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef NBDA_TLS_PRIORITY
#define NBDA_TLS_PRIORITY
#include <gnutls/gnutls.h>
#include <stdbool.h>
#include "base/error.h"

/* What GnuTLS is allowed to negotiate. */
int tls_priority_init(gnutls_priority_t *priority, const char *wish, int min_version, bool psk,
	struct error *err);
/* TLS_CIPHER_*, or 0 when kTLS cannot carry it */
int tls_kernel_cipher(gnutls_cipher_algorithm_t algorithm);

#endif
