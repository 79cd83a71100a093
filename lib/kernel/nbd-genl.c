/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/nbd-genl.h"
#include "base/cleanup.h"
#include "nbd/nbd-protocol.h"
#include "kernel/block-attr.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/nbd.h>
#include <linux/nbd-netlink.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <netlink/netlink.h>
#include <string.h>
#include <sys/socket.h>

/* What the driver knows of the transmission flags; others are between the server and clients of
 * another kind. */
#define KERNEL_FLAGS                                                                               \
	(NBD_TFLAG_HAS_FLAGS | NBD_TFLAG_READ_ONLY | NBD_TFLAG_SEND_FLUSH | NBD_TFLAG_SEND_FUA |   \
		NBD_TFLAG_ROTATIONAL | NBD_TFLAG_SEND_TRIM | NBD_TFLAG_SEND_WRITE_ZEROES |         \
		NBD_TFLAG_CAN_MULTI_CONN)

#define ERRNO_MAX 4095 /* the kernel's MAX_ERRNO */

#ifndef NBD_CFLAG_DESTROY_ON_DISCONNECT /* linux/nbd.h, whose other names are ours, too */
#define NBD_CFLAG_DESTROY_ON_DISCONNECT (1U << 0)
#endif

static int libnl_failed(int rc, const char *what, struct error *err)
{
	return error_set(err, rc == -NLE_PERM ? ERROR_PERMISSION : ERROR_KERNEL, EIO, "%s: %s",
		what, nl_geterror(rc));
}

int nbd_genl_open(struct nbd_genl *genl, struct error *err)
{
	int rc;

	*genl = (struct nbd_genl){.sock = nl_socket_alloc(), .family = -1};
	if (!genl->sock)
		return error_set(err, ERROR_OTHER, ENOMEM, "out of memory");
	rc = genl_connect(genl->sock);
	if (rc < 0) {
		nbd_genl_close(genl);
		return libnl_failed(rc, "cannot open a netlink socket", err);
	}
	genl->family = genl_ctrl_resolve(genl->sock, NBD_GENL_FAMILY_NAME);
	if (genl->family >= 0)
		return 0;
	nbd_genl_close(genl);
	error_set(err, ERROR_KERNEL, ENOENT,
		"the kernel has no nbd driver: its module \"nbd\" is not loaded");
	return error_hint(err, -ENOENT, "load it: modprobe nbd max_part=15");
}

void nbd_genl_close(struct nbd_genl *genl)
{
	if (genl->sock)
		nl_socket_free(genl->sock);
	genl->sock = NULL;
}

/* One request's outcome: the kernel's own errno, and what the reply carries. */
struct answer {
	int index;
	int errno_value;
	bool done;
};

static int on_valid(struct nl_msg *msg, void *data)
{
	struct nlattr *attrs[NBD_ATTR_MAX + 1];
	struct answer *answer = data;

	if (genlmsg_parse(nlmsg_hdr(msg), 0, attrs, NBD_ATTR_MAX, NULL) < 0)
		return NL_SKIP;
	if (attrs[NBD_ATTR_INDEX] && nla_len(attrs[NBD_ATTR_INDEX]) >= (int)sizeof(uint32_t))
		answer->index = (int)nla_get_u32(attrs[NBD_ATTR_INDEX]);
	return NL_OK;
}

static int on_ack(struct nl_msg *msg, void *data)
{
	(void)msg;
	((struct answer *)data)->done = true;
	return NL_STOP;
}

static int on_error(struct sockaddr_nl *from, struct nlmsgerr *nlerr, void *data)
{
	struct answer *answer = data;

	(void)from;
	/* 0 or -errno; what is neither must not become a success, nor overflow */
	answer->errno_value =
		nlerr->error <= 0 && nlerr->error >= -ERRNO_MAX ? -nlerr->error : EPROTO;
	answer->done = true;
	return NL_STOP;
}

/* Send MSG (freed here) and wait for its ack: 0, or -errno as the kernel said it, before any
 * sentence is made of it. */
