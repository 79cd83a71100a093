/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pre-shared keys, of psktool's files. For this folder's sources only. */
#ifndef NBDA_TLS_PSK
#define NBDA_TLS_PSK
#include "base/error.h"
#include "tls/config.h"

struct tls_credentials;

/* The key of CONFIG's user (the file's only one when none is given) from its file. The priorities
 * of CREDS are set already: they decide which hash the key is for under TLS 1.3. */
int tls_psk_load(struct tls_credentials *creds, const struct tls_config *config, struct error *err);

#endif
