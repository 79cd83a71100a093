/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libnl's sockets, of which the driver has the other end: the program's own nbd-genl.c makes the
 * messages and reads the answers. */
#include "sim.h"
#include <errno.h>
#include <linux/nbd.h>
#include <linux/nbd-netlink.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <netlink/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define FAMILY 27
#define GROUP 5

struct nl_sock {
	int fd;
	int answer; /* of the command that was sent: -errno */
	nl_recvmsg_msg_cb_t on_notice;
	void *on_notice_argument;
};

struct nl_sock *nl_socket_alloc(void)
{
	struct nl_sock *sock = calloc(1, sizeof(*sock));

	sock->fd = -1;
	return sock;
}

void nl_socket_free(struct nl_sock *sock)
{
	if (sock->fd >= 0)
		sim_close(sock->fd);
	free(sock);
}

int genl_connect(struct nl_sock *sock)
{
	sim_point();
	sock->fd = sim_open(SIM_NETLINK, 0);
	return 0;
}

int nl_socket_set_fd(struct nl_sock *sock, int protocol, int fd)
{
	(void)protocol;
	sock->fd = fd;
	return sim_kind_of(fd, NULL) == SIM_NETLINK ? 0 : -NLE_INVAL;
}

int nl_socket_get_fd(const struct nl_sock *sock)
{
	return sock->fd;
}

int genl_ctrl_resolve(struct nl_sock *sock, const char *name)
{
	(void)sock;
	return strcmp(name, NBD_GENL_FAMILY_NAME) == 0 ? FAMILY : -NLE_OBJ_NOTFOUND;
}

/* --- commands */

static void read_sockets(struct nlattr *list, struct sim_message *message)
{
	struct nlattr *item, *attrs[NBD_SOCK_MAX + 1];
	int left;

	nla_for_each_nested(item, list, left)
	{
		if (nla_parse_nested(attrs, NBD_SOCK_MAX, item, NULL) == 0 &&
			message->fd_count < SIM_LINKS_MAX)
			message->fds[message->fd_count++] = (int)nla_get_u32(attrs[NBD_SOCK_FD]);
	}
}

static uint64_t number(struct nlattr *attr)
{
	return attr ? nla_get_u64(attr) : 0;
}

static int carry_out(struct nlmsghdr *header)
{
	struct nlattr *attrs[NBD_ATTR_MAX + 1];
	struct sim_message message = {0};

	if (genlmsg_parse(header, 0, attrs, NBD_ATTR_MAX, NULL) < 0 || !attrs[NBD_ATTR_INDEX] ||
		nla_get_u32(attrs[NBD_ATTR_INDEX]) != SIM_INDEX)
		sim_violation("a message to the driver cannot be read");
	if (attrs[NBD_ATTR_BACKEND_IDENTIFIER])
		snprintf(message.backend, sizeof(message.backend), "%s",
			nla_get_string(attrs[NBD_ATTR_BACKEND_IDENTIFIER]));
	message.has_dead_timeout = attrs[NBD_ATTR_DEAD_CONN_TIMEOUT];
	message.has_timeout = attrs[NBD_ATTR_TIMEOUT];
	message.has_flags = attrs[NBD_ATTR_CLIENT_FLAGS];
	message.dead_timeout_sec = number(attrs[NBD_ATTR_DEAD_CONN_TIMEOUT]);
	message.size_bytes = number(attrs[NBD_ATTR_SIZE_BYTES]);
	if (attrs[NBD_ATTR_SOCKETS])
		read_sockets(attrs[NBD_ATTR_SOCKETS], &message);
	switch (genlmsg_hdr(header)->cmd) {
	case NBD_CMD_CONNECT: return sim_driver_connect(&message);
	case NBD_CMD_RECONFIGURE: return sim_driver_reconfigure(&message);
	case NBD_CMD_DISCONNECT: sim_driver_disconnect(); return 0;
	default: return -EOPNOTSUPP;
	}
}

