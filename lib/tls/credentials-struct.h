/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Inside of struct tls_credentials: for this folder's sources only, since GnuTLS's types are to
 * stay in it, and for the audit's, which speaks TLS as an attacker does. */
#ifndef NBDA_TLS_CREDENTIALS_STRUCT
#define NBDA_TLS_CREDENTIALS_STRUCT
#include <gnutls/gnutls.h>
#include <stdbool.h>
#include <stdint.h>
#include "tls/credential-file.h"
#include "tls/config.h"

#define TLS_PIN_BYTES 32
#define TLS_CRLS_MAX 32
#define TLS_WARNINGS_MAX 4

struct tls_crl_dates {
	char issuer[128];
	int64_t from, until;
};

struct tls_credentials {
	gnutls_certificate_credentials_t x509; /* one of the two is NULL */
	gnutls_psk_client_credentials_t psk;
	gnutls_priority_t priority;
	/* to verify, and for SNI, without brackets; empty: that of the host which answers */
	char hostname[256];
	bool has_client_cert;
	bool uses_token;
	bool verify_chain; /* false: a pinned key stands in */
	bool has_pin;
	uint8_t pin[TLS_PIN_BYTES];
	/* "CA file /x" or "this system's trusted authorities", for messages */
	char trust_name[300];
	int min_version;
	/* tls_system_configuration(): it cannot be looked for once a process is confined */
	const char *system_configuration;
	struct tls_validity own; /* of our certificates */
	struct tls_crl_dates crls[TLS_CRLS_MAX];
	size_t crl_count;
	char warnings[TLS_WARNINGS_MAX][256];
	size_t warning_count;
	/* what they were made of, to be made of anew */
	struct tls_config config;
	struct credential_files files;
	bool is_packed; /* all that they need has to be among the files */
};

#endif
