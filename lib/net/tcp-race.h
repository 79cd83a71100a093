/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The addresses of one host, tried as RFC 8305 has it: each gets 250 ms before the next one is
 * tried beside it, so that one which answers nothing costs no more than that. For this folder's
 * sources only. */
#ifndef NBDA_NET_TCP_RACE
#define NBDA_NET_TCP_RACE
#include <netdb.h>
#include <stddef.h>
#include <stdint.h>

struct tcp_race {
	const struct addrinfo *const *addresses; /* in the order in which they are tried */
	size_t count;
	int64_t deadline_ms;
	int64_t attempt_ms; /* no address gets more */
	/* what came of it */
	size_t at; /* the address that answered; else the last one that failed, in their order */
	size_t tried;
	int fd; /* the caller's: non-blocking, close-on-exec, TCP_NODELAY and SO_KEEPALIVE */
};

/* 0, or the -errno of the address AT: -ETIMEDOUT when nothing came in time. A connection to itself,
 * which TCP makes when it is given the very port that nobody listens on, is refused. */
int tcp_race(struct tcp_race *race);

int tcp_set_option(int fd, int level, int option, int value);

#endif
