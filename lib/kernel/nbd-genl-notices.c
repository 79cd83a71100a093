/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the driver tells by itself: that a link died (kernel fact link-dead-notice). */
#include "kernel/nbd-genl.h"
#include <errno.h>
#include <linux/nbd-netlink.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <netlink/netlink.h>

int nbd_genl_listen(struct nbd_genl *listener, struct error *err)
{
	int rc = nbd_genl_open(listener, err), group;

	if (rc)
		return rc;
	group = genl_ctrl_resolve_grp(
		listener->sock, NBD_GENL_FAMILY_NAME, NBD_GENL_MCAST_GROUP_NAME);
	rc = group < 0 ? group : nl_socket_add_membership(listener->sock, group);
	if (rc >= 0)
		rc = nl_socket_set_nonblocking(listener->sock);
	/* Notices answer nothing, and so bear no sequence number of ours. */
	nl_socket_disable_seq_check(listener->sock);
	if (rc >= 0)
		return 0;
	nbd_genl_close(listener);
	return error_set(err, ERROR_KERNEL, EIO, "cannot listen to the nbd driver's notices: %s",
		nl_geterror(rc));
}

int nbd_genl_listener_fd(const struct nbd_genl *listener)
{
	return nbd_genl_fd(listener);
}

struct notices {
	int family, index, count;
};

static int on_notice(struct nl_msg *msg, void *data)
{
	struct nlattr *attrs[NBD_ATTR_MAX + 1], *index;
	struct nlmsghdr *header = nlmsg_hdr(msg);
	struct notices *notices = data;

	if (header->nlmsg_type != notices->family ||
		genlmsg_parse(header, 0, attrs, NBD_ATTR_MAX, NULL) < 0)
		return NL_SKIP;
	index = attrs[NBD_ATTR_INDEX];
	if (genlmsg_hdr(header)->cmd == NBD_CMD_LINK_DEAD && index &&
		nla_len(index) >= (int)sizeof(uint32_t) &&
		(int)nla_get_u32(index) == notices->index)
		notices->count++;
	return NL_OK;
}

int nbd_genl_read_notices(struct nbd_genl *listener, int index)
{
	struct notices notices = {.family = listener->family, .index = index};
	bool lost = false;
	int rc;

	nl_socket_modify_cb(listener->sock, NL_CB_VALID, NL_CB_CUSTOM, on_notice, &notices);
	do {
		rc = nl_recvmsgs_default(listener->sock);
		/* An overrun is told once, before what is still there; a second one is for the next
		 * poll. */
		if (rc == -NLE_NOMEM && !lost) {
			lost = true;
			rc = 0;
		}
	} while (rc >= 0);
	if (lost || rc == -NLE_NOMEM)
		return -ENOBUFS;
	return rc == -NLE_AGAIN ? notices.count : -EIO;
}
