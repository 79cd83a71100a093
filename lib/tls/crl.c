/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tls/crl.h"
#include "tls/gnutls-library.h"
#include "tls/credentials-struct.h"
#include "base/text.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OID_AUTHORITY_KEY_ID "2.5.29.35"
#define OID_CRL_NUMBER "2.5.29.20"
#define AUTHORITIES_MAX 4096

struct authorities {
	gnutls_x509_crt_t *list;
	unsigned count;
};

static void free_authorities(struct authorities *authorities)
{
	for (unsigned i = 0; i < authorities->count; i++)
		libgnutls.x509_crt_deinit(authorities->list[i]);
	free(authorities->list);
	*authorities = (struct authorities){0};
}

static int find_authorities(
	const struct tls_credentials *creds, struct authorities *authorities, struct error *err)
{
	gnutls_x509_trust_list_iter_t at = NULL;
	gnutls_x509_trust_list_t trust;

	*authorities = (struct authorities){.list = calloc(AUTHORITIES_MAX, sizeof(void *))};
	if (!authorities->list)
		return error_set(err, ERROR_OTHER, ENOMEM, "out of memory");
	libgnutls.certificate_get_trust_list(creds->x509, &trust);
	while (authorities->count < AUTHORITIES_MAX &&
		libgnutls.x509_trust_list_iter_get_ca(
			trust, &at, &authorities->list[authorities->count]) == 0)
		authorities->count++;
	if (at)
		libgnutls.x509_trust_list_iter_deinit(at);
	return 0;
}

/* Of what is only for a part of the certificates, or a change to another list, it would have to say
 * so in an extension that has to be understood (RFC 5280, 5.2). */
static bool is_whole(gnutls_x509_crl_t crl)
{
	char oid[128];
	unsigned critical;

	for (unsigned i = 0;; i++) {
		size_t size = sizeof(oid);
		int rc = libgnutls.x509_crl_get_extension_info(crl, i, oid, &size, &critical);

		if (rc == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
			return true;
		if (rc < 0 ||
			(critical && strcmp(oid, OID_AUTHORITY_KEY_ID) != 0 &&
				strcmp(oid, OID_CRL_NUMBER) != 0))
			return false;
	}
}

/* What is wrong with it, its dates apart; NULL: nothing. */
static const char *crl_judge(gnutls_x509_crl_t crl, const struct authorities *authorities)
{
	unsigned status = 0;
	int rc = libgnutls.x509_crl_verify(crl, authorities->list, authorities->count, 0, &status);

	if (status & GNUTLS_CERT_SIGNER_NOT_FOUND)
		return "is of another authority than those that are trusted";
	if (status & (GNUTLS_CERT_SIGNER_NOT_CA | GNUTLS_CERT_SIGNER_CONSTRAINTS_FAILURE))
		return "is signed by a certificate that may not sign such lists";
	if (status & GNUTLS_CERT_SIGNATURE_FAILURE)
		return "is wrongly signed: it was changed, or is not the authority's";
	if (status & GNUTLS_CERT_INSECURE_ALGORITHM)
		return "is signed with an algorithm that is broken";
	if (rc < 0)
		return libgnutls.strerror(rc);
	if (libgnutls.x509_crl_get_next_update(crl) == (time_t)-1)
		return "does not say until when it counts";
	if (!is_whole(crl))
		return "is only for a part of the certificates, or has an extension that is not "
		       "understood";
	return NULL;
}

static int crl_take(struct tls_credentials *creds, gnutls_x509_crl_t crl, const char *path,
	const struct authorities *authorities, struct error *err)
{
	struct tls_crl_dates *dates = &creds->crls[creds->crl_count];
	const char *why = crl_judge(crl, authorities);
	gnutls_datum_t issuer = {0};
	int rc;

	if (libgnutls.x509_crl_get_issuer_dn3(crl, &issuer, 0) == 0)
		text_sanitise(dates->issuer, sizeof(dates->issuer), issuer.data, issuer.size);
	gnutls_release(issuer.data);
	if (why) {
		error_set(err, ERROR_USAGE, EINVAL, "the revocation list of \"%s\" in %s %s",
			dates->issuer, path, why);
		return error_hint(err, -EINVAL,
			"fetch the list of the authority that signed the server's certificate");
	}
	rc = libgnutls.certificate_set_x509_crl(creds->x509, &crl, 1);
	if (rc < 0)
		return error_set(err, ERROR_USAGE, EINVAL, "revocation list %s cannot be used: %s",
			path, libgnutls.strerror(rc));
	dates->from = libgnutls.x509_crl_get_this_update(crl);
	dates->until = libgnutls.x509_crl_get_next_update(crl);
	creds->crl_count++;
	return 0;
}

int tls_crl_load(struct tls_credentials *creds, const gnutls_datum_t *pem, const char *path,
	struct error *err)
{
	struct authorities authorities;
	gnutls_x509_crl_t *list = NULL;
	unsigned count = 0;
	int rc = libgnutls.x509_crl_list_import2(&list, &count, pem, GNUTLS_X509_FMT_PEM, 0);

	if (rc < 0)
		return error_set(err, ERROR_USAGE, EINVAL, "revocation list %s cannot be used: %s",
			path, libgnutls.strerror(rc));
	rc = find_authorities(creds, &authorities, err);
	for (unsigned i = 0; i < count; i++) {
		if (!rc && creds->crl_count == TLS_CRLS_MAX)
			rc = error_set(err, ERROR_USAGE, E2BIG,
				"%s has more than %d revocation lists", path, TLS_CRLS_MAX);
		if (!rc)
			rc = crl_take(creds, list[i], path, &authorities, err);
		libgnutls.x509_crl_deinit(list[i]);
	}
	gnutls_release(list);
	free_authorities(&authorities);
	return rc;
}

int tls_crl_check(const struct tls_credentials *creds, time_t now, struct tls_validity *validity,
	struct error *err)
{
	char when[40];

	for (size_t i = 0; i < creds->crl_count; i++) {
		const struct tls_crl_dates *dates = &creds->crls[i];
		bool is_old = dates->until < now;

		tls_validity_note(validity, dates->from, dates->until);
		if (!is_old && dates->from <= now)
			continue;
		tls_format_date(is_old ? dates->until : dates->from, when, sizeof(when));
		error_set(err, ERROR_TLS, EACCES,
			"the revocation list of \"%s\" is %s: it counts %s %s", dates->issuer,
			is_old ? "out of date" : "from the future", is_old ? "until" : "from",
			when);
		error_hint(err, 0,
			"fetch the authority's current list, or set this machine's clock if it is "
			"wrong");
		/* from the future: as a certificate that is not valid yet */
		return is_old ? -EACCES : error_retry(err, -EACCES);
	}
	return 0;
}
