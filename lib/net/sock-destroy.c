/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "net/sock-destroy.h"
#include "base/cleanup.h"
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>

/* TCP_*: the header that has them cannot be included beside the kernel's own */
#define STATE_TIME_WAIT 6
#define STATE_LISTEN 10
#define ERRNO_MAX 4095 /* the kernel's MAX_ERRNO */

int sock_addresses(int fd, struct sockaddr_storage *local, struct sockaddr_storage *peer)
{
	socklen_t local_len = sizeof(*local), peer_len = sizeof(*peer);

	memset(local, 0, sizeof(*local));
	memset(peer, 0, sizeof(*peer));
	if (getsockname(fd, (struct sockaddr *)local, &local_len) < 0 ||
		getpeername(fd, (struct sockaddr *)peer, &peer_len) < 0)
		return -errno;
	return local->ss_family == AF_INET || local->ss_family == AF_INET6 ? 0 : -EAFNOSUPPORT;
}

static void put_address(
	const struct sockaddr_storage *from, __be16 *port, __be32 address[4], __u32 *interface)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)from;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)from;

	if (from->ss_family == AF_INET) {
		*port = v4->sin_port;
		memcpy(address, &v4->sin_addr, sizeof(v4->sin_addr));
		return;
	}
	*port = v6->sin6_port;
	memcpy(address, &v6->sin6_addr, sizeof(v6->sin6_addr));
	/* A connection to a link-local address is bound to its interface, and only found by it. */
	if (v6->sin6_scope_id)
		*interface = v6->sin6_scope_id;
}

struct request {
	struct nlmsghdr header;
	struct inet_diag_req_v2 body;
};

struct reply {
	struct nlmsghdr header;
	union {
		struct nlmsgerr error;
		struct inet_diag_msg socket;
		int done;
		char bytes[8192]; /* attributes that nobody asked for */
	};
};

/* What the kernel says is 0 or -errno; anything else is no answer. */
static int outcome(int said)
{
	return said <= 0 && said >= -ERRNO_MAX ? said : -EPROTO;
}

/* One message and the first answer to it: 0, or -errno, also the kernel's own. */
static int exchange(struct request *request, uint16_t type, uint16_t flags, struct reply *reply)
{
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	_cleanup_fd_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	ssize_t n;

	if (fd < 0)
		return errno == EPROTONOSUPPORT ? -EOPNOTSUPP : -errno;
	request->header = (struct nlmsghdr){.nlmsg_len = sizeof(*request),
		.nlmsg_type = type,
		.nlmsg_flags = NLM_F_REQUEST | flags};
	if (sendto(fd, request, sizeof(*request), 0, (struct sockaddr *)&kernel, sizeof(kernel)) <
		0)
		return -errno;
	do
		n = recv(fd, reply, sizeof(*reply), 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if (n < (ssize_t)sizeof(reply->header) || reply->header.nlmsg_len > (size_t)n ||
		reply->header.nlmsg_len < sizeof(reply->header))
		return -EPROTO;
	n = (ssize_t)(reply->header.nlmsg_len - sizeof(reply->header));
	if (reply->header.nlmsg_type == NLMSG_ERROR)
		return n >= (ssize_t)sizeof(reply->error) ? outcome(reply->error.error) : -EPROTO;
	if (reply->header.nlmsg_type == NLMSG_DONE)
		return n >= (ssize_t)sizeof(reply->done) ? outcome(reply->done) : -EPROTO;
	return n >= (ssize_t)sizeof(reply->socket) ? 0 : -EPROTO;
}

/* ENOENT is said for a missing socket as well as for a kernel that cannot look for one. Listing the
 * sockets of no state at all tells them apart. */
static bool can_look(const struct request *request)
{
	struct request none = *request;
	struct reply reply;

	none.body.idiag_states = 0;
	return exchange(&none, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, &reply) != -ENOENT;
}

/* Fill in the cookie: what is destroyed afterwards is this very socket, and not a later one between
 * the same addresses. */
static int find(struct request *request)
{
	struct inet_diag_sockid *id = &request->body.id;
	struct reply reply = {0};
	int rc;

	id->idiag_cookie[0] = id->idiag_cookie[1] = INET_DIAG_NOCOOKIE;
	rc = exchange(request, SOCK_DIAG_BY_FAMILY, 0, &reply);
	if (rc == -ENOENT && !can_look(request))
		return -EOPNOTSUPP;
	if (rc)
		return rc;
	/* Where there is no connection, the kernel finds who listens on its local address. */
	if (reply.socket.idiag_state == STATE_LISTEN ||
		reply.socket.idiag_state == STATE_TIME_WAIT ||
		reply.socket.id.idiag_sport != id->idiag_sport ||
		reply.socket.id.idiag_dport != id->idiag_dport)
		return -ENOENT;
	memcpy(id->idiag_cookie, reply.socket.id.idiag_cookie, sizeof(id->idiag_cookie));
	return 0;
}

/* -EAFNOSUPPORT for what is not TCP. */
static int prepare(struct request *request, const struct sockaddr_storage *local,
	const struct sockaddr_storage *peer)
{
	struct inet_diag_sockid *id = &request->body.id;

	*request = (struct request){.body = {.sdiag_family = (__u8)local->ss_family,
					    .sdiag_protocol = IPPROTO_TCP,
					    .idiag_states = ~0U}};
	if ((local->ss_family != AF_INET && local->ss_family != AF_INET6) ||
		peer->ss_family != local->ss_family)
		return -EAFNOSUPPORT;
	put_address(local, &id->idiag_sport, id->idiag_src, &id->idiag_if);
	put_address(peer, &id->idiag_dport, id->idiag_dst, &id->idiag_if);
	return 0;
}

int sock_find(const struct sockaddr_storage *local, const struct sockaddr_storage *peer)
{
	struct request request;
	int rc = prepare(&request, local, peer);

	return rc ? rc : find(&request);
}

int sock_destroy(const struct sockaddr_storage *local, const struct sockaddr_storage *peer,
	struct error *err)
{
	struct request request;
	struct reply reply;
	int rc = prepare(&request, local, peer);

	if (rc)
		return error_set(err, ERROR_OTHER, -rc,
			"only TCP connections can be closed by their addresses");
	rc = find(&request);
	if (!rc)
		rc = exchange(&request, SOCK_DESTROY, NLM_F_ACK, &reply);
	switch (rc) {
	case 0: return 0;
	case -ENOENT:
		return error_set(
			err, ERROR_OTHER, ENOENT, "there is no such TCP connection any more");
	case -EOPNOTSUPP:
		error_set(err, ERROR_KERNEL, EOPNOTSUPP,
			"the kernel cannot close a TCP connection by its addresses");
		return error_hint(err, rc,
			"it takes CONFIG_INET_DIAG_DESTROY and the module tcp_diag: modprobe "
			"tcp_diag");
	case -EPERM:
		return error_set(err, ERROR_PERMISSION, EPERM,
			"closing a TCP connection by its addresses takes CAP_NET_ADMIN");
	default:
		return error_set(err, ERROR_KERNEL, -rc,
			"cannot close a TCP connection by its addresses: %s", strerror(-rc));
	}
}