static int exchange(struct nbd_genl *genl, struct nl_msg *msg, struct answer *answer)
{
	struct nl_cb *cb = nl_cb_alloc(NL_CB_DEFAULT);
	int rc = cb ? nl_send_auto(genl->sock, msg) : -NLE_NOMEM;

	nlmsg_free(msg);
	if (!cb)
		return -ENOMEM;
	nl_cb_set(cb, NL_CB_VALID, NL_CB_CUSTOM, on_valid, answer);
	nl_cb_set(cb, NL_CB_ACK, NL_CB_CUSTOM, on_ack, answer);
	nl_cb_err(cb, NL_CB_CUSTOM, on_error, answer);
	while (rc >= 0 && !answer->done)
		rc = nl_recvmsgs(genl->sock, cb);
	nl_cb_put(cb);
	if (answer->done)
		return -answer->errno_value;
	return rc == -NLE_NOMEM ? -ENOMEM : -EIO;
}

static struct nl_msg *new_message(struct nbd_genl *genl, uint8_t command)
{
	struct nl_msg *msg = nlmsg_alloc();

	if (msg &&
		!genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, genl->family, 0,
			NLM_F_REQUEST | NLM_F_ACK, command, NBD_GENL_VERSION)) {
		nlmsg_free(msg);
		msg = NULL;
	}
	return msg;
}

static int put_sockets(struct nl_msg *msg, const int *fds, size_t count)
{
	struct nlattr *list = nla_nest_start(msg, NBD_ATTR_SOCKETS);

	if (!list)
		return -1;
	for (size_t i = 0; i < count; i++) {
		struct nlattr *item = nla_nest_start(msg, NBD_SOCK_ITEM);

		if (!item || nla_put_u32(msg, NBD_SOCK_FD, (uint32_t)fds[i]) < 0)
			return -1;
		nla_nest_end(msg, item);
	}
	nla_nest_end(msg, list);
	return 0;
}

static int put_reconfigure(struct nl_msg *msg, const struct nbd_genl_reconfigure *params)
{
	/* NBD_ATTR_TIMEOUT only when it is asked for: it resets the queue's io_timeout
	 * (kernel fact timeout-attribute). */
	if (nla_put_u32(msg, NBD_ATTR_INDEX, (uint32_t)params->index) < 0 ||
		nla_put_string(msg, NBD_ATTR_BACKEND_IDENTIFIER, params->backend_identifier) < 0 ||
		(params->timeout_sec &&
			nla_put_u64(msg, NBD_ATTR_TIMEOUT, params->timeout_sec) < 0) ||
		(params->set_dead_conn_timeout &&
			nla_put_u64(msg, NBD_ATTR_DEAD_CONN_TIMEOUT,
				params->dead_conn_timeout_sec) < 0) ||
		(params->size_bytes &&
			nla_put_u64(msg, NBD_ATTR_SIZE_BYTES, params->size_bytes) < 0))
		return -1;
	return params->fd >= 0 ? put_sockets(msg, &params->fd, 1) : 0;
}

static int put_connect(struct nl_msg *msg, const struct nbd_genl_connect *params)
{
	if ((params->index >= 0 && nla_put_u32(msg, NBD_ATTR_INDEX, (uint32_t)params->index) < 0) ||
		nla_put_u64(msg, NBD_ATTR_SIZE_BYTES, params->size_bytes) < 0 ||
		nla_put_u64(msg, NBD_ATTR_BLOCK_SIZE_BYTES, params->block_size_bytes) < 0 ||
		/* Said always: the device would keep a former user's
		 * (kernel fact timeout-attribute). */
		nla_put_u64(msg, NBD_ATTR_TIMEOUT, 0) < 0 ||
		nla_put_u64(msg, NBD_ATTR_DEAD_CONN_TIMEOUT, params->dead_conn_timeout_sec) < 0 ||
		nla_put_u64(msg, NBD_ATTR_SERVER_FLAGS, params->server_flags & KERNEL_FLAGS) < 0 ||
		nla_put_u64(msg, NBD_ATTR_CLIENT_FLAGS,
			params->remove_after ? NBD_CFLAG_DESTROY_ON_DISCONNECT : 0) < 0 ||
		nla_put_string(msg, NBD_ATTR_BACKEND_IDENTIFIER, params->backend_identifier) < 0)
		return -1;
	return put_sockets(msg, params->fds, params->fd_count);
}

