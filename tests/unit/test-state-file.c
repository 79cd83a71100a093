/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a supervisor leaves for its successor: it must come back as it was, tell no secret, and
 * whatever else stands there must not be believed. The folder is the real one, in /run: the device
 * numbers are such as no kernel has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/run-files.h"
#include "supervisor/state-file.h"

#define BACKEND "00112233445566778899aabbccddeeff"

static int device;
static char path[64], new_path[64];
static struct attachment *before, *after;

static int setup(void **state)
{
	(void)state;
	device = 200000000 + (int)getpid();
	snprintf(path, sizeof(path), RUN_DIRECTORY "/nbd%d.state", device);
	snprintf(new_path, sizeof(new_path), RUN_DIRECTORY "/nbd%d.state.new", device);
	before = calloc(1, sizeof(*before));
	after = calloc(1, sizeof(*after));
	if (before && after)
		before->outage_since_ms = after->outage_since_ms = -1;
	mkdir(RUN_DIRECTORY, 0755);
	return before && after ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	unlink(path);
	unlink(new_path);
	free(before);
	free(after);
	return 0;
}

static void need_root(void)
{
	if (geteuid() != 0)
		skip(); /* only root may write to /run */
}

/* --- what comes back */

static void put_address(
	struct sockaddr_storage *address, const char *text, uint16_t port, uint32_t scope)
{
	struct sockaddr_in *in = (struct sockaddr_in *)address;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)address;

	if (inet_pton(AF_INET, text, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		return;
	}
	assert_int_equal(inet_pton(AF_INET6, text, &in6->sin6_addr), 1);
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(port);
	in6->sin6_scope_id = scope;
}

static void fill(struct attachment *attachment, size_t link_count)
{
	attachment->index = device;
	strcpy(attachment->backend, BACKEND);
	attachment->since_ms = 1;
	attachment->export_known = true;
	strcpy(attachment->names.name, "disk \"one\" \xc3\xa9\\/\n");
	strcpy(attachment->names.description, "a description");
	attachment->export.has_size = true;
	attachment->export.size_bytes = INT64_MAX - 511;
	attachment->export.flags = 0xffff;
	attachment->export.has_block_size = true;
	attachment->export.block_min_bytes = 1;
	attachment->export.block_preferred_bytes = 4096;
	attachment->export.block_max_bytes = UINT32_MAX;
	attachment->block_size_bytes = 65536;
	attachment->io_known = true;
	attachment->io_before = (struct block_io){.reads = {1, 512, 3},
		.writes = {4, 1ULL << 50, 6},
		.discards = {7, 8, 9},
		.flushes = {10, 0, 12},
		.busy_ms = 13};
	attachment->flags = 0x8103;
	attachment->failed = true;
	attachment->link_count = link_count;
	for (size_t i = 0; i < link_count; i++) {
		struct link *link = &attachment->links[i];

		link->fd = -1;
		link->since_ms = 2 + (int64_t)i;
		snprintf(link->address, sizeof(link->address), "192.0.2.7:%zu", 10809 + i);
		put_address(&link->local, "192.0.2.1", (uint16_t)(40000 + i), 0);
		put_address(&link->peer, "192.0.2.7", (uint16_t)(10809 + i), 0);
		link->carries = i % 2;
		link->base = (struct link_base){1ULL << 40, 2, 3 + i, 4, 5};
	}
}

static void fill_tls(struct link *link)
{
	link->tls = (struct tls_info){.version = TLS_VERSION_1_3,
		.kernel_cipher = TLS_CIPHER_AES_GCM_256,
		.peer_not_after = 4102444800};
	strcpy(link->tls.cipher, "AES-256-GCM");
	strcpy(link->tls.group, "X25519");
	strcpy(link->tls.authentication, "X.509");
	strcpy(link->tls.peer_name, "CN=storage.example.com,O=\"A, B\"");
	strcpy(link->tls.peer_issuer, "CN=An Authority");
	strcpy(link->tls.peer_pin, "sha256:0123456789abcdef");
}

