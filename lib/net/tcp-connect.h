/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Resolve and connect. */
#ifndef NBDA_NET_TCP_CONNECT
#define NBDA_NET_TCP_CONNECT
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include "base/error.h"
#include "config/endpoint.h"

/* Where a host was reached last; length 0: never. */
struct known_address {
	struct sockaddr_storage address;
	socklen_t length;
};

#define TCP_CONNECT_SHORT_TIMEOUT_MS 5000 /* for one address, when there will be another attempt */

struct tcp_connect_params {
	const struct endpoint *endpoint;
	const struct known_address *known; /* one for each of the endpoint's hosts; or NULL */
	int64_t deadline_ms;
	/* Where to begin: a server that can be connected to and is of no use otherwise must not
	 * keep the others from being tried. Counts the hosts and, when all had their turn, their
	 * next addresses. */
	size_t first;
	/* one host, and never another: some link of the device is to it, and two hosts at once may
	 * not be one disk */
	bool only_first;
	/* no address gets more than TCP_CONNECT_SHORT_TIMEOUT_MS, however far the deadline is */
	bool short_timeout;
};

struct connection {
	/* non-blocking, close-on-exec; over TCP with TCP_NODELAY and SO_KEEPALIVE; the caller's */
	int fd;
	size_t host_index; /* which of the endpoint's hosts answered; 0 for a unix socket */
	char address[64];  /* "192.0.2.7:10809", "[2001:db8::1]:10809" or "unix:PATH" cut */
};

/* As struct connection has it; "?" of what is no address. */
void tcp_format_address(const struct sockaddr *address, socklen_t length, char *buf, size_t size);

/* May HOST have answered from there? Its port is known, and its address when it is no name. */
bool tcp_may_be_host(const struct endpoint_host *host, const struct sockaddr_storage *address);

/* Try each address of each host, in the endpoint's and then the resolver's order but from FIRST on,
 * until the deadline; each host gets a fair share of what is left, and its addresses race for it
 * (tcp-race.h). A host that the resolver does not find in time is tried where it was reached last.
 * getaddrinfo() heeds no deadline: RES_OPTIONS, and the parent of this process, have to. */
int tcp_connect(
	const struct tcp_connect_params *params, struct connection *connection, struct error *err);
int unix_connect(const struct endpoint *endpoint, struct connection *connection, struct error *err);

/* Have TCP give a silent path up after about TIMEOUT_MS, with nothing to send (keepalive, in
 * seconds, so no less than some four). With data under way that is for who watches it to do
 * (tcp_stats.lost_ms): TCP_USER_TIMEOUT also ends a connection whose peer acknowledges all, and
 * whose program does not read (tcp_probe_timer()). A server that hangs is not dead. */
int tcp_set_liveness(int fd, int timeout_ms, struct error *err);

#endif
