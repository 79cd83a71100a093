/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What TCP says of a connection. */
#ifndef NBDA_NET_TCP_STATS
#define NBDA_NET_TCP_STATS
#include <stdbool.h>
#include <stdint.h>

struct tcp_stats {
	uint64_t sent_bytes, received_bytes; /* payload, over the connection's life */
	bool established;
	/* for how long the peer's TCP has acknowledged nothing, although it was sent again or
	 * asked; 0: it does. So a path is found dead, and not a program that does not read: for
	 * that one its TCP answers */
	int lost_ms;
	/* the last data came after the last was sent, and all of that was received. Of what was
	 * sent and what came within one tick of the kernel (4 ms at HZ=250) the order is not known:
	 * that counts as answered */
	bool answered;
};

/* -errno when FD is not a TCP socket. */
int tcp_stats_get(int fd, struct tcp_stats *stats);

#endif
