/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef RENEWAL_H
#define RENEWAL_H
#include <gnutls/gnutls.h>

/* The file of an authority is replaced between attempts with the same credentials. DIR has
 * ca-cert.pem, which signed SERVER's certificate, and client-cert.pem, which signed nobody's. Calls
 * REPORT for each test. */
void renewal_check(const char *dir, gnutls_certificate_credentials_t server,
	void (*report)(int passed, const char *name));

#endif