int nl_send_auto(struct nl_sock *sock, struct nl_msg *msg)
{
	sim_point();
	sock->answer = carry_out(nlmsg_hdr(msg));
	if (sim_life.is_in_loop && sim_chance(20))
		sim_run_until(sim_now_ms + sim_below(4)); /* it takes its time */
	return 0;
}

/* One exchange at a time. */
static nl_recvmsg_msg_cb_t on_ack;
static nl_recvmsg_err_cb_t on_error;
static void *on_ack_argument, *on_error_argument;

struct nl_cb *nl_cb_alloc(enum nl_cb_kind kind)
{
	(void)kind;
	return calloc(1, 1);
}

void nl_cb_put(struct nl_cb *cb)
{
	free(cb);
}

int nl_cb_set(struct nl_cb *cb, enum nl_cb_type type, enum nl_cb_kind kind,
	nl_recvmsg_msg_cb_t function, void *argument)
{
	(void)cb;
	(void)kind;
	if (type != NL_CB_ACK)
		return 0;
	on_ack = function;
	on_ack_argument = argument;
	return 0;
}

int nl_cb_err(struct nl_cb *cb, enum nl_cb_kind kind, nl_recvmsg_err_cb_t function, void *argument)
{
	(void)cb;
	(void)kind;
	on_error = function;
	on_error_argument = argument;
	return 0;
}

int nl_recvmsgs(struct nl_sock *sock, struct nl_cb *cb)
{
	struct nlmsgerr answer = {.error = sock->answer};

	(void)cb;
	if (sock->answer)
		on_error(NULL, &answer, on_error_argument);
	else
		on_ack(NULL, on_ack_argument);
	return 0;
}

/* --- notices */

int genl_ctrl_resolve_grp(struct nl_sock *sock, const char *family, const char *group)
{
	(void)sock;
	(void)family;
	return strcmp(group, NBD_GENL_MCAST_GROUP_NAME) == 0 ? GROUP : -NLE_OBJ_NOTFOUND;
}

int nl_socket_add_membership(struct nl_sock *sock, int group)
{
	sim_close(sock->fd);
	sock->fd = sim_open(SIM_LISTENER, 0);
	sim_driver.notices = 0; /* it hears of what comes from now on */
	sim_driver.are_notices_lost = false;
	return group == GROUP ? 0 : -NLE_INVAL;
}

int nl_socket_set_nonblocking(const struct nl_sock *sock)
{
	(void)sock;
	return 0;
}

void nl_socket_disable_seq_check(struct nl_sock *sock)
{
	(void)sock;
}

int nl_socket_modify_cb(struct nl_sock *sock, enum nl_cb_type type, enum nl_cb_kind kind,
	nl_recvmsg_msg_cb_t function, void *argument)
{
	(void)type;
	(void)kind;
	sock->on_notice = function;
	sock->on_notice_argument = argument;
	return 0;
}

static void tell_of_death(struct nl_sock *sock, uint32_t index)
{
	struct nl_msg *msg = nlmsg_alloc();

	genlmsg_put(msg, 0, 0, FAMILY, 0, 0, NBD_CMD_LINK_DEAD, NBD_GENL_VERSION);
	nla_put_u32(msg, NBD_ATTR_INDEX, index);
	sock->on_notice(msg, sock->on_notice_argument);
	nlmsg_free(msg);
}

int nl_recvmsgs_default(struct nl_sock *sock)
{
	sim_point();
	if (sim_driver.are_notices_lost) {
		sim_driver.are_notices_lost = false;
		return -NLE_NOMEM;
	}
	if (!sim_driver.notices)
		return -NLE_AGAIN;
	sim_driver.notices--;
	if (sim_chance(5))
		tell_of_death(sock, SIM_INDEX + 1);
	tell_of_death(sock, SIM_INDEX);
	return 0;
}
