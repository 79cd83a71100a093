/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A descriptor that goes with a message over an AF_UNIX socket (SCM_RIGHTS). */
#ifndef NBDA_BASE_PASSED_FD
#define NBDA_BASE_PASSED_FD
#include <sys/socket.h>

struct passed_fd {
	char bytes[CMSG_SPACE(sizeof(int))] __attribute__((aligned(__alignof__(struct cmsghdr))));
};

/* Have FD go with MSG; -1: none. ROOM is the caller's until the message is sent. */
void passed_fd_add(struct msghdr *msg, struct passed_fd *room, int fd);
/* Before MSG is received: one may come with it, and the kernel closes others. ROOM is MSG's. */
void passed_fd_expect(struct msghdr *msg, struct passed_fd *room);
/* What came with MSG, the caller's to close; -1: none. */
int passed_fd_take(struct msghdr *msg);

#endif
