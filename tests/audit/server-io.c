// SPDX-License-Identifier: GPL-2.0-or-later
#include "server.h"
#include "base/wire.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#define PRIORITY_BEST "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"
#define PRIORITY_TLS_1_2 "NORMAL:-VERS-ALL:+VERS-TLS1.2"
#define RECORD_HEADER_BYTES 5
#define RECORD_DATA 23
/* A request without padding, in its record, is shorter. */
#define REQUEST_RECORD_MAX_BYTES 200
#define SMALL_RECORD_BYTES 1024

void server_limit_idle(struct server *server, int ms)
{
	struct timeval time = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

	setsockopt(server->fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time));
}

static ssize_t pull(gnutls_transport_ptr_t ptr, void *buf, size_t size)
{
	struct server *server = ptr;
	const uint8_t *header = buf;
	ssize_t n = recv(server->fd, buf, size, 0);

	if (n < 0) /* silent for too long: no reason to try again */
		gnutls_transport_set_errno(server->tls, ECONNRESET);
	if (server->hole == HOLE_PADDING && server->transmitting && n == RECORD_HEADER_BYTES &&
		header[0] == RECORD_DATA && wire_get_u16(header + 3) > REQUEST_RECORD_MAX_BYTES)
		return 0;
	return n;
}

static ssize_t push(gnutls_transport_ptr_t ptr, const void *buf, size_t size)
{
	struct server *server = ptr;

	return send(server->fd, buf, size, MSG_NOSIGNAL);
}

static int pull_timeout(gnutls_transport_ptr_t ptr, unsigned ms)
{
	(void)ptr, (void)ms;
	return 1;
}

static int refuse_message(gnutls_session_t tls, unsigned type, unsigned when, unsigned incoming,
	const gnutls_datum_t *message)
{
	(void)tls, (void)when, (void)message;
	return incoming && type == GNUTLS_HANDSHAKE_KEY_UPDATE ? GNUTLS_E_UNEXPECTED_PACKET : 0;
}

static int handshake(gnutls_session_t tls)
{
	int rc;

	do
		rc = gnutls_handshake(tls);
	while (rc < 0 && !gnutls_error_is_fatal(rc));
	return rc;
}

/* Does the client's hello, which is still to be read, offer TLS 1.3? */
static bool offers_tls_1_3(struct server *server)
{
	uint8_t hello[4096];
	ssize_t n = recv(server->fd, hello, sizeof(hello), MSG_PEEK);

	for (ssize_t i = 0; i + 6 < n; i++)
		if (memcmp(hello + i, "\0\x2b", 2) == 0 &&
			memmem(hello + i + 5, hello[i + 4] <= n - i - 5 ? hello[i + 4] : 0, "\3\4",
				2))
			return true;
	return false;
}

static const char *choose_priority(struct server *server)
{
	if (server->hole == HOLE_NO_SENTINEL && !offers_tls_1_3(server))
		return PRIORITY_TLS_1_2;
	return server->priority ? server->priority : PRIORITY_BEST;
}

bool server_handshake(struct server *server)
{
	gnutls_session_t tls;
	int rc;

	if (gnutls_init(&tls, GNUTLS_SERVER | GNUTLS_NO_TICKETS) < 0)
		return false;
	server->tls = tls;
	gnutls_priority_set_direct(tls, choose_priority(server), NULL);
	gnutls_credentials_set(tls, GNUTLS_CRD_CERTIFICATE, server->credentials);
	gnutls_transport_set_ptr(tls, server);
	gnutls_transport_set_pull_function(tls, pull);
	gnutls_transport_set_push_function(tls, push);
	gnutls_transport_set_pull_timeout_function(tls, pull_timeout);
	if (server->hole == HOLE_KEY_UPDATE)
		gnutls_handshake_set_hook_function(
			tls, GNUTLS_HANDSHAKE_ANY, GNUTLS_HOOK_PRE, refuse_message);
	if (server->hole == HOLE_RECORD_SIZE)
		gnutls_record_set_max_recv_size(tls, SMALL_RECORD_BYTES);
	rc = handshake(tls);
	if (rc >= 0)
		return true;
	gnutls_alert_send_appropriate(tls, rc);
	gnutls_deinit(tls);
	server->tls = NULL;
	return false;
}

bool server_send(struct server *server, const void *bytes, size_t size)
{
	const uint8_t *at = bytes;

	while (size) {
		ssize_t n = server->tls ? gnutls_record_send(server->tls, at, size) :
					  send(server->fd, at, size, MSG_NOSIGNAL);

		if (server->tls && (n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED))
			continue;
		if (n <= 0)
			return false;
		at += n;
		size -= (size_t)n;
	}
	return true;
}

/* What was read ahead comes first, wherever it was said. */
static ssize_t take_ahead(struct server *server, void *bytes, size_t size)
{
	if (size > server->ahead_size)
		size = server->ahead_size;
	memcpy(bytes, server->ahead, size);
	memmove(server->ahead, server->ahead + size, server->ahead_size - size);
	server->ahead_size -= size;
	return (ssize_t)size;
}

bool server_receive(struct server *server, void *bytes, size_t size)
{
	uint8_t *at = bytes;

	while (size) {
		ssize_t n = server->ahead_size ? take_ahead(server, at, size) :
			server->tls            ? gnutls_record_recv(server->tls, at, size) :
						 recv(server->fd, at, size, 0);

		if (server->tls && (n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED))
			continue;
		if (server->tls && n == GNUTLS_E_REHANDSHAKE && server->hole == HOLE_RENEGOTIATES &&
			handshake(server->tls) >= 0)
			continue;
		if (n <= 0)
			return false;
		at += n;
		size -= (size_t)n;
	}
	return true;
}
