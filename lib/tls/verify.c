/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tls/verify.h"
#include "tls/gnutls-library.h"
#include "tls/crl.h"
#include "tls/names.h"
#include "base/text.h"
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static void cleanup_crt(gnutls_x509_crt_t *crt)
{
	if (*crt)
		libgnutls.x509_crt_deinit(*crt);
}
#define _cleanup_crt_ __attribute__((cleanup(cleanup_crt)))

static void format_pin(const uint8_t pin[TLS_PIN_BYTES], char *out, size_t size)
{
	size_t used = (size_t)snprintf(out, size, "sha256:");

	for (size_t i = 0; i < TLS_PIN_BYTES && used + 3 <= size; i++)
		used += (size_t)snprintf(out + used, size - used, "%02x", pin[i]);
}

static bool parse_hex_pin(uint8_t pin[TLS_PIN_BYTES], const char *hex)
{
	size_t digits = 0;

	for (; *hex; hex++) {
		unsigned char c = (unsigned char)*hex;

		if (c == ':')
			continue;
		if (!isxdigit(c) || digits >= 2UL * TLS_PIN_BYTES)
			return false;
		c = (unsigned char)(isdigit(c) ? c - '0' : tolower(c) - 'a' + 10);
		pin[digits / 2] = (uint8_t)(digits % 2 ? pin[digits / 2] | c : c << 4);
		digits++;
	}
	return digits == 2UL * TLS_PIN_BYTES;
}

const char *tls_authentication(const struct tls_credentials *creds)
{
	return creds->psk ? "PSK" : creds->verify_chain ? "X.509" : "pin";
}

int tls_pin_parse(uint8_t pin[TLS_PIN_BYTES], const char *text, struct error *err)
{
	gnutls_datum_t in, out = {0};
	bool good = false;

	if (strncmp(text, "sha256:", 7) == 0) {
		good = parse_hex_pin(pin, text + 7);
		in.data = (unsigned char *)text + 7;
		in.size = (unsigned)strlen(text + 7);
		if (!good && libgnutls.base64_decode2(&in, &out) == 0 &&
			out.size == TLS_PIN_BYTES) {
			memcpy(pin, out.data, TLS_PIN_BYTES);
			good = true;
		}
		gnutls_release(out.data);
	}
	if (good)
		return 0;
	error_set(err, ERROR_USAGE, EINVAL,
		"the pin \"%s\" is not sha256: and the 64 hexadecimal digits of a public key's "
		"hash",
		text);
	return error_hint(err, -EINVAL,
		"nbd-attach info prints a server's pin; check it against the server's own "
		"certificate before you trust it");
}

static int public_key_pin(gnutls_x509_crt_t crt, uint8_t pin[TLS_PIN_BYTES])
{
	gnutls_pubkey_t key;
	gnutls_datum_t der = {0};
	int rc = libgnutls.pubkey_init(&key);

	if (rc < 0)
		return rc;
	rc = libgnutls.pubkey_import_x509(key, crt, 0);
	if (rc == 0)
		rc = libgnutls.pubkey_export2(key, GNUTLS_X509_FMT_DER, &der);
	if (rc == 0)
		rc = libgnutls.hash_fast(GNUTLS_DIG_SHA256, der.data, der.size, pin);
	gnutls_release(der.data);
	libgnutls.pubkey_deinit(key);
	return rc;
}

static void fill_peer(gnutls_x509_crt_t crt, struct tls_info *info)
{
	gnutls_datum_t dn = {0};
	uint8_t pin[TLS_PIN_BYTES];

	if (libgnutls.x509_crt_get_dn3(crt, &dn, 0) == 0)
		text_sanitise(info->peer_name, sizeof(info->peer_name), dn.data, dn.size);
	gnutls_release(dn.data);
	dn.data = NULL;
	if (libgnutls.x509_crt_get_issuer_dn3(crt, &dn, 0) == 0)
		text_sanitise(info->peer_issuer, sizeof(info->peer_issuer), dn.data, dn.size);
	gnutls_release(dn.data);
	info->peer_not_after = libgnutls.x509_crt_get_expiration_time(crt);
	if (public_key_pin(crt, pin) == 0)
		format_pin(pin, info->peer_pin, sizeof(info->peer_pin));
}

