/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the user trusts and shows: read from files once, kept in memory, so that a reconnect needs
 * no file. */
#ifndef NBDA_TLS_CREDENTIALS
#define NBDA_TLS_CREDENTIALS
#include <stdbool.h>
#include <stddef.h>
#include "base/error.h"
#include "tls/config.h"
#include "tls/info.h"

struct tls_credentials;

/* Load and check everything; with a PSK file nothing else of CONFIG is looked at but the username.
 * Prints nothing. The files' contents are only in GnuTLS's memory afterwards, but of what can be
 * read only once, such as /dev/stdin or a pipe, which is kept. Free with
 * tls_credentials_free(), which wipes. */
int tls_credentials_load(
	struct tls_credentials **creds, const struct tls_config *config, struct error *err);
/* Is a key on a PKCS #11 token, whose module's code then runs in a handshake? */
bool tls_credentials_use_token(const struct tls_credentials *creds);
void tls_credentials_free(struct tls_credentials *creds);

/* -errno: it names what can be read only once. Looks at names, and opens nothing. */
int tls_credentials_can_be_read_again(const struct tls_config *config, struct error *err);
/* Have the files of CREDS been changed since? Then *FRESH is what they are now, else NULL. -errno:
 * they have, and cannot be used. For a process that may wait for a disk. */
int tls_credentials_refresh(const struct tls_credentials *creds, struct tls_credentials **fresh);

/* For another process, which may have no disk: what CONFIG's files hold, as bytes (malloc; wipe and
 * free them with tls_credentials_free_packed()), when they could be loaded; and the other way
 * round. HAS_DISK: renewed files count from then on, too (tls_credentials_refresh()). */
int tls_credentials_pack(
	const struct tls_config *config, unsigned char **bytes, size_t *size, struct error *err);
void tls_credentials_free_packed(unsigned char *bytes, size_t size);
int tls_credentials_unpack(struct tls_credentials **creds, const struct tls_config *config,
	const void *bytes, size_t size, bool has_disk, struct error *err);
/* CREDS is from now on what FRESH was, which is freed. Pointers to CREDS stay valid. */
void tls_credentials_replace(struct tls_credentials *creds, struct tls_credentials *fresh);
const struct tls_config *tls_credentials_config(const struct tls_credentials *creds);
/* Until when what they are lasts: our certificates, and lists of revoked ones. */
void tls_credentials_validity(const struct tls_credentials *creds, struct tls_validity *own,
	struct tls_validity *revocation);

/* What somebody should know of them, such as a key that everybody can read; up to MAX printable
 * lines, which live as long as CREDS. */
size_t tls_credentials_warnings(
	const struct tls_credentials *creds, const char *texts[], size_t max);

#endif
