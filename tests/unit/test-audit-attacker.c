/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The attacker's side of a connection, against bytes that a server may send. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "audit/attacker.h"
#include "audit/request.h"
#include "audit/segment.h"
#include "base/clock.h"
#include "base/wire.h"
#include "child/sandbox.h"
#include "tls/library.h"
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define ANSWER_MS 200
#define TIME_LIMIT_MS 60000 /* of a child that has 5 s */

static struct attacker attacker;
static int server_fd;

static int setup(void **state)
{
	static const struct endpoint endpoint;
	int pair[2];

	(void)state;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) < 0)
		return -1;
	attacker = (struct attacker){.endpoint = &endpoint,
		.tls_host = "",
		.deadline_ms = monotonic_now_ms() + 5000,
		.answer_ms = ANSWER_MS,
		.fd = pair[0],
		.handshake_flags = 3,
		.phase = ATTACKER_HAGGLING};
	transport_init_plain(&attacker.transport, pair[0], attacker.deadline_ms);
	server_fd = pair[1];
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	attacker_close(&attacker);
	close(server_fd);
	return 0;
}

static void send_bytes(const void *bytes, size_t size)
{
	assert_int_equal(send(server_fd, bytes, size, MSG_NOSIGNAL), size);
}

static void send_reply(uint32_t option, uint32_t type, const void *data, uint32_t size)
{
	uint8_t header[20];

	wire_put_u64(header, NBD_OPTION_REPLY_MAGIC);
	wire_put_u32(header + 8, option);
	wire_put_u32(header + 12, type);
	wire_put_u32(header + 16, size);
	send_bytes(header, sizeof(header));
	if (data)
		send_bytes(data, size);
}

static void options_are_encoded(void **state)
{
	static const uint8_t wanted[] = "IHAVEOPT\0\0\0\3\0\0\0\0IHAVEOPT\0\0\0\5\0\0\0\1x"
					"IHAVEOPT\0\0\0\6\xff\xff\xff\xff";
	struct segment segment = {.size = 0};
	uint8_t data[64];

	(void)state;
	segment_add_option(&segment, NBD_OPT_LIST, NULL, 0);
	segment_add_option(&segment, NBD_OPT_STARTTLS, "x", 1);
	segment_add_header(&segment, NBD_OPT_INFO, UINT32_MAX);
	assert_int_equal(segment.size, sizeof(wanted) - 1);
	assert_memory_equal(segment.bytes, wanted, segment.size);
	assert_int_equal(segment_go_data(data, "ab", 2, 7), 10);
	assert_memory_equal(data, "\0\0\0\7ab\0\1\0\3", 10);
	assert_int_equal(segment_meta_data(data, "ab", 9), 29);
	assert_memory_equal(data,
		"\0\0\0\2ab\0\0\0\x9\0\0\0\xf"
		"base:allocation",
		29);
}

static void a_full_segment_takes_no_more(void **state)
{
	static uint8_t bytes[20000];
	struct segment segment = {.size = 0};

	(void)state;
	segment_add(&segment, bytes, sizeof(bytes));
	assert_int_equal(segment.size, sizeof(segment.bytes));
	segment_add(&segment, bytes, 1);
	assert_int_equal(segment.size, sizeof(segment.bytes));
}

static void answers_are_told_apart(void **state)
{
	(void)state;
	send_reply(NBD_OPT_STARTTLS, NBD_REP_ACK, NULL, 0);
	assert_int_equal(attacker_starttls(&attacker), 0);
	assert_int_equal(attacker.answer.kind, ANSWER_ACK);
	send_reply(NBD_OPT_LIST, NBD_REP_ERR_POLICY, "not \x1b[2Jyou", 11);
	attacker_ask(&attacker, NBD_OPT_LIST, NULL, 0);
	assert_int_equal(attacker.answer.kind, ANSWER_ERROR);
	assert_string_equal(attacker.answer.text, "it refused (ERR_POLICY: \"not ?[2Jyou\")");
	send_reply(NBD_OPT_LIST, 0x80001234, NULL, 0);
	attacker_ask(&attacker, NBD_OPT_LIST, NULL, 0);
	assert_string_equal(attacker.answer.text, "it refused with the unknown error 0x80001234");
	send_reply(OPTION_UNKNOWN, NBD_REP_ERR_UNSUP, NULL, 0);
	assert_true(attacker_is_in_step(&attacker));
	assert_int_equal(attacker.phase, ATTACKER_HAGGLING);
}

