/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tls/credentials.h"
#include "tls/credentials-struct.h"
#include "tls/priority.h"
#include "tls/verify.h"
#include "base/cleanup.h"
#include "base/text.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define CREDENTIAL_FILE_MAX_BYTES (4 << 20)

static void wipe_datum(gnutls_datum_t *datum)
{
	if (datum->data) {
		explicit_bzero(datum->data, datum->size);
		free(datum->data);
	}
}
#define _cleanup_datum_ __attribute__((cleanup(wipe_datum)))

/* The whole file in memory; WHAT is "CA" and the like. -ENOENT is left for the caller to
 * judge, with ERR filled. */
static int read_file(const char *path, const char *what, gnutls_datum_t *datum, struct error *err)
{
	_cleanup_file_ FILE *file = fopen(path, "re");
	struct stat st;

	if (!file)
		return error_set(err, ERROR_USAGE, errno, "cannot read the %s file %s: %s", what,
			path, strerror(errno));
	if (fstat(fileno(file), &st) < 0 || S_ISDIR(st.st_mode))
		return error_set(err, ERROR_USAGE, EISDIR,
			"cannot read the %s file %s: it is a directory", what, path);
	datum->data = malloc(CREDENTIAL_FILE_MAX_BYTES);
	if (!datum->data)
		return error_set(err, ERROR_OTHER, ENOMEM, "out of memory");
	setvbuf(file, NULL, _IONBF, 0); /* stdio's own buffer would keep a copy of a key */
	datum->size = (unsigned)fread(datum->data, 1, CREDENTIAL_FILE_MAX_BYTES - 1, file);
	if (ferror(file) || datum->size == 0 || datum->size == CREDENTIAL_FILE_MAX_BYTES - 1)
		return error_set(err, ERROR_USAGE, EINVAL, "the %s file %s is %s", what, path,
			datum->size ? "too large" : "empty or unreadable");
	datum->data[datum->size] = 0;
	return 0;
}

static int gnutls_failed(int rc, const char *what, const char *path, struct error *err)
{
	error_set(err, ERROR_USAGE, EINVAL, "%s %s cannot be used: %s", what, path,
		gnutls_strerror(rc));
	return -EINVAL;
}

static int load_ca_file(struct tls_credentials *creds, const char *path, struct error *err)
{
	_cleanup_datum_ gnutls_datum_t pem = {0};
	int rc = read_file(path, "CA", &pem, err);

	if (rc)
		return rc;
	rc = gnutls_certificate_set_x509_trust_mem(creds->x509, &pem, GNUTLS_X509_FMT_PEM);
	if (rc < 0)
		return gnutls_failed(rc, "CA file", path, err);
	if (rc == 0)
		return error_set(err, ERROR_USAGE, EINVAL, "CA file %s holds no certificate", path);
	creds->verify_chain = true;
	snprintf(creds->trust_name, sizeof(creds->trust_name), "%s", path);
	return 0;
}

static int load_crl(struct tls_credentials *creds, const char *path, struct error *err)
{
	_cleanup_datum_ gnutls_datum_t pem = {0};
	int rc = read_file(path, "revocation list", &pem, err);

	if (rc == -ENOENT)
		return 0;
	if (rc)
		return rc;
	rc = gnutls_certificate_set_x509_crl_mem(creds->x509, &pem, GNUTLS_X509_FMT_PEM);
	return rc < 0 ? gnutls_failed(rc, "revocation list", path, err) : 0;
}

static int load_system_trust(struct tls_credentials *creds, struct error *err)
{
	int count = gnutls_certificate_set_x509_system_trust(creds->x509);

	if (count <= 0) {
		error_set(err, ERROR_TLS, ENOENT,
			"this system trusts no certificate authority, so no server can be "
			"verified");
		return error_hint(err, -ENOENT,
			"name the server's authority with --tls-ca FILE, or install "
			"ca-certificates");
	}
	creds->verify_chain = true;
	snprintf(creds->trust_name, sizeof(creds->trust_name), "this system's trusted authorities");
	return 0;
}

