/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which address of which host is tried, for how long, and what a connection is set to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "net/tcp-connect.h"
#include "base/clock.h"

#define STALLED_CLIENTS 4

/* A port of 127.0.0.1 that is bound for good: no one else listens there while a test wants it
 * closed. */
static int bound(struct sockaddr_in *address)
{
	socklen_t len = sizeof(*address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*address = (struct sockaddr_in){
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	assert_int_equal(bind(fd, (struct sockaddr *)address, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)address, &len), 0);
	return fd;
}

static int listening(struct sockaddr_in *address)
{
	int fd = bound(address);

	assert_int_equal(listen(fd, 8), 0);
	return fd;
}

/* Its queue is full and nobody accepts: the kernel drops what comes next, as a dead path
 * does. */
static int stalled(struct sockaddr_in *address, int clients[STALLED_CLIENTS])
{
	int fd = bound(address);

	assert_int_equal(listen(fd, 0), 0);
	for (int i = 0; i < STALLED_CLIENTS; i++) {
		clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		connect(clients[i], (struct sockaddr *)address, sizeof(*address));
	}
	return fd;
}

static void end_stalled(int fd, const int clients[STALLED_CLIENTS])
{
	for (int i = 0; i < STALLED_CLIENTS; i++)
		close(clients[i]);
	close(fd);
}

static void add(struct endpoint *endpoint, const char *name, const struct sockaddr_in *address)
{
	struct endpoint_host *host = &endpoint->hosts[endpoint->host_count++];

	snprintf(host->name, sizeof(host->name), "%s", name);
	host->port = ntohs(address->sin_port);
}

static int try(const struct endpoint *endpoint, const struct known_address *known, int timeout_ms,
	struct connection *connection, struct error *err)
{
	struct tcp_connect_params params = {.endpoint = endpoint,
		.known = known,
		.deadline_ms = monotonic_now_ms() + timeout_ms};

	*connection = (struct connection){.fd = -1};
	memset(err, 0, sizeof(*err));
	return tcp_connect(&params, connection, err);
}

static int option(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
	return value;
}

static void the_second_host_answers_when_the_first_refuses(void **state)
{
	struct sockaddr_in closed, open;
	int closed_fd = bound(&closed), open_fd = listening(&open);
	struct endpoint endpoint = {0};
	struct connection connection;
	struct error err;
	char expected[64];

	(void)state;
	add(&endpoint, "127.0.0.1", &closed);
	add(&endpoint, "127.0.0.1", &open);
	assert_int_equal(try(&endpoint, NULL, 5000, &connection, &err), 0);
	assert_int_equal(connection.host_index, 1);
	snprintf(expected, sizeof(expected), "127.0.0.1:%u", ntohs(open.sin_port));
	assert_string_equal(connection.address, expected);
	close(connection.fd);
	close(closed_fd);
	close(open_fd);
}

static void the_first_host_is_preferred(void **state)
{
	struct sockaddr_in first, second;
	int first_fd = listening(&first), second_fd = listening(&second);
	struct endpoint endpoint = {0};
	struct connection connection;
	struct error err;

	(void)state;
	add(&endpoint, "127.0.0.1", &first);
	add(&endpoint, "127.0.0.1", &second);
	assert_int_equal(try(&endpoint, NULL, 5000, &connection, &err), 0);
	assert_int_equal(connection.host_index, 0);
	close(connection.fd);
	close(first_fd);
	close(second_fd);
}

static void hosts_that_all_fail_are_counted(void **state)
{
	struct sockaddr_in closed[2];
	int fds[2] = {bound(&closed[0]), bound(&closed[1])};
	struct endpoint endpoint = {0};
	struct connection connection;
	struct error err;

	(void)state;
	add(&endpoint, "no-such-host.invalid", &closed[0]);
	add(&endpoint, "127.0.0.1", &closed[0]);
	add(&endpoint, "127.0.0.1", &closed[1]);
	assert_int_equal(try(&endpoint, NULL, 20000, &connection, &err), -ECONNREFUSED);
	assert_non_null(strstr(err.text,
		"none of 3 hosts (2 addresses tried) answered, the last: cannot connect to "
		"127.0.0.1"));
	assert_non_null(strstr(err.text, "Connection refused"));
	assert_non_null(strstr(err.hint, "no NBD server listens there"));
	assert_int_equal(err.kind, ERROR_UNREACHABLE);
	assert_true(err.retry);
	assert_int_equal(connection.fd, -1);
	close(fds[0]);
	close(fds[1]);
}

static void a_dead_path_costs_its_share_and_no_more(void **state)
{
	enum { DEADLINE_MS = 4000 }; /* so long that a busy machine is no part of the share */
	struct sockaddr_in dead, open;
	int clients[STALLED_CLIENTS], dead_fd = stalled(&dead, clients), open_fd = listening(&open);
	int64_t began_ms = monotonic_now_ms();
	struct endpoint endpoint = {0};
	struct connection connection;
	struct error err;

	(void)state;
	add(&endpoint, "127.0.0.1", &dead);
	add(&endpoint, "127.0.0.1", &open);
	assert_int_equal(try(&endpoint, NULL, DEADLINE_MS, &connection, &err), 0);
	assert_int_equal(connection.host_index, 1);
	assert_in_range(
		monotonic_now_ms() - began_ms, DEADLINE_MS * 49 / 100, DEADLINE_MS * 9 / 10);
	close(connection.fd);
	end_stalled(dead_fd, clients);
	close(open_fd);
}

static void a_short_timeout_gives_an_address_five_seconds(void **state)
{
	struct sockaddr_in dead;
	int clients[STALLED_CLIENTS], dead_fd = stalled(&dead, clients);
	int64_t began_ms = monotonic_now_ms();
	struct endpoint endpoint = {0};
	struct tcp_connect_params params = {
		.endpoint = &endpoint, .deadline_ms = began_ms + 20000, .short_timeout = true};
	struct connection connection;
	struct error err;

	(void)state;
	add(&endpoint, "127.0.0.1", &dead);
	assert_int_equal(tcp_connect(&params, &connection, &err), -ETIMEDOUT);
	assert_in_range(monotonic_now_ms() - began_ms, 4990, 8000);
	assert_true(err.retry);
	end_stalled(dead_fd, clients);
}

static void a_name_that_does_not_resolve_is_tried_where_it_was(void **state)
{
	struct sockaddr_in open;
	int open_fd = listening(&open);
	struct known_address known[2] = {{.length = 0}, {.length = sizeof(open)}};
	struct endpoint endpoint = {0};
	struct connection connection;
	struct error err;

	(void)state;
	memcpy(&known[1].address, &open, sizeof(open));
	add(&endpoint, "no-such-host.invalid", &open);
	assert_int_equal(try(&endpoint, NULL, 20000, &connection, &err), -EHOSTUNREACH);
	assert_non_null(strstr(err.text, "cannot resolve host name \"no-such-host.invalid\""));
	assert_true(err.retry);
	assert_int_equal(try(&endpoint, known, 20000, &connection, &err), -EHOSTUNREACH);
	add(&endpoint, "nor-this-one.invalid", &open);
	assert_int_equal(try(&endpoint, known, 20000, &connection, &err), 0);
	assert_int_equal(connection.host_index, 1);
	close(connection.fd);
	close(open_fd);
}

static void the_resolver_is_believed_before_what_is_known(void **state)
{
	struct sockaddr_in closed, open;
	int closed_fd = bound(&closed), open_fd = listening(&open);
	struct known_address known = {.length = sizeof(open)};
	struct endpoint endpoint = {0};
	struct connection connection;
	struct error err;

	(void)state;
	memcpy(&known.address, &open, sizeof(open));
	add(&endpoint, "127.0.0.1", &closed);
	assert_int_equal(try(&endpoint, &known, 5000, &connection, &err), -ECONNREFUSED);
	close(closed_fd);
	close(open_fd);
}

static void liveness_is_what_the_socket_says(void **state)
{
	static const struct {
		int timeout_ms, idle_sec, interval_sec;
	} table[] = {
		{30000, 15, 5},
		{5000, 2, 1},
		{1, 1, 1},
		{86400000, 32767, 14400},
		{90000, 45, 15},
	};
	struct sockaddr_in open;
	int open_fd = listening(&open), fresh = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct endpoint endpoint = {0};
	struct connection connection;
	struct error err;

	(void)state;
	add(&endpoint, "127.0.0.1", &open);
	assert_int_equal(try(&endpoint, NULL, 5000, &connection, &err), 0);
	assert_int_equal(option(connection.fd, IPPROTO_TCP, TCP_NODELAY), 1);
	assert_int_equal(option(connection.fd, SOL_SOCKET, SO_KEEPALIVE), 1);
	assert_int_equal(option(connection.fd, IPPROTO_TCP, TCP_KEEPIDLE),
		option(fresh, IPPROTO_TCP, TCP_KEEPIDLE));
	assert_int_equal(option(connection.fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 0);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		assert_int_equal(tcp_set_liveness(connection.fd, table[i].timeout_ms, &err), 0);
		assert_int_equal(option(connection.fd, SOL_SOCKET, SO_KEEPALIVE), 1);
		assert_int_equal(
			option(connection.fd, IPPROTO_TCP, TCP_KEEPIDLE), table[i].idle_sec);
		assert_int_equal(
			option(connection.fd, IPPROTO_TCP, TCP_KEEPINTVL), table[i].interval_sec);
		assert_int_equal(option(connection.fd, IPPROTO_TCP, TCP_KEEPCNT), 3);
		/* It would end a connection to a program that hangs, too. */
		assert_int_equal(option(connection.fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 0);
	}
	close(connection.fd);
	close(open_fd);
	close(fresh);
}

static void a_socket_that_takes_no_liveness_is_an_error(void **state)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct error err = {0};

	(void)state;
	assert_true(tcp_set_liveness(fd, 30000, &err) < 0);
	assert_non_null(strstr(err.text, "keepalive of 30000 ms"));
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_second_host_answers_when_the_first_refuses),
		cmocka_unit_test(the_first_host_is_preferred),
		cmocka_unit_test(hosts_that_all_fail_are_counted),
		cmocka_unit_test(a_dead_path_costs_its_share_and_no_more),
		cmocka_unit_test(a_short_timeout_gives_an_address_five_seconds),
		cmocka_unit_test(a_name_that_does_not_resolve_is_tried_where_it_was),
		cmocka_unit_test(the_resolver_is_believed_before_what_is_known),
		cmocka_unit_test(liveness_is_what_the_socket_says),
		cmocka_unit_test(a_socket_that_takes_no_liveness_is_an_error),
	};

	return cmocka_run_group_tests_name("tcp-connect", tests, NULL, NULL);
}
