/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a supervisor leaves for its successor: it must come back as it was, and be told to nobody
 * else. test-state-file-refused.c has what is not believed of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include "base/clock.h"
#include "saved-state.h"

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

/* --- an outage */

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
		cmocka_unit_test_setup_teardown(an_outage_is_as_old_as_it_was, setup, teardown),
		cmocka_unit_test_setup_teardown(
			an_outage_and_a_failure_are_noted_where_nothing_can_be_written, setup,
			teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
