/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files of keys and certificates: what is taken of them, what is warned of, and that a renewed one
 * counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "make-certificate.h"
#include "tls/credentials.h"
#include "tls/credentials-struct.h"
#include "tls/crl.h"

static char folder[64];
static struct made authority, other, client;
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
	other = made_authority("another one", NULL);
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
	made_free(&other);
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

static void expect_refusal(enum error_kind kind, const char *words)
{
	struct tls_credentials *creds = NULL;
	struct error err = {0};

	if (tls_credentials_load(&creds, &config, &err) == 0)
		fail_msg("accepted, and not refused with \"%s\"", words);
	if (err.kind != kind || !strstr(err.text, words))
		fail_msg("not \"%s\" but \"%s\" (%d)", words, err.text, err.kind);
	assert_null(creds);
}

/* --- lists of revoked certificates */

static void write_list(const struct made *by, double from_days, double until_days, bool is_changed)
{
	gnutls_x509_crl_t crl;
	gnutls_datum_t der, pem;

	assert_int_equal(gnutls_x509_crl_init(&crl), 0);
	gnutls_x509_crl_set_version(crl, 2);
	gnutls_x509_crl_set_this_update(crl, days_from_now(from_days));
	if (until_days)
		gnutls_x509_crl_set_next_update(crl, days_from_now(until_days));
	gnutls_x509_crl_set_crt_serial(crl, "\7\7", 2, days_from_now(-1));
	assert_int_equal(gnutls_x509_crl_sign2(crl, by->crt, by->key, GNUTLS_DIG_SHA256, 0), 0);
	assert_int_equal(gnutls_x509_crl_export2(crl, GNUTLS_X509_FMT_DER, &der), 0);
	if (is_changed) { /* the serial number that is revoked */
		unsigned char *at = memmem(der.data, der.size, "\2\2\7\7", 4);

		assert_non_null(at);
		at[3] = 8;
	}
	assert_int_equal(gnutls_pem_base64_encode2("X509 CRL", &der, &pem), 0);
	write_datum(in_folder("ca-crl.pem"), "a", &pem);
	gnutls_free(der.data);
	gnutls_free(pem.data);
	gnutls_x509_crl_deinit(crl);
}

static void lists_are_the_authoritys_or_refused(void **state)
{
	struct made no_signer = made_begin("the authority", -10, 1000);

	(void)state;
	clear();
	write_list(&other, -1, 10, false);
	expect_refusal(ERROR_USAGE, "\"CN=another one\"");
	expect_refusal(ERROR_USAGE, "is of another authority");
	clear();
	write_list(&authority, -1, 10, true);
	expect_refusal(ERROR_USAGE, "is wrongly signed");
	clear();
	write_list(&authority, -1, 0, false);
	expect_refusal(ERROR_USAGE, "does not say until when");
	/* one that is good does not excuse the other */
	clear();
	write_list(&authority, -1, 10, false);
	write_list(&other, -1, 10, false);
	expect_refusal(ERROR_USAGE, "is of another authority");
	/* an authority that may sign certificates only */
	clear();
	gnutls_x509_crt_set_ca_status(no_signer.crt, 1);
	gnutls_x509_crt_set_key_usage(no_signer.crt, GNUTLS_KEY_KEY_CERT_SIGN);
	made_sign(&no_signer, NULL);
	made_write(&no_signer, in_folder("ca-cert.pem"), NULL);
	gnutls_x509_crt_set_key_usage(no_signer.crt, GNUTLS_KEY_CRL_SIGN);
	write_list(&no_signer, -1, 10, false);
	expect_refusal(ERROR_USAGE, "may not sign such lists");
	made_free(&no_signer);
	/* nor is it taken from nobody */
	clear();
	unlink(in_folder("ca-cert.pem"));
	write_list(&authority, -1, 10, false);
	snprintf(config.pin, sizeof(config.pin), "sha256:%064d", 1);
	expect_refusal(ERROR_USAGE, "no authority beside it");
	*config.pin = 0;
}