static void silence_and_hanging_up_are_told_apart(void **state)
{
	(void)state;
	assert_int_equal(attacker_starttls(&attacker), -ETIMEDOUT);
	assert_int_equal(attacker.answer.kind, ANSWER_SILENT);
	assert_int_equal(attacker.phase, ATTACKER_LOST);
	assert_int_equal(attacker.slowest_ms, 0);
	teardown(NULL);
	assert_int_equal(setup(NULL), 0);
	shutdown(server_fd, SHUT_RDWR);
	assert_int_equal(attacker_starttls(&attacker), -EPROTO);
	assert_int_equal(attacker.answer.kind, ANSWER_CLOSED);
	assert_false(attacker_is_in_step(&attacker));
}

static void infos_and_names_are_taken(void **state)
{
	static const uint8_t size[] = {0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 3},
			     blocks[] = {0, 3, 0, 0, 16, 0, 0, 0, 16, 0, 2, 0, 0, 0},
			     short_size[] = {0, 0, 9, 9}, empty[1];

	(void)state;
	send_reply(NBD_OPT_GO, NBD_REP_INFO, short_size, sizeof(short_size));
	send_reply(NBD_OPT_GO, NBD_REP_INFO, empty, 1);
	send_reply(NBD_OPT_GO, NBD_REP_INFO, size, sizeof(size));
	send_reply(NBD_OPT_GO, NBD_REP_INFO, blocks, sizeof(blocks));
	send_reply(NBD_OPT_GO, NBD_REP_ACK, NULL, 0);
	attacker_ask_go(&attacker, NBD_OPT_GO, "disk");
	assert_true(attacker.answer.has_size);
	assert_int_equal(attacker.answer.size_bytes, 1 << 16);
	assert_int_equal(attacker.answer.block_min_bytes, 4096);
	assert_int_equal(attacker.phase, ATTACKER_TRANSMITTING);
	attacker.phase = ATTACKER_HAGGLING;
	send_reply(NBD_OPT_LIST, NBD_REP_SERVER, "\0\0\1\0x", 5); /* longer than it is */
	send_reply(NBD_OPT_LIST, NBD_REP_SERVER, "\0\0\0\2a\0", 6);
	send_reply(NBD_OPT_LIST, NBD_REP_SERVER, "\0\0\0\2abtext", 10);
	send_reply(NBD_OPT_LIST, NBD_REP_SERVER, "\0\0\0\2cd", 6);
	send_reply(NBD_OPT_LIST, NBD_REP_ACK, NULL, 0);
	attacker_ask(&attacker, NBD_OPT_LIST, NULL, 0);
	assert_int_equal(attacker.answer.kind, ANSWER_ACK);
	assert_true(attacker.answer.has_name);
	assert_string_equal(attacker.answer.name, "ab");
}

static void broken_replies_end_it(void **state)
{
	static const uint8_t noise[20] = "\0\3\xe8\x89\4\x55\x65\xaa";

	(void)state;
	send_bytes(noise, sizeof(noise));
	attacker_ask(&attacker, NBD_OPT_LIST, NULL, 0);
	assert_int_equal(attacker.answer.kind, ANSWER_BROKEN);
	attacker.phase = ATTACKER_HAGGLING;
	send_reply(NBD_OPT_LIST, NBD_REP_ACK, NULL, UINT32_MAX);
	attacker_ask(&attacker, NBD_OPT_LIST, NULL, 0);
	assert_int_equal(attacker.answer.kind, ANSWER_BROKEN);
	attacker.phase = ATTACKER_HAGGLING;
	send_reply(NBD_OPT_INFO, NBD_REP_ACK, NULL, 0);
	attacker_ask(&attacker, NBD_OPT_LIST, NULL, 0);
	assert_int_equal(attacker.answer.kind, ANSWER_BROKEN);
	assert_string_equal(attacker.answer.text, "it was asked option 3 and answered option 6");
}

static void replies_without_an_end_end(void **state)
{
	static uint8_t replies[ATTACKER_REPLIES_MAX][20];

	(void)state;
	for (size_t i = 0; i < ATTACKER_REPLIES_MAX; i++) {
		wire_put_u64(replies[i], NBD_OPTION_REPLY_MAGIC);
		wire_put_u32(replies[i] + 8, NBD_OPT_LIST);
		wire_put_u32(replies[i] + 12, NBD_REP_INFO);
	}
	send_bytes(replies, sizeof(replies));
	attacker_ask(&attacker, NBD_OPT_LIST, NULL, 0);
	assert_int_equal(attacker.answer.kind, ANSWER_BROKEN);
	assert_string_equal(attacker.answer.text, "it sent 4096 replies and no end");
}