static void assert_links_are_as_before(void)
{
	assert_int_equal(after->link_count, before->link_count);
	assert_int_equal(after->failed, before->failed);
	for (size_t i = 0; i < before->link_count; i++) {
		const struct link *was = &before->links[i], *is = &after->links[i];

		assert_int_equal(is->fd, -1);
		assert_int_equal(is->since_ms, was->since_ms);
		assert_string_equal(is->address, was->address);
		assert_memory_equal(&is->local, &was->local, sizeof(is->local));
		assert_memory_equal(&is->peer, &was->peer, sizeof(is->peer));
		assert_memory_equal(&is->tls, &was->tls, sizeof(is->tls));
		assert_int_equal(is->carries, was->carries);
		/* a successor has to know that something was sent before it came */
		if (!was->carries)
			assert_memory_equal(&is->base, &was->base, sizeof(is->base));
		/* what it saw itself, the successor must see itself */
		assert_int_equal(is->proven, was->tls.version == 0);
	}
}

static void save_and_load(void)
{
	state_save(before, NULL);
	assert_int_equal(access(new_path, F_OK), -1);
	assert_int_equal(state_load(after, device, BACKEND), 0);
	assert_links_are_as_before();
}

static void what_was_known_of_the_device_comes_back(void **state)
{
	(void)state;
	need_root();
	fill(before, 1);
	save_and_load();
	assert_int_equal(after->since_ms, before->since_ms);
	assert_int_equal(after->io_known, before->io_known);
	assert_memory_equal(&after->io_before, &before->io_before, sizeof(before->io_before));
	assert_int_equal(after->block_size_bytes, before->block_size_bytes);
	assert_int_equal(after->flags, before->flags);
	assert_true(after->export_known);
	assert_memory_equal(&after->export, &before->export, sizeof(after->export));
	assert_string_equal(after->names.name, before->names.name);
	assert_string_equal(after->names.description, before->names.description);
}

static void a_tls_link_comes_back_as_one_that_is_not_proven(void **state)
{
	(void)state;
	need_root();
	fill(before, 1);
	fill_tls(&before->links[0]);
	before->links[0].proven = true;
	save_and_load();
}

static void tls_1_2_and_a_pre_shared_key_come_back(void **state)
{
	(void)state;
	need_root();
	fill(before, 1);
	before->links[0].tls = (struct tls_info){
		.version = TLS_VERSION_1_2, .kernel_cipher = TLS_CIPHER_CHACHA20_POLY1305};
	strcpy(before->links[0].tls.cipher, "CHACHA20-POLY1305");
	strcpy(before->links[0].tls.authentication, "PSK");
	save_and_load();
}

static void links_over_ipv6_come_back(void **state)
{
	(void)state;
	need_root();
	fill(before, 2);
	memset(&before->links[0].local, 0, sizeof(before->links[0].local));
	memset(&before->links[0].peer, 0, sizeof(before->links[0].peer));
	put_address(&before->links[0].local, "fe80::1", 50000, 7);
	put_address(&before->links[0].peer, "fe80::ffff:2", 65535, 7);
	fill_tls(&before->links[0]);
	save_and_load();
}

static void a_unix_socket_comes_back(void **state)
{
	(void)state;
	need_root();
	fill(before, 1);
	memset(&before->links[0].local, 0, sizeof(before->links[0].local));
	memset(&before->links[0].peer, 0, sizeof(before->links[0].peer));
	strcpy(before->links[0].address, "unix:/run/nbd.sock");
	save_and_load();
}

static void as_many_links_as_there_can_be_come_back(void **state)
{
	(void)state;
	need_root();
	fill(before, LINKS_MAX);
	for (size_t i = 0; i < LINKS_MAX; i += 2) {
		fill_tls(&before->links[i]);
		/* as long as it gets in JSON */
		memset(before->links[i].tls.peer_name, '"',
			sizeof(before->links[i].tls.peer_name) - 1);
	}
	save_and_load();
}

