/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A server ended TLS: what it said of the reason, what that means for what we offered, and which
 * option to try. */
#ifndef NBDA_TLS_REFUSAL
#define NBDA_TLS_REFUSAL
#include <stdbool.h>
#include "base/error.h"

/* What the server was offered. */
struct tls_offer {
	bool psk, has_client_cert;
	bool was_asked;    /* by the server, for a certificate */
	bool has_priority; /* --tls-priority */
	int min_version;
	const char *system_configuration; /* tls_system_configuration(), or NULL */
	const char *hostname;             /* as the server was called, or "" */
};

/* ALERT is its number (RFC 8446, 6). ERR is filled; -EACCES. */
int tls_refused_by_alert(const struct tls_offer *offer, int alert, struct error *err);
/* Of one that ended it WHEN and said nothing, not even as much as whether it took our certificate;
 * HOW is what the connection told. The same. */
int tls_refused_in_silence(
	const struct tls_offer *offer, const char *when, const char *how, struct error *err);

#endif
