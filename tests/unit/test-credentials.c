/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files of keys and certificates: what is taken of them, and what is warned of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include "credentials-folder.h"
#include "tls/crl.h"

/* --- lists of revoked certificates */

static void write_list(const struct made *by, double from_days, double until_days, bool is_changed)
{
	gnutls_x509_crl_t crl;
	gnutls_datum_t der, pem;

	assert_int_equal(gnutls_x509_crl_init(&crl), 0);
	gnutls_x509_crl_set_version(crl, 2);
	gnutls_x509_crl_set_this_update(crl, days_from_now(from_days));
	if (until_days)
		gnutls_x509_crl_set_next_update(crl, days_from_now(until_days));
	gnutls_x509_crl_set_crt_serial(crl, "\7\7", 2, days_from_now(-1));
	assert_int_equal(gnutls_x509_crl_sign2(crl, by->crt, by->key, GNUTLS_DIG_SHA256, 0), 0);
	assert_int_equal(gnutls_x509_crl_export2(crl, GNUTLS_X509_FMT_DER, &der), 0);
	if (is_changed) { /* the serial number that is revoked */
		unsigned char *at = memmem(der.data, der.size, "\2\2\7\7", 4);

		assert_non_null(at);
		at[3] = 8;
	}
	assert_int_equal(gnutls_pem_base64_encode2("X509 CRL", &der, &pem), 0);
	write_datum(in_folder("ca-crl.pem"), "a", &pem);
	gnutls_free(der.data);
	gnutls_free(pem.data);
	gnutls_x509_crl_deinit(crl);
}

static void lists_are_the_authoritys_or_refused(void **state)
{
	struct made no_signer = made_begin("the authority", -10, 1000);

	(void)state;
	clear();
	write_list(&other, -1, 10, false);
	expect_refusal(ERROR_USAGE, "\"CN=another one\"");
	expect_refusal(ERROR_USAGE, "is of another authority");
	clear();
	write_list(&authority, -1, 10, true);
	expect_refusal(ERROR_USAGE, "is wrongly signed");
	clear();
	write_list(&authority, -1, 0, false);
	expect_refusal(ERROR_USAGE, "does not say until when");
	/* one that is good does not excuse the other */
	clear();
	write_list(&authority, -1, 10, false);
	write_list(&other, -1, 10, false);
	expect_refusal(ERROR_USAGE, "is of another authority");
	/* an authority that may sign certificates only */
	clear();
	gnutls_x509_crt_set_ca_status(no_signer.crt, 1);
	gnutls_x509_crt_set_key_usage(no_signer.crt, GNUTLS_KEY_KEY_CERT_SIGN);
	made_sign(&no_signer, NULL);
	made_write(&no_signer, in_folder("ca-cert.pem"), NULL);
	gnutls_x509_crt_set_key_usage(no_signer.crt, GNUTLS_KEY_CRL_SIGN);
	write_list(&no_signer, -1, 10, false);
	expect_refusal(ERROR_USAGE, "may not sign such lists");
	made_free(&no_signer);
	/* nor is it taken from nobody */
	clear();
	unlink(in_folder("ca-cert.pem"));
	write_list(&authority, -1, 10, false);
	snprintf(config.pin, sizeof(config.pin), "sha256:%064d", 1);
	expect_refusal(ERROR_USAGE, "no authority beside it");
	*config.pin = 0;
}

