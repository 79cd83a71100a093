/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tls/credentials.h"
#include "tls/gnutls-library.h"
#include "tls/credential-kind.h"
#include "tls/credentials-struct.h"
#include "tls/crl.h"
#include "tls/library.h"
#include "tls/priority.h"
#include "tls/psk.h"
#include "tls/verify.h"
#include "base/closed-path.h"
#include "base/text.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_SIZE 512

static void add_warning(struct tls_credentials *creds, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void add_warning(struct tls_credentials *creds, const char *fmt, ...)
{
	va_list args;
	char *text;

	if (creds->warning_count == TLS_WARNINGS_MAX)
		return;
	text = creds->warnings[creds->warning_count];
	va_start(args, fmt);
	vsnprintf(text, sizeof(creds->warnings[0]), fmt, args);
	va_end(args);
	text_make_printable(text);
	creds->warning_count++;
}

static void warn_if_open(struct tls_credentials *creds, const char *path)
{
	if (!creds->files.is_closed && credential_file_is_open(path))
		add_warning(creds, "everybody on this machine can read the key in %s: chmod go= %s",
			path, path);
}

static int load_ca_file(struct tls_credentials *creds, const char *path, struct error *err)
{
	gnutls_datum_t pem;
	int rc = credential_files_read(&creds->files, path, "CA", &pem, err);

	if (rc)
		return rc;
	rc = libgnutls.certificate_set_x509_trust_mem(creds->x509, &pem, GNUTLS_X509_FMT_PEM);
	if (rc <= 0)
		return credential_kind_refuse(path, &pem, CREDENTIAL_AS_AUTHORITY,
			rc ? libgnutls.strerror(rc) : "it holds no whole certificate", err);
	creds->verify_chain = true;
	snprintf(creds->trust_name, sizeof(creds->trust_name), "%s", path);
	return 0;
}

/* Without an authority nothing says whose a list is, nor is one looked at. */
static int load_crl(struct tls_credentials *creds, const char *path, struct error *err)
{
	gnutls_datum_t pem;
	int rc = credential_files_read(&creds->files, path, "revocation list", &pem, err);

	if (rc == -ENOENT)
		return 0;
	if (rc)
		return rc;
	if (!creds->verify_chain) {
		error_set(err, ERROR_USAGE, EINVAL,
			"the revocation list %s has no authority beside it that it could be "
			"verified by",
			path);
		return error_hint(err, -EINVAL,
			"put ca-cert.pem beside it, name one with --tls-ca, or take the list away");
	}
	return tls_crl_load(creds, &pem, path, err);
}

/* GnuTLS itself would read it from a disk. */
static int load_packed_trust(struct tls_credentials *creds)
{
	struct error ignored;
	gnutls_datum_t pem;
	const char *path;

	for (size_t i = 0; (path = tls_system_bundle(i)); i++)
		if (credential_files_read(&creds->files, path, "bundle", &pem, &ignored) == 0)
			return libgnutls.certificate_set_x509_trust_mem(
				creds->x509, &pem, GNUTLS_X509_FMT_PEM);
	return 0;
}

static int load_system_trust(struct tls_credentials *creds, struct error *err)
{
	int count = creds->is_packed ? load_packed_trust(creds) :
				       libgnutls.certificate_set_x509_system_trust(creds->x509);

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

/* RC is the index of our certificate, with GNUTLS_CERTIFICATE_API_V2. */
static void took_client_cert(struct tls_credentials *creds, int rc)
{
	gnutls_x509_crt_t *chain = NULL;
	unsigned count = 0;

	creds->has_client_cert = true;
	if (libgnutls.certificate_get_x509_crt(creds->x509, (unsigned)rc, &chain, &count) < 0)
		return;
	for (unsigned i = 0; i < count; i++) {
		tls_validity_note(&creds->own, libgnutls.x509_crt_get_activation_time(chain[i]),
			libgnutls.x509_crt_get_expiration_time(chain[i]));
		libgnutls.x509_crt_deinit(chain[i]);
	}
	gnutls_release(chain);
}

static int load_token(
	struct tls_credentials *creds, const char *cert, const char *key, struct error *err)
{
	int rc = libgnutls.certificate_set_x509_key_file2(
		creds->x509, cert, key, GNUTLS_X509_FMT_PEM, NULL, 0);

	if (rc >= 0) {
		took_client_cert(creds, rc);
		creds->uses_token = true;
		return 0;
	}
	/* The URL may hold the PIN: it is not repeated. */
	error_set(err, ERROR_USAGE, EINVAL,
		"the key behind the pkcs11: URL cannot be used with certificate %s: %s",
		credential_is_token(cert) ? "(pkcs11)" : cert, libgnutls.strerror(rc));
	return error_hint(err, -EINVAL,
		"see what the token has with: p11tool --list-all 'pkcs11:...'; the PIN goes into "
		"pin-source=FILE");
}

/* *WHY, if it is not NULL: what GnuTLS says when it fails. */
static int load_client_cert(struct tls_credentials *creds, const char *cert, const char *key,
	int *why, struct error *err)
{
	gnutls_datum_t cert_pem, key_pem;
	int rc;

	if (credential_is_token(key) || credential_is_token(cert))
		return load_token(creds, cert, key, err);
	rc = credential_files_read(&creds->files, cert, "certificate", &cert_pem, err);
	if (!rc)
		rc = credential_files_read(&creds->files, key, "key", &key_pem, err);
	if (rc)
		return rc;
	warn_if_open(creds, key);
	rc = libgnutls.certificate_set_x509_key_mem2(
		creds->x509, &cert_pem, &key_pem, GNUTLS_X509_FMT_PEM, NULL, 0);
	if (why)
		*why = rc < 0 ? rc : 0;
	if (rc == GNUTLS_E_CERTIFICATE_KEY_MISMATCH)
		return error_set(err, ERROR_USAGE, EINVAL,
			"certificate %s and key %s do not belong together", cert, key);
	if (rc < 0)
		return credential_kind_refuse_pair(
			cert, &cert_pem, key, &key_pem, libgnutls.strerror(rc), err);
	took_client_cert(creds, rc);
	return 0;
}

/* Numbered ones are there for servers that know more than others, or want another authority's: one
 * of a kind that is not known here, as post-quantum ones to most builds, leaves the rest. */
static bool is_unknown_kind(int rc)
{
	return rc == GNUTLS_E_UNKNOWN_PK_ALGORITHM ||
		rc == GNUTLS_E_UNSUPPORTED_SIGNATURE_ALGORITHM ||
		rc == GNUTLS_E_ECC_UNSUPPORTED_CURVE || rc == GNUTLS_E_UNIMPLEMENTED_FEATURE ||
		rc == GNUTLS_E_UNKNOWN_ALGORITHM || rc == GNUTLS_E_UNKNOWN_PKCS_CONTENT_TYPE;
}

static int load_numbered(struct tls_credentials *creds, const char *dir, struct error *err)
{
	char cert[PATH_SIZE], key[PATH_SIZE];

	for (int i = 0; i < TLS_NUMBERED_MAX; i++) {
		int rc, why = 0;

		snprintf(cert, sizeof(cert), "%s/client-cert-%d.pem", dir, i);
		snprintf(key, sizeof(key), "%s/client-key-%d.pem", dir, i);
		if (!credential_files_has(&creds->files, cert) &&
			!credential_files_has(&creds->files, key))
			break; /* as libnbd, nbdkit and QEMU, which look no further */
		rc = load_client_cert(creds, cert, key, &why, err);
		if (rc && is_unknown_kind(why))
			add_warning(creds,
				"%s is left out: this GnuTLS (%s) does not know its kind of key",
				cert, libgnutls.check_version(NULL));
		else if (rc)
			return rc;
	}
	return 0;
}

static int load_clients_of_dir(struct tls_credentials *creds, const char *dir, struct error *err)
{
	char cert[PATH_SIZE], key[PATH_SIZE];
	int rc = 0;

	snprintf(cert, sizeof(cert), "%s/client-cert.pem", dir);
	snprintf(key, sizeof(key), "%s/client-key.pem", dir);
	if (credential_files_has(&creds->files, cert) || credential_files_has(&creds->files, key))
		rc = load_client_cert(creds, cert, key, NULL, err);
	if (rc == -ENOENT)
		return error_hint(err, rc,
			"client-cert.pem and client-key.pem go together: put both there, or none");
	return rc ? rc : load_numbered(creds, dir, err);
}

static int check_dir(const struct tls_credentials *creds, const char *dir, struct error *err)
{
	struct stat st;
	int rc = 0;

	if (creds->files.is_closed)
		return 0;
	/* Of one that is closed: not of what is looked for first, which need not be there. */
	if (stat(dir, &st) < 0 || (S_ISDIR(st.st_mode) && access(dir, X_OK) < 0))
		rc = error_set(err, ERROR_USAGE, errno,
			"cannot read the directory of certificates %s: %s", dir, strerror(errno));
	if (rc)
		return closed_path_hint(err, rc, dir);
	if (S_ISDIR(st.st_mode))
		return 0;
	error_set(err, ERROR_USAGE, ENOTDIR, "%s is no directory of certificates", dir);
	return error_hint(err, -ENOTDIR, "a file with the authority alone goes with --tls-ca");
}

static int load_ca_of_dir(
	struct tls_credentials *creds, const struct tls_config *config, struct error *err)
{
	char ca[PATH_SIZE];
	int rc;

	if (strlen(config->certificates_dir) > PATH_SIZE - 32)
		return error_set(
			err, ERROR_USAGE, ENAMETOOLONG, "the path of the certificates is too long");
	rc = check_dir(creds, config->certificates_dir, err);
	if (!rc)
		rc = credential_files_note_directory(&creds->files, config->certificates_dir, err);
	snprintf(ca, sizeof(ca), "%s/ca-cert.pem", config->certificates_dir);
	if (!rc && !*config->ca_file && (!*config->pin || credential_files_has(&creds->files, ca)))
		rc = load_ca_file(creds, ca, err);
	return rc == -ENOENT ? error_hint(err, rc,
				       "wanted there are ca-cert.pem and, for a server that asks "
				       "for them, client-cert.pem and client-key.pem") :
			       rc;
}

/* Authorities before the lists that they signed. */
static int load_x509(
	struct tls_credentials *creds, const struct tls_config *config, struct error *err)
{
	const char *dir = config->certificates_dir;
	char crl[PATH_SIZE];
	int rc = libgnutls.certificate_allocate_credentials(&creds->x509);

	if (rc < 0)
		return error_set(err, ERROR_OTHER, ENOMEM, "GnuTLS: %s", libgnutls.strerror(rc));
	/* for took_client_cert() */
	libgnutls.certificate_set_flags(creds->x509, GNUTLS_CERTIFICATE_API_V2);
	rc = *dir ? load_ca_of_dir(creds, config, err) : 0;
	if (!rc && *config->ca_file)
		rc = load_ca_file(creds, config->ca_file, err);
	if (!rc && !creds->verify_chain && !creds->has_pin)
		rc = load_system_trust(creds, err);
	snprintf(crl, sizeof(crl), "%.*s/ca-crl.pem", PATH_SIZE - 32, dir);
	if (!rc && *dir)
		rc = load_crl(creds, crl, err);
	if (!rc && *dir && !*config->cert_file)
		rc = load_clients_of_dir(creds, dir, err);
	if (!rc && *config->cert_file)
		rc = load_client_cert(creds, config->cert_file,
			*config->key_file ? config->key_file : config->cert_file, NULL, err);
	return rc;
}

static int load_psk(
	struct tls_credentials *creds, const struct tls_config *config, struct error *err)
{
	int rc = tls_psk_load(creds, config, err);

	if (!rc)
		warn_if_open(creds, config->psk_file);
	return rc;
}

static int load(struct tls_credentials *creds, const struct tls_config *config, struct error *err)
{
	struct tls_config effective = *config;
	int rc = tls_library_load(err);

	if (rc)
		return rc;
	if (*config->key_file && !*config->cert_file) /* nbd-client's habit: one file with both */
		text_copy(effective.cert_file, sizeof(effective.cert_file), config->key_file);
	creds->system_configuration = tls_system_configuration();
	creds->min_version = config->min_version ? config->min_version : TLS_VERSION_1_3;
	if (!text_copy(creds->hostname, sizeof(creds->hostname), config->hostname))
		return error_set(
			err, ERROR_USAGE, ENAMETOOLONG, "the host name to verify is too long");
	if (*config->pin) {
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
	return rc;
}

bool tls_credentials_use_token(const struct tls_credentials *creds)
{
	return creds->uses_token;
}

static void free_content(struct tls_credentials *creds)
{
	if (creds->x509)
		libgnutls.certificate_free_credentials(creds->x509);
	if (creds->psk)
		libgnutls.psk_free_client_credentials(creds->psk);
	if (creds->priority)
		libgnutls.priority_deinit(creds->priority);
	credential_files_free(&creds->files);
}

static struct tls_credentials *new_credentials(const struct tls_config *config, struct error *err)
{
	struct tls_credentials *creds = calloc(1, sizeof(*creds));

	if (creds)
		creds->config = *config;
	else
		error_set(err, ERROR_OTHER, ENOMEM, "out of memory");
	return creds;
}

/* KEPT: files of former ones, of which what can be read only once is taken; or NULL. */
static int load_new(struct tls_credentials **out, const struct tls_config *config,
	const struct credential_files *kept, struct error *err)
{
	struct tls_credentials *creds = new_credentials(config, err);
	int rc = creds ? 0 : -ENOMEM;

	if (!rc && kept && credential_files_keep(&creds->files, kept))
		rc = error_set(err, ERROR_OTHER, ENOMEM, "out of memory");
	if (!rc)
		rc = load(creds, config, err);
	if (rc) {
		tls_credentials_free(creds);
		return rc;
	}
	credential_files_forget(&creds->files);
	*out = creds;
	return 0;
}

int tls_credentials_load(
	struct tls_credentials **out, const struct tls_config *config, struct error *err)
{
	return load_new(out, config, NULL, err);
}

int tls_credentials_pack(
	const struct tls_config *config, unsigned char **bytes, size_t *size, struct error *err)
{
	struct tls_credentials *creds = new_credentials(config, err);
	gnutls_datum_t packed = {0};
	int rc = creds ? 0 : -ENOMEM;

	if (!rc) {
		creds->is_packed = true;
		rc = load(creds, config, err);
	}
	if (!rc && credential_files_encode(&creds->files, &packed))
		rc = error_set(err, ERROR_OTHER, ENOMEM, "out of memory");
	*bytes = packed.data;
	*size = packed.size;
	tls_credentials_free(creds);
	return rc;
}

void tls_credentials_free_packed(unsigned char *bytes, size_t size)
{
	if (bytes)
		explicit_bzero(bytes, size);
	free(bytes);
}

int tls_credentials_unpack(struct tls_credentials **out, const struct tls_config *config,
	const void *bytes, size_t size, bool has_disk, struct error *err)
{
	struct tls_credentials *creds = new_credentials(config, err);
	int rc = creds ? credential_files_decode(&creds->files, bytes, size) : -ENOMEM;

	if (creds && rc)
		error_set(err, ERROR_USAGE, EINVAL, "these are no packed credentials");
	if (!rc) {
		creds->is_packed = true;
		rc = load(creds, config, err);
	}
	if (rc) {
		tls_credentials_free(creds);
		return rc;
	}
	creds->files.is_closed = !has_disk;
	credential_files_forget(&creds->files);
	*out = creds;
	return 0;
}

void tls_credentials_replace(struct tls_credentials *creds, struct tls_credentials *fresh)
{
	free_content(creds);
	*creds = *fresh; /* nothing in it points into itself */
	free(fresh);
}

const struct tls_config *tls_credentials_config(const struct tls_credentials *creds)
{
	return &creds->config;
}

void tls_credentials_validity(const struct tls_credentials *creds, struct tls_validity *own,
	struct tls_validity *revocation)
{
	*own = creds->own;
	*revocation = (struct tls_validity){0};
	for (size_t i = 0; i < creds->crl_count; i++)
		tls_validity_note(revocation, creds->crls[i].from, creds->crls[i].until);
}

int tls_credentials_refresh(const struct tls_credentials *creds, struct tls_credentials **fresh)
{
	struct error ignored;

	*fresh = NULL;
	if (!credential_files_have_changed(&creds->files))
		return 0;
	return load_new(fresh, &creds->config, &creds->files, &ignored);
}

int tls_credentials_can_be_read_again(const struct tls_config *config, struct error *err)
{
	const char *const paths[] = {
		config->ca_file, config->cert_file, config->key_file, config->psk_file};

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		if (!*paths[i] || credential_is_token(paths[i]) ||
			!credential_file_is_read_once(paths[i]))
			continue;
		error_set(err, ERROR_USAGE, ESPIPE,
			"%s is no file, but what a process had open or a pipe: it was read once, "
			"and "
			"what was read counts for as long as the device is attached",
			paths[i]);
		return error_hint(err, -ESPIPE,
			"to be able to renew it, detach, and attach it with the name of a file");
	}
	return 0;
}

size_t tls_credentials_warnings(
	const struct tls_credentials *creds, const char *texts[], size_t max)
{
	size_t count = 0;

	for (; count < creds->warning_count && count < max; count++)
		texts[count] = creds->warnings[count];
	return count;
}

void tls_credentials_free(struct tls_credentials *creds)
{
	if (creds)
		free_content(creds);
	free(creds);
}
