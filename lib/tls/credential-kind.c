/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tls/credential-kind.h"
#include "tls/gnutls-library.h"
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define ENCRYPTED_HEADER "Proc-Type: 4,ENCRYPTED"

static const struct {
	const char *label; /* between "-----BEGIN " and "-----" */
	enum credential_kind kind;
} labels[] = {
	{"CERTIFICATE", CREDENTIAL_CERTIFICATE},
	{"X509 CERTIFICATE", CREDENTIAL_CERTIFICATE},
	{"TRUSTED CERTIFICATE", CREDENTIAL_TRUSTED},
	{"CERTIFICATE REQUEST", CREDENTIAL_REQUEST},
	{"NEW CERTIFICATE REQUEST", CREDENTIAL_REQUEST},
	{"PRIVATE KEY", CREDENTIAL_KEY},
	{"RSA PRIVATE KEY", CREDENTIAL_KEY},
	{"EC PRIVATE KEY", CREDENTIAL_KEY},
	{"DSA PRIVATE KEY", CREDENTIAL_KEY},
	{"ENCRYPTED PRIVATE KEY", CREDENTIAL_ENCRYPTED_KEY},
	{"OPENSSH PRIVATE KEY", CREDENTIAL_SSH_KEY},
	{"PUBLIC KEY", CREDENTIAL_PUBLIC_KEY},
	{"RSA PUBLIC KEY", CREDENTIAL_PUBLIC_KEY},
	{"X509 CRL", CREDENTIAL_REVOCATION},
	{"PKCS7", CREDENTIAL_PKCS7},
	{"PKCS12", CREDENTIAL_PKCS12},
};

static unsigned kind_of_label(const char *label, size_t len, const char *content)
{
	for (size_t i = 0; i < sizeof(labels) / sizeof(labels[0]); i++) {
		if (strlen(labels[i].label) != len || memcmp(labels[i].label, label, len) != 0)
			continue;
		content += strspn(content, "\r\n");
		return strncmp(content, ENCRYPTED_HEADER, strlen(ENCRYPTED_HEADER)) == 0 ?
			CREDENTIAL_ENCRYPTED_KEY :
			labels[i].kind;
	}
	return 0;
}

static unsigned pem_kinds(const char *text)
{
	static const char begin[] = "-----BEGIN ";
	unsigned kinds = 0;

	while ((text = strstr(text, begin))) {
		const char *label = text + strlen(begin), *end = strstr(label, "-----");

		if (!end)
			break;
		kinds |= kind_of_label(label, (size_t)(end - label), end + strlen("-----"));
		text = end;
	}
	return kinds;
}

static bool is_der_certificate(const gnutls_datum_t *data)
{
	gnutls_x509_crt_t crt = NULL;
	bool is_one = libgnutls.x509_crt_init(&crt) == 0 &&
		libgnutls.x509_crt_import(crt, data, GNUTLS_X509_FMT_DER) == 0;

	libgnutls.x509_crt_deinit(crt);
	return is_one;
}

/* Of a request, a revoked certificates' list and PKCS#7 the first bytes would not do either. */
static unsigned der_other(const gnutls_datum_t *data)
{
	gnutls_x509_crq_t request;
	gnutls_x509_crl_t list;
	gnutls_pkcs7_t pkcs7;
	unsigned kind = 0;

	if (libgnutls.x509_crq_init(&request) == 0) {
		if (libgnutls.x509_crq_import(request, data, GNUTLS_X509_FMT_DER) == 0)
			kind = CREDENTIAL_REQUEST;
		libgnutls.x509_crq_deinit(request);
	}
	if (!kind && libgnutls.x509_crl_init(&list) == 0) {
		if (libgnutls.x509_crl_import(list, data, GNUTLS_X509_FMT_DER) == 0)
			kind = CREDENTIAL_REVOCATION;
		libgnutls.x509_crl_deinit(list);
	}
	if (!kind && libgnutls.pkcs7_init(&pkcs7) == 0) {
		if (libgnutls.pkcs7_import(pkcs7, data, GNUTLS_X509_FMT_DER) == 0)
			kind = CREDENTIAL_PKCS7;
		libgnutls.pkcs7_deinit(pkcs7);
	}
	return kind;
}

