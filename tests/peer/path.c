// SPDX-License-Identifier: GPL-2.0-or-later
#include "path.h"
#include "mitm.h"
#include "path-hello.h"
#include "tls-record.h"
#include "base/wire.h"
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A direction: what came and is not a whole record yet, and what was seen. */
struct way {
	int from, to;
	bool is_client; /* from the client */
	bool ccs_seen, finished;
	unsigned encrypted;
	size_t size;
	uint8_t bytes[2 * TLS_RECORD_MAX_BYTES];
	size_t held_size; /* PATH_SWAP */
	uint8_t held[TLS_RECORD_MAX_BYTES];
};

struct path {
	const struct path_config *config;
	struct peer_shared *shared;
	const struct peer_shared *server_told;
	bool tls13, option_seen, request_seen;
	struct way client, server;
};

bool path_send(int fd, const void *bytes, size_t size)
{
	const uint8_t *at = bytes;

	while (size > 0) {
		ssize_t n = send(fd, at, size, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		at += n;
		size -= (size_t)n;
	}
	return true;
}

void path_hear(struct peer_shared *shared, const uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size && shared->heard_size < PEER_MAP_BYTES; i++)
		shared->heard[shared->heard_size++] = bytes[i];
}

/* RFC 5246, 7.4: the types of handshake messages. */
static enum path_record handshake_record(const struct way *way, uint8_t type)
{
	static const uint8_t of_client[] = {
		[PATH_CLIENT_HELLO] = 1,
		[PATH_CLIENT_CERTIFICATE] = 11,
		[PATH_CLIENT_KEY_EXCHANGE] = 16,
		[PATH_CLIENT_VERIFY] = 15,
	};
	static const uint8_t of_server[] = {
		[PATH_SERVER_HELLO] = 2,
		[PATH_CERTIFICATE_REQUEST] = 13,
		[PATH_CERTIFICATE] = 11,
		[PATH_SERVER_KEY_EXCHANGE] = 12,
		[PATH_SERVER_HELLO_DONE] = 14,
	};
	const uint8_t *types = way->is_client ? of_client : of_server;
	size_t count = way->is_client ? sizeof(of_client) : sizeof(of_server);

	if (way->ccs_seen)
		return way->is_client ? PATH_CLIENT_FINISHED : PATH_SERVER_FINISHED;
	for (size_t i = 1; i < count; i++)
		if (types[i] == type)
			return (enum path_record)i;
	return PATH_NOTHING;
}

/* GnuTLS sends each message of a handshake in a record of its own. */
static enum path_record encrypted_handshake_record(const struct path *path, const struct way *way)
{
	static const enum path_record of_client[] = {
		PATH_CLIENT_CERTIFICATE, PATH_CLIENT_VERIFY, PATH_CLIENT_FINISHED};
	static const enum path_record of_server[] = {PATH_ENCRYPTED_EXTENSIONS,
		PATH_CERTIFICATE_REQUEST, PATH_CERTIFICATE, PATH_CERTIFICATE_VERIFY,
		PATH_SERVER_FINISHED};
	unsigned at = way->encrypted;

	if (!path->config->mutual)
		at += way->is_client ? 2 : at > 0;
	if (way->is_client)
		return at < 3 ? of_client[at] : PATH_NOTHING;
	return at < 5 ? of_server[at] : PATH_NOTHING;
}

static enum path_record server_data_record(const struct path *path)
{
	unsigned wanted = path->config->on_read ? path->config->on_read : 1;

	if (!path->server_told || !path->server_told->reached_read)
		return PATH_OPTION_REPLY;
	return path->server_told->reads == wanted ? PATH_READ_REPLY : PATH_NOTHING;
}

static enum path_record data_record(struct path *path, const struct way *way, size_t size)
{
	size_t overhead = TLS_RECORD_HEADER_BYTES + (path->tls13 ? 1 + 16 : 8 + 16);

	if (!way->is_client)
		return server_data_record(path);
	if (size == 28 + overhead && !path->request_seen) {
		path->request_seen = true;
		return PATH_READ_REQUEST;
	}
	if (path->option_seen)
		return PATH_NOTHING;
	path->option_seen = true;
	return PATH_FIRST_OPTION;
}

static enum path_record name_record(struct path *path, struct way *way, size_t size)
{
	enum path_record record = PATH_NOTHING;

	switch (way->bytes[0]) {
	case TLS_CHANGE_CIPHER_SPEC:
		way->ccs_seen = true;
		return way->is_client ? PATH_CLIENT_CCS : PATH_SERVER_CCS;
	case TLS_HANDSHAKE:
		record = handshake_record(way, way->bytes[TLS_RECORD_HEADER_BYTES]);
		if (record == PATH_SERVER_HELLO)
			path->tls13 = path_hello_is_tls13(way->bytes, size);
		break;
	case TLS_DATA:
		if (way->finished || !path->tls13)
			return data_record(path, way, size);
		record = encrypted_handshake_record(path, way);
		way->encrypted++;
		break;
	case TLS_ALERT:
		if (way->finished && !way->is_client)
			return server_data_record(path);
		break;
	}
	way->finished |= record == PATH_CLIENT_FINISHED || record == PATH_SERVER_FINISHED;
	return record;
}