static int permission(struct error *err)
{
	error_set(err, ERROR_PERMISSION, EPERM,
		"the kernel lets only root (CAP_SYS_ADMIN, outside of containers) configure nbd "
		"devices");
	return error_hint(err, -EPERM, "run it with sudo");
}

static int connect_failed(int rc, const struct nbd_genl_connect *params, struct error *err)
{
	switch (rc) {
	case -EPERM: return permission(err);
	case -EBUSY:
		if (params->index >= 0)
			return error_attached(err, params->index);
		error_set(err, ERROR_BUSY, EBUSY, "every nbd device is in use");
		return error_hint(err, rc, "load the driver with more: modprobe nbd nbds_max=64");
	case -ENOENT:
	case -ENODEV:
		error_set(err, ERROR_KERNEL, ENODEV, "there is no /dev/nbd%d", params->index);
		return error_hint(err, rc,
			"use \"auto\", or load the driver with more devices: modprobe nbd "
			"nbds_max=64");
	case -EINVAL:
		error_set(err, ERROR_KERNEL, EINVAL,
			"the nbd driver refused the device's configuration (size %llu, block size "
			"%u, %zu connections)",
			(unsigned long long)params->size_bytes, params->block_size_bytes,
			params->fd_count);
		return error_hint(err, rc, "the kernel log says more: dmesg | tail");
	default:
		return error_set(err, ERROR_KERNEL, -rc, "the nbd driver refused to connect: %s",
			strerror(-rc));
	}
}

int nbd_genl_connect(
	struct nbd_genl *genl, const struct nbd_genl_connect *params, int *index, struct error *err)
{
	struct answer answer = {.index = -1};
	struct nl_msg *msg = new_message(genl, NBD_CMD_CONNECT);
	int rc;

	if (!msg || put_connect(msg, params) < 0) {
		nlmsg_free(msg);
		return error_set(err, ERROR_OTHER, ENOMEM, "out of memory for a netlink message");
	}
	rc = exchange(genl, msg, &answer);
	if (rc)
		return connect_failed(rc, params, err);
	*index = answer.index >= 0 ? answer.index : params->index;
	if (*index < 0)
		return error_set(err, ERROR_KERNEL, EPROTO,
			"the nbd driver did not say which device it chose");
	return 0;
}

static int exchange_reconfigure(struct nbd_genl *genl, const struct nbd_genl_reconfigure *params)
{
	struct answer answer = {.index = -1};
	struct nl_msg *msg = new_message(genl, NBD_CMD_RECONFIGURE);

	if (!msg || put_reconfigure(msg, params) < 0) {
		nlmsg_free(msg);
		return -ENOMEM;
	}
	return exchange(genl, msg, &answer);
}

/* The kernel says EINVAL to a device that is gone, to another's identifier, and to a socket or size
 * that it does not like. Asked for nothing, it can only mean the first two. */
static bool is_ours(struct nbd_genl *genl, const struct nbd_genl_reconfigure *params)
{
	struct nbd_genl_reconfigure nothing = {
		.index = params->index, .backend_identifier = params->backend_identifier, .fd = -1};

	return exchange_reconfigure(genl, &nothing) != -EINVAL;
}

static int not_ours(int index, struct error *err)
{
	if (block_is_configured(index))
		return error_set(
			err, ERROR_BUSY, ENOTCONN, "/dev/nbd%d is somebody else's now", index);
	return error_set(err, ERROR_BUSY, ENOTCONN, "/dev/nbd%d is not attached any more", index);
}

int nbd_genl_reconfigure(
	struct nbd_genl *genl, const struct nbd_genl_reconfigure *params, struct error *err)
{
	int rc;

