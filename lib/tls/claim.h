/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is said to have been negotiated, by a process that is not believed. */
#ifndef NBDA_TLS_CLAIM
#define NBDA_TLS_CLAIM
#include "tls/credentials.h"
#include "tls/info.h"

/* Hold INFO against what can be known of it. FD's kernel TLS (-1: there is no socket to ask) and
 * CREDS say in INFO's place whatever they can. -EPROTO: FD has no kernel TLS, or not the same in
 * both directions; or INFO is nothing that CREDS allow to be negotiated. */
int tls_claim_check(struct tls_info *info, const struct tls_credentials *creds, int fd);

#endif
