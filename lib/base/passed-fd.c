/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/passed-fd.h"
#include <string.h>

void passed_fd_add(struct msghdr *msg, struct passed_fd *room, int fd)
{
	struct cmsghdr *header = (struct cmsghdr *)room->bytes;

	if (fd < 0)
		return;
	memset(room, 0, sizeof(*room));
	*header = (struct cmsghdr){.cmsg_level = SOL_SOCKET,
		.cmsg_type = SCM_RIGHTS,
		.cmsg_len = CMSG_LEN(sizeof(int))};
	memcpy(CMSG_DATA(header), &fd, sizeof(int));
	msg->msg_control = room->bytes;
	msg->msg_controllen = sizeof(room->bytes);
}

void passed_fd_expect(struct msghdr *msg, struct passed_fd *room)
{
	msg->msg_control = room->bytes;
	msg->msg_controllen =
		CMSG_LEN(sizeof(int)); /* in CMSG_SPACE() there would be room for two */
}

int passed_fd_take(struct msghdr *msg)
{
	struct cmsghdr *header = CMSG_FIRSTHDR(msg);
	int fd;

	if (!header || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS ||
		header->cmsg_len != CMSG_LEN(sizeof(int)))
		return -1;
	memcpy(&fd, CMSG_DATA(header), sizeof(int));
	return fd;
}