static unsigned der_key(const gnutls_datum_t *data)
{
	gnutls_x509_privkey_t key;
	int rc;

	if (libgnutls.pkcs8_info(data, GNUTLS_X509_FMT_DER, NULL, NULL, NULL, NULL, NULL, NULL) ==
		0)
		return CREDENTIAL_ENCRYPTED_KEY;
	if (libgnutls.x509_privkey_init(&key) < 0)
		return 0;
	rc = libgnutls.x509_privkey_import2(
		key, data, GNUTLS_X509_FMT_DER, NULL, GNUTLS_PKCS_PLAIN);
	libgnutls.x509_privkey_deinit(key);
	return rc == 0 ? CREDENTIAL_KEY : 0;
}

static bool is_pkcs12(const gnutls_datum_t *data)
{
	gnutls_pkcs12_t pkcs12;
	bool is_one;

	if (libgnutls.pkcs12_init(&pkcs12) < 0)
		return false;
	is_one = libgnutls.pkcs12_import(pkcs12, data, GNUTLS_X509_FMT_DER, 0) == 0;
	libgnutls.pkcs12_deinit(pkcs12);
	return is_one;
}

static unsigned der_kinds(const gnutls_datum_t *data)
{
	unsigned kind;

	if (data->data[0] != 0x30) /* a SEQUENCE, as all of them */
		return 0;
	if (is_der_certificate(data))
		return CREDENTIAL_CERTIFICATE | CREDENTIAL_DER;
	if (is_pkcs12(data))
		return CREDENTIAL_PKCS12;
	kind = der_key(data);
	if (!kind)
		kind = der_other(data);
	return kind ? kind | CREDENTIAL_DER : 0;
}

/* A line "user:hexadecimal-key". */
static bool has_psk(const char *text)
{
	for (; *text; text += strspn(text, "\r\n")) {
		size_t len = strcspn(text, "\r\n"), digits = 0;
		const char *colon = memchr(text, ':', len);

		if (colon && colon > text)
			while (isxdigit((unsigned char)colon[1 + digits]))
				digits++;
		if (digits >= 8 && colon + 1 + digits == text + len)
			return true;
		text += len;
	}
	return false;
}

unsigned credential_kinds(const gnutls_datum_t *data)
{
	const char *text = (const char *)data->data;
	unsigned kinds;

	if (data->size < 2)
		return 0;
	if (memcmp(text, "\xff\xfe", 2) == 0 || memcmp(text, "\xfe\xff", 2) == 0)
		return CREDENTIAL_UTF16;
	kinds = pem_kinds(text);
	if (!kinds)
		kinds = der_kinds(data);
	return kinds ? kinds : has_psk(text) ? CREDENTIAL_PSK : 0;
}

/* "a certificate and a private key" */
static void name_kinds(unsigned kinds, char *out, size_t size)
{
	static const struct {
		unsigned kind;
		const char *name;
	} names[] = {
		{CREDENTIAL_CERTIFICATE, "a certificate"},
		{CREDENTIAL_TRUSTED, "openssl's TRUSTED CERTIFICATE"},
		{CREDENTIAL_KEY, "a private key"},
		{CREDENTIAL_ENCRYPTED_KEY, "a private key with a passphrase"},
		{CREDENTIAL_SSH_KEY, "a private key of SSH"},
		{CREDENTIAL_REQUEST, "a request for a certificate"},
		{CREDENTIAL_PUBLIC_KEY, "a public key"},
		{CREDENTIAL_REVOCATION, "a list of revoked certificates"},
		{CREDENTIAL_PKCS7, "a PKCS#7 bundle"},
		{CREDENTIAL_PKCS12, "a PKCS#12 bundle"},
		{CREDENTIAL_UTF16, "text in UTF-16"},
		{CREDENTIAL_PSK, "a file of pre-shared keys"},
	};
	size_t used = 0;

	*out = 0;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (kinds & names[i].kind && used < size)
			used += (size_t)snprintf(out + used, size - used, "%s%s",
				used ? " and " : "", names[i].name);
	if (!used)
		snprintf(out, size, "nothing that is known here");
	else if (kinds & CREDENTIAL_DER && used < size)
		snprintf(out + used, size - used, " in DER");
}

