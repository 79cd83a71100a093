/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Certificates, and lists of revoked ones, with whatever can be wrong with them: for tests that
 * need more than certtool writes. All are ECDSA. Dates are relative to now, in days. */
#ifndef MAKE_CERTIFICATE_H
#define MAKE_CERTIFICATE_H
#include <gnutls/abstract.h>
#include <gnutls/x509.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define DAY_SEC 86400

struct made {
	gnutls_x509_crt_t crt;
	gnutls_x509_privkey_t key;
};

static inline time_t days_from_now(double days)
{
	return time(NULL) + (time_t)(days * DAY_SEC);
}

static inline struct made made_begin(const char *cn, double from_days, double until_days)
{
	static unsigned char serial = 1;
	struct made made;

	assert_int_equal(gnutls_x509_privkey_init(&made.key), 0);
	assert_int_equal(gnutls_x509_privkey_generate(made.key, GNUTLS_PK_ECDSA,
				 GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0),
		0);
	assert_int_equal(gnutls_x509_crt_init(&made.crt), 0);
	assert_int_equal(gnutls_x509_crt_set_version(made.crt, 3), 0);
	assert_int_equal(gnutls_x509_crt_set_key(made.crt, made.key), 0);
	serial++;
	assert_int_equal(gnutls_x509_crt_set_serial(made.crt, &serial, 1), 0);
	gnutls_x509_crt_set_activation_time(made.crt, days_from_now(from_days));
	gnutls_x509_crt_set_expiration_time(made.crt, days_from_now(until_days));
	assert_int_equal(gnutls_x509_crt_set_dn_by_oid(made.crt, GNUTLS_OID_X520_COMMON_NAME, 0, cn,
				 (unsigned)strlen(cn)),
		0);
	return made;
}

/* BY NULL: by itself */
static inline void made_sign(struct made *made, const struct made *by)
{
	by = by ? by : made;
	assert_int_equal(
		gnutls_x509_crt_sign2(made->crt, by->crt, by->key, GNUTLS_DIG_SHA256, 0), 0);
}

static inline struct made made_authority(const char *cn, const struct made *by)
{
	struct made made = made_begin(cn, -10, 1000);

	gnutls_x509_crt_set_ca_status(made.crt, 1);
	gnutls_x509_crt_set_key_usage(made.crt, GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN);
	made_sign(&made, by);
	return made;
}

static inline void made_free(struct made *made)
{
	gnutls_x509_crt_deinit(made->crt);
	gnutls_x509_privkey_deinit(made->key);
}

static inline void write_datum(const char *path, const char *mode, const gnutls_datum_t *datum)
{
	FILE *file = fopen(path, mode);

	assert_non_null(file);
	assert_int_equal(fwrite(datum->data, 1, datum->size, file), datum->size);
	fclose(file);
}

static inline void made_write(const struct made *made, const char *cert_path, const char *key_path)
{
	gnutls_datum_t pem;

	assert_int_equal(gnutls_x509_crt_export2(made->crt, GNUTLS_X509_FMT_PEM, &pem), 0);
	write_datum(cert_path, "w", &pem);
	gnutls_free(pem.data);
	if (!key_path)
		return;
	assert_int_equal(gnutls_x509_privkey_export2(made->key, GNUTLS_X509_FMT_PEM, &pem), 0);
	write_datum(key_path, "w", &pem);
	gnutls_free(pem.data);
}

#endif
