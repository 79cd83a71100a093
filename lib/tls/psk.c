/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tls/psk.h"
#include "tls/gnutls-library.h"
#include "tls/credential-kind.h"
#include "tls/credentials-struct.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY_DIGITS_MIN 32 /* 128 bits */

#define BYTE_ORDER_MARK "\xef\xbb\xbf"
#define BLANKS " \t"

/* The text without blanks around it, which an editor leaves and nobody sees. */
static char *trim(char *text)
{
	size_t len;

	text += strspn(text, BLANKS);
	for (len = strlen(text); len && strchr(BLANKS, text[len - 1]);)
		text[--len] = 0;
	return text;
}

/* The next "user:key" of *REST, which is cut; false: there is none. */
static bool next_psk(char **rest, char **user, char **key)
{
	char *line;

	while ((line = strsep(rest, "\r\n"))) {
		char *colon = strchr(line, ':');

		if (!colon || line[strspn(line, BLANKS)] == '#')
			continue;
		*colon = 0;
		*user = trim(line);
		*key = trim(colon + 1);
		return true;
	}
	return false;
}

/* To "alice, bob", for people. */
static void add_user(char *users, size_t size, const char *user)
{
	size_t used = strlen(users);

	snprintf(users + used, size - used, "%s%s", used ? ", " : "", user);
}

/* Find the user's line in "user:hex" lines, which are cut; with an empty one the file must have one
 * user only. USERS receives all of them. */
static int find_psk(
	char *text, const char *wanted, char **user, char **key, char *users, size_t size)
{
	char *rest = text, *next_user, *next_key;
	int rc = -ENOENT;

	if (strncmp(rest, BYTE_ORDER_MARK, strlen(BYTE_ORDER_MARK)) == 0)
		rest += strlen(BYTE_ORDER_MARK);
	*users = 0;
	while (next_psk(&rest, &next_user, &next_key)) {
		add_user(users, size, next_user);
		if (*wanted && strcmp(wanted, next_user) != 0)
			continue;
		rc = rc == -ENOENT ? 0 : -ENOTUNIQ;
		*user = next_user;
		*key = next_key;
	}
	return rc;
}

static int not_found(int rc, const struct tls_config *config, const gnutls_datum_t *file,
	const char *users, struct error *err)
{
	const char *path = config->psk_file;

	if (rc == -ENOTUNIQ) {
		error_set(err, ERROR_USAGE, EINVAL, "the PSK file %s has several keys%s: %s", path,
			*config->username ? " for this user" : "", users);
		return error_hint(err, -EINVAL,
			*config->username ? "take the others away" :
					    "say whose with --tls-username");
	}
	if (!*users)
		return credential_kind_refuse(path, file, CREDENTIAL_AS_PSK, "", err);
	error_set(err, ERROR_USAGE, ENOENT, "the PSK file %s has no key for user \"%s\"", path,
		config->username);
	return error_hint(err, -ENOENT, "it has keys of: %s", users);
}

/* Under TLS 1.3 a key is bound to a hash, and with that to the ciphers that use it. GnuTLS always
 * took SHA-256, until one could say which; a server of before knows no other, so SHA-384 is for
 * those who allow nothing but AES-256-GCM. */
static int allocate(struct tls_credentials *creds)
{
#if GNUTLS_VERSION_NUMBER >= 0x03080b
	const unsigned *ciphers;
	int count = libgnutls.priority_cipher_list(creds->priority, &ciphers), others = 0;

	for (int i = 0; i < count; i++)
		others += ciphers[i] != GNUTLS_CIPHER_AES_256_GCM;
	if (count > 0 && !others)
		return libgnutls.psk_allocate_client_credentials2(&creds->psk, GNUTLS_MAC_SHA384);
#endif
	return libgnutls.psk_allocate_client_credentials(&creds->psk);
}

/* TEXT is FILE's, and is cut. */
static int take_psk(struct tls_credentials *creds, const struct tls_config *config,
	const gnutls_datum_t *file, char *text, struct error *err)
{
	gnutls_datum_t key = {0};
	char *user, *hex, users[200];
	int rc = find_psk(text, config->username, &user, &hex, users, sizeof(users));

	if (rc)
		return not_found(rc, config, file, users, err);
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
		rc = libgnutls.psk_set_client_credentials(
			creds->psk, user, &key, GNUTLS_PSK_KEY_HEX);
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
	rc = take_psk(creds, config, &file, text, err);
	explicit_bzero(text, file.size);
	free(text);
	return rc;
}
