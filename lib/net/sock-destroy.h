/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Closing a TCP connection of this machine that we hold no descriptor of, as "ss -K" does
 * (inet_diag). */
#ifndef NBDA_NET_SOCK_DESTROY
#define NBDA_NET_SOCK_DESTROY
#include <sys/socket.h>
#include "base/error.h"

/* Both ends of a connected IPv4 or IPv6 socket. -EAFNOSUPPORT for any other. */
int sock_addresses(int fd, struct sockaddr_storage *local, struct sockaddr_storage *peer);

/* Is there a connection between these two addresses, in this network namespace? 0, -ENOENT, or
 * -errno when the kernel does not say. */
int sock_find(const struct sockaddr_storage *local, const struct sockaddr_storage *peer);

/* Reset the connection between these two addresses, in this network namespace: its users see
 * ECONNABORTED. Needs CAP_NET_ADMIN. -ENOENT: there is no such connection (any more). -EOPNOTSUPP:
 * the kernel cannot do that. */
int sock_destroy(const struct sockaddr_storage *local, const struct sockaddr_storage *peer,
	struct error *err);

#endif