static void an_honest_client_is_let_in_or_told_why_not(void **state)
{
	static const struct audit_facts facts = {.export_name = "disk"};

	(void)state;
	send_reply(NBD_OPT_GO, NBD_REP_ACK, NULL, 0);
	assert_int_equal(attacker_begin(&attacker, &facts), 0);
	assert_int_equal(attacker_enter(&attacker, &facts), 0);
	assert_int_equal(attacker.phase, ATTACKER_TRANSMITTING);
	attacker.phase = ATTACKER_HAGGLING;
	send_reply(NBD_OPT_GO, NBD_REP_ERR_UNKNOWN, NULL, 0);
	assert_int_equal(attacker_enter(&attacker, &facts), -EPROTO);
	assert_string_equal(attacker.err.text, "asked for the export: it refused (ERR_UNKNOWN)");
}

static void what_is_no_handshake_ends_it(void **state)
{
	static const struct audit_facts facts = {.has_tls = true};

	(void)state;
	send_reply(NBD_OPT_STARTTLS, NBD_REP_ACK, NULL, 0);
	send_bytes("HTTP/1.1 400 Bad Request\r\n\r\n", 28);
	assert_true(attacker_begin(&attacker, &facts) < 0);
	assert_int_equal(attacker.phase, ATTACKER_LOST);
	assert_null(attacker.tls);
}

/* Without privileges, which do not come back. */
static pid_t start_connecting(const struct endpoint *endpoint)
{
	pid_t pid;

	assert_int_equal(sandbox_prepare(endpoint, NULL, &attacker.err), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		attacker = (struct attacker){.endpoint = endpoint,
			.deadline_ms = monotonic_now_ms() + 5000,
			.answer_ms = ANSWER_MS,
			.fd = -1};
		_exit(attacker_connect(&attacker) == 0 && attacker.handshake_flags == 3 ? 0 : 1);
	}
	return pid;
}

/* The connection that process PID makes, or -1 when it has ended without one. */
static int accept_from(pid_t pid, int listener)
{
	struct pollfd fds[] = {{.fd = listener, .events = POLLIN},
		{.fd = (int)syscall(SYS_pidfd_open, pid, 0U), .events = POLLIN}};

	assert_true(fds[1].fd >= 0);
	assert_true(poll(fds, 2, TIME_LIMIT_MS) > 0);
	close(fds[1].fd);
	return fds[0].revents ? accept(listener, NULL, NULL) : -1;
}

static int listen_at(struct endpoint *endpoint)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t size = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
	assert_int_equal(endpoint_parse(endpoint, "127.0.0.1", NULL, &attacker.err), 0);
	assert_int_equal(endpoint_set_port(endpoint, ntohs(address.sin_port), &attacker.err), 0);
	return listener;
}

static void it_connects_and_is_greeted(void **state)
{
	static struct endpoint endpoint;
	int listener = listen_at(&endpoint), fd, status;
	pid_t pid = start_connecting(&endpoint);

	(void)state;
	fd = accept_from(pid, listener);
	if (fd >= 0)
		assert_int_equal(send(fd, "NBDMAGICIHAVEOPT\0\3", 18, MSG_NOSIGNAL), 18);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(fd);
	close(listener);
}

