/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tcp-connect.h"
#include "cleanup.h"
#include "text.h"
#include "transport.h"
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

static void format_address(const struct addrinfo *ai, char *buf, size_t size)
{
	char host[INET6_ADDRSTRLEN + 16], port[8];

	if (getnameinfo(ai->ai_addr, ai->ai_addrlen, host, sizeof(host), port, sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV))
		snprintf(buf, size, "?");
	else
		snprintf(buf, size, ai->ai_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

/* 0 or -errno; -ETIMEDOUT when DEADLINE_MS passes. */
static int connect_one(const struct addrinfo *ai, int64_t deadline_ms, int *fd_out)
{
	_cleanup_fd_ int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
	socklen_t len = sizeof(int);
	int on = 1, socket_error = 0;
	struct transport wait;

	if (fd < 0)
		return -errno;
	if (connect(fd, ai->ai_addr, ai->ai_addrlen) < 0) {
		if (errno != EINPROGRESS)
			return -errno;
		transport_init_plain(&wait, fd, deadline_ms);
		if (transport_wait(&wait, POLLOUT, NULL))
			return -ETIMEDOUT;
		if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &socket_error, &len) < 0)
			return -errno;
		if (socket_error)
			return -socket_error;
	}
	/* The driver sends header and data apart with MSG_MORE (kernel fact 13): Nagle would only hold back the last piece. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	*fd_out = steal_fd(&fd);
	return 0;
}

static int resolve(const struct target *target, struct addrinfo **list, struct error *err)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
	char port[8];
	int rc;

	snprintf(port, sizeof(port), "%u", target->port);
	rc = getaddrinfo(target->host, port, &hints, list);
	if (rc == 0)
		return 0;
	error_set(err, ERROR_UNREACHABLE, EHOSTUNREACH, "cannot resolve host name \"%s\": %s", target->host,
		rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc));
	error_hint(err, 0, "check the name, /etc/hosts and /etc/resolv.conf, or give the address");
	return error_retry(err, -EHOSTUNREACH);
}

static int not_connected(const struct target *target, const char *address, int rc, size_t tried, struct error *err)
{
	error_set(err, ERROR_UNREACHABLE, -rc, "cannot connect to %s%s%s%s: %s", target->host,
		strcmp(address, "") ? " (" : "", address, strcmp(address, "") ? ")" : "", strerror(-rc));
	if (rc == -ECONNREFUSED)
		error_hint(err, rc, "no NBD server listens there: is it running, and is the port right (10809 is NBD's)?");
	else if (rc == -ETIMEDOUT)
		error_hint(err, rc, "nothing answers there: check the address, routes and firewalls between here and the server");
	if (tried > 1)
		error_prefix(err, "none of %zu addresses answered, the last", tried);
	return error_retry(err, rc);
}

int tcp_connect(const struct target *target, int64_t deadline_ms, int *fd, char *address, size_t address_size, struct error *err)
{
	struct addrinfo *list = NULL, *ai;
	size_t left = 0, tried = 0;
	int rc = resolve(target, &list, err);

	if (rc)
		return rc;
	for (ai = list; ai; ai = ai->ai_next)
		left++;
	for (ai = list; ai; ai = ai->ai_next, left--) {
		int64_t now = monotonic_now_ms();
		int64_t share = (deadline_ms - now) / (int64_t)left;

		tried++;
		format_address(ai, address, address_size);
		rc = connect_one(ai, now + share, fd);
		if (rc == 0)
			break;
	}
	freeaddrinfo(list);
	return rc ? not_connected(target, address, rc, tried, err) : 0;
}

int unix_connect(const struct target *target, int *fd_out, char *address, size_t address_size, struct error *err)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	_cleanup_fd_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int saved;

	snprintf(address, address_size, "unix:%s", target->socket_path);
	if (fd < 0)
		return error_set(err, ERROR_OTHER, errno, "socket: %s", strerror(errno));
	if (!text_copy(sun.sun_path, sizeof(sun.sun_path), target->socket_path))
		return error_set(err, ERROR_USAGE, ENAMETOOLONG, "socket path is too long: %s", target->socket_path);
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0) {
		saved = errno;
		error_set(err, ERROR_UNREACHABLE, saved, "cannot connect to unix socket %s: %s", target->socket_path, strerror(saved));
		if (saved == ECONNREFUSED || saved == ENOENT)
			error_hint(err, 0, "is the server running, and is this its socket?");
		return error_retry(err, -saved);
	}
	*fd_out = steal_fd(&fd);
	return 0;
}