static int check_name(gnutls_x509_crt_t crt, const char *hostname, struct error *err)
{
	char names[300], cn[160] = "";
	size_t cn_size = sizeof(cn), count;

	if (!*hostname)
		return error_set(err, ERROR_TLS, EACCES,
			"there is no host name to look for in the server's certificate");
	if (tls_names_match(crt, hostname, names, sizeof(names), &count))
		return 0;
	if (count == 0) {
		if (libgnutls.x509_crt_get_dn_by_oid(
			    crt, GNUTLS_OID_X520_COMMON_NAME, 0, 0, cn, &cn_size) < 0)
			cn_size = 0;
		text_sanitise(names, sizeof(names), cn, cn_size);
		error_set(err, ERROR_TLS, EACCES,
			"the server's certificate has no subject alternative name, so it is not "
			"for \"%s\" (a common name, here \"%s\", does not count)",
			hostname, names);
		return error_hint(err, -EACCES,
			"make the server a certificate with dns_name or ip_address, or pin its key "
			"with --tls-pin");
	}
	error_set(err, ERROR_TLS, EACCES,
		"the server's certificate is not for \"%s\": it is for %s", hostname, names);
	return error_hint(err, -EACCES,
		"connect by one of these names, or say which to expect with --tls-hostname");
}

static int dated(gnutls_x509_crt_t crt, bool expired, struct error *err)
{
	time_t from = libgnutls.x509_crt_get_activation_time(crt),
	       until = libgnutls.x509_crt_get_expiration_time(crt), now = time(NULL);
	char when[40], today[40];

	tls_format_date(now, today, sizeof(today));
	tls_format_date(expired ? until : from, when, sizeof(when));
	if ((expired && until >= now) || (!expired && from <= now))
		error_set(err, ERROR_TLS, EACCES,
			"a certificate authority in the server's chain %s (now it is %s)",
			expired ? "has expired" : "is not valid yet", today);
	else
		error_set(err, ERROR_TLS, EACCES, "the server's certificate %s %s (now it is %s)",
			expired ? "expired on" : "is not valid before", when, today);
	if (expired)
		return error_hint(err, -EACCES,
			"renew it on the server, or set this machine's clock if it is wrong");
	error_hint(err, 0,
		"if this machine's clock is wrong, set it, or let it be set (--wait waits for "
		"that); or make the server another certificate");
	return error_retry(err, -EACCES); /* its day comes: at boot, with the time of the network */
}

static int weak(gnutls_x509_crt_t crt, const struct tls_credentials *creds, struct error *err)
{
	const char *file = creds->system_configuration;
	unsigned bits = 0;
	int algorithm = libgnutls.x509_crt_get_pk_algorithm(crt, &bits),
	    signature = libgnutls.x509_crt_get_signature_algorithm(crt);
	const char *key_name =
		algorithm < 0 ? NULL : libgnutls.pk_get_name((gnutls_pk_algorithm_t)algorithm);
	const char *signature_name =
		signature < 0 ? NULL : libgnutls.sign_get_name((gnutls_sign_algorithm_t)signature);

	error_set(err, ERROR_TLS, EACCES,
		"the server's certificate or one of its chain is too weak: its key is %s with %u "
		"bits, signed with %s",
		key_name ? key_name : "unknown", bits,
		signature_name ? signature_name : "an unknown algorithm");
	return error_hint(err, -EACCES,
		"make a new one: RSA from 2048 bits, ECDSA or Ed25519, signed with SHA-256 or "
		"better%s%s%s%s",
		*creds->config.priority ? "; --tls-priority may want more" : "", file ? "; " : "",
		file ? file : "", file ? " may want more, too" : "");
}

