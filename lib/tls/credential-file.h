/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The files that credentials are made of: read, looked at, and wiped. For this folder's sources
 * only. */
#ifndef NBDA_TLS_CREDENTIAL_FILE
#define NBDA_TLS_CREDENTIAL_FILE
#include <gnutls/gnutls.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include "base/error.h"

#define CREDENTIAL_FILES_MAX 256

struct credential_file {
	char *path;
	struct stat st;      /* as it was read */
	gnutls_datum_t data; /* terminated; size 0: forgotten, or a directory */
	bool is_read_once;   /* see credential_file_is_read_once() */
};

/* All zero: none yet. */
struct credential_files {
	struct credential_file files[CREDENTIAL_FILES_MAX];
	size_t count;
	bool is_closed; /* nothing is read any more: what is not among them is not there */
};

/* The whole of PATH, which stays FILES'. WHAT is "CA" and the like. -ENOENT is left for the
 * caller to judge, with ERR filled. */
int credential_files_read(struct credential_files *files, const char *path, const char *what,
	gnutls_datum_t *data, struct error *err);
bool credential_files_has(const struct credential_files *files, const char *path);
/* Names that come and go in it are a change, too. */
int credential_files_note_directory(
	struct credential_files *files, const char *path, struct error *err);
/* Is NAME the URL of what a PKCS #11 token has, and no file's? */
bool credential_is_token(const char *name);
/* Can anybody on this machine read PATH, or change it? Looks at its folders, too. */
bool credential_file_is_open(const char *path);
/* Is PATH a descriptor of this process (/dev/stdin, /dev/fd/N), a pipe or the like? Whoever opens
 * it another time has something else, or waits: what was read counts for good. */
bool credential_file_is_read_once(const char *path);
/* Has any of them been replaced or changed, that can be looked at still? */
bool credential_files_have_changed(const struct credential_files *files);
/* Wipe what was read, and keep when; but what can be read only once. */
void credential_files_forget(struct credential_files *files);
/* What can be read only once is among FILES, too, as FORMER have it. */
int credential_files_keep(struct credential_files *files, const struct credential_files *former);
void credential_files_free(struct credential_files *files);

/* All of them as bytes (malloc), for another process to decode into FILES, which is closed then.
 * -EINVAL: that is no such thing. */
int credential_files_encode(const struct credential_files *files, gnutls_datum_t *bytes);
int credential_files_decode(struct credential_files *files, const void *bytes, size_t size);

#endif
