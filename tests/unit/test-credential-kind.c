/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files of another kind than the one that is wanted: what is said of each, and how it becomes the
 * right one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <gnutls/pkcs12.h>
#include <gnutls/pkcs7.h>
#include "make-certificate.h"
#include "tls/credential-kind.h"
#include "tls/library.h"

#define BYTES(text)                                                                                \
	{                                                                                          \
		(unsigned char *)(uintptr_t)(text), sizeof(text) - 1                               \
	}

/* What is given as something. */
enum thing {
	CERT,
	CERT_DER,
	TRUSTED,
	KEY,
	KEY_DER,
	LOCKED,
	LOCKED_DER,
	OLD_LOCKED,
	BOTH,
	BOTH_LOCKED,
	REQUEST,
	PUBLIC,
	SSH,
	P12,
	P7,
	PSK,
	UTF16,
	PROSE,
	ONE_BYTE,
	BROKEN,
	THING_COUNT,
};

static gnutls_datum_t things[THING_COUNT] = {
	[OLD_LOCKED] =
		BYTES("-----BEGIN RSA PRIVATE KEY-----\r\nProc-Type: 4,ENCRYPTED\r\n"
		      "DEK-Info: AES-128-CBC,00\r\n\r\nAAAA\r\n-----END RSA PRIVATE KEY-----"),
	[REQUEST] = BYTES("-----BEGIN NEW CERTIFICATE REQUEST-----\nAAAA\n"),
	[PUBLIC] = BYTES("-----BEGIN PUBLIC KEY-----\nAAAA\n"),
	[SSH] = BYTES("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n"),
	[P7] = BYTES("-----BEGIN PKCS7-----\nAAAA\n"),
	[PSK] = BYTES("# keys\nalice:00112233445566778899aabbccddeeff\n"),
	[UTF16] = BYTES("\xff\xfe"
			"a\0l\0i\0c\0e\0"),
	[PROSE] = BYTES("alice: a person\n"),
	[ONE_BYTE] = BYTES("0"),
	[BROKEN] = BYTES("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
};

static struct made made;

static gnutls_datum_t join(const gnutls_datum_t *a, const gnutls_datum_t *b)
{
	gnutls_datum_t both = {gnutls_malloc(a->size + b->size), a->size + b->size};

	memcpy(both.data, a->data, a->size);
	memcpy(both.data + a->size, b->data, b->size);
	return both;
}

static gnutls_datum_t lock(gnutls_x509_crt_fmt_t format)
{
	gnutls_datum_t out;

	assert_int_equal(gnutls_x509_privkey_export2_pkcs8(
				 made.key, format, "secret", GNUTLS_PKCS_PBES2_AES_128, &out),
		0);
	return out;
}

static gnutls_datum_t make_pkcs12(void)
{
	gnutls_pkcs12_bag_t bag;
	gnutls_pkcs12_t pkcs12;
	gnutls_datum_t out;

	assert_int_equal(gnutls_pkcs12_init(&pkcs12), 0);
	assert_int_equal(gnutls_pkcs12_bag_init(&bag), 0);
	assert_true(gnutls_pkcs12_bag_set_crt(bag, made.crt) >= 0);
	assert_int_equal(gnutls_pkcs12_bag_encrypt(bag, "secret", GNUTLS_PKCS_PBES2_AES_128), 0);
	assert_int_equal(gnutls_pkcs12_set_bag(pkcs12, bag), 0);
	assert_int_equal(gnutls_pkcs12_generate_mac(pkcs12, "secret"), 0);
	assert_int_equal(gnutls_pkcs12_export2(pkcs12, GNUTLS_X509_FMT_DER, &out), 0);
	gnutls_pkcs12_bag_deinit(bag);
	gnutls_pkcs12_deinit(pkcs12);
	return out;
}

static const enum thing allocated[] = {
	CERT, CERT_DER, KEY, KEY_DER, TRUSTED, LOCKED, LOCKED_DER, BOTH, BOTH_LOCKED, P12};

/* As what is read of a file. */
static void terminate(gnutls_datum_t *data)
{
	data->data = gnutls_realloc(data->data, data->size + 1);
	assert_non_null(data->data);
	data->data[data->size] = 0;
}

static int begin(void **state)
{
	(void)state;
	made = made_authority("the authority", NULL);
	gnutls_x509_crt_export2(made.crt, GNUTLS_X509_FMT_PEM, &things[CERT]);
	gnutls_x509_crt_export2(made.crt, GNUTLS_X509_FMT_DER, &things[CERT_DER]);
	gnutls_x509_privkey_export2(made.key, GNUTLS_X509_FMT_PEM, &things[KEY]);
	gnutls_x509_privkey_export2(made.key, GNUTLS_X509_FMT_DER, &things[KEY_DER]);
	gnutls_pem_base64_encode2("TRUSTED CERTIFICATE", &things[CERT_DER], &things[TRUSTED]);
	things[LOCKED] = lock(GNUTLS_X509_FMT_PEM);
	things[LOCKED_DER] = lock(GNUTLS_X509_FMT_DER);
	things[BOTH] = join(&things[CERT], &things[KEY]);
	things[BOTH_LOCKED] = join(&things[CERT], &things[LOCKED]);
	things[P12] = make_pkcs12();
	for (size_t i = 0; i < sizeof(allocated) / sizeof(allocated[0]); i++)
		terminate(&things[allocated[i]]);
	return 0;
}

static int end(void **state)
{
	(void)state;
	made_free(&made);
	for (size_t i = 0; i < sizeof(allocated) / sizeof(allocated[0]); i++)
		gnutls_free(things[allocated[i]].data);
	return 0;
}

static void expect(size_t row, const struct error *err, const char *text, const char *hint)
{
	assert_int_equal(err->kind, ERROR_USAGE);
	if (!strstr(err->text, text) || (*hint ? !strstr(err->hint, hint) : *err->hint))
		fail_msg("row %zu: not \"%s\", \"%s\" but \"%s\", \"%s\"", row, text, hint,
			err->text, err->hint);
}

static void each_kind_is_called_what_it_is(void **state)
{
	static const struct {
		enum thing thing;
		enum credential_role role;
		const char *text, *hint;
	} table[] = {
		{CERT_DER, CREDENTIAL_AS_AUTHORITY,
			"the CA file /f is a certificate in DER; a certificate in PEM is wanted",
			"openssl x509 -inform DER -in /f -out"},
		{CERT_DER, CREDENTIAL_AS_CERTIFICATE,
			"the certificate file /f is a certificate in DER",
			"openssl x509 -inform DER -in /f -out"},
		{TRUSTED, CREDENTIAL_AS_AUTHORITY, "is openssl's TRUSTED CERTIFICATE",
			"openssl x509 -in /f -out"},
		{KEY, CREDENTIAL_AS_AUTHORITY, "the CA file /f is a private key; a certificate",
			"belongs on no client"},
		{LOCKED, CREDENTIAL_AS_AUTHORITY, "is a private key with a passphrase",
			"belongs on no client"},
		{KEY, CREDENTIAL_AS_CERTIFICATE, "the certificate file /f is a private key",
			"--tls-key"},
		{CERT, CREDENTIAL_AS_KEY,
			"the key file /f is a certificate; a private key in PEM without a "
			"passphrase",
			"that this certificate was made for"},
		{KEY_DER, CREDENTIAL_AS_KEY, "is a private key in DER",
			"openssl pkey -inform DER -in /f"},
		{LOCKED, CREDENTIAL_AS_KEY, "is a private key with a passphrase;",
			"openssl pkey -in /f"},
		{OLD_LOCKED, CREDENTIAL_AS_KEY, "is a private key with a passphrase;",
			"openssl pkey -in /f"},
		{LOCKED_DER, CREDENTIAL_AS_KEY, "is a private key with a passphrase in DER;",
			"openssl pkey -inform DER -in /f"},
		{P12, CREDENTIAL_AS_AUTHORITY, "is a PKCS#12 bundle", "-cacerts -nokeys"},
		{P12, CREDENTIAL_AS_CERTIFICATE, "is a PKCS#12 bundle",
			"openssl pkcs12 -in /f -nocerts -nodes"},
		{P12, CREDENTIAL_AS_KEY, "is a PKCS#12 bundle", "-nocerts -nodes"},
		{P7, CREDENTIAL_AS_AUTHORITY, "is a PKCS#7 bundle", "openssl pkcs7 -in /f"},
		{REQUEST, CREDENTIAL_AS_CERTIFICATE, "is a request for a certificate",
			"--load-request /f"},
		{PUBLIC, CREDENTIAL_AS_AUTHORITY, "is a public key", "--tls-pin"},
		{PUBLIC, CREDENTIAL_AS_KEY, "is a public key", "that it belongs to"},
		{SSH, CREDENTIAL_AS_KEY, "is a private key of SSH", "certtool"},
		{PSK, CREDENTIAL_AS_AUTHORITY, "is a file of pre-shared keys", "--tls-psk"},
		{PSK, CREDENTIAL_AS_KEY, "is a file of pre-shared keys", "--tls-psk"},
		{CERT, CREDENTIAL_AS_PSK,
			"the PSK file /f is a certificate; lines of the form user:hexadecimal-key",
			"psktool"},
		{BOTH, CREDENTIAL_AS_PSK, "is a certificate and a private key;", "--tls-cert"},
		{UTF16, CREDENTIAL_AS_PSK, "is text in UTF-16", "iconv -f UTF-16 -t UTF-8 /f"},
		{PROSE, CREDENTIAL_AS_KEY, "is nothing that is known here", ""},
		{ONE_BYTE, CREDENTIAL_AS_AUTHORITY, "is nothing that is known here", ""},
		{BROKEN, CREDENTIAL_AS_AUTHORITY, "the CA file /f cannot be used: it is broken",
			""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct error err = {0};

		assert_int_equal(credential_kind_refuse("/f", &things[table[i].thing],
					 table[i].role, "it is broken", &err),
			-EINVAL);
		expect(i, &err, table[i].text, table[i].hint);
	}
}

static void of_a_pair_the_wrong_one_is_named(void **state)
{
	static const struct {
		enum thing cert, key;
		bool is_one_file;
		const char *text, *hint;
	} table[] = {
		{KEY, CERT, false, "swapped: /c is a private key, and /k a certificate",
			"--tls-cert"},
		{CERT, LOCKED, false, "the key file /k is a private key with a passphrase",
			"openssl pkey -in /k"},
		{CERT_DER, KEY, false, "the certificate file /c is a certificate in DER",
			"openssl x509"},
		{CERT_DER, KEY_DER, false, "the certificate file /c is", "openssl x509"},
		{CERT, CERT, false, "the key file /k is a certificate", "private key"},
		{KEY, KEY, false, "the certificate file /c is a private key", "--tls-key"},
		{CERT, CERT, true, "the file /c is a certificate without its private key",
			"--tls-key FILE"},
		{KEY, KEY, true, "the file /c is a private key without its certificate",
			"--tls-cert FILE"},
		{BOTH_LOCKED, BOTH_LOCKED, true,
			"/c is a certificate and a private key with a passphrase",
			"openssl pkey -in /c"},
		{P12, P12, true, "the certificate file /c is a PKCS#12 bundle", "openssl pkcs12"},
		{CERT, KEY, false, "certificate /c with key /k cannot be used: it is broken", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct error err = {0};

		assert_int_equal(credential_kind_refuse_pair("/c", &things[table[i].cert],
					 table[i].is_one_file ? "/c" : "/k", &things[table[i].key],
					 "it is broken", &err),
			-EINVAL);
		expect(i, &err, table[i].text, table[i].hint);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_kind_is_called_what_it_is),
		cmocka_unit_test(of_a_pair_the_wrong_one_is_named),
	};

	if (tls_library_load(NULL))
		return 1;
	return cmocka_run_group_tests_name("credential-kind", tests, begin, end);
}
