/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tls/psk.h"
#include "tls/credentials-struct.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define KEY_DIGITS_MIN 32 /* 128 bits */

/* Find the user's line in "user:hex" lines; with an empty one the file must have one user only.
 * Nothing in TEXT is changed but that the two are terminated. */
static int find_psk(char *text, const char *wanted, char **user, char **key)
{
	char *line, *next, *found = NULL;

	for (line = text; line; line = next) {
		size_t len = strcspn(line, "\r\n");
		char *colon = memchr(line, ':', len);

		next = line[len] ? line + len + 1 : NULL;
		if (*line == '#' || !colon)
			continue;
		if (*wanted &&
			(strlen(wanted) != (size_t)(colon - line) ||
				memcmp(line, wanted, strlen(wanted)) != 0))
			continue;
		if (found)
			return -ENOTUNIQ;
		found = line;
	}
	if (!found)
		return -ENOENT;
	found[strcspn(found, "\r\n")] = 0;
	*user = found;
	*key = strchr(found, ':') + 1;
	(*key)[-1] = 0;
	return 0;
}

static int not_found(int rc, const struct tls_config *config, struct error *err)
{
	if (rc == -ENOTUNIQ) {
		error_set(err, ERROR_USAGE, EINVAL, "the PSK file %s has several keys%s",
			config->psk_file, *config->username ? " for this user" : "");
		return error_hint(err, -EINVAL, "say whose with --tls-username");
	}
	if (*config->username)
		return error_set(err, ERROR_USAGE, ENOENT,
			"the PSK file %s has no key for user \"%s\"", config->psk_file,
			config->username);
	return error_set(err, ERROR_USAGE, EINVAL,
		"the PSK file %s has no line of the form user:hexadecimal-key", config->psk_file);
}

/* Under TLS 1.3 a key is bound to a hash, and with that to the ciphers that use it. GnuTLS always
 * took SHA-256, until one could say which; a server of before knows no other, so SHA-384 is for
 * those who allow nothing but AES-256-GCM. */
static int allocate(struct tls_credentials *creds)
{
#if GNUTLS_VERSION_NUMBER >= 0x03080b
	const unsigned *ciphers;
	int count = gnutls_priority_cipher_list(creds->priority, &ciphers), others = 0;

	for (int i = 0; i < count; i++)
		others += ciphers[i] != GNUTLS_CIPHER_AES_256_GCM;
	if (count > 0 && !others)
		return gnutls_psk_allocate_client_credentials2(&creds->psk, GNUTLS_MAC_SHA384);
#endif
	return gnutls_psk_allocate_client_credentials(&creds->psk);
}

/* TEXT is cut. */
static int take_psk(struct tls_credentials *creds, const struct tls_config *config, char *text,
	struct error *err)
{
	gnutls_datum_t key = {0};
	char *user, *hex;
	int rc = find_psk(text, config->username, &user, &hex);

	if (rc)
		return not_found(rc, config, err);
	key.data = (unsigned char *)hex;
	key.size = (unsigned)strlen(hex);
	if (key.size < KEY_DIGITS_MIN) {
		error_set(err, ERROR_USAGE, EINVAL,
			"the key of user \"%s\" in %s is too short: fewer than 128 bits", user,
			config->psk_file);
		return error_hint(
			err, -EINVAL, "make one with: psktool -u %s -p %s", user, config->psk_file);
	}
	rc = allocate(creds);
	if (rc == 0)
		rc = gnutls_psk_set_client_credentials(creds->psk, user, &key, GNUTLS_PSK_KEY_HEX);
	return rc < 0 ?
		error_set(err, ERROR_USAGE, EINVAL,
			"the key of user \"%s\" in %s is not hexadecimal", user, config->psk_file) :
		0;
}

int tls_psk_load(struct tls_credentials *creds, const struct tls_config *config, struct error *err)
{
	gnutls_datum_t file;
	char *text;
	int rc = credential_files_read(&creds->files, config->psk_file, "PSK", &file, err);

	if (rc)
		return rc;
	text = malloc(file.size + 1);
	if (!text)
		return error_set(err, ERROR_OTHER, ENOMEM, "out of memory");
	memcpy(text, file.data, file.size + 1);
	rc = take_psk(creds, config, text, err);
	explicit_bzero(text, file.size);
	free(text);
	return rc;
}
