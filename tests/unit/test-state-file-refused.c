/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a supervisor finds in the place of its predecessor's state: whatever else stands there must
 * not be believed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include "saved-state.h"

static void write_state(const char *text, size_t len)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
}

/* As adoption finds it after a refusal: nothing. */
static void assert_nothing_came(void)
{
	assert_false(after->export_known);
	assert_int_equal(after->export.size_bytes, 0);
	assert_int_equal(after->link_count, 0);
	assert_int_equal(after->flags, 0);
	assert_int_equal(after->block_size_bytes, 0);
	assert_int_equal(after->since_ms, 0);
}

static void assert_refused(const char *text, int rc)
{
	int is;

	memset(after, 0, sizeof(*after));
	write_state(text, strlen(text));
	is = state_load(after, device, BACKEND);
	if (is != rc)
		fail_msg("%.200s: %d instead of %d", text, is, rc);
	assert_nothing_came();
}

static void the_state_of_another_attachment_is_not_taken(void **state)
{
	(void)state;
	need_root();
	fill(before, 1);
	state_save(before, NULL);
	assert_int_equal(state_load(after, device, "ffffffffffffffffffffffffffffffff"), -ESTALE);
	assert_nothing_came();
	assert_int_equal(state_load(after, device, ""), -ESTALE);
	assert_int_equal(state_load(after, device + 1, BACKEND), -ENOENT);
	assert_nothing_came();
}

static void write_text(const char *text)
{
	write_state(text, strlen(text));
}

static void the_file_says_whose_device_it_is_of(void **state)
{
	char backend[BACKEND_ID_SIZE] = "former";

	(void)state;
	need_root();
	assert_int_equal(state_read_backend(device, backend), -ENOENT);
	assert_string_equal(backend, "");
	fill(before, 1);
	state_save(before, NULL);
	assert_int_equal(state_read_backend(device, backend), 0);
	assert_string_equal(backend, BACKEND);
	write_text("{\"backend\":\"much longer than any backend identifier can be, in truth\"}");
	assert_int_equal(state_read_backend(device, backend), -ENOENT);
	write_text("{}");
	assert_int_equal(state_read_backend(device, backend), -ENOENT);
	write_text("[]");
	assert_int_equal(state_read_backend(device, backend), -ENOENT);
}

static void a_symbolic_link_is_not_followed(void **state)
{
	/* in the same file system, so that it can be renamed to it */
	char elsewhere[] = RUN_DIRECTORY "/test-state.XXXXXX";
	struct stat st;
	int fd;

	(void)state;
	need_root();
	fd = mkstemp(elsewhere);
	assert_true(fd >= 0);
	close(fd);
	fill(before, 1);
	/* not when it is written */
	assert_int_equal(symlink(elsewhere, new_path), 0);
	state_save(before, NULL);
	assert_int_equal(stat(elsewhere, &st), 0);
	assert_int_equal(st.st_size, 0);
	unlink(new_path);
	/* nor when it is read */
	state_save(before, NULL);
	assert_int_equal(rename(path, elsewhere), 0);
	assert_int_equal(symlink(elsewhere, path), 0);
	assert_int_equal(state_load(after, device, BACKEND), -ENOENT);
	/* and it is replaced, not written through */
	state_save(before, NULL);
	assert_int_equal(lstat(path, &st), 0);
	assert_true(S_ISREG(st.st_mode));
	unlink(elsewhere);
}

static void a_file_of_somebody_else_is_not_taken(void **state)
{
	(void)state;
	need_root();
	fill(before, 1);
	state_save(before, NULL);
	assert_int_equal(chown(path, 65534, 65534), 0);
	assert_int_equal(state_load(after, device, BACKEND), -ENOENT);
	unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(state_load(after, device, BACKEND), -ENOENT);
	rmdir(path);
}

