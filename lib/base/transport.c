/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/transport.h"
#include "base/clock.h"
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#define ENDED_HINT                                                                                 \
	"is it an NBD server, and does it let this machine in (access list, firewall, number of "  \
	"clients)? its log says more"

int transport_wait(struct transport *transport, short events, struct error *err)
{
	struct pollfd pfd = {.fd = transport->fd, .events = events};
	int64_t left;
	int n;

	do {
		left = transport->deadline_ms - monotonic_now_ms();
		n = left > 0 ? poll(&pfd, 1, left > 3600000 ? 3600000 : (int)left) : 0;
	} while ((n < 0 && errno == EINTR) || (n == 0 && left > 3600000));
	if (n > 0)
		return 0;
	if (n < 0)
		return error_set(err, ERROR_OTHER, errno, "poll: %s", strerror(errno));
	error_set(err, ERROR_UNREACHABLE, ETIMEDOUT, "timed out waiting for %s",
		transport->waiting_for ? transport->waiting_for : "the server");
	error_hint(err, 0,
		"it is reached, and does not answer: is it an NBD server, and not overloaded? "
		"--connect-timeout SEC waits for longer");
	return error_retry(err, -ETIMEDOUT);
}

/* After a call that failed: 0 when it may be called again now, else the error. */
static int plain_again(struct transport *transport, short events, struct error *err)
{
	int errno_value = errno;

	if (errno_value == EINTR)
		return 0;
	if (errno_value == EAGAIN)
		return transport_wait(transport, events, err);
	error_set(err, ERROR_UNREACHABLE, errno_value,
		"the connection broke (%s) while we waited for %s", strerror(errno_value),
		transport->waiting_for ? transport->waiting_for : "the server");
	error_hint(err, 0, ENDED_HINT);
	return error_retry(err, -errno_value);
}

static long plain_read_some(struct transport *transport, void *buf, size_t size, struct error *err)
{
	for (;;) {
		ssize_t n = recv(transport->fd, buf, size, 0);
		int rc = n >= 0 ? 0 : plain_again(transport, POLLIN, err);

		if (n >= 0 || rc)
			return n >= 0 ? n : rc;
	}
}

static long plain_write_some(
	struct transport *transport, const void *buf, size_t size, struct error *err)
{
	for (;;) {
		ssize_t n = send(transport->fd, buf, size, MSG_NOSIGNAL);
		int rc = n >= 0 ? 0 : plain_again(transport, POLLOUT, err);

		if (n >= 0 || rc)
			return n >= 0 ? n : rc;
	}
}

static size_t plain_pending(struct transport *transport)
{
	(void)transport;
	return 0;
}

static const struct transport_ops plain_ops = {plain_read_some, plain_write_some, plain_pending};

void transport_init_plain(struct transport *transport, int fd, int64_t deadline_ms)
{
	*transport = (struct transport){.ops = &plain_ops, .fd = fd, .deadline_ms = deadline_ms};
}

int transport_read(struct transport *transport, void *buf, size_t size, struct error *err)
{
	uint8_t *at = buf;

	while (size > 0) {
		long n;

		/* A server that drips one byte at a time is under the same deadline as one that
		 * sends none. */
		if (monotonic_now_ms() >= transport->deadline_ms)
			return transport_wait(transport, 0, err);
		n = transport->ops->read_some(transport, at, size, err);
		if (n < 0)
			return (int)n;
		if (n == 0) {
			error_set(err, ERROR_UNREACHABLE, ECONNRESET,
				"the server closed the connection while we waited for %s",
				transport->waiting_for ? transport->waiting_for : "it");
			error_hint(err, 0, ENDED_HINT);
			return error_retry(err, -ECONNRESET);
		}
		at += n;
		size -= n;
	}
	return 0;
}

int transport_write(struct transport *transport, const void *buf, size_t size, struct error *err)
{
	const uint8_t *at = buf;

	while (size > 0) {
		long n = transport->ops->write_some(transport, at, size, err);

		if (n < 0)
			return (int)n;
		at += n;
		size -= n;
	}
	return 0;
}

size_t transport_pending(struct transport *transport)
{
	return transport->ops->pending(transport);
}