static void lists_count_in_their_time(void **state)
{
	static const struct {
		double from_days, until_days;
		const char *why;
	} table[] = {
		{-1, 10, NULL},
		{-1, 0.01, NULL},
		{-10, -1, "out of date: it counts until 20"},
		{1, 10, "from the future: it counts from 20"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct tls_credentials *creds;
		struct tls_validity validity = {0};
		struct error err = {0};
		int rc;

		clear();
		write_list(&authority, -20, 20, false);
		write_list(&authority, table[i].from_days, table[i].until_days, false);
		creds = load();
		rc = tls_crl_check(creds, time(NULL), &validity, &err);
		if (table[i].why &&
			(rc != -EACCES || err.kind != ERROR_TLS || !strstr(err.text, table[i].why)))
			fail_msg("row %zu: %s", i, err.text);
		/* one whose day is to come may only seem so, by a clock that is not set yet */
		assert_int_equal(err.retry, table[i].from_days > 0);
		if (!table[i].why) {
			assert_int_equal(rc, 0);
			assert_int_equal(validity.until, creds->crls[1].until);
		}
		tls_credentials_free(creds);
	}
}

static void what_ends_soon_is_known_in_time(void **state)
{
	struct tls_validity validity = {0};

	(void)state;
	tls_validity_note(&validity, 0, 0);
	assert_int_equal(validity.until, 0);
	tls_validity_note(&validity, 1000, 1000 + 400 * DAY_SEC);
	assert_int_equal(validity.warn_from, 1000 + 386 * DAY_SEC);
	/* of a day's certificate not the whole day */
	tls_validity_note(&validity, 1000, 1000 + DAY_SEC);
	assert_int_equal(validity.until, 1000 + DAY_SEC);
	assert_int_equal(validity.warn_from, 1000 + DAY_SEC / 4 * 3);
	tls_validity_note(&validity, 1000, 1000 + 9 * DAY_SEC);
	assert_int_equal(validity.until, 1000 + DAY_SEC);
}

/* --- several certificates of ours */

static size_t count_ours(const struct tls_credentials *creds)
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

static void numbered_certificates_are_ours_too(void **state)
{
	struct made second = make_client("of another", &other, 7);
	struct tls_credentials *creds;

	(void)state;
	clear();
	made_write(&second, in_folder("client-cert-0.pem"), in_folder("client-key-0.pem"));
	creds = load();
	assert_int_equal(count_ours(creds), 1);
	assert_true(creds->has_client_cert);
	tls_credentials_free(creds);
	made_write(&client, in_folder("client-cert.pem"), in_folder("client-key.pem"));
	made_write(&client, in_folder("client-cert-1.pem"), in_folder("client-key-1.pem"));
	/* behind one that is missing nobody looks */
	made_write(&client, in_folder("client-cert-3.pem"), in_folder("client-key-3.pem"));
	creds = load();
	assert_int_equal(count_ours(creds), 3);
	/* the first that runs out is the one to warn of */
	assert_int_equal(creds->own.until, gnutls_x509_crt_get_expiration_time(second.crt));
	tls_credentials_free(creds);
	unlink(in_folder("client-key-1.pem"));
	expect_refusal(ERROR_USAGE, "client-key-1.pem");
	made_write(&client, in_folder("client-cert-1.pem"), in_folder("client-key-1.pem"));
	made_write(&second, in_folder("client-cert-1.pem"), NULL);
	expect_refusal(ERROR_USAGE, "do not belong together");
	/* --tls-cert is instead of them */
	snprintf(config.cert_file, sizeof(config.cert_file), "%s", in_folder("client-cert.pem"));
	snprintf(config.key_file, sizeof(config.key_file), "%s", in_folder("client-key.pem"));
	creds = load();
	assert_int_equal(count_ours(creds), 1);
	tls_credentials_free(creds);
	*config.cert_file = *config.key_file = 0;
	made_free(&second);
}

static void expect_hint(const char *words, const char *hint)
{
	struct tls_credentials *creds = NULL;
	struct error err = {0};

	assert_true(tls_credentials_load(&creds, &config, &err) < 0);
	if (!strstr(err.text, words) || !strstr(err.hint, hint))
		fail_msg("not \"%s\", \"%s\" but \"%s\", \"%s\"", words, hint, err.text, err.hint);
}

static void what_is_missing_in_a_directory_is_named(void **state)
{
	(void)state;
	clear();
	made_write(&client, in_folder("client-cert.pem"), NULL);
	expect_hint("client-key.pem: No such file", "go together");
	clear();
	made_write(&client, in_folder("x.pem"), in_folder("client-key.pem"));
	expect_hint("client-cert.pem: No such file", "go together");
	unlink(in_folder("ca-cert.pem"));
	expect_hint("cannot read the CA file", "wanted there are ca-cert.pem and");
	clear();
	snprintf(config.certificates_dir, sizeof(config.certificates_dir), "%s/none", folder);
	expect_hint("directory of certificates", "");
	/* nor is it made up for by what stands in for its authority */
	snprintf(config.pin, sizeof(config.pin), "sha256:%064d", 1);
	expect_hint("/none: No such file", "");
	*config.pin = 0;
	snprintf(
		config.certificates_dir, sizeof(config.certificates_dir), "%s/ca-cert.pem", folder);
	expect_hint("ca-cert.pem is no directory", "--tls-ca");
	snprintf(config.certificates_dir, sizeof(config.certificates_dir), "%s", folder);
}

/* PKCS#8 of an algorithm that nobody has: 1.2.3.4 */
static const char unknown_key[] = "-----BEGIN PRIVATE KEY-----\n"
				  "MBMCAQAwBwYDKgMEBQAEBQQDAQID\n"
				  "-----END PRIVATE KEY-----\n";

static void a_numbered_one_of_unknown_kind_leaves_the_rest(void **state)
{
	struct tls_credentials *creds;

	(void)state;
	clear();
	made_write(&client, in_folder("client-cert.pem"), in_folder("client-key.pem"));
	made_write(&client, in_folder("client-cert-0.pem"), NULL);
	write_text(in_folder("client-key-0.pem"), unknown_key);
	creds = load();
	assert_int_equal(count_ours(creds), 1);
	assert_int_equal(creds->warning_count, 1);
	assert_non_null(strstr(creds->warnings[0], "client-cert-0.pem is left out"));
	tls_credentials_free(creds);
	/* but not the one that was meant before there were several */
	write_text(in_folder("client-key.pem"), unknown_key);
	expect_refusal(ERROR_USAGE, "client-cert.pem");
	/* nor one that is broken */
	made_write(&client, in_folder("client-cert.pem"), in_folder("client-key.pem"));
	write_text(in_folder("client-key-0.pem"), "nonsense");
	expect_refusal(ERROR_USAGE, "client-key-0.pem");
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

/* As editors of other systems leave them, and as people write them. */
static void a_psk_file_is_read_as_it_is_meant(void **state)
{
#define K1 "00112233445566778899aabbccddeeff"
#define K2 "ffeeddccbbaa99887766554433221100"
	static const struct {
		const char *text, *user, *why, *hint; /* WHY NULL: it is taken */
	} table[] = {
		{"alice:" K1, "", NULL, NULL},
		{"\xef\xbb\xbf"
		 "alice:" K1 "\r\n",
			"alice", NULL, NULL},
		{"  alice : " K1 " \t\n\n", "alice", NULL, NULL},
		{" # alice:" K2 "\nalice:" K1 "\nbob:" K2 "\n", "alice", NULL, NULL},
		{"alice:" K1 "\nbob:" K2 "\n", "", "several keys: alice, bob", "--tls-username"},
		{"alice:" K1 "\nalice:" K2 "\n", "alice", "several keys for this user", "take"},
		{"alice:" K1 "\nbob:" K2 "\n", "carol", "no key for user \"carol\"", "alice, bob"},
		{K1 "\n", "", "is nothing that is known here; lines of the form user:", ""},
		{"-----BEGIN CERTIFICATE-----\nAAAA\n", "", "is a certificate; lines of the form",
			"psktool"},
		{"alice:0011\n", "", "too short", "psktool"},
		{"alice:" K1 "x\n", "", "not hexadecimal", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct tls_config psk = {.wanted = true};
		struct tls_credentials *creds = NULL;
		struct error err = {0};
		int rc;

		clear();
		snprintf(psk.psk_file, sizeof(psk.psk_file), "%s", in_folder("keys.psk"));
		snprintf(psk.username, sizeof(psk.username), "%s", table[i].user);
		write_text(psk.psk_file, table[i].text);
		rc = tls_credentials_load(&creds, &psk, &err);
		if (!rc != !table[i].why ||
			(rc &&
				(!strstr(err.text, table[i].why) ||
					!strstr(err.hint, table[i].hint))))
			fail_msg("row %zu: %d \"%s\" \"%s\"", i, rc, err.text, err.hint);
		assert_null(strstr(err.text, "0011"));
		tls_credentials_free(creds);
	}
}

/* --- the hash of a pre-shared key */

#if GNUTLS_VERSION_NUMBER >= 0x03080b
static int give_key(gnutls_session_t session, const char *user, gnutls_datum_t *key)
{
	(void)session;
	key->size = 16;
	key->data = gnutls_malloc(key->size);
	memset(key->data, 0x77, key->size);
	return strcmp(user, "alice") == 0 ? 0 : -1;
}

static gnutls_session_t begin_session(unsigned flags, int fd, void *psk)
{
	gnutls_session_t session;

	assert_int_equal(gnutls_init(&session, flags | GNUTLS_NONBLOCK), 0);
	assert_int_equal(gnutls_credentials_set(session, GNUTLS_CRD_PSK, psk), 0);
	gnutls_transport_set_int(session, fd);
	return session;
}

/* The cipher that a server with keys for MAC agrees on; -1: none. */
static int agree(const struct tls_credentials *creds, gnutls_mac_algorithm_t mac)
{
	gnutls_psk_server_credentials_t psk;
	gnutls_session_t client_session, server;
	int fds[2], rc = GNUTLS_E_AGAIN, server_rc = GNUTLS_E_AGAIN, cipher;

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	assert_int_equal(gnutls_psk_allocate_server_credentials2(&psk, mac), 0);
	gnutls_psk_set_server_credentials_function(psk, give_key);
	client_session = begin_session(GNUTLS_CLIENT, fds[0], creds->psk);
	gnutls_priority_set(client_session, creds->priority);
	server = begin_session(GNUTLS_SERVER, fds[1], psk);
	gnutls_priority_set_direct(
		server, "NORMAL:-VERS-ALL:+VERS-TLS1.3:-KX-ALL:+ECDHE-PSK:+DHE-PSK", NULL);
	for (int i = 0; i < 100; i++) {
		if (rc < 0 && !gnutls_error_is_fatal(rc))
			rc = gnutls_handshake(client_session);
		if (server_rc < 0 && !gnutls_error_is_fatal(server_rc))
			server_rc = gnutls_handshake(server);
	}
	cipher = rc == 0 && server_rc == 0 ? (int)gnutls_cipher_get(server) : -1;
	gnutls_deinit(client_session);
	gnutls_deinit(server);
	gnutls_psk_free_server_credentials(psk);
	close(fds[0]);
	close(fds[1]);
	return cipher;
}

static void a_psk_goes_with_sha384_where_nothing_else_may(void **state)
{
	struct tls_config psk = {.wanted = true};
	struct tls_credentials *creds = NULL;
	struct error err;

	(void)state;
	clear();
	snprintf(psk.psk_file, sizeof(psk.psk_file), "%s", in_folder("keys.psk"));
	write_text(psk.psk_file, "alice:77777777777777777777777777777777\n");
	assert_int_equal(tls_credentials_load(&creds, &psk, &err), 0);
	assert_int_equal(agree(creds, GNUTLS_MAC_SHA256), GNUTLS_CIPHER_AES_128_GCM);
	assert_int_equal(agree(creds, GNUTLS_MAC_SHA384), -1);
	tls_credentials_free(creds);
	snprintf(psk.priority, sizeof(psk.priority), "NORMAL:-CIPHER-ALL:+AES-256-GCM");
	assert_int_equal(tls_credentials_load(&creds, &psk, &err), 0);
	assert_int_equal(agree(creds, GNUTLS_MAC_SHA384), GNUTLS_CIPHER_AES_256_GCM);
	assert_int_equal(agree(creds, GNUTLS_MAC_SHA256), -1);
	tls_credentials_free(creds);
}
#endif

/* --- renewal */

static void renewed_files_count(void **state)
{
	struct tls_credentials *creds, *fresh = NULL;
	struct made renewed = make_client("client", &authority, 2000);

	(void)state;
	clear();
	made_write(&client, in_folder("client-cert.pem"), in_folder("client-key.pem"));
	creds = load();
	assert_int_equal(tls_credentials_refresh(creds, &fresh), 0);
	assert_null(fresh);
	/* half of it: the former one stays */
	made_write(&renewed, in_folder("client-cert.pem"), NULL);
	assert_true(tls_credentials_refresh(creds, &fresh) < 0);
	assert_null(fresh);
	made_write(&renewed, in_folder("client-cert.pem"), in_folder("client-key.pem"));
	assert_int_equal(tls_credentials_refresh(creds, &fresh), 0);
	assert_non_null(fresh);
	assert_int_equal(fresh->own.until, gnutls_x509_crt_get_expiration_time(renewed.crt));
	tls_credentials_free(fresh);
	/* gone, or out of reach: a supervisor of the root has no disk to look at */
	tls_credentials_free(creds);
	creds = load();
	chmod(folder, 0);
	assert_int_equal(rename(folder, "/tmp/test-credentials.away"), 0);
	assert_int_equal(tls_credentials_refresh(creds, &fresh), 0);
	assert_null(fresh);
	assert_int_equal(rename("/tmp/test-credentials.away", folder), 0);
	chmod(folder, 0700);
	/* a name that was not there before */
	made_write(&renewed, in_folder("client-cert-0.pem"), in_folder("client-key-0.pem"));
	assert_int_equal(tls_credentials_refresh(creds, &fresh), 0);
	assert_non_null(fresh);
	assert_int_equal(count_ours(fresh), 2);
	tls_credentials_free(fresh);
	/* authorities are renewed as well */
	tls_credentials_free(creds);
	creds = load();
	made_write(&other, in_folder("ca-cert.pem"), NULL);
	assert_int_equal(tls_credentials_refresh(creds, &fresh), 0);
	assert_non_null(fresh);
	tls_credentials_free(fresh);
	tls_credentials_free(creds);
	made_free(&renewed);
}

/* --- what can be read only once */

static void give_descriptor(int fd, char path[TLS_TEXT_SIZE])
{
	snprintf(path, TLS_TEXT_SIZE, "/dev/fd/%d", fd);
}

static int pipe_with(const char *path)
{
	char text[16384];
	FILE *file = fopen(path, "re");
	size_t size = fread(text, 1, sizeof(text), file);
	int fds[2];

	fclose(file);
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], text, size), size);
	close(fds[1]);
	return fds[0];
}