static void a_state_that_is_cut_anywhere_is_not_taken(void **state)
{
	static char text[65536];
	FILE *file;
	size_t len;

	(void)state;
	need_root();
	fill(before, 2);
	fill_tls(&before->links[0]);
	state_save(before, NULL);
	file = fopen(path, "re");
	len = fread(text, 1, sizeof(text), file);
	fclose(file);
	for (size_t cut = 0; cut < len; cut++) {
		memset(after, 0, sizeof(*after));
		write_state(text, cut);
		assert_int_equal(state_load(after, device, BACKEND), -ENOENT);
		assert_nothing_came();
	}
}

#define HEAD                                                                                       \
	"{\"version\": 1, \"backend\": \"" BACKEND                                                 \
	"\", \"since\": 5, \"block_size\": 512, \"flags\": 3, "
#define EXPORT "\"export\": {\"name\": \"x\", \"size\": 1048576, \"flags\": 3}, "
#define LINK "{\"address\": \"a\", \"since\": 5, \"tls\": null, \"local\": null, \"peer\": null}"
static void nonsense_is_not_taken(void **state)
{
	static const char *const absent[] = {"", "\n", "{", "garbage", "\"", "[",
		"{\"version\": ", "{]", "\x01\x02\xff\xfe", "null", HEAD};
	static const char *const stale[] = {"{}", "[]", "1", "\"text\"", "true", "[1, 2]",
		"{\"version\": 1}", "{\"version\": 2, \"backend\": \"" BACKEND "\"}",
		"{\"version\": \"x\", \"backend\": \"" BACKEND "\"}",
		"{\"version\": 1, \"backend\": 7}", "{\"version\": 1, \"backend\": {\"a\": []}}",
		"{\"backend\": \"" BACKEND "\"}", "{\"version\": 1, \"backend\": \"" BACKEND "0\"}",
		"{\"version\": 1, \"backend\": null}"};
	static const char *const invalid[] = {
		HEAD EXPORT "\"links\": []}",
		HEAD EXPORT "\"links\": {}}",
		HEAD EXPORT "\"links\": 5}",
		HEAD EXPORT "\"links\": null}",
		HEAD EXPORT "\"more\": 1}",
		HEAD "\"export\": {}, \"links\": [" LINK "]}",
		HEAD "\"export\": 7, \"links\": [" LINK "]}",
		HEAD "\"export\": [], \"links\": [" LINK "]}",
		HEAD "\"export\": {\"size\": -1}, \"links\": [" LINK "]}",
		HEAD "\"export\": {\"size\": \"x\"}, \"links\": [" LINK "]}",
		HEAD EXPORT "\"links\": [{\"tls\": {}}]}",
		HEAD EXPORT "\"links\": [{\"tls\": 5}]}",
		HEAD EXPORT "\"links\": [{\"tls\": false}]}",
		HEAD EXPORT "\"links\": [{\"tls\": {\"version\": \"1.3\"}}]}",
		HEAD EXPORT "\"links\": [{\"tls\": {\"version\": \"1.3\", \"cipher\": \"NULL\"}}]}",
		HEAD EXPORT
		"\"links\": [{\"tls\": {\"version\": \"1.1\", \"cipher\": \"AES-128-GCM\"}}]}",
		HEAD EXPORT "\"links\": [{\"tls\": {\"cipher\": \"AES-128-GCM\"}}]}",
		HEAD EXPORT "\"links\": [" LINK ", {\"tls\": {}}]}",
	};

	(void)state;
	need_root();
	for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++)
		assert_refused(absent[i], -ENOENT);
	for (size_t i = 0; i < sizeof(stale) / sizeof(stale[0]); i++)
		assert_refused(stale[i], -ESTALE);
	for (size_t i = 0; i < sizeof(invalid) / sizeof(invalid[0]); i++)
		assert_refused(invalid[i], -EINVAL);
}

static void more_links_than_there_can_be_are_not_taken(void **state)
{
	static char text[65536];
	size_t len;

	(void)state;
	need_root();
	len = (size_t)snprintf(text, sizeof(text), HEAD EXPORT "\"links\": [" LINK);
	for (int i = 0; i < LINKS_MAX; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, ", " LINK);
	snprintf(text + len, sizeof(text) - len, "]}");
	assert_refused(text, -EINVAL);
}