/* Of the names that signed the CHAIN, one that we trust with another key: OUT is it then. */
static bool has_namesake(const struct tls_credentials *creds, const gnutls_datum_t *chain,
	unsigned count, char *out, size_t size)
{
	gnutls_x509_trust_list_t trust;
	bool is_found = false;

	libgnutls.certificate_get_trust_list(creds->x509, &trust);
	for (unsigned i = 0; i < count && !is_found; i++) {
		_cleanup_crt_ gnutls_x509_crt_t crt = NULL, trusted = NULL;
		gnutls_datum_t name = {0}, text = {0};

		if (libgnutls.x509_crt_init(&crt) < 0 ||
			libgnutls.x509_crt_import(crt, &chain[i], GNUTLS_X509_FMT_DER) < 0)
			continue;
		is_found = libgnutls.x509_crt_get_raw_issuer_dn(crt, &name) == 0 &&
			libgnutls.x509_trust_list_get_issuer_by_dn(trust, &name, &trusted, 0) ==
				0 &&
			libgnutls.x509_crt_get_issuer_dn3(crt, &text, 0) == 0;
		if (is_found)
			text_sanitise(out, size, text.data, text.size);
		gnutls_release(name.data);
		gnutls_release(text.data);
	}
	return is_found;
}

static int untrusted(gnutls_x509_crt_t crt, const struct tls_credentials *creds,
	const struct tls_info *info, struct error *err)
{
	if (libgnutls.x509_crt_check_issuer(crt, crt))
		error_set(err, ERROR_TLS, EACCES,
			"the server's certificate is self-signed and not trusted by %s",
			creds->trust_name);
	else
		error_set(err, ERROR_TLS, EACCES,
			"the server's certificate is signed by \"%.128s\", which is not trusted by "
			"%s",
			info->peer_issuer, creds->trust_name);
	return error_hint(err, -EACCES,
		"give its authority with --tls-ca FILE, or pin its key with --tls-pin, if you know "
		"that it is right");
}

static int another_of_that_name(
	const struct tls_credentials *creds, const char *name, struct error *err)
{
	error_set(err, ERROR_TLS, EACCES,
		"the server's certificate is signed by another \"%.128s\" than the one in %s: the "
		"name is the same, the key is not",
		name, creds->trust_name);
	return error_hint(err, -EACCES,
		"was the authority made anew? fetch its present certificate from who runs it, or "
		"have the server's signed by the one that is trusted");
}

/* GnuTLS sets several bits at once: the first that explains comes first. */
static int explain(unsigned status, gnutls_session_t session, gnutls_x509_crt_t crt,
	const struct tls_credentials *creds, const struct tls_info *info, struct error *err)
{
	gnutls_datum_t text = {0};
	unsigned count = 0;
	const gnutls_datum_t *chain = libgnutls.certificate_get_peers(session, &count);
	char name[160];

	if (status & GNUTLS_CERT_REVOKED) {
		error_set(err, ERROR_TLS, EACCES,
			"the server's certificate has been revoked (by the authority's revocation "
			"list)");
		return error_hint(err, -EACCES,
			"the server needs a new certificate; if its key was stolen, do not "
			"connect");
	}
	if (status & (GNUTLS_CERT_SIGNER_NOT_FOUND | GNUTLS_CERT_SIGNATURE_FAILURE) &&
		has_namesake(creds, chain, count, name, sizeof(name)))
		return another_of_that_name(creds, name, err);
	if (status & (GNUTLS_CERT_SIGNER_NOT_FOUND | GNUTLS_CERT_SIGNER_NOT_CA))
		return untrusted(crt, creds, info, err);
	if (status & (GNUTLS_CERT_EXPIRED | GNUTLS_CERT_NOT_ACTIVATED))
		return dated(crt, status & GNUTLS_CERT_EXPIRED, err);
	if (status & GNUTLS_CERT_INSECURE_ALGORITHM)
		return weak(crt, creds, err);
	if (status & GNUTLS_CERT_PURPOSE_MISMATCH)
		return error_set(err, ERROR_TLS, EACCES,
			"the server's certificate is not meant for a TLS server (its extended key "
			"usage says otherwise)");
	if (status &
		(GNUTLS_CERT_REVOCATION_DATA_SUPERSEDED |
			GNUTLS_CERT_REVOCATION_DATA_ISSUED_IN_FUTURE)) {
		error_set(err, ERROR_TLS, EACCES,
			"the certificate revocation list ca-crl.pem is out of date");
		error_hint(err, 0, "fetch the authority's current list");
		return status & GNUTLS_CERT_REVOCATION_DATA_SUPERSEDED ? -EACCES :
									 error_retry(err, -EACCES);
	}
	libgnutls.certificate_verification_status_print(status, GNUTLS_CRT_X509, &text, 0);
	error_set(err, ERROR_TLS, EACCES, "the server's certificate failed its checks: %s",
		text.data ? (char *)text.data : "unknown reason");
	gnutls_release(text.data);
	return -EACCES;
}