/* As a supervisor's descriptors are, and a negotiator's: of the same number, and of something
 * else. */
static void become_another(int fd)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	assert_true(null >= 0 && dup2(null, fd) == fd);
	close(null);
}

static void what_is_read_once_counts_for_good(void **state)
{
	struct tls_config once = {.wanted = true};
	struct tls_credentials *creds = NULL, *fresh = NULL, *again = NULL;
	int cert_fd, key_fd;
	struct error err;

	(void)state;
	clear();
	made_write(&client, in_folder("cert.pem"), in_folder("key.pem"));
	cert_fd = pipe_with(in_folder("cert.pem"));
	key_fd = open(in_folder("key.pem"), O_RDONLY | O_CLOEXEC);
	snprintf(once.ca_file, sizeof(once.ca_file), "%s", in_folder("ca-cert.pem"));
	give_descriptor(cert_fd, once.cert_file);
	give_descriptor(key_fd, once.key_file);
	if (tls_credentials_load(&creds, &once, &err))
		fail_msg("%s", err.text);
	become_another(cert_fd);
	become_another(key_fd);
	assert_int_equal(tls_credentials_refresh(creds, &fresh), 0);
	assert_null(fresh);
	/* another file, which was renewed, comes together with what was read; more than once */
	made_write(&other, in_folder("ca-cert.pem"), NULL);
	assert_int_equal(tls_credentials_refresh(creds, &fresh), 0);
	assert_non_null(fresh);
	assert_int_equal(count_ours(fresh), 1);
	made_write(&authority, in_folder("ca-cert.pem"), NULL);
	assert_int_equal(tls_credentials_refresh(fresh, &again), 0);
	assert_non_null(again);
	assert_int_equal(count_ours(again), 1);
	assert_int_equal(again->own.until, gnutls_x509_crt_get_expiration_time(client.crt));
	tls_credentials_free(again);
	tls_credentials_free(fresh);
	tls_credentials_free(creds);
	close(cert_fd);
	close(key_fd);
}

