/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A folder with an authority's certificate, to which a test adds what it needs, and credentials
 * that are loaded from it. */
#ifndef CREDENTIALS_FOLDER_H
#define CREDENTIALS_FOLDER_H
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "make-certificate.h"
#include "tls/credentials.h"
#include "tls/credentials-struct.h"

static char folder[64];
static struct made authority, other, client;
static struct tls_config config;

static inline const char *in_folder(const char *name)
{
	static char paths[4][128];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
	return path;
}

static inline void write_text(const char *path, const char *text)
{
	gnutls_datum_t datum = {(unsigned char *)(uintptr_t)text, (unsigned)strlen(text)};

	write_datum(path, "w", &datum);
}

static inline struct made make_client(const char *cn, const struct made *by, double until_days)
{
	struct made made = made_begin(cn, -10, until_days);

	made_sign(&made, by);
	return made;
}

static inline int begin(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/nbd-attach-credentials.%d", (int)getpid());
	mkdir(folder, 0700);
	authority = made_authority("the authority", NULL);
	other = made_authority("another one", NULL);
	client = make_client("client", &authority, 1000);
	config = (struct tls_config){.wanted = true};
	snprintf(config.certificates_dir, sizeof(config.certificates_dir), "%s", folder);
	return 0;
}

static inline int end(void **state)
{
	char command[100];

	(void)state;
	made_free(&authority);
	made_free(&other);
	made_free(&client);
	snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	return system(command);
}

/* With the authority, and nothing else. */
static inline void clear(void)
{
	char command[100];

	snprintf(command, sizeof(command), "rm -rf '%s'/*", folder);
	assert_int_equal(system(command), 0);
	chmod(folder, 0700);
	made_write(&authority, in_folder("ca-cert.pem"), NULL);
}

static inline struct tls_credentials *load(void)
{
	struct tls_credentials *creds = NULL;
	struct error err = {0};

	if (tls_credentials_load(&creds, &config, &err))
		fail_msg("%s", err.text);
	return creds;
}

static inline void expect_refusal(enum error_kind kind, const char *words)
{
	struct tls_credentials *creds = NULL;
	struct error err = {0};

	if (tls_credentials_load(&creds, &config, &err) == 0)
		fail_msg("accepted, and not refused with \"%s\"", words);
	if (err.kind != kind || !strstr(err.text, words))
		fail_msg("not \"%s\" but \"%s\" (%d)", words, err.text, err.kind);
	assert_null(creds);
}

static inline size_t count_ours(const struct tls_credentials *creds)
{
	size_t count = 0;
	gnutls_x509_crt_t *chain;
	unsigned size;

	for (; gnutls_certificate_get_x509_crt(creds->x509, (unsigned)count, &chain, &size) == 0;
		count++) {
		for (unsigned i = 0; i < size; i++)
			gnutls_x509_crt_deinit(chain[i]);
		gnutls_free(chain);
	}
	return count;
}

#endif
