/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a supervisor says of keys and certificates, and how it takes others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/json-get.h"
#include "make-certificate.h"
#include "output/log.h"
#include "supervisor/expiry.h"
#include "supervisor/reload.h"
#include "tls/credentials-struct.h"

#define NOW 1800000000
#define DAYS(n) ((int64_t)(n)*DAY_SEC)

static struct attachment attachment;
static char folder[64];
static struct tls_config config;

static void clear(void)
{
	attachment = (struct attachment){.index = 3, .link_count = 1};
	attachment.links[0].tls.version = TLS_VERSION_1_3;
	attachment.links[0].since_ms = NOW - 100;
}

static struct tls_validity ends_in(int64_t days)
{
	struct tls_validity validity = {0};

	tls_validity_note(&validity, NOW - DAYS(300), NOW + DAYS(days));
	return validity;
}

static void expect(size_t count, const char *words)
{
	struct expiry_warning warnings[EXPIRY_WARNINGS_MAX];
	size_t got = expiry_list(&attachment, NOW, warnings);

	if (got != count || (words && !strstr(warnings[0].text, words)))
		fail_msg("%zu warnings, the first: %s", got, got ? warnings[0].text : "none");
}

static void each_of_them_is_warned_of_in_time(void **state)
{
	(void)state;
	clear();
	expect(0, NULL);
	attachment.links[0].tls.chain = ends_in(15);
	attachment.links[0].tls.own = ends_in(15);
	attachment.links[0].tls.revocation = ends_in(15);
	expect(0, NULL);
	attachment.links[0].tls.chain = ends_in(13);
	expect(1, "the server's certificate, or one that it rests on, runs out on 2027-01-28");
	attachment.links[0].tls.chain = ends_in(-1);
	expect(1, "ran out on");
	attachment.links[0].tls.chain = ends_in(100);
	attachment.links[0].tls.own = ends_in(13);
	expect(1, "our certificate runs out");
	attachment.links[0].tls.revocation = ends_in(1);
	expect(2, "our certificate runs out");
	/* without TLS there is nothing to say */
	attachment.links[0].tls.version = 0;
	expect(0, NULL);
}

static void what_was_seen_last_counts(void **state)
{
	(void)state;
	clear();
	attachment.link_count = 2;
	attachment.links[1] = attachment.links[0];
	attachment.links[1].since_ms = NOW - 200;
	attachment.links[0].tls.chain = ends_in(2);
	attachment.links[0].tls.is_stale = true;
	expect(2, "the server's certificate");
	/* the other link was made since */
	attachment.links[1].since_ms = NOW - 10;
	attachment.links[1].tls.chain = ends_in(300);
	expect(0, NULL);
	attachment.links[1].tls.is_stale = true;
	expect(1, "nbd-attach reload nbd3");
}

static int make_files(void **state)
{
	struct made authority = made_authority("the authority", NULL),
		    client = made_begin("client", -10, 5);
	char path[2][128];

	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/test-expiry.%d", (int)getpid());
	mkdir(folder, 0700);
	made_sign(&client, &authority);
	snprintf(path[0], sizeof(path[0]), "%s/ca-cert.pem", folder);
	made_write(&authority, path[0], NULL);
	snprintf(path[0], sizeof(path[0]), "%s/client-cert.pem", folder);
	snprintf(path[1], sizeof(path[1]), "%s/client-key.pem", folder);
	made_write(&client, path[0], path[1]);
	made_free(&authority);
	made_free(&client);
	config = (struct tls_config){.wanted = true, .min_version = TLS_VERSION_1_2};
	snprintf(config.certificates_dir, sizeof(config.certificates_dir), "%s", folder);
	snprintf(config.hostname, sizeof(config.hostname), "storage.example.com");
	return 0;
}

static int remove_files(void **state)
{
	char command[100];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	return system(command);
}

static void expect_answer(int fd, const char *error)
{
	json_object *answer = reload_take(&attachment, fd);

	if (error)
		assert_false(json_get_true(answer, "ok"));
	if (error)
		assert_non_null(strstr(json_get_text(answer, "error").s, error));
	else if (!json_get_true(answer, "ok"))
		fail_msg("%s", json_get_text(answer, "error").s);
	json_object_put(answer);
}

/* As `nbd-attach reload` does it, with the files gone before the supervisor has them: it has no
 * disk. */
static void a_supervisor_takes_others_without_a_disk(void **state)
{
	struct tls_credentials *creds = NULL;
	struct tls_config told;
	json_object *answer;
	unsigned char *bytes;
	size_t size;
	struct error err;
	int fd;

	(void)state;
	log_open(true, false);
	clear();
	assert_int_equal(tls_credentials_load(&creds, &config, &err), 0);
	attachment.creds = creds;
	attachment.policy.root = true;
	answer = reload_files(&attachment);
	assert_true(reload_parse_files(answer, &told));
	json_object_put(answer);
	assert_memory_equal(&told, &config, sizeof(told));
	assert_int_equal(tls_credentials_pack(&told, &bytes, &size, &err), 0);
	fd = reload_seal(bytes, size);
	assert_true(fd >= 0);
	remove_files(NULL);
	expect_answer(fd, NULL);
	assert_ptr_equal(attachment.creds, creds);
	assert_true(attachment.creds->has_client_cert && attachment.creds->verify_chain);
	assert_int_equal(attachment.creds->min_version, TLS_VERSION_1_2);
	assert_true(attachment.creds->files.is_closed);
	/* with one it goes on looking at the files by itself */
	attachment.policy.root = false;
	expect_answer(fd, NULL);
	assert_false(attachment.creds->files.is_closed);
	/* a library that asks a token has no place in a loop in which nothing waits */
	snprintf(creds->config.key_file, sizeof(creds->config.key_file), "pkcs11:object=client");
	expect_answer(fd, NULL);
	assert_true(creds->has_client_cert);
	attachment.policy.root = true;
	expect_answer(fd, "token");
	*creds->config.key_file = 0;
	close(fd);
	/* of the others nothing is taken, and the former ones stay */
	fd = reload_seal(bytes, size / 2);
	expect_answer(fd, "");
	close(fd);
	expect_answer(-1, "no packed credentials");
	fd = memfd_create("open", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_int_equal(write(fd, bytes, size), size);
	expect_answer(fd, "no packed credentials");
	close(fd);
	fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, bytes, size), size);
	expect_answer(fd, "no packed credentials");
	close(fd);
	assert_true(creds->has_client_cert && creds->verify_chain);
	tls_credentials_free_packed(bytes, size);
	tls_credentials_free(creds);
}

static void without_tls_there_is_nothing_to_reload(void **state)
{
	json_object *answer;

	(void)state;
	clear();
	answer = reload_files(&attachment);
	assert_true(json_object_object_get_ex(answer, "tls", NULL));
	assert_null(json_get(answer, "tls"));
	json_object_put(answer);
	expect_answer(-1, "without TLS");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_of_them_is_warned_of_in_time),
		cmocka_unit_test(what_was_seen_last_counts),
		cmocka_unit_test_setup_teardown(
			a_supervisor_takes_others_without_a_disk, make_files, remove_files),
		cmocka_unit_test(without_tls_there_is_nothing_to_reload),
	};

	return cmocka_run_group_tests_name("expiry", tests, NULL, NULL);
}
