/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What it tries with sockets, its own connection included. */
#include "deeds.h"
#include <arpa/inet.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

static int have_socket(int family, int type, int protocol)
{
	return result_fd(socket(family, type | SOCK_CLOEXEC, protocol));
}

/* One that has such a socket. */
#define DEED_SOCKET(name, family, type, protocol)                                                  \
	DEED(name)                                                                                 \
	{                                                                                          \
		(void)at;                                                                          \
		return have_socket(family, type, protocol);                                        \
	}

static struct sockaddr_in loopback(uint16_t port)
{
	return (struct sockaddr_in){.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(port)};
}

static int use_tcp(int (*use)(int fd, const struct sockaddr *address, socklen_t len), uint16_t port)
{
	struct sockaddr_in address = loopback(port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), rc = result(fd);

	if (!rc)
		rc = result(use(fd, (struct sockaddr *)&address, sizeof(address)));
	if (fd >= 0)
		close(fd);
	return rc;
}

DEED_SOCKET(do_tcp, AF_INET, SOCK_STREAM, 0)

DEED(do_tcp_other_port)
{
	return use_tcp(connect, at->port);
}

/* A connection without connect(). */
DEED(do_fast_open)
{
	struct sockaddr_in address = loopback(at->port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), rc = result(fd);

	if (!rc)
		rc = result(sendto(fd, "x", 1, MSG_FASTOPEN | MSG_NOSIGNAL,
			(struct sockaddr *)&address, sizeof(address)));
	if (fd >= 0)
		close(fd);
	return rc;
}

DEED(do_tcp_bind)
{
	(void)at;
	return use_tcp(bind, 0);
}

static int call_listen(int fd, const struct sockaddr *address, socklen_t len)
{
	(void)address;
	(void)len;
	return listen(fd, 1);
}

DEED(do_tcp_listen)
{
	(void)at;
	return use_tcp(call_listen, 0);
}

DEED(do_accept)
{
	int rc;

	(void)at;
	rc = result(accept4(3, NULL, NULL, 0));
	return rc == -EPERM || rc == -ENOSYS ? rc : 0; /* reached: the channel is no listener */
}

DEED_SOCKET(do_udp, AF_INET, SOCK_DGRAM, 0)

static int connect_unix(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), rc = result(fd);

	strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
	if (!rc)
		rc = result(connect(fd, (struct sockaddr *)&address, sizeof(address)));
	if (fd >= 0)
		close(fd);
	return rc;
}

DEED(do_unix)
{
	return connect_unix(at->path);
}

DEED(do_service)
{
	return connect_unix(at->service);
}

static int use_udp(bool binds, uint16_t port)
{
	struct sockaddr_in address = loopback(port);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc = result(fd);

	if (!rc)
		rc = result(binds ? bind(fd, (struct sockaddr *)&address, sizeof(address)) :
				    sendto(fd, "x", 1, 0, (struct sockaddr *)&address,
					    sizeof(address)));
	if (fd >= 0)
		close(fd);
	return rc;
}

DEED(do_udp_other_port)
{
	return use_udp(false, at->port);
}

DEED(do_udp_bind)
{
	return use_udp(true, at->port);
}

DEED_SOCKET(do_unix_packets, AF_UNIX, SOCK_SEQPACKET, 0)

DEED(do_socketpair)
{
	int pair[2];

	(void)at;
	return result(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
}

DEED_SOCKET(do_raw, AF_INET, SOCK_RAW, IPPROTO_ICMP)

DEED_SOCKET(do_ping, AF_INET, SOCK_DGRAM, IPPROTO_ICMP)

DEED_SOCKET(do_mptcp, AF_INET, SOCK_STREAM, 262)

DEED_SOCKET(do_packet, AF_PACKET, SOCK_RAW, 0)

DEED_SOCKET(do_vsock, AF_VSOCK, SOCK_STREAM, 0)

DEED_SOCKET(do_crypto, AF_ALG, SOCK_SEQPACKET, 0)

DEED_SOCKET(do_routes, AF_NETLINK, SOCK_RAW, 0)

DEED_SOCKET(do_generic_netlink, AF_NETLINK, SOCK_RAW, 16)

DEED_SOCKET(do_sock_diag, AF_NETLINK, SOCK_RAW, 4)

/* What would stay with a socket that is handed over. */
DEED(do_filter_packets)
{
	struct sock_filter pass = BPF_STMT(BPF_RET | BPF_K, 0xffffffff);
	struct sock_fprog program = {1, &pass};

	return result(setsockopt(at->connection < 0 ? 3 : at->connection, SOL_SOCKET,
		SO_ATTACH_FILTER, &program, sizeof(program)));
}

DEED(do_kernel_tls)
{
	return result(setsockopt(at->connection, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls") - 1));
}

DEED(do_40_descriptors)
{
	int fds[40], count = 0, rc = 0;

	(void)at;
	for (; !rc && count < 40; count++) {
		fds[count] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		rc = result(fds[count]);
	}
	while (count--)
		if (fds[count] >= 0)
			close(fds[count]);
	return rc;
}

const struct deed socket_deeds[] = {
	{"sockets", "tcp", do_tcp},
	{"sockets", "tcp-other-port", do_tcp_other_port},
	{"sockets", "fast-open", do_fast_open},
	{"sockets", "tcp-bind", do_tcp_bind},
	{"sockets", "tcp-listen", do_tcp_listen},
	{"sockets", "accept", do_accept},
	{"sockets", "udp", do_udp},
	{"sockets", "udp-other-port", do_udp_other_port},
	{"sockets", "udp-bind", do_udp_bind},
	{"sockets", "unix", do_unix},
	{"sockets", "unix-packets", do_unix_packets},
	{"sockets", "socketpair", do_socketpair},
	{"sockets", "raw", do_raw},
	{"sockets", "ping", do_ping},
	{"sockets", "mptcp", do_mptcp},
	{"sockets", "packet", do_packet},
	{"sockets", "vsock", do_vsock},
	{"sockets", "crypto", do_crypto},
	{"sockets", "routes", do_routes},
	{"sockets", "generic-netlink", do_generic_netlink},
	{"sockets", "sock-diag", do_sock_diag},
	{"sockets", "filter-packets", do_filter_packets},
	{"sockets", "40-descriptors", do_40_descriptors},
	{"services", "service", do_service},
	{"tls", "kernel-tls", do_kernel_tls},
	{NULL, NULL, NULL},
};