	if (!block_backend_is(params->index, params->backend_identifier))
		return not_ours(params->index, err);
	rc = exchange_reconfigure(genl, params);
	if (!block_backend_is(params->index, params->backend_identifier)) {
		if (params->fd >= 0)
			shutdown(params->fd, SHUT_RDWR);
		return not_ours(params->index, err);
	}
	if (!rc)
		return 0;
	if (rc == -EPERM)
		return permission(err);
	if (rc == -ENOENT || rc == -EBUSY || (rc == -EINVAL && !is_ours(genl, params)))
		return error_set(err, ERROR_BUSY, ENOTCONN,
			"/dev/nbd%d is not attached any more, or was disconnected", params->index);
	error_set(err, ERROR_KERNEL, -rc, "the nbd driver refused the new %s of /dev/nbd%d: %s",
		params->fd >= 0            ? "connection" :
			params->size_bytes ? "size" :
					     "configuration",
		params->index, strerror(-rc));
	return error_hint(err, rc, "the kernel log says more: dmesg | tail");
}

/* COMMAND for one device: the kernel's own -errno, or -ENOMEM. */
static int exchange_for_device(
	struct nbd_genl *genl, uint8_t command, int index, struct answer *answer)
{
	struct nl_msg *msg = new_message(genl, command);

	if (!msg || nla_put_u32(msg, NBD_ATTR_INDEX, (uint32_t)index) < 0) {
		nlmsg_free(msg);
		return -ENOMEM;
	}
	return exchange(genl, msg, answer);
}

int nbd_genl_disconnect(struct nbd_genl *genl, int index, struct error *err)
{
	struct answer answer = {.index = -1};
	int rc = exchange_for_device(genl, NBD_CMD_DISCONNECT, index, &answer);

	if (rc == -EPERM)
		return permission(err);
	if (rc == -EINVAL || rc == -ENOENT || rc == -EBUSY)
		return error_set(err, ERROR_BUSY, -rc, "/dev/nbd%d is not attached", index);
	return rc ? error_set(err, ERROR_KERNEL, -rc,
			    "the nbd driver refused to disconnect /dev/nbd%d: %s", index,
			    strerror(-rc)) :
		    0;
}

int nbd_genl_disconnect_own(
	struct nbd_genl *genl, int index, const char *backend, struct error *err)
{
	return block_backend_is(index, backend) ? nbd_genl_disconnect(genl, index, err) :
						  not_ours(index, err);
}

int nbd_genl_disconnect_on_close(struct nbd_genl *genl, int index, const char *backend, bool on)
{
	struct nl_msg *msg = new_message(genl, NBD_CMD_RECONFIGURE);
	struct answer answer = {.index = -1};

	if (!msg || nla_put_u32(msg, NBD_ATTR_INDEX, (uint32_t)index) < 0 ||
		(backend && nla_put_string(msg, NBD_ATTR_BACKEND_IDENTIFIER, backend) < 0) ||
		nla_put_u64(msg, NBD_ATTR_CLIENT_FLAGS, on ? NBD_CFLAG_DISCONNECT_ON_CLOSE : 0) <
			0) {
		nlmsg_free(msg);
		return -ENOMEM;
	}
	return exchange(genl, msg, &answer);
}

int nbd_genl_adopt(struct nbd_genl *genl, int fd, struct error *err)
{
	/* libnl would close FD with its socket, and on failure it is still the caller's. */
	_cleanup_fd_ int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	char stale[4096];
	int rc;

	if (copy < 0)
		return error_set(err, ERROR_OTHER, errno, "cannot take over a netlink socket: %s",
			strerror(errno));
	*genl = (struct nbd_genl){.sock = nl_socket_alloc(), .family = -1};
	if (!genl->sock)
		return error_set(err, ERROR_OTHER, ENOMEM, "out of memory");
	rc = nl_socket_set_fd(genl->sock, NETLINK_GENERIC, copy);
	if (rc >= 0) {
		steal_fd(&copy);
		/* Answers that its former owner did not live to read would be taken for ours. */
		while (recv(nbd_genl_fd(genl), stale, sizeof(stale), MSG_DONTWAIT | MSG_TRUNC) >=
				0 ||
			errno == ENOBUFS)
			;
		rc = genl->family = genl_ctrl_resolve(genl->sock, NBD_GENL_FAMILY_NAME);
	}
	if (rc >= 0) {
		close(fd);
		return 0;
	}
	nbd_genl_close(genl);
	return libnl_failed(rc, "cannot take over a netlink socket", err);
}

int nbd_genl_fd(const struct nbd_genl *genl)
{
	return nl_socket_get_fd(genl->sock);
}
