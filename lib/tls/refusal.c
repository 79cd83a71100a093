/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tls/refusal.h"
#include "tls/gnutls-library.h"
#include "tls/info.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

static int no_client_certificate(struct error *err)
{
	error_set(
		err, ERROR_TLS, EACCES, "the server wants a client certificate and none was given");
	return error_hint(err, -EACCES,
		"give yours with --tls-cert FILE and --tls-key FILE, or a directory of both with "
		"--tls-certificates");
}

/* What a server may miss that gives no reason, or says that nothing fits: the likeliest first. */
static int guess(const struct tls_offer *offer, const char *before, struct error *err)
{
	const char *file = offer->system_configuration,
		   *cipher = offer->has_priority ? "what --tls-priority leaves out" :
						   "another cipher";

	return error_hint(err, -EACCES, "%s%s%s%s%s%s%s? its log says more", before,
		offer->psk ? "certificates and not a PSK (--tls-ca)" : "a PSK (--tls-psk)",
		offer->min_version == TLS_VERSION_1_3 ? ", TLS 1.2 (--tls-min 1.2)" : "",
		file ? ", " : " or ", cipher, file ? " or what is switched off here by " : "",
		file ? file : "");
}

static int about_version(const struct tls_offer *offer, struct error *err)
{
	return error_hint(err, -EACCES,
		offer->min_version == TLS_VERSION_1_3 ?
			"the server may be too old for TLS 1.3: --tls-min 1.2 lowers the floor" :
			"the server is too old for TLS 1.2: update it");
}

/* Some servers call a wrong pre-shared key by these. */
static int about_key(const struct tls_offer *offer, struct error *err)
{
	if (offer->psk)
		return error_hint(err, -EACCES,
			"the server has another key for this user: compare both key files");
	return -EACCES;
}

static const char *hint_at_certificate(int alert)
{
	switch (alert) {
	case GNUTLS_A_CERTIFICATE_EXPIRED:
		return "renew the client certificate, or set the server's clock if it is wrong";
	case GNUTLS_A_CERTIFICATE_REVOKED:
		return "the client certificate is on the server's list of revoked ones: have "
		       "another one made";
	case GNUTLS_A_UNKNOWN_CA:
		return "the server does not trust the authority of the client certificate: name "
		       "one of its own authority with --tls-cert, or let it trust this one";
	case GNUTLS_A_UNSUPPORTED_CERTIFICATE:
		return "the server cannot use a client certificate of this kind: is it made for "
		       "clients (tls_www_client), with a key of a kind that the server knows?";
	case GNUTLS_A_ACCESS_DENIED:
		return "the server knows the client certificate, and does not let it in: see whom "
		       "its configuration allows";
	default:
		return "the server does not accept our client certificate: is it of the server's "
		       "authority, and in date?";
	}
}

static int about_alert(const struct tls_offer *offer, int alert, struct error *err)
{
	switch (alert) {
	case GNUTLS_A_PROTOCOL_VERSION: return about_version(offer, err);
	case GNUTLS_A_HANDSHAKE_FAILURE:
	case GNUTLS_A_INSUFFICIENT_SECURITY:
	case GNUTLS_A_MISSING_EXTENSION:
		return guess(offer,
			"no version, cipher and credentials that both sides accept: does the "
			"server want ",
			err);
	case GNUTLS_A_UNKNOWN_PSK_IDENTITY:
		return error_hint(err, -EACCES,
			"the server knows no key for this user: check --tls-username and the "
			"server's key file");
	case GNUTLS_A_UNRECOGNIZED_NAME:
		return error_hint(err, -EACCES,
			"the server does not go by the name \"%s\": --tls-hostname gives it "
			"another",
			offer->hostname);
	case GNUTLS_A_INTERNAL_ERROR:
		return error_hint(err, -EACCES,
			"something failed in the server, not here: its log says what");
	case GNUTLS_A_DECRYPT_ERROR:
	case GNUTLS_A_BAD_RECORD_MAC:
	case GNUTLS_A_ILLEGAL_PARAMETER: return about_key(offer, err);
	default:
		return offer->has_client_cert ?
			error_hint(err, -EACCES, "%s", hint_at_certificate(alert)) :
			-EACCES;
	}
}

/* Servers have several alerts for it, before TLS 1.3 handshake_failure above all. */
static bool misses_certificate(const struct tls_offer *offer, int alert)
{
	if (offer->has_client_cert)
		return false;
	if (alert == GNUTLS_A_PROTOCOL_VERSION || alert == GNUTLS_A_INTERNAL_ERROR)
		return false;
	return offer->was_asked || alert == GNUTLS_A_CERTIFICATE_REQUIRED;
}

int tls_refused_by_alert(const struct tls_offer *offer, int alert, struct error *err)
{
	const char *name = libgnutls.alert_get_name((gnutls_alert_description_t)alert);

	if (misses_certificate(offer, alert))
		return no_client_certificate(err);
	error_set(err, ERROR_TLS, EACCES, "the server ended TLS with the alert \"%s\"",
		name ? name : "unknown");
	/* GnuTLS sends none of an authority that the server did not name. */
	if (alert == GNUTLS_A_CERTIFICATE_REQUIRED)
		return error_hint(err, -EACCES,
			"the server wants a client certificate, and ours is of none of the "
			"authorities that it names: have one made by one of these");
	return about_alert(offer, alert, err);
}

int tls_refused_in_silence(
	const struct tls_offer *offer, const char *when, const char *how, struct error *err)
{
	if (offer->was_asked && !offer->has_client_cert)
		return no_client_certificate(err);
	if (offer->was_asked) {
		error_set(err, ERROR_TLS, EACCES,
			"the server asked for our client certificate and then hung up (%s): it "
			"seems not to accept it",
			how);
		error_hint(err, 0,
			"is it of the authority that the server trusts, and in date? the server's "
			"log says more");
		return error_retry(err, -EACCES);
	}
	error_set(
		err, ERROR_TLS, EACCES, "the server hung up %s without saying why (%s)", when, how);
	if (offer->psk)
		error_hint(err, 0,
			"does it know this user, with this key? does it take a PSK at all? its log "
			"says more");
	else
		guess(offer, "does it want ", err);
	return error_retry(err, -EACCES);
}