/* The test above ends then, too: it does not wait for a connection that nobody makes. */
static void one_that_cannot_connect_keeps_nobody_waiting(void **state)
{
	static struct endpoint endpoint;
	int listener = listen_at(&endpoint), other = listen_at(&endpoint), status;
	pid_t pid;

	(void)state;
	close(other); /* nobody listens there any more */
	pid = start_connecting(&endpoint);
	assert_int_equal(accept_from(pid, listener), -1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	close(listener);
}

/* What answers REQUEST: MAGIC, then REST. */
static void request_is(
	enum request_kind kind, uint32_t magic, const void *rest, size_t size, bool right_cookie)
{
	uint8_t request[REQUEST_BYTES], bytes[4];
	struct request_result result;

	assert_int_equal(request_encode(request, NBD_COMMAND_READ, 0, 512), 0);
	wire_put_u32(bytes, magic);
	send_bytes(bytes, 4);
	if (magic == NBD_SIMPLE_REPLY_MAGIC) {
		send_bytes(rest, 4);
		send_bytes(right_cookie ? request + 8 : (const uint8_t *)"nonsense", 8);
		send_bytes((const uint8_t *)rest + 4, size - 4);
	} else {
		send_bytes(rest, size);
	}
	request_receive(&attacker, request, &result);
	assert_int_equal(result.kind, kind);
}

static void results_are_told_apart(void **state)
{
	static uint8_t good[4 + 512], error[4] = {0, 0, 0, 5}, chunk[16] = {0, 1, 0, 5};

	(void)state;
	request_is(READ_DATA, NBD_SIMPLE_REPLY_MAGIC, good, sizeof(good), true);
	request_is(READ_ERROR, NBD_SIMPLE_REPLY_MAGIC, error, sizeof(error), true);
	request_is(READ_BROKEN, NBD_SIMPLE_REPLY_MAGIC, error, sizeof(error), false);
	request_is(READ_STRUCTURED, NBD_STRUCTURED_REPLY_MAGIC, chunk, sizeof(chunk), true);
	request_is(READ_EXTENDED, NBD_EXTENDED_REPLY_MAGIC, chunk, 0, true);
	request_is(READ_BROKEN, 0x12345678, chunk, 0, true);
	/* a byte short */
	request_is(READ_SILENT, NBD_SIMPLE_REPLY_MAGIC, good, sizeof(good) - 1, true);
	shutdown(server_fd, SHUT_WR);
	request_encode(good, NBD_COMMAND_READ, 0, 512);
	request_receive(&attacker, good, &(struct request_result){0});
	assert_int_equal(attacker.phase, ATTACKER_LOST);
}

static void more_than_is_read_at_once_is_left(void **state)
{
	uint8_t request[REQUEST_BYTES], reply[16] = {0};
	struct request_result result;

	(void)state;
	request_encode(request, NBD_COMMAND_READ, 0, UINT32_MAX);
	wire_put_u32(reply, NBD_SIMPLE_REPLY_MAGIC);
	memcpy(reply + 8, request + 8, 8);
	send_bytes(reply, sizeof(reply));
	request_receive(&attacker, request, &result);
	assert_int_equal(result.kind, READ_DATA);
	assert_int_equal(attacker.phase, ATTACKER_LOST);
}

static void what_is_there_can_be_looked_at(void **state)
{
	char byte;

	(void)state;
	assert_int_equal(attacker_peek(&attacker, &byte, 1, 20), -ETIMEDOUT);
	send_bytes("x", 1);
	assert_int_equal(attacker_peek(&attacker, &byte, 1, 20), 1);
	assert_int_equal(byte, 'x');
	assert_int_equal(attacker_peek(&attacker, &byte, 1, 20), 1);
	assert_int_equal(recv(attacker.fd, &byte, 1, 0), 1);
	shutdown(server_fd, SHUT_WR);
	assert_int_equal(attacker_peek(&attacker, &byte, 1, 20), 0);
}

/* Noise, often with something right at its beginning. */
static size_t make_noise(uint8_t *noise, size_t max)
{
	size_t size = (size_t)rand() % max;

	for (size_t i = 0; i < size; i++)
		noise[i] = (uint8_t)rand();
	if (size >= 20 && rand() % 4) {
		wire_put_u64(noise, NBD_OPTION_REPLY_MAGIC);
		wire_put_u32(noise + 8, NBD_OPT_GO);
		wire_put_u32(noise + 12, rand() % 2 ? NBD_REP_INFO : NBD_REP_SERVER);
		wire_put_u32(noise + 16, (uint32_t)rand() % 40);
	}
	if (size >= 4 && rand() % 4 == 0)
		wire_put_u32(noise, NBD_SIMPLE_REPLY_MAGIC);
	return size;
}

static void noise_does_no_harm(void **state)
{
	uint8_t noise[200], request[REQUEST_BYTES];
	struct request_result result;

	(void)state;
	srand(1);
	for (int i = 0; i < 20000; i++) {
		send(server_fd, noise, make_noise(noise, sizeof(noise)), MSG_NOSIGNAL);
		shutdown(server_fd, SHUT_WR);
		if (i % 2) {
			attacker_ask_go(&attacker, NBD_OPT_GO, "disk");
			assert_true(strlen(attacker.answer.text) > 0);
		} else {
			request_encode(request, NBD_COMMAND_READ, 0, 64);
			request_receive(&attacker, request, &result);
			assert_true(strlen(result.text) > 0);
		}
		teardown(NULL);
		assert_int_equal(setup(NULL), 0);
	}
}

#define EACH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_are_encoded),
		cmocka_unit_test(a_full_segment_takes_no_more),
		EACH(answers_are_told_apart),
		EACH(silence_and_hanging_up_are_told_apart),
		EACH(infos_and_names_are_taken),
		EACH(broken_replies_end_it),
		EACH(replies_without_an_end_end),
		EACH(an_honest_client_is_let_in_or_told_why_not),
		EACH(what_is_no_handshake_ends_it),
		EACH(it_connects_and_is_greeted),
		EACH(one_that_cannot_connect_keeps_nobody_waiting),
		EACH(results_are_told_apart),
		EACH(more_than_is_read_at_once_is_left),
		EACH(what_is_there_can_be_looked_at),
		EACH(noise_does_no_harm),
	};

	if (tls_library_load(NULL))
		return 1;
	return cmocka_run_group_tests_name("audit-attacker", tests, NULL, NULL);
}