static bool is_pkcs11(const char *name)
{
	return strncmp(name, "pkcs11:", 7) == 0;
}

static int load_client_cert(
	struct tls_credentials *creds, const char *cert, const char *key, struct error *err)
{
	_cleanup_datum_ gnutls_datum_t cert_pem = {0}, key_pem = {0};
	int rc;

	if (is_pkcs11(key) || is_pkcs11(cert)) {
		rc = gnutls_certificate_set_x509_key_file2(
			creds->x509, cert, key, GNUTLS_X509_FMT_PEM, NULL, 0);
		if (rc < 0) {
			/* The URL may hold the PIN: it is not repeated. */
			error_set(err, ERROR_USAGE, EINVAL,
				"the key behind the pkcs11: URL cannot be used with certificate "
				"%s: %s",
				is_pkcs11(cert) ? "(pkcs11)" : cert, gnutls_strerror(rc));
			return error_hint(err, -EINVAL,
				"see what the token has with: p11tool --list-all 'pkcs11:...'; the "
				"PIN goes into pin-source=FILE");
		}
		creds->has_client_cert = true;
		return 0;
	}
	rc = read_file(cert, "certificate", &cert_pem, err);
	if (!rc)
		rc = read_file(key, "key", &key_pem, err);
	if (rc)
		return rc;
	rc = gnutls_certificate_set_x509_key_mem2(
		creds->x509, &cert_pem, &key_pem, GNUTLS_X509_FMT_PEM, NULL, 0);
	if (rc == GNUTLS_E_CERTIFICATE_KEY_MISMATCH)
		return error_set(err, ERROR_USAGE, EINVAL,
			"certificate %s and key %s do not belong together", cert, key);
	if (rc < 0)
		return error_set(err, ERROR_USAGE, EINVAL,
			"client certificate %s with key %s cannot be used: %s", cert, key,
			gnutls_strerror(rc));
	creds->has_client_cert = true;
	return 0;
}

static int load_certificates_dir(
	struct tls_credentials *creds, const struct tls_config *config, struct error *err)
{
	char ca[512], crl[512], cert[512], key[512];
	const char *dir = config->certificates_dir;
	int rc = 0;

	if (strlen(dir) > 480)
		return error_set(
			err, ERROR_USAGE, ENAMETOOLONG, "the path of the certificates is too long");
	snprintf(ca, sizeof(ca), "%s/ca-cert.pem", dir);
	snprintf(crl, sizeof(crl), "%s/ca-crl.pem", dir);
	snprintf(cert, sizeof(cert), "%s/client-cert.pem", dir);
	snprintf(key, sizeof(key), "%s/client-key.pem", dir);
	if (!*config->ca_file && (!*config->pin || access(ca, F_OK) == 0))
		rc = load_ca_file(creds, ca, err);
	if (!rc)
		rc = load_crl(creds, crl, err);
	if (!rc && !*config->cert_file && (access(cert, F_OK) == 0 || access(key, F_OK) == 0))
		rc = load_client_cert(creds, cert, key, err);
	return rc;
}

static int load_x509(
	struct tls_credentials *creds, const struct tls_config *config, struct error *err)
{
	int rc = gnutls_certificate_allocate_credentials(&creds->x509);

	if (rc < 0)
		return error_set(err, ERROR_OTHER, ENOMEM, "GnuTLS: %s", gnutls_strerror(rc));
	rc = 0;
	if (*config->certificates_dir)
		rc = load_certificates_dir(creds, config, err);
	if (!rc && *config->ca_file)
		rc = load_ca_file(creds, config->ca_file, err);
	if (!rc && !creds->verify_chain && !creds->has_pin)
		rc = load_system_trust(creds, err);
	if (!rc && *config->cert_file)
		rc = load_client_cert(creds, config->cert_file,
			*config->key_file ? config->key_file : config->cert_file, err);
	return rc;
}

