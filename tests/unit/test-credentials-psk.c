/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files of pre-shared keys: what is taken of them, what is warned of, and the hash that a key goes
 * with. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <sys/socket.h>
#include "credentials-folder.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_psk_file_for_everybody_is_warned_of),
		cmocka_unit_test(a_psk_file_is_read_as_it_is_meant),
#if GNUTLS_VERSION_NUMBER >= 0x03080b
		cmocka_unit_test(a_psk_goes_with_sha384_where_nothing_else_may),
#endif
	};

	return cmocka_run_group_tests_name("credentials-psk", tests, begin, end);
}
