/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "kernel/kmsg.h"

#define DICT "\n SUBSYSTEM=block\n DEVICE=b43:32\n"

static void only_the_kernels_own_lines_of_this_device_count(void **state)
{
	static const struct {
		const char *record;
		enum kmsg_event event;
		int error;
	} table[] = {
		{"3,1041,7712003,-;block nbd1: Other side returned error (108)" DICT,
			KMSG_ERROR_REPLY, 108},
		{"3,1041,7712003,-;block nbd1: Other side returned error (5)\n", KMSG_ERROR_REPLY,
			5},
		{"3,1041,7712003,-,caller=T97;block nbd1: Other side returned error (5)" DICT,
			KMSG_ERROR_REPLY, 5},
		{"3,1041,7712003,-;block nbd1: Other side returned error (-1)\n", KMSG_ERROR_REPLY,
			-1},
		{"6,348,9037515,-;block nbd1: Possible stuck request 00000000e5afda91: control "
		 "(read@1384448,4096B). Runtime 2 seconds" DICT,
			KMSG_STUCK, 0},
		{"6,348,9037515,-;block nbd12: Possible stuck request 00000000e5afda91: control "
		 "(read@0,512B). Runtime 2 seconds" DICT,
			KMSG_OTHER, 0},
		{"3,1,1,-;block nbd1: Receive control failed (result -32)" DICT,
			KMSG_RECEIVER_ENDED, 0},
		{"3,1,1,-;block nbd1: Receive data failed (result -104)" DICT, KMSG_RECEIVER_ENDED,
			0},
		{"3,1,1,-;block nbd2: Receive data failed (result -104)" DICT, KMSG_OTHER, 0},
		{"3,1,1,-;block nbd1: Wrong magic (0x12345678)" DICT, KMSG_RECEIVER_ENDED, 0},
		{"3,1,1,-;block nbd1: Unexpected reply (7) 00000000e5afda91" DICT,
			KMSG_RECEIVER_ENDED, 0},
		{"3,1,1,-;block nbd1: Unexpected reply 7 from different sock 1 (expected 0)" DICT,
			KMSG_RECEIVER_ENDED, 0},
		{"3,1,1,-;block nbd1: Suspicious reply 7 (status 0 flags 0)" DICT,
			KMSG_RECEIVER_ENDED, 0},
		{"3,1,1,-;block nbd1: Double reply on req 00000000e5afda91, cmd_cookie 3, handle "
		 "cookie 2" DICT,
			KMSG_RECEIVER_ENDED, 0},
		{"3,1,1,-;block nbd1: Command already handled 00000000e5afda91" DICT,
			KMSG_RECEIVER_ENDED, 0},
		{"3,1,1,-;block nbd1: Raced with timeout on req 00000000e5afda91" DICT,
			KMSG_RECEIVER_ENDED, 0},
		{"3,1,1,-;block nbd1: recv_work: no io inflight" DICT, KMSG_RECEIVER_ENDED, 0},
		{"4,1,1,-;block nbd1: shutting down sockets" DICT, KMSG_SHUT_DOWN, 0},
		{"4,1,1,-;block nbd11: shutting down sockets" DICT, KMSG_OTHER, 0},
		{"6,1,1,-;block nbd1: NBD_DISCONNECT" DICT, KMSG_DISCONNECT, 0},
		{"6,1,1,-;nbd1: detected capacity change from 0 to 131072\n", KMSG_CONFIGURED, 0},
		{"6,1,1,-;nbd11: detected capacity change from 0 to 131072\n", KMSG_OTHER, 0},
		{"6,1,1,-;nbd1: detected capacity change from 131072 to 262144\n", KMSG_OTHER, 0},
		{"3,1042,7712003,-;block nbd1: Connection timed out" DICT, KMSG_OTHER, 0},
		{"3,1042,7712003,-;block nbd1: Connection timed out, retrying (1/2 alive)" DICT,
			KMSG_OTHER, 0},
		/* another device */
		{"3,1,1,-;block nbd12: Other side returned error (108)\n", KMSG_OTHER, 0},
		{"3,1,1,-;block nbd0: Other side returned error (108)\n", KMSG_OTHER, 0},
		{"3,1,1,-;block nbd: Other side returned error (108)\n", KMSG_OTHER, 0},
		{"3,1,1,-;block nbd1p1: Other side returned error (108)\n", KMSG_OTHER, 0},
		{"3,1,1,-;block nbd4294967297: Other side returned error (108)\n", KMSG_OTHER, 0},
		{"3,1,1,-;block nbd99999999999999999999: Other side returned error (108)\n",
			KMSG_OTHER, 0},
		{"3,1,1,-;block nbd 1: Other side returned error (108)\n", KMSG_OTHER, 0},
		/* something else, or somebody else */
		{"3,1,1,-;block nbd1: Send control failed (result -32)" DICT, KMSG_OTHER, 0},
		{"3,1,1,-;block nbd1: Possible stuck request 0: control (read@0,4096B). Runtime 30 "
		 "seconds\n",
			KMSG_STUCK, 0},
		{"4,1,1,-;nbd_handle_reply: 14 callbacks suppressed\n", KMSG_OTHER, 0},
		{"12,1,1,-;block nbd1: Other side returned error (108)\n", KMSG_OTHER, 0},
		{"11,1,1,-;block nbd1: Connection timed out\n", KMSG_OTHER, 0},
		{"-3,1,1,-;block nbd1: Connection timed out\n", KMSG_OTHER, 0},
		{"4294967299,1,1,-;block nbd1: Connection timed out\n", KMSG_OTHER, 0},
		{"3,1,1,-;hello; block nbd1: Other side returned error (108)\n", KMSG_OTHER, 0},
		{"3,1,1,-;hello\n;block nbd1: Other side returned error (108)\n", KMSG_OTHER, 0},
		{"3,1,1,-;EXT4-fs (nbd1): Other side returned error (108)\n", KMSG_OTHER, 0},
		{"3,1,1,-;x\n block nbd1: Other side returned error (108)\n", KMSG_OTHER, 0},
		/* cut or garbled */
		{"3,1,1,-;block nbd1: Other side returned error (\n", KMSG_OTHER, 0},
		{"3,1,1,-;block nbd1: Other side returned error (108\n", KMSG_OTHER, 0},
		{"3,1,1,-;block nbd1: Other side returned error ( 5)\n", KMSG_OTHER, 0},
		{"3,1,1,-;block nbd1: Other side returned error ()\n", KMSG_OTHER, 0},
		{"3,1,1,-;block nbd1: Other side returned error (99999999999)\n", KMSG_OTHER, 0},
		{"3,1,1,-;block nbd1:", KMSG_OTHER, 0},
		{"3,1,1,-;block nbd", KMSG_OTHER, 0},
		{"3,1,1,-;", KMSG_OTHER, 0},
		{"3,1,1,-", KMSG_OTHER, 0},
		{"3,", KMSG_OTHER, 0},
		{"3", KMSG_OTHER, 0},
		{";block nbd1: Connection timed out\n", KMSG_OTHER, 0},
		{"block nbd1: Connection timed out\n", KMSG_OTHER, 0},
		{"", KMSG_OTHER, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		int error = 0;

		if (kmsg_parse(table[i].record, 1, &error) != table[i].event ||
			error != table[i].error)
			fail_msg("'%s': error %d", table[i].record, error);
	}
}

static void random_bytes_are_survived(void **state)
{
	static const char alphabet[] = "3,;-block nbd1: Other side returned error (108)\n\x80\xff";
	char record[96];
	int error;

	(void)state;
	srand(1);
	for (int round = 0; round < 200000; round++) {
		size_t len = (size_t)rand() % sizeof(record),
		       good = len < 12 ? len : (size_t)rand() % 12;

		memcpy(record, "3,1,1,-;block nbd1: Other", good);
		for (size_t i = good; i < len; i++)
			record[i] = alphabet[(size_t)rand() % sizeof(alphabet)];
		record[len] = 0;
		/* On the heap in its exact size, so that a sanitizer sees a read behind the end. */
		char *exact = strdup(record);
		kmsg_parse(exact, 1, &error);
		free(exact);
	}
}

static void reading_drains_the_log_without_waiting(void **state)
{
	static const char *const records[] = {
		"3,1,1,-;block nbd1: Other side returned error (5)" DICT,
		"3,2,1,-;block nbd1: Connection timed out" DICT,
		"3,3,1,-;block nbd12: Other side returned error (28)" DICT,
		"3,4,1,-;block nbd1: Other side returned error (108)" DICT,
		"6,5,1,-;eth0: link up\n",
	};
	struct kernel_log log = {.index = 1};
	int pair[2];

	(void)state;
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
	log.fd = pair[0];
	kmsg_read(&log);
	assert_int_equal(log.error_replies, 0);
	for (size_t i = 0; i < sizeof(records) / sizeof(*records); i++)
		assert_true(send(pair[1], records[i], strlen(records[i]), 0) > 0);
	kmsg_read(&log);
	assert_int_equal(log.error_replies, 2);
	assert_int_equal(log.last_error, 108);
	kmsg_close(&log);
	assert_int_equal(log.fd, -1);
	kmsg_read(&log);
	close(pair[1]);
}

static void say(int fd, const char *record)
{
	assert_true(send(fd, record, strlen(record), 0) > 0);
}

/* "shutting down sockets" belongs to a disconnect, too, and to former lives of the device. */
static void io_that_the_driver_fails_by_itself_is_told_from_a_disconnect(void **state)
{
	static const char configured[] =
		"6,1,1,-;nbd1: detected capacity change from 0 to 131072\n";
	static const char shut_down[] = "4,2,1,-;block nbd1: shutting down sockets" DICT,
			  disconnect[] = "6,3,1,-;block nbd1: NBD_DISCONNECT" DICT;
	struct kernel_log log = {.index = 1};
	int pair[2];

	(void)state;
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
	log.fd = pair[0];
	say(pair[1], configured);
	say(pair[1], disconnect);
	say(pair[1], shut_down);
	kmsg_read(&log);
	assert_true(log.disconnect);
	assert_false(log.io_failed);
	say(pair[1], configured);
	say(pair[1], shut_down);
	assert_true(kmsg_read(&log));
	assert_true(log.io_failed);
	say(pair[1], disconnect);
	kmsg_read(&log);
	assert_false(log.io_failed);
	say(pair[1], configured);
	kmsg_read(&log);
	assert_false(log.io_failed || log.disconnect);
	kmsg_close(&log);
	close(pair[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_the_kernels_own_lines_of_this_device_count),
		cmocka_unit_test(random_bytes_are_survived),
		cmocka_unit_test(reading_drains_the_log_without_waiting),
		cmocka_unit_test(io_that_the_driver_fails_by_itself_is_told_from_a_disconnect),
	};

	return cmocka_run_group_tests_name("kernel-log", tests, NULL, NULL);
}
