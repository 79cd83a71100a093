/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files of keys and certificates: what is taken of them, and what is warned of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "make-certificate.h"
#include "tls/credentials.h"
#include "tls/credentials-struct.h"

static char folder[64];
static struct made authority, client;
static struct tls_config config;

static const char *in_folder(const char *name)
{
	static char paths[4][128];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
	return path;
}

static void write_text(const char *path, const char *text)
{
	gnutls_datum_t datum = {(unsigned char *)(uintptr_t)text, (unsigned)strlen(text)};

	write_datum(path, "w", &datum);
}

static struct made make_client(const char *cn, const struct made *by, double until_days)
{
	struct made made = made_begin(cn, -10, until_days);

	made_sign(&made, by);
	return made;
}

static int begin(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/test-credentials.%d", (int)getpid());
	mkdir(folder, 0700);
	authority = made_authority("the authority", NULL);
	client = make_client("client", &authority, 1000);
	config = (struct tls_config){.wanted = true};
	snprintf(config.certificates_dir, sizeof(config.certificates_dir), "%s", folder);
	return 0;
}

static int end(void **state)
{
	char command[100];

	(void)state;
	made_free(&authority);
	made_free(&client);
	snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	return system(command);
}

/* With the authority, and nothing else. */
static void clear(void)
{
	char command[100];

	snprintf(command, sizeof(command), "rm -rf '%s'/*", folder);
	assert_int_equal(system(command), 0);
	chmod(folder, 0700);
	made_write(&authority, in_folder("ca-cert.pem"), NULL);
}

static struct tls_credentials *load(void)
{
	struct tls_credentials *creds = NULL;
	struct error err = {0};

	if (tls_credentials_load(&creds, &config, &err))
		fail_msg("%s", err.text);
	return creds;
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

static void a_psk_file_for_everybody_is_warned_of(void **state)
{
	struct tls_config psk = {.wanted = true};
	struct tls_credentials *creds = NULL;
	const char *texts[1];
	struct error err;

	(void)state;
	clear();
	chmod(folder, 0755);
	snprintf(psk.psk_file, sizeof(psk.psk_file), "%s", in_folder("keys.psk"));
	write_text(psk.psk_file,
		"# comment\r\nbob:00112233445566778899aabbccddeeff\r\n"
		"alice:ffeeddccbbaa99887766554433221100\n");
	snprintf(psk.username, sizeof(psk.username), "bob");
	chmod(psk.psk_file, 0644);
	assert_int_equal(tls_credentials_load(&creds, &psk, &err), 0);
	assert_int_equal(tls_credentials_warnings(creds, texts, 1), 1);
	assert_non_null(strstr(texts[0], "keys.psk"));
	assert_null(strstr(texts[0], "0011"));
	tls_credentials_free(creds);
	*psk.username = 0;
	assert_int_equal(tls_credentials_load(&creds, &psk, &err), -EINVAL);
	assert_non_null(strstr(err.text, "several keys"));
	snprintf(psk.username, sizeof(psk.username), "ali");
	assert_int_equal(tls_credentials_load(&creds, &psk, &err), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_for_everybody_are_warned_of),
		cmocka_unit_test(a_psk_file_for_everybody_is_warned_of),
	};

	return cmocka_run_group_tests_name("credentials", tests, begin, end);
}
