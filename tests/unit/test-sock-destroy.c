/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Needs CAP_NET_ADMIN and the module tcp_diag; elsewhere it checks what is said. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "net/sock-destroy.h"

static struct error err;

struct connection {
	int listener, client, server;
	struct sockaddr_storage local, peer;
};

static socklen_t loopback(int family, struct sockaddr_storage *address)
{
	memset(address, 0, sizeof(*address));
	address->ss_family = (sa_family_t)family;
	if (family == AF_INET)
		((struct sockaddr_in *)address)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else
		((struct sockaddr_in6 *)address)->sin6_addr = in6addr_loopback;
	return family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

static bool connect_to_ourselves(int family, struct connection *connection)
{
	struct sockaddr_storage address;
	socklen_t len = loopback(family, &address);

	connection->listener = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connection->listener < 0 ||
		bind(connection->listener, (struct sockaddr *)&address, len) < 0) {
		close(connection->listener);
		return false;
	}
	assert_int_equal(listen(connection->listener, 1), 0);
	assert_int_equal(getsockname(connection->listener, (struct sockaddr *)&address, &len), 0);
	connection->client = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(connection->client, (struct sockaddr *)&address, len), 0);
	connection->server = accept(connection->listener, NULL, NULL);
	assert_true(connection->server >= 0);
	assert_int_equal(
		sock_addresses(connection->client, &connection->local, &connection->peer), 0);
	return true;
}

static void disconnect(struct connection *connection)
{
	close(connection->listener);
	close(connection->client);
	close(connection->server);
}

static void check_family(int family)
{
	struct connection one, other;
	char byte = 'x';
	int rc;

	if (!connect_to_ourselves(family, &one))
		skip();
	assert_true(connect_to_ourselves(family, &other));
	rc = sock_destroy(&one.local, &one.peer, &err);
	if (rc == -EOPNOTSUPP || rc == -EPERM) {
		assert_int_equal(err.kind, rc == -EPERM ? ERROR_PERMISSION : ERROR_KERNEL);
		disconnect(&one);
		disconnect(&other);
		skip();
	}
	assert_int_equal(rc, 0);
	assert_int_equal(read(one.client, &byte, 1), -1);
	assert_int_equal(errno, ECONNABORTED);
	assert_int_equal(read(one.server, &byte, 1), -1);
	assert_int_equal(errno, ECONNRESET);
	assert_int_equal(write(other.client, &byte, 1), 1);
	assert_int_equal(read(other.server, &byte, 1), 1);
	assert_int_equal(sock_destroy(&one.local, &one.peer, &err), -ENOENT);
	assert_string_equal(err.text, "there is no such TCP connection any more");
	disconnect(&one);
	disconnect(&other);
}

static void an_ipv4_connection_is_closed_and_no_other(void **state)
{
	(void)state;
	check_family(AF_INET);
}

static void an_ipv6_connection_is_closed_and_no_other(void **state)
{
	(void)state;
	check_family(AF_INET6);
}

/* The kernel finds a listener for any peer that is not connected. */
static void a_listener_is_not_taken_for_a_connection(void **state)
{
	struct sockaddr_storage nobody;
	struct connection one;
	int rc, fd;

	(void)state;
	assert_true(connect_to_ourselves(AF_INET, &one));
	loopback(AF_INET, &nobody);
	((struct sockaddr_in *)&nobody)->sin_port = htons(9);
	rc = sock_destroy(&one.peer, &nobody, &err);
	if (rc != -EOPNOTSUPP)
		assert_int_equal(rc, -ENOENT);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&one.peer, sizeof(struct sockaddr_in)), 0);
	close(fd);
	disconnect(&one);
}

static void other_families_are_refused(void **state)
{
	struct sockaddr_storage local, peer;
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(sock_addresses(pair[0], &local, &peer), -EAFNOSUPPORT);
	assert_int_equal(sock_destroy(&local, &peer, &err), -EAFNOSUPPORT);
	loopback(AF_INET, &local);
	loopback(AF_INET6, &peer);
	assert_int_equal(sock_destroy(&local, &peer, &err), -EAFNOSUPPORT);
	close(pair[0]);
	close(pair[1]);
	assert_int_equal(sock_addresses(-1, &local, &peer), -EBADF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_ipv4_connection_is_closed_and_no_other),
		cmocka_unit_test(an_ipv6_connection_is_closed_and_no_other),
		cmocka_unit_test(a_listener_is_not_taken_for_a_connection),
		cmocka_unit_test(other_families_are_refused),
	};

	return cmocka_run_group_tests_name("sock-destroy", tests, NULL, NULL);
}
