/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Exact reads under one deadline, whatever the other end does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/transport.h"

struct ends {
	int server;
	struct transport transport;
};

/* Over TCP, since only that can be reset. */
static int setup(void **state)
{
	static struct ends ends;
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
	    client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*state = &ends;
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
		listen(listener, 1) < 0 ||
		getsockname(listener, (struct sockaddr *)&address, &len) < 0 ||
		connect(client, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -1;
	ends.server = accept(listener, NULL, NULL);
	fcntl(client, F_SETFL, O_NONBLOCK);
	transport_init_plain(&ends.transport, client, monotonic_now_ms() + 10000);
	ends.transport.waiting_for = "the greeting";
	return close(listener);
}

static int teardown(void **state)
{
	struct ends *ends = *state;

	close(ends->transport.fd);
	close(ends->server);
	return 0;
}

static void not_a_byte_more_is_read_than_asked_for(void **state)
{
	struct ends *ends = *state;
	char bytes[4] = "";
	struct error err;

	assert_int_equal(write(ends->server, "abcdef", 6), 6);
	assert_int_equal(transport_read(&ends->transport, bytes, 4, &err), 0);
	assert_memory_equal(bytes, "abcd", 4);
	assert_int_equal(recv(ends->transport.fd, bytes, sizeof(bytes), 0), 2);
	assert_int_equal(transport_pending(&ends->transport), 0);
}

static void the_end_is_told_with_what_was_waited_for(void **state)
{
	struct ends *ends = *state;
	struct error err;
	char bytes[4];

	assert_int_equal(write(ends->server, "ab", 2), 2);
	shutdown(ends->server, SHUT_WR);
	assert_int_equal(transport_read(&ends->transport, bytes, 4, &err), -ECONNRESET);
	assert_string_equal(
		err.text, "the server closed the connection while we waited for the greeting");
	assert_true(err.retry);
}

static void a_reset_is_reported(void **state)
{
	struct ends *ends = *state;
	struct linger reset = {.l_onoff = 1};
	struct error err;
	char bytes[4];

	setsockopt(ends->server, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(ends->server);
	ends->server = -1;
	assert_int_equal(transport_read(&ends->transport, bytes, 4, &err), -ECONNRESET);
	assert_non_null(strstr(err.text, "the connection broke (Connection reset by peer)"));
	assert_int_equal(err.kind, ERROR_UNREACHABLE);
	assert_true(err.retry);
	assert_int_equal(transport_write(&ends->transport, bytes, 4, &err), -EPIPE);
}

static void silence_lasts_until_the_deadline(void **state)
{
	struct ends *ends = *state;
	int64_t began_ms = monotonic_now_ms();
	struct error err;
	char bytes[4];

	ends->transport.deadline_ms = began_ms + 50;
	assert_int_equal(transport_read(&ends->transport, bytes, 4, &err), -ETIMEDOUT);
	assert_true(monotonic_now_ms() - began_ms >= 50);
	assert_string_equal(err.text, "timed out waiting for the greeting");
}

static void after_the_deadline_nothing_is_read(void **state)
{
	struct ends *ends = *state;
	struct error err;
	char bytes[4];

	assert_int_equal(write(ends->server, "abcd", 4), 4);
	ends->transport.deadline_ms = monotonic_now_ms();
	ends->transport.waiting_for = NULL;
	assert_int_equal(transport_read(&ends->transport, bytes, 4, &err), -ETIMEDOUT);
	assert_string_equal(err.text, "timed out waiting for the server");
}

/* More than the socket's buffers hold: it goes in pieces, as the other end takes it. */
static void much_is_written_in_pieces(void **state)
{
	static char bytes[16 << 20];
	struct ends *ends = *state;
	struct error err;
	pid_t reader = fork();

	if (reader == 0) {
		while (read(ends->server, bytes, sizeof(bytes)) > 0)
			;
		_exit(0);
	}
	assert_int_equal(transport_write(&ends->transport, bytes, sizeof(bytes), &err), 0);
	ends->transport.deadline_ms = monotonic_now_ms();
	assert_int_equal(transport_wait(&ends->transport, POLLIN, &err), -ETIMEDOUT);
	/* it holds our end open, too, and all that the tests were given */
	kill(reader, SIGKILL);
	assert_int_equal(waitpid(reader, NULL, 0), reader);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			not_a_byte_more_is_read_than_asked_for, setup, teardown),
		cmocka_unit_test_setup_teardown(
			the_end_is_told_with_what_was_waited_for, setup, teardown),
		cmocka_unit_test_setup_teardown(a_reset_is_reported, setup, teardown),
		cmocka_unit_test_setup_teardown(silence_lasts_until_the_deadline, setup, teardown),
		cmocka_unit_test_setup_teardown(
			after_the_deadline_nothing_is_read, setup, teardown),
		cmocka_unit_test_setup_teardown(much_is_written_in_pieces, setup, teardown),
	};

	return cmocka_run_group_tests_name("transport", tests, NULL, NULL);
}