static int check_pin(gnutls_x509_crt_t crt, const struct tls_credentials *creds,
	const struct tls_info *info, struct error *err)
{
	uint8_t pin[TLS_PIN_BYTES];

	if (public_key_pin(crt, pin) == 0 && memcmp(pin, creds->pin, sizeof(pin)) == 0)
		return 0;
	error_set(err, ERROR_TLS, EACCES,
		"the server's public key is not the pinned one: it shows %s", info->peer_pin);
	return error_hint(err, -EACCES,
		"if the server got a new key, pin that one; if not, this is not your server");
}

static void note_one(gnutls_x509_crt_t crt, struct tls_validity *validity)
{
	tls_validity_note(validity, libgnutls.x509_crt_get_activation_time(crt),
		libgnutls.x509_crt_get_expiration_time(crt));
}

/* All that was shown, and the authority, which need not be shown. */
static void note_validity(const struct tls_credentials *creds, const gnutls_datum_t *chain,
	unsigned count, struct tls_validity *validity)
{
	gnutls_x509_trust_list_t trust;
	gnutls_x509_crt_t issuer = NULL;

	libgnutls.certificate_get_trust_list(creds->x509, &trust);
	for (unsigned i = 0; i < count; i++) {
		_cleanup_crt_ gnutls_x509_crt_t crt = NULL;

		if (libgnutls.x509_crt_init(&crt) < 0 ||
			libgnutls.x509_crt_import(crt, &chain[i], GNUTLS_X509_FMT_DER) < 0)
			continue;
		note_one(crt, validity);
		if (libgnutls.x509_trust_list_get_issuer(trust, crt, &issuer, 0) == 0)
			note_one(issuer, validity); /* the list's own */
	}
}

int tls_verify_peer(gnutls_session_t session, const struct tls_credentials *creds,
	const char *hostname, struct tls_info *info, struct error *err)
{
	gnutls_typed_vdata_st purpose = {.type = GNUTLS_DT_KEY_PURPOSE_OID,
		.data = (unsigned char *)GNUTLS_KP_TLS_WWW_SERVER};
	unsigned count = 0, status = 0;
	const gnutls_datum_t *chain = libgnutls.certificate_get_peers(session, &count);
	_cleanup_crt_ gnutls_x509_crt_t crt = NULL;
	int rc;

	if (!chain || count == 0)
		return error_set(err, ERROR_TLS, EACCES, "the server showed no certificate");
	if (libgnutls.x509_crt_init(&crt) < 0 ||
		libgnutls.x509_crt_import(crt, &chain[0], GNUTLS_X509_FMT_DER) < 0)
		return error_set(err, ERROR_TLS, EACCES, "the server's certificate cannot be read");
	fill_peer(crt, info);
	if (creds->has_pin) {
		rc = check_pin(crt, creds, info, err);
		if (rc)
			return rc;
	}
	if (!creds->verify_chain)
		return creds->has_pin ?
			0 :
			error_set(err, ERROR_TLS, EACCES, "nothing to verify the server against");
	rc = libgnutls.certificate_verify_peers(session, &purpose, 1, &status);
	if (rc < 0)
		return error_set(err, ERROR_TLS, EACCES,
			"the server's certificate cannot be checked: %s", libgnutls.strerror(rc));
	if (status)
		return explain(status, session, crt, creds, info, err);
	rc = tls_crl_check(creds, time(NULL), &info->revocation, err);
	if (rc)
		return rc;
	note_validity(creds, chain, count, &info->chain);
	return check_name(crt, hostname, err);
}
