/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef NBDA_TLS_PRIORITY
#define NBDA_TLS_PRIORITY
#include <gnutls/gnutls.h>
#include <stdbool.h>
#include "base/error.h"
#include "tls/ktls.h"

/* What GnuTLS is allowed to negotiate: ours, or with OVERRIDE (NULL: none) the user's, which may
 * ask for more than ours has to be and for nothing less: what would lower it is refused by name. */
int tls_priority_init(gnutls_priority_t *priority, const char *override, int min_version, bool psk,
	struct error *err);
/* Does this system's configuration leave us what we need? 0, or why not. */
int tls_priority_check(struct error *err);
/* NULL when kTLS cannot carry it. */
const struct ktls_cipher *tls_ktls_cipher(gnutls_cipher_algorithm_t algorithm);

#endif