static void what_is_nested_too_deeply_is_not_taken(void **state)
{
	static char text[200000];

	(void)state;
	need_root();
	memset(text, '[', sizeof(text) - 1);
	assert_refused(text, -ENOENT);
	for (size_t i = 0; i + 5 < sizeof(text); i += 5)
		memcpy(text + i, "{\"a\":", 5);
	assert_refused(text, -ENOENT);
}

static void a_file_that_is_too_large_is_not_taken(void **state)
{
	size_t size = 1 << 20;
	char *text = malloc(size);

	(void)state;
	need_root();
	memset(text, ' ', size);
	memcpy(text, HEAD, strlen(HEAD));
	memcpy(text + size - 30,
		"\"links\": ["
		"]}",
		12);
	write_state(text, size);
	assert_int_equal(state_load(after, device, BACKEND), -ENOENT);
	free(text);
}

#define A16 "aaaaaaaaaaaaaaaa"

/* Taken, but cut to what fits. */
static void numbers_and_texts_out_of_range_do_no_harm(void **state)
{
	static const char *const values[] = {"1e400", "-1e400", "18446744073709551616",
		"-9223372036854775809", "4294967296", "70000", "-1", "0.5", "\"12\"", "\"\"",
		"null", "true", "[]", "{}", "\"\\u0000\"", "\"\\ud800\"", "\"300.300.300.300\"",
		"\"::1%eth0\"", ("\"" A16 A16 A16 A16 A16 A16 A16 A16 A16 "\"")};
	static char text[8192];

	(void)state;
	need_root();
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		const char *v = values[i];

		memset(after, 0, sizeof(*after));
		snprintf(text, sizeof(text),
			"{\"version\": 1, \"backend\": \"" BACKEND
			"\", \"since\": %s, \"block_size\": %s, \"flags\": %s, \"export\": "
			"{\"name\": %s, \"description\": %s, "
			"\"size\": 512, \"flags\": %s, \"block_min\": %s, \"block_preferred\": %s, "
			"\"block_max\": %s}, \"links\": [{\"address\": %s, \"since\": %s, "
			"\"tls\": {\"version\": \"1.2\", \"cipher\": \"AES-128-GCM\", \"group\": "
			"%s, \"authentication\": %s, \"peer_name\": %s, \"peer_issuer\": %s, "
			"\"peer_not_after_unix_sec\": %s, \"peer_pin\": %s}, \"local\": "
			"{\"address\": \"::1\", \"port\": %s, \"scope\": %s}, "
			"\"peer\": {\"address\": %s, \"port\": 1}}]}",
			v, v, v, v, v, v, v, v, v, v, v, v, v, v, v, v, v, v, v, v);
		write_state(text, strlen(text));
		if (state_load(after, device, BACKEND)) {
			assert_nothing_came(); /* the JSON itself cannot be read */
			continue;
		}
		assert_int_equal(after->link_count, 1);
		assert_true(strnlen(after->links[0].address, sizeof(after->links[0].address)) <
			sizeof(after->links[0].address));
		assert_int_equal(after->links[0].peer.ss_family, AF_UNSPEC);
		assert_int_equal(after->links[0].local.ss_family, AF_INET6);
		assert_false(after->links[0].proven);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			the_state_of_another_attachment_is_not_taken, setup, teardown),
		cmocka_unit_test_setup_teardown(
			the_file_says_whose_device_it_is_of, setup, teardown),
		cmocka_unit_test_setup_teardown(a_symbolic_link_is_not_followed, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_file_of_somebody_else_is_not_taken, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_state_that_is_cut_anywhere_is_not_taken, setup, teardown),
		cmocka_unit_test_setup_teardown(nonsense_is_not_taken, setup, teardown),
		cmocka_unit_test_setup_teardown(
			more_links_than_there_can_be_are_not_taken, setup, teardown),
		cmocka_unit_test_setup_teardown(
			what_is_nested_too_deeply_is_not_taken, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_file_that_is_too_large_is_not_taken, setup, teardown),
		cmocka_unit_test_setup_teardown(
			numbers_and_texts_out_of_range_do_no_harm, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
