/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Resolve and connect. */
#ifndef NBDA_TCP_CONNECT_H
#define NBDA_TCP_CONNECT_H
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include "error.h"
#include "target.h"

/* Where a host was reached last; length 0: never. */
struct known_address {
	struct sockaddr_storage address;
	socklen_t length;
};

/* Try each address of the target's host in the resolver's order until DEADLINE_MS; each gets a fair share of what is left. FD
 * (non-blocking, close-on-exec, TCP_NODELAY, keepalive) is the caller's; ADDRESS receives the one that answered. */
int tcp_connect(const struct target *target, int64_t deadline_ms, int *fd, char *address, size_t address_size, struct error *err);
int unix_connect(const struct target *target, int *fd, char *address, size_t address_size, struct error *err);

#endif