static const struct {
	const char *name, *wanted;
	unsigned kinds; /* those that fit */
} roles[] = {
	[CREDENTIAL_AS_AUTHORITY] = {"CA", "a certificate in PEM", CREDENTIAL_CERTIFICATE},
	[CREDENTIAL_AS_CERTIFICATE] = {"certificate", "a certificate in PEM",
		CREDENTIAL_CERTIFICATE},
	[CREDENTIAL_AS_KEY] = {"key", "a private key in PEM without a passphrase", CREDENTIAL_KEY},
	[CREDENTIAL_AS_PSK] = {"PSK", "lines of the form user:hexadecimal-key", CREDENTIAL_PSK},
};

#define AS(role) (1U << CREDENTIAL_AS_##role)
#define AS_CERTIFICATES (AS(AUTHORITY) | AS(CERTIFICATE))
#define AS_ANY (AS_CERTIFICATES | AS(KEY) | AS(PSK))

/* The first that has one of the file's kinds, and the role. "%s" is the path, twice at most. */
static const struct {
	unsigned kinds, roles;
	bool is_der;
	const char *hint;
} hints[] = {
	{CREDENTIAL_UTF16, AS_ANY, false,
		"save it as plain text: iconv -f UTF-16 -t UTF-8 %s >NEW-FILE"},
	{CREDENTIAL_PSK, AS_CERTIFICATES | AS(KEY), false,
		"pre-shared keys go with --tls-psk FILE, and no certificates beside it"},
	{CREDENTIAL_PKCS12, AS(AUTHORITY), false,
		"take the authority out of it: openssl pkcs12 -in %s -cacerts -nokeys -out "
		"ca-cert.pem"},
	{CREDENTIAL_PKCS12, AS(CERTIFICATE), false,
		"take both out of it: openssl pkcs12 -in %s -clcerts -nokeys -out client-cert.pem; "
		"openssl pkcs12 -in %s -nocerts -nodes -out client-key.pem"},
	{CREDENTIAL_PKCS12, AS(KEY), false,
		"take the key out of it: openssl pkcs12 -in %s -nocerts -nodes -out "
		"client-key.pem"},
	{CREDENTIAL_PKCS7, AS_CERTIFICATES, true,
		"take the certificates out of it: openssl pkcs7 -inform DER -in %s -print_certs "
		"-out NEW-FILE"},
	{CREDENTIAL_PKCS7, AS_CERTIFICATES, false,
		"take the certificates out of it: openssl pkcs7 -in %s -print_certs -out NEW-FILE"},
	{CREDENTIAL_ENCRYPTED_KEY, AS(KEY), true,
		"nobody is there to type it when a disk connects again; take it off: openssl pkey "
		"-inform DER -in %s -out NEW-FILE"},
	{CREDENTIAL_ENCRYPTED_KEY, AS(KEY), false,
		"nobody is there to type it when a disk connects again; take it off: openssl pkey "
		"-in %s -out NEW-FILE"},
	{CREDENTIAL_CERTIFICATE, AS_CERTIFICATES, true,
		"convert it: openssl x509 -inform DER -in %s -out NEW-FILE"},
	{CREDENTIAL_KEY, AS(KEY), true,
		"convert it: openssl pkey -inform DER -in %s -out NEW-FILE"},
	{CREDENTIAL_TRUSTED, AS_CERTIFICATES, false,
		"convert it: openssl x509 -in %s -out NEW-FILE"},
	{CREDENTIAL_SSH_KEY, AS(KEY), false,
		"make one for TLS: certtool --generate-privkey --outfile client-key.pem; it needs "
		"a certificate of its own"},
	{CREDENTIAL_REQUEST, AS_CERTIFICATES, false,
		"the authority makes a certificate of it: certtool --generate-certificate "
		"--load-request %s --load-ca-certificate CA --load-ca-privkey CA-KEY"},
	{CREDENTIAL_KEY | CREDENTIAL_ENCRYPTED_KEY, AS(AUTHORITY), false,
		"give the authority's certificate; its private key belongs on no client"},
	{CREDENTIAL_KEY | CREDENTIAL_ENCRYPTED_KEY, AS(CERTIFICATE), false,
		"give the certificate that was made for this key, and the key with --tls-key"},
	{CREDENTIAL_CERTIFICATE | CREDENTIAL_TRUSTED, AS(KEY), false,
		"give the private key that this certificate was made for"},
	{CREDENTIAL_PUBLIC_KEY, AS_CERTIFICATES, false,
		"a key alone is trusted by its hash: --tls-pin sha256:HEX, as nbd-attach info "
		"prints it"},
	{CREDENTIAL_PUBLIC_KEY, AS(KEY), false, "give the private key that it belongs to"},
	{CREDENTIAL_REVOCATION, AS_CERTIFICATES, false,
		"a list of revoked certificates is called ca-crl.pem, beside the authority's "
		"ca-cert.pem"},
	{CREDENTIAL_CERTIFICATE | CREDENTIAL_TRUSTED | CREDENTIAL_KEY, AS(PSK), false,
		"certificates go with --tls-ca, --tls-cert and --tls-key; make a pre-shared key "
		"with: psktool -u USER -p NEW-FILE"},
};