/* Find the user's line in "user:hex" lines; with an empty one the file must have one user only. */
static int find_psk(char *text, const char *wanted, char **user, char **key)
{
	char *line, *rest = NULL;

	*user = NULL;
	for (line = strtok_r(text, "\r\n", &rest); line; line = strtok_r(NULL, "\r\n", &rest)) {
		char *colon = strchr(line, ':');

		if (*line == '#' || !colon)
			continue;
		*colon = 0;
		if (*wanted && strcmp(line, wanted) != 0)
			continue;
		if (*user)
			return -ENOTUNIQ;
		*user = line;
		*key = colon + 1;
	}
	return *user ? 0 : -ENOENT;
}

static int load_psk(
	struct tls_credentials *creds, const struct tls_config *config, struct error *err)
{
	_cleanup_datum_ gnutls_datum_t file = {0};
	gnutls_datum_t key = {0};
	char *user, *hex;
	int rc = read_file(config->psk_file, "PSK", &file, err);

	if (rc)
		return rc;
	rc = find_psk((char *)file.data, config->username, &user, &hex);
	if (rc == -ENOTUNIQ) {
		error_set(err, ERROR_USAGE, EINVAL, "the PSK file %s has several keys%s",
			config->psk_file, *config->username ? " for this user" : "");
		return error_hint(err, -EINVAL, "say whose with --tls-username");
	}
	if (rc && *config->username)
		return error_set(err, ERROR_USAGE, ENOENT,
			"the PSK file %s has no key for user \"%s\"", config->psk_file,
			config->username);
	if (rc)
		return error_set(err, ERROR_USAGE, EINVAL,
			"the PSK file %s has no line of the form user:hexadecimal-key",
			config->psk_file);
	if (strlen(hex) < 32) {
		error_set(err, ERROR_USAGE, EINVAL,
			"the key of user \"%s\" in %s is too short: fewer than 128 bits", user,
			config->psk_file);
		return error_hint(
			err, -EINVAL, "make one with: psktool -u %s -p %s", user, config->psk_file);
	}
	rc = gnutls_psk_allocate_client_credentials(&creds->psk);
	key.data = (unsigned char *)hex;
	key.size = (unsigned)strlen(hex);
	if (rc == 0)
		rc = gnutls_psk_set_client_credentials(creds->psk, user, &key, GNUTLS_PSK_KEY_HEX);
	if (rc < 0)
		return error_set(err, ERROR_USAGE, EINVAL,
			"the key of user \"%s\" in %s is not hexadecimal", user, config->psk_file);
	return 0;
}

int tls_credentials_load(
	struct tls_credentials **out, const struct tls_config *config, struct error *err)
{
	struct tls_config effective = *config;
	struct tls_credentials *creds;
	int rc = 0;

	if (*config->key_file && !*config->cert_file) /* nbd-client's habit: one file with both */
		text_copy(effective.cert_file, sizeof(effective.cert_file), config->key_file);
	creds = calloc(1, sizeof(*creds));
	if (!creds)
		return error_set(err, ERROR_OTHER, ENOMEM, "out of memory");
	creds->min_version = config->min_version ? config->min_version : TLS_VERSION_1_3;
	if (!text_copy(creds->hostname, sizeof(creds->hostname), config->hostname))
		rc = error_set(
			err, ERROR_USAGE, ENAMETOOLONG, "the host name to verify is too long");
	if (!rc && *config->pin) {
		rc = tls_pin_parse(creds->pin, config->pin, err);
		creds->has_pin = rc == 0;
	}
	if (!rc)
		rc = tls_priority_init(&creds->priority,
			*config->priority ? config->priority : NULL, creds->min_version,
			*config->psk_file, err);
	if (!rc)
		rc = *config->psk_file ? load_psk(creds, config, err) :
					 load_x509(creds, &effective, err);
	if (rc) {
		tls_credentials_free(creds);
		return rc;
	}
	*out = creds;
	return 0;
}

void tls_credentials_free(struct tls_credentials *creds)
{
	if (!creds)
		return;
	if (creds->x509)
		gnutls_certificate_free_credentials(creds->x509);
	if (creds->psk)
		gnutls_psk_free_client_credentials(creds->psk);
	if (creds->priority)
		gnutls_priority_deinit(creds->priority);
	free(creds);
}
