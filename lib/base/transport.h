/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Bytes to and from the server under one deadline. Option haggling sees this table only and never
 * knows whether TLS lies under it. Reads are exact: not one byte more than asked for leaves the
 * socket on behalf of the caller. */
#ifndef NBDA_BASE_TRANSPORT
#define NBDA_BASE_TRANSPORT
#include <stdint.h>
#include <stddef.h>
#include "base/error.h"

struct transport;

struct transport_ops {
	/* Some bytes, at least one; 0 at end of stream; -errno with ERR filled. */
	long (*read_some)(struct transport *transport, void *buf, size_t size, struct error *err);
	long (*write_some)(
		struct transport *transport, const void *buf, size_t size, struct error *err);
	/* Bytes that were taken from the socket but not yet asked for. */
	size_t (*pending)(struct transport *transport);
};

struct transport {
	const struct transport_ops *ops;
	int fd;                  /* non-blocking; owned by its opener */
	int64_t deadline_ms;     /* absolute, CLOCK_MONOTONIC */
	void *session;           /* struct tls_session, for the TLS one */
	const char *waiting_for; /* what a timeout says was missing: "the server's greeting" */
};

void transport_init_plain(struct transport *transport, int fd, int64_t deadline_ms);
int transport_read(struct transport *transport, void *buf, size_t size, struct error *err);
int transport_write(struct transport *transport, const void *buf, size_t size, struct error *err);
size_t transport_pending(struct transport *transport);
/* Wait for EVENTS (POLLIN, POLLOUT) until the deadline: 0, or -ETIMEDOUT with a sentence. */
int transport_wait(struct transport *transport, short events, struct error *err);

#endif