static void add_hint(unsigned kinds, enum credential_role role, const char *path, struct error *err)
{
	for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++)
		if (hints[i].kinds & kinds && hints[i].roles & 1U << role &&
			(!hints[i].is_der || kinds & CREDENTIAL_DER)) {
			error_hint(err, 0, hints[i].hint, path, path);
			return;
		}
}

static bool fits(unsigned kinds, enum credential_role role)
{
	return kinds & roles[role].kinds && !(kinds & CREDENTIAL_DER);
}

int credential_kind_refuse(const char *path, const gnutls_datum_t *data, enum credential_role role,
	const char *why, struct error *err)
{
	unsigned kinds = credential_kinds(data);
	char name[200];

	name_kinds(kinds, name, sizeof(name));
	if (fits(kinds, role))
		return error_set(err, ERROR_USAGE, EINVAL, "the %s file %s cannot be used: %s",
			roles[role].name, path, why);
	error_set(err, ERROR_USAGE, EINVAL, "the %s file %s is %s; %s is wanted", roles[role].name,
		path, name, roles[role].wanted);
	add_hint(kinds, role, path, err);
	return -EINVAL;
}

static int refuse_half(const char *path, unsigned kinds, struct error *err)
{
	bool has_cert = fits(kinds, CREDENTIAL_AS_CERTIFICATE);

	error_set(err, ERROR_USAGE, EINVAL, "the file %s is %s, and was given alone", path,
		has_cert ? "a certificate without its private key" :
			   "a private key without its certificate");
	return error_hint(err, -EINVAL, "give the %s, too: %s FILE",
		has_cert ? "key" : "certificate", has_cert ? "--tls-key" : "--tls-cert");
}

int credential_kind_refuse_pair(const char *cert_path, const gnutls_datum_t *cert,
	const char *key_path, const gnutls_datum_t *key, const char *why, struct error *err)
{
	unsigned cert_kinds = credential_kinds(cert), key_kinds = credential_kinds(key);
	bool cert_fits = fits(cert_kinds, CREDENTIAL_AS_CERTIFICATE),
	     key_fits = fits(key_kinds, CREDENTIAL_AS_KEY);

	if (strcmp(cert_path, key_path) == 0 &&
		(cert_kinds == CREDENTIAL_CERTIFICATE || cert_kinds == CREDENTIAL_KEY))
		return refuse_half(cert_path, cert_kinds, err);
	if (!cert_fits && !key_fits && fits(cert_kinds, CREDENTIAL_AS_KEY) &&
		fits(key_kinds, CREDENTIAL_AS_CERTIFICATE)) {
		error_set(err, ERROR_USAGE, EINVAL,
			"certificate and key are swapped: %s is a private key, and %s a "
			"certificate",
			cert_path, key_path);
		return error_hint(err, -EINVAL,
			"give the certificate with --tls-cert and the key with --tls-key; in a "
			"folder they are client-cert.pem and client-key.pem");
	}
	if (!cert_fits)
		return credential_kind_refuse(cert_path, cert, CREDENTIAL_AS_CERTIFICATE, why, err);
	if (!key_fits)
		return credential_kind_refuse(key_path, key, CREDENTIAL_AS_KEY, why, err);
	return error_set(err, ERROR_USAGE, EINVAL,
		"client certificate %s with key %s cannot be used: %s", cert_path, key_path, why);
}
