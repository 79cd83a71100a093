/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the GnuTLS that this process runs with can do. */
#ifndef NBDA_TLS_LIBRARY
#define NBDA_TLS_LIBRARY
#include <stddef.h>
#include "base/error.h"

#define GNUTLS_LIBRARY "libgnutls.so.30"

/* Load it, once a process. Whoever loads credentials has it by that; what else is here wants it
 * loaded. Before anything is read from the network, and while there is a disk. */
int tls_library_load(struct error *err);

/* "3.7.9" */
const char *tls_library_version(void);
/* The best post-quantum hybrid group that it knows, or NULL. Recorded traffic to a disk stays
 * interesting for years. */
const char *tls_hybrid_group(void);
/* The file by which this system's administrator takes away of what GnuTLS can do (its "system-wide
 * configuration"), where there is one; else NULL. */
const char *tls_system_configuration(void);

/* Where the authorities may be that a system trusts, the likeliest first; NULL after the last. */
const char *tls_system_bundle(size_t at);

#endif