static void lists_count_in_their_time(void **state)
{
	static const struct {
		double from_days, until_days;
		const char *why;
	} table[] = {
		{-1, 10, NULL},
		{-1, 0.01, NULL},
		{-10, -1, "out of date: it counts until 20"},
		{1, 10, "from the future: it counts from 20"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct tls_credentials *creds;
		struct tls_validity validity = {0};
		struct error err = {0};
		int rc;

		clear();
		write_list(&authority, -20, 20, false);
		write_list(&authority, table[i].from_days, table[i].until_days, false);
		creds = load();
		rc = tls_crl_check(creds, time(NULL), &validity, &err);
		if (table[i].why &&
			(rc != -EACCES || err.kind != ERROR_TLS || !strstr(err.text, table[i].why)))
			fail_msg("row %zu: %s", i, err.text);
		/* one whose day is to come may only seem so, by a clock that is not set yet */
		assert_int_equal(err.retry, table[i].from_days > 0);
		if (!table[i].why) {
			assert_int_equal(rc, 0);
			assert_int_equal(validity.until, creds->crls[1].until);
		}
		tls_credentials_free(creds);
	}
}

static void what_ends_soon_is_known_in_time(void **state)
{
	struct tls_validity validity = {0};

	(void)state;
	tls_validity_note(&validity, 0, 0);
	assert_int_equal(validity.until, 0);
	tls_validity_note(&validity, 1000, 1000 + 400 * DAY_SEC);
	assert_int_equal(validity.warn_from, 1000 + 386 * DAY_SEC);
	/* of a day's certificate not the whole day */
	tls_validity_note(&validity, 1000, 1000 + DAY_SEC);
	assert_int_equal(validity.until, 1000 + DAY_SEC);
	assert_int_equal(validity.warn_from, 1000 + DAY_SEC / 4 * 3);
	tls_validity_note(&validity, 1000, 1000 + 9 * DAY_SEC);
	assert_int_equal(validity.until, 1000 + DAY_SEC);
}

/* --- several certificates of ours */

static void numbered_certificates_are_ours_too(void **state)
{
	struct made second = make_client("of another", &other, 7);
	struct tls_credentials *creds;

	(void)state;
	clear();
	made_write(&second, in_folder("client-cert-0.pem"), in_folder("client-key-0.pem"));
	creds = load();
	assert_int_equal(count_ours(creds), 1);
	assert_true(creds->has_client_cert);
	tls_credentials_free(creds);
	made_write(&client, in_folder("client-cert.pem"), in_folder("client-key.pem"));
	made_write(&client, in_folder("client-cert-1.pem"), in_folder("client-key-1.pem"));
	/* behind one that is missing nobody looks */
	made_write(&client, in_folder("client-cert-3.pem"), in_folder("client-key-3.pem"));
	creds = load();
	assert_int_equal(count_ours(creds), 3);
	/* the first that runs out is the one to warn of */
	assert_int_equal(creds->own.until, gnutls_x509_crt_get_expiration_time(second.crt));
	tls_credentials_free(creds);
	unlink(in_folder("client-key-1.pem"));
	expect_refusal(ERROR_USAGE, "client-key-1.pem");
	made_write(&client, in_folder("client-cert-1.pem"), in_folder("client-key-1.pem"));
	made_write(&second, in_folder("client-cert-1.pem"), NULL);
	expect_refusal(ERROR_USAGE, "do not belong together");
	/* --tls-cert is instead of them */
	snprintf(config.cert_file, sizeof(config.cert_file), "%s", in_folder("client-cert.pem"));
	snprintf(config.key_file, sizeof(config.key_file), "%s", in_folder("client-key.pem"));
	creds = load();
	assert_int_equal(count_ours(creds), 1);
	tls_credentials_free(creds);
	*config.cert_file = *config.key_file = 0;
	made_free(&second);
}

static void expect_hint(const char *words, const char *hint)
{
	struct tls_credentials *creds = NULL;
	struct error err = {0};

	assert_true(tls_credentials_load(&creds, &config, &err) < 0);
	if (!strstr(err.text, words) || !strstr(err.hint, hint))
		fail_msg("not \"%s\", \"%s\" but \"%s\", \"%s\"", words, hint, err.text, err.hint);
}

static void what_is_missing_in_a_directory_is_named(void **state)
{
	(void)state;
	clear();
	made_write(&client, in_folder("client-cert.pem"), NULL);
	expect_hint("client-key.pem: No such file", "go together");
	clear();
	made_write(&client, in_folder("x.pem"), in_folder("client-key.pem"));
	expect_hint("client-cert.pem: No such file", "go together");
	unlink(in_folder("ca-cert.pem"));
	expect_hint("cannot read the CA file", "wanted there are ca-cert.pem and");
	clear();
	snprintf(config.certificates_dir, sizeof(config.certificates_dir), "%s/none", folder);
	expect_hint("directory of certificates", "");
	/* nor is it made up for by what stands in for its authority */
	snprintf(config.pin, sizeof(config.pin), "sha256:%064d", 1);
	expect_hint("/none: No such file", "");
	*config.pin = 0;
	snprintf(
		config.certificates_dir, sizeof(config.certificates_dir), "%s/ca-cert.pem", folder);
	expect_hint("ca-cert.pem is no directory", "--tls-ca");
	snprintf(config.certificates_dir, sizeof(config.certificates_dir), "%s", folder);
}

/* PKCS#8 of an algorithm that nobody has: 1.2.3.4 */
static const char unknown_key[] = "-----BEGIN PRIVATE KEY-----\n"
				  "MBMCAQAwBwYDKgMEBQAEBQQDAQID\n"
				  "-----END PRIVATE KEY-----\n";

static void a_numbered_one_of_unknown_kind_leaves_the_rest(void **state)
{
	struct tls_credentials *creds;

	(void)state;
	clear();
	made_write(&client, in_folder("client-cert.pem"), in_folder("client-key.pem"));
	made_write(&client, in_folder("client-cert-0.pem"), NULL);
	write_text(in_folder("client-key-0.pem"), unknown_key);
	creds = load();
	assert_int_equal(count_ours(creds), 1);
	assert_int_equal(creds->warning_count, 1);
	assert_non_null(strstr(creds->warnings[0], "client-cert-0.pem is left out"));
	tls_credentials_free(creds);
	/* but not the one that was meant before there were several */
	write_text(in_folder("client-key.pem"), unknown_key);
	expect_refusal(ERROR_USAGE, "client-cert.pem");
	/* nor one that is broken */
	made_write(&client, in_folder("client-cert.pem"), in_folder("client-key.pem"));
	write_text(in_folder("client-key-0.pem"), "nonsense");
	expect_refusal(ERROR_USAGE, "client-key-0.pem");
}

/* --- keys that others can read */

static void keys_for_everybody_are_warned_of(void **state)
{
	static const struct {
		mode_t folder, key;
		bool warned;
	} table[] = {
		{0755, 0644, true},
		{0755, 0604, true},
		{0755, 0602, true},
		{0711, 0644, true},
		{0755, 0600, false},
		{0755, 0640, false},
		{0750, 0644, false},
		{0700, 0644, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct tls_credentials *creds;

		clear();
		made_write(&client, in_folder("client-cert.pem"), in_folder("client-key.pem"));
		chmod(in_folder("client-key.pem"), table[i].key);
		chmod(folder, table[i].folder);
		creds = load();
		assert_int_equal(creds->warning_count, table[i].warned);
		if (table[i].warned)
			assert_non_null(strstr(creds->warnings[0], "client-key.pem"));
		tls_credentials_free(creds);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_are_the_authoritys_or_refused),
		cmocka_unit_test(lists_count_in_their_time),
		cmocka_unit_test(what_ends_soon_is_known_in_time),
		cmocka_unit_test(numbered_certificates_are_ours_too),
		cmocka_unit_test(what_is_missing_in_a_directory_is_named),
		cmocka_unit_test(a_numbered_one_of_unknown_kind_leaves_the_rest),
		cmocka_unit_test(keys_for_everybody_are_warned_of),
	};

	return cmocka_run_group_tests_name("credentials", tests, begin, end);
}