/* A clean end to the client's eyes: what it still sends is taken, so that nothing is reset. */
static bool end_connection(struct path *path)
{
	uint8_t rest[4096];

	shutdown(path->client.from, SHUT_WR);
	shutdown(path->server.from, SHUT_RDWR);
	while (recv(path->client.from, rest, sizeof(rest), 0) > 0)
		continue;
	return false;
}

static bool send_halves(struct path *path, struct way *way, size_t size)
{
	uint8_t header[TLS_RECORD_HEADER_BYTES];
	size_t body = size - sizeof(header), half = body / 2;
	const uint8_t *bytes = way->bytes + sizeof(header);

	tls_record_put_header(header, way->bytes[0], half);
	if (!path_send(way->to, header, sizeof(header)) || !path_send(way->to, bytes, half) ||
		!path_send(way->to, path->config->insert, path->config->insert_size))
		return false;
	tls_record_put_header(header, way->bytes[0], body - half);
	return path_send(way->to, header, sizeof(header)) &&
		path_send(way->to, bytes + half, body - half);
}

static bool send_flipped(const struct path_config *config, struct way *way, size_t size)
{
	size_t middle = TLS_RECORD_HEADER_BYTES + (size - TLS_RECORD_HEADER_BYTES) / 2;

	way->bytes[config->action == PATH_FLIP ? middle : config->at] ^= 0x04;
	return path_send(way->to, way->bytes, size);
}

static bool attack(struct path *path, struct way *way, size_t size)
{
	const struct path_config *config = path->config;
	uint8_t edited[TLS_RECORD_MAX_BYTES];

	path->shared->fired = true;
	switch (config->action) {
	case PATH_FLIP:
	case PATH_FLIP_AT: return send_flipped(config, way, size);
	case PATH_TWICE:
		return path_send(way->to, way->bytes, size) && path_send(way->to, way->bytes, size);
	case PATH_DROP: return true;
	case PATH_SWAP:
		memcpy(way->held, way->bytes, size);
		way->held_size = size;
		return true;
	case PATH_CUT_IN: path_send(way->to, way->bytes, size / 2); return end_connection(path);
	case PATH_CUT_BEHIND: path_send(way->to, way->bytes, size); return end_connection(path);
	case PATH_BEFORE:
		return path_send(way->to, config->insert, config->insert_size) &&
			path_send(way->to, way->bytes, size);
	case PATH_BEHIND:
		return path_send(way->to, way->bytes, size) &&
			path_send(way->to, config->insert, config->insert_size);
	case PATH_HALVES: return send_halves(path, way, size);
	case PATH_EDIT:
		size = path_hello_edit(config->edit, way->bytes, size, edited);
		return size > 0 && path_send(way->to, edited, size);
	}
	return false;
}

static bool pass_record(struct path *path, struct way *way, size_t size)
{
	enum path_record record = name_record(path, way, size);

	if (record != PATH_NOTHING && record == path->config->record && !path->shared->fired)
		return attack(path, way, size);
	if (!path_send(way->to, way->bytes, size))
		return false;
	if (!way->held_size)
		return true;
	size = way->held_size;
	way->held_size = 0;
	return path_send(way->to, way->held, size);
}

static bool take(struct path *path, struct way *way)
{
	ssize_t n = recv(way->from, way->bytes + way->size, sizeof(way->bytes) - way->size, 0);

	if (n <= 0)
		return false;
	if (way->is_client)
		path_hear(path->shared, way->bytes + way->size, (size_t)n);
	way->size += (size_t)n;
	while (way->size >= TLS_RECORD_HEADER_BYTES) {
		size_t size = TLS_RECORD_HEADER_BYTES + wire_get_u16(way->bytes + 3);

		if (size > TLS_RECORD_MAX_BYTES)
			return false;
		if (way->size < size)
			break;
		if (!pass_record(path, way, size))
			return false;
		way->size -= size;
		memmove(way->bytes, way->bytes + size, way->size);
	}
	return true;
}

void path_run(
	int client_fd, int server_fd, const struct mitm_config *config, struct peer_shared *shared)
{
	static struct path path; /* one a process; too large for the stack */
	struct pollfd fds[2] = {
		{.fd = client_fd, .events = POLLIN}, {.fd = server_fd, .events = POLLIN}};

	memset(&path, 0, sizeof(path));
	path.config = &config->path;
	path.server_told = config->server;
	path.shared = shared;
	path.client.from = path.server.to = client_fd;
	path.server.from = path.client.to = server_fd;
	path.client.is_client = true;
	while (poll(fds, 2, -1) > 0) {
		if (fds[0].revents && !take(&path, &path.client))
			return;
		if (fds[1].revents && !take(&path, &path.server))
			return;
	}
}