static void an_export_that_was_not_known_is_not_known_afterwards(void **state)
{
	(void)state;
	need_root();
	fill(before, 1);
	before->export_known = false;
	save_and_load();
	assert_false(after->export_known);
}

static void a_new_state_replaces_the_old_one(void **state)
{
	(void)state;
	need_root();
	fill(before, 3);
	state_save(before, NULL);
	before->link_count = 1;
	strcpy(before->links[0].address, "192.0.2.8:10809");
	save_and_load();
	run_file_remove(device, "state");
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(state_load(after, device, BACKEND), -ENOENT);
}

/* --- what it does not tell */

static void the_state_is_for_root_only(void **state)
{
	struct attachment *attachment = before;
	char text[65536];
	struct stat st;
	FILE *file;
	size_t n;

	(void)state;
	need_root();
	fill(attachment, 1);
	fill_tls(&attachment->links[0]);
	state_save(attachment, NULL);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0077, 0);
	assert_int_equal(st.st_uid, 0);
	file = fopen(path, "re");
	n = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[n] = 0;
	assert_non_null(strstr(text, "storage.example.com"));
}

/* --- what is not believed */

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

static void an_outage_is_as_old_as_it_was(void **state)
{
	(void)state;
	need_root();
	fill(before, 1);
	before->outage_since_ms = monotonic_now_ms() - 5000;
	state_save(before, NULL);
	assert_int_equal(state_load(after, device, BACKEND), 0);
	assert_in_range(after->outage_since_ms, before->outage_since_ms - 100,
		before->outage_since_ms + 100);
	before->outage_since_ms = after->outage_since_ms = -1;
	state_save(before, NULL);
	assert_int_equal(state_load(after, device, BACKEND), 0);
	assert_int_equal(after->outage_since_ms, -1);
}

/* Where there is no room to write, the file stays as it is, and says it all the same. */
static void an_outage_and_a_failure_are_noted_where_nothing_can_be_written(void **state)
{
	(void)state;
	need_root();
	fill(before, 1);
	before->failed = false;
	state_save(before, NULL);
	assert_int_equal(state_load(after, device, BACKEND), 0);
	assert_false(after->failed);
	assert_int_equal(mkdir(new_path, 0700), 0); /* nothing can be written there */
	before->failed = true;
	before->outage_since_ms = monotonic_now_ms() - 7000;
	state_save(before, NULL);
	assert_int_equal(state_load(after, device, BACKEND), 0);
	assert_true(after->failed);
	assert_in_range(after->outage_since_ms, before->outage_since_ms - 100,
		before->outage_since_ms + 100);
	before->outage_since_ms = after->outage_since_ms = -1;
	state_save(before, NULL);
	assert_int_equal(state_load(after, device, BACKEND), 0);
	assert_int_equal(after->outage_since_ms, -1);
	assert_int_equal(rmdir(new_path), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			what_was_known_of_the_device_comes_back, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_tls_link_comes_back_as_one_that_is_not_proven, setup, teardown),
		cmocka_unit_test_setup_teardown(
			tls_1_2_and_a_pre_shared_key_come_back, setup, teardown),
		cmocka_unit_test_setup_teardown(links_over_ipv6_come_back, setup, teardown),
		cmocka_unit_test_setup_teardown(a_unix_socket_comes_back, setup, teardown),
		cmocka_unit_test_setup_teardown(
			as_many_links_as_there_can_be_come_back, setup, teardown),
		cmocka_unit_test_setup_teardown(
			an_export_that_was_not_known_is_not_known_afterwards, setup, teardown),
		cmocka_unit_test_setup_teardown(a_new_state_replaces_the_old_one, setup, teardown),
		cmocka_unit_test_setup_teardown(the_state_is_for_root_only, setup, teardown),
		cmocka_unit_test_setup_teardown(
			the_state_of_another_attachment_is_not_taken, setup, teardown),
		cmocka_unit_test_setup_teardown(an_outage_is_as_old_as_it_was, setup, teardown),
		cmocka_unit_test_setup_teardown(
			an_outage_and_a_failure_are_noted_where_nothing_can_be_written, setup,
			teardown),
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
