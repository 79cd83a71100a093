/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whose a certificate is: its subject alternative names against the host that was asked for. RFC
 * 9525: nothing else counts, the common name least of all, and no failure to read one of them lets
 * it count (CVE-2026-42012, CVE-2026-42013). */
#ifndef NBDA_TLS_NAMES
#define NBDA_TLS_NAMES
#include <gnutls/x509.h>
#include <stdbool.h>
#include <stddef.h>

/* The 4 or 16 bytes of HOST if it is an address, which a name is not verified as: their number, or
 * 0. The zone of fe80::1%eth0 is this machine's, and in no certificate. */
size_t tls_names_parse_address(const char *host, unsigned char address[16]);

/* HOST as it is looked up and compared: of an internationalised name the A-labels ("xn--...").
 * False when IDNA knows no such name, or it does not fit. */
bool tls_names_to_ascii(const char *host, char *out, size_t size);

/* HOST as RFC 6066, 3 lets it be sent to the server: in A-labels, without a dot at the end. False:
 * nothing is to be sent, as of an address and whatever is no DNS name. */
bool tls_names_for_sni(const char *host, char *out, size_t size);

/* True if one of CRT's names or addresses is HOST. OUT (SIZE bytes) receives all of them, for
 * people: nothing that stands in them can look like something else. *COUNT is their number. */
bool tls_names_match(
	gnutls_x509_crt_t crt, const char *host, char *out, size_t size, size_t *count);

#endif