static void what_is_a_file_is_not_kept(void **state)
{
	struct tls_credentials *creds;

	(void)state;
	clear();
	made_write(&client, in_folder("client-cert.pem"), in_folder("client-key.pem"));
	creds = load();
	for (size_t i = 0; i < creds->files.count; i++)
		assert_null(creds->files.files[i].data.data);
	tls_credentials_free(creds);
}

static void what_cannot_be_read_again_is_named(void **state)
{
	static const struct {
		const char *path;
		bool is_refused;
	} table[] = {
		{"/dev/stdin", true},
		{"/dev/fd/0", true},
		{"/dev/fd/1000", true}, /* of another process: not open here */
		{"/proc/self/fd/3", true},
		{"link", true},
		{"pipe", true},
		{"file", false},
		{"link-to-file", false},
		{"nothing", false},
		{"pkcs11:object=k", false},
	};

	(void)state;
	clear();
	write_text(in_folder("file"), "x");
	assert_int_equal(symlink("/dev/stdin", in_folder("link")), 0);
	assert_int_equal(symlink("file", in_folder("link-to-file")), 0);
	assert_int_equal(mkfifo(in_folder("pipe"), 0600), 0);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct tls_config once = {.wanted = true};
		struct error err = {0};
		const char *path = table[i].path;
		int rc;

		snprintf(once.key_file, sizeof(once.key_file), "%s",
			strpbrk(path, "/:") ? path : in_folder(path));
		rc = tls_credentials_can_be_read_again(&once, &err);
		if (rc != (table[i].is_refused ? -ESPIPE : 0))
			fail_msg("%s: %d", path, rc);
		if (rc)
			assert_non_null(strstr(err.text, "it was read once"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_are_the_authoritys_or_refused),
		cmocka_unit_test(lists_count_in_their_time),
		cmocka_unit_test(what_ends_soon_is_known_in_time),
		cmocka_unit_test(numbered_certificates_are_ours_too),
		cmocka_unit_test(what_is_missing_in_a_directory_is_named),
		cmocka_unit_test(a_numbered_one_of_unknown_kind_leaves_the_rest),
		cmocka_unit_test(keys_for_everybody_are_warned_of),
		cmocka_unit_test(a_psk_file_for_everybody_is_warned_of),
		cmocka_unit_test(a_psk_file_is_read_as_it_is_meant),
#if GNUTLS_VERSION_NUMBER >= 0x03080b
		cmocka_unit_test(a_psk_goes_with_sha384_where_nothing_else_may),
#endif
		cmocka_unit_test(renewed_files_count),
		cmocka_unit_test(what_is_read_once_counts_for_good),
		cmocka_unit_test(what_is_a_file_is_not_kept),
		cmocka_unit_test(what_cannot_be_read_again_is_named),
	};

	return cmocka_run_group_tests_name("credentials", tests, begin, end);
}
