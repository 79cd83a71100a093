/* SPDX-License-Identifier: GPL-2.0-or-later */
/* That a renewed file of a key or certificate counts, and what is kept of one that can be read only
 * once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include "credentials-folder.h"

static void renewed_files_count(void **state)
{
	struct tls_credentials *creds, *fresh = NULL;
	struct made renewed = make_client("client", &authority, 2000);
	char away[sizeof(folder) + 8];

	(void)state;
	snprintf(away, sizeof(away), "%s.away", folder);
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
	assert_int_equal(rename(folder, away), 0);
	assert_int_equal(tls_credentials_refresh(creds, &fresh), 0);
	assert_null(fresh);
	assert_int_equal(rename(away, folder), 0);
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
		cmocka_unit_test(renewed_files_count),
		cmocka_unit_test(what_is_read_once_counts_for_good),
		cmocka_unit_test(what_is_a_file_is_not_kept),
		cmocka_unit_test(what_cannot_be_read_again_is_named),
	};

	return cmocka_run_group_tests_name("credentials-renewal", tests, begin, end);
}
