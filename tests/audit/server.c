// SPDX-License-Identifier: GPL-2.0-or-later
/* doc/proto.md of the NBD project, FORCEDTLS, with structured replies and one metadata context; and
 * where a hole is asked for, not quite. */
#include "server.h"
#include "base/wire.h"
#include "nbd/nbd-protocol.h"
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define EXPORT_NAME "disk"
#define EXPORT_BYTES (1U << 20)
#define OPTION_MAX_BYTES 65536
#define CONTEXT "base:allocation"
#define NBD_EINVAL 22
#define CHUNK_OFFSET_DATA 1
#define CHUNK_BLOCK_STATUS 5
#define CHUNK_ERROR 0x8001
#define CHUNK_DONE 1
#define UNASKED_MS 250

/* --- options */

static bool reply(
	struct server *server, uint32_t option, uint32_t type, const void *data, size_t size)
{
	uint8_t header[20];

	wire_put_u64(header, NBD_OPTION_REPLY_MAGIC);
	wire_put_u32(header + 8, option);
	wire_put_u32(header + 12, type);
	wire_put_u32(header + 16, (uint32_t)size);
	return server_send(server, header, sizeof(header)) && server_send(server, data, size);
}

static bool acknowledge(struct server *server, uint32_t option)
{
	return reply(server, option, NBD_REP_ACK, NULL, 0);
}

static bool refuse(struct server *server, uint32_t option, uint32_t type)
{
	return reply(server, option, type, "no", 2);
}

static bool is_our_export(const void *name, size_t size)
{
	return size == strlen(EXPORT_NAME) && memcmp(name, EXPORT_NAME, size) == 0;
}

static void put_export(uint8_t *at)
{
	wire_put_u64(at, EXPORT_BYTES);
	wire_put_u16(at + 8, NBD_TFLAG_HAS_FLAGS | NBD_TFLAG_READ_ONLY);
}

static bool tell_export(struct server *server, uint32_t option)
{
	uint8_t info[12];

	wire_put_u16(info, NBD_INFO_EXPORT);
	put_export(info + 2);
	server->transmitting = option == NBD_OPT_GO;
	return reply(server, option, NBD_REP_INFO, info, sizeof(info)) &&
		acknowledge(server, option);
}

static bool option_info(struct server *server, uint32_t option, const uint8_t *data, size_t size)
{
	uint32_t name_size = size >= 6 ? wire_get_u32(data) : UINT32_MAX;

	if (size < 6 || name_size > size - 6) {
		if (server->hole == HOLE_NAME_LENGTH)
			return tell_export(server, option);
		if (server->hole == HOLE_NAME_LENGTH_TWICE)
			refuse(server, option, NBD_REP_ERR_INVALID);
		return refuse(server, option, NBD_REP_ERR_INVALID);
	}
	if (name_size > EXPORT_NAME_MAX)
		return server->hole == HOLE_OVERSIZED_NAME ?
			tell_export(server, option) :
			refuse(server, option, NBD_REP_ERR_TOO_BIG);
	if (name_size == EXPORT_NAME_MAX && server->hole == HOLE_LONG_NAME)
		kill(getppid(), SIGKILL);
	if (!is_our_export(data + 4, name_size))
		return refuse(server, option, NBD_REP_ERR_UNKNOWN);
	return tell_export(server, option);
}

static bool option_list(struct server *server, size_t size)
{
	static const uint8_t entry[] = {0, 0, 0, 4, 'd', 'i', 's', 'k'};

	if (size)
		return refuse(server, NBD_OPT_LIST, NBD_REP_ERR_INVALID);
	return reply(server, NBD_OPT_LIST, NBD_REP_SERVER, entry, sizeof(entry)) &&
		acknowledge(server, NBD_OPT_LIST);
}

/* The queries are as many as they are said to be, and end where the option ends. */
static bool queries_are_sound(struct wire_reader *reader)
{
	uint32_t name_size = wire_read_u32(reader), count;
	const void *name = wire_read_bytes(reader, name_size);

	count = wire_read_u32(reader);
	for (uint32_t i = 0; i < count && !reader->failed; i++)
		wire_read_bytes(reader, wire_read_u32(reader));
	return name && !reader->failed && reader->left == 0;
}

static bool option_context(struct server *server, uint32_t option, const uint8_t *data, size_t size)
{
	static const uint8_t context[] = "\0\0\0\1" CONTEXT;
	struct wire_reader reader;

	wire_reader_init(&reader, data, size);
	if (!server->structured ||
		(!queries_are_sound(&reader) && server->hole != HOLE_QUERY_COUNT))
		return refuse(server, option, NBD_REP_ERR_INVALID);
	server->has_context |= option == NBD_OPT_SET_META_CONTEXT;
	return reply(server, option, NBD_REP_META_CONTEXT, context, sizeof(context) - 1) &&
		acknowledge(server, option);
}

static bool option_structured(struct server *server, uint32_t option)
{
	if (server->structured)
		return refuse(server, option, NBD_REP_ERR_INVALID);
	server->structured = true;
	return acknowledge(server, option);
}

/* Not the client's hello, which may be there already. */
static bool has_option_ahead(const struct server *server)
{
	char byte;

	return recv(server->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1 && byte == 'I';
}

static void read_ahead(struct server *server)
{
	ssize_t n;

	if (server->hole != HOLE_READ_AHEAD || !has_option_ahead(server))
		return;
	n = recv(server->fd, server->ahead, sizeof(server->ahead), MSG_DONTWAIT);
	server->ahead_size = n > 0 ? (size_t)n : 0;
}

static bool serve_option(struct server *server);

static bool start_tls(struct server *server)
{
	if (!acknowledge(server, NBD_OPT_STARTTLS))
		return false;
	read_ahead(server);
	if (server->hole == HOLE_ANSWER_AHEAD && has_option_ahead(server))
		serve_option(server);
	server_limit_idle(server, server->hole == HOLE_IDLE_TLS ? 0 : server->idle_ms);
	if (!server_handshake(server))
		return server->hole == HOLE_FALLBACK;
	server_limit_idle(server, server->idle_ms);
	if (server->hole != HOLE_KEEPS_STRUCTURED)
		server->structured = false;
	if (server->hole != HOLE_KEEPS_CONTEXT)
		server->has_context = false;
	if (server->hole != HOLE_KEEPS_EXTENDED)
		server->extended = false;
	return true;
}

static bool option_starttls(struct server *server, size_t size)
{
	if (server->tls && server->hole == HOLE_STARTTLS_TWICE)
		return acknowledge(server, NBD_OPT_STARTTLS);
	if (server->tls || (size && server->hole != HOLE_STARTTLS_DATA))
		return refuse(server, NBD_OPT_STARTTLS, NBD_REP_ERR_INVALID);
	if (server->hole == HOLE_NO_TLS ||
		(server->hole == HOLE_STARTTLS_LATE && server->options > 1) ||
		!(server->client_flags & NBD_HANDSHAKE_FIXED_NEWSTYLE))
		return refuse(server, NBD_OPT_STARTTLS, NBD_REP_ERR_POLICY);
	return start_tls(server);
}

static bool option_export_name(struct server *server, const uint8_t *data, size_t size)
{
	bool no_zeroes = server->client_flags & NBD_HANDSHAKE_NO_ZEROES;
	uint8_t answer[10 + 124] = {0};

	put_export(answer);
	server->transmitting = is_our_export(data, size) &&
		server_send(server, answer, no_zeroes ? 10 : sizeof(answer));
	return server->transmitting;
}

/* Without TLS, where it is required. */
static bool is_allowed(const struct server *server, uint32_t option)
{
	bool is_old = !(server->client_flags & NBD_HANDSHAKE_FIXED_NEWSTYLE);

	if (server->tls || server->optional || server->hole == HOLE_NO_TLS)
		return true;
	switch (option) {
	case NBD_OPT_STARTTLS:
	case NBD_OPT_ABORT: return true;
	case NBD_OPT_EXPORT_NAME:
		return is_old ? server->hole == HOLE_CLEAR_OLD_CLIENT :
				server->hole == HOLE_CLEAR_EXPORT_NAME;
	case NBD_OPT_INFO: return server->hole == HOLE_CLEAR_INFO;
	case NBD_OPT_LIST: return server->hole == HOLE_CLEAR_LIST;
	case NBD_OPT_GO:
	case NBD_OPT_SET_META_CONTEXT: return false;
	default: return server->selective;
	}
}

/* What a server remembers although it refuses it for want of TLS. */
static void note_refused(struct server *server, uint32_t option)
{
	server->structured |= option == NBD_OPT_STRUCTURED_REPLY;
	server->has_context |= option == NBD_OPT_SET_META_CONTEXT;
	server->extended |= option == NBD_OPT_EXTENDED_HEADERS;
}

static bool handle_option(struct server *server, uint32_t option, const uint8_t *data, size_t size)
{
	server->options++;
	if (!is_allowed(server, option) && option == NBD_OPT_EXPORT_NAME)
		return false;
	if (!is_allowed(server, option)) {
		note_refused(server, option);
		return refuse(server, option, NBD_REP_ERR_TLS_REQD);
	}
	switch (option) {
	case NBD_OPT_EXPORT_NAME: return option_export_name(server, data, size);
	case NBD_OPT_ABORT: acknowledge(server, option); return false;
	case NBD_OPT_LIST: return option_list(server, size);
	case NBD_OPT_STARTTLS: return option_starttls(server, size);
	case NBD_OPT_INFO:
	case NBD_OPT_GO: return option_info(server, option, data, size);
	case NBD_OPT_STRUCTURED_REPLY: return option_structured(server, option);
	case NBD_OPT_LIST_META_CONTEXT:
	case NBD_OPT_SET_META_CONTEXT: return option_context(server, option, data, size);
	default: return refuse(server, option, NBD_REP_ERR_UNSUP);
	}
}

static bool serve_option(struct server *server)
{
	static uint8_t data[OPTION_MAX_BYTES];
	uint8_t header[16];
	uint32_t option, size;

	if (!server_receive(server, header, sizeof(header)) ||
		wire_get_u64(header) != NBD_OPTION_MAGIC)
		return false;
	option = wire_get_u32(header + 8);
	size = wire_get_u32(header + 12);
	if (size > sizeof(data))
		return server->hole == HOLE_OPTION_LENGTH && acknowledge(server, option);
	if (option == NBD_OPT_STARTTLS && server->hole == HOLE_STARTTLS_DATA_READ && size)
		return refuse(server, option, NBD_REP_ERR_INVALID);
	return server_receive(server, data, size) && handle_option(server, option, data, size);
}

/* --- requests */

static bool send_simple(struct server *server, const uint8_t *request, uint32_t error, size_t size)
{
	static const uint8_t zeroes[1 << 16];
	uint8_t header[16];
	bool ok;

	wire_put_u32(header, NBD_SIMPLE_REPLY_MAGIC);
	wire_put_u32(header + 4, error);
	memcpy(header + 8, request + 8, 8);
	ok = server_send(server, header, sizeof(header));
	for (size_t part; ok && size; size -= part) {
		part = size < sizeof(zeroes) ? size : sizeof(zeroes);
		ok = server_send(server, zeroes, part);
	}
	return ok;
}

static bool send_chunk(
	struct server *server, const uint8_t *request, uint16_t type, const void *data, size_t size)
{
	uint8_t header[20];

	wire_put_u32(header, NBD_STRUCTURED_REPLY_MAGIC);
	wire_put_u16(header + 4, CHUNK_DONE);
	wire_put_u16(header + 6, type);
	memcpy(header + 8, request + 8, 8);
	wire_put_u32(header + 16, (uint32_t)size);
	return server_send(server, header, sizeof(header)) && server_send(server, data, size);
}

static bool send_error(struct server *server, const uint8_t *request)
{
	uint8_t error[6] = {0};

	wire_put_u32(error, NBD_EINVAL);
	return server->structured ? send_chunk(server, request, CHUNK_ERROR, error, sizeof(error)) :
				    send_simple(server, request, NBD_EINVAL, 0);
}

static bool may_read(const struct server *server, uint64_t offset, uint32_t length)
{
	if (offset <= EXPORT_BYTES && length <= EXPORT_BYTES - offset)
		return true;
	return (server->hole == HOLE_READ_BEHIND && offset >= EXPORT_BYTES &&
		       offset < 2 * EXPORT_BYTES) ||
		(server->hole == HOLE_READ_WRAP && offset + length < EXPORT_BYTES) ||
		(server->hole == HOLE_READ_ALL && offset == 0);
}

static bool handle_read(struct server *server, const uint8_t *request)
{
	uint32_t length = wire_get_u32(request + 24);
	uint8_t *chunk;
	bool ok;

	if (server->slow_read_ms) {
		fprintf(stderr, "read\n");
		poll(NULL, 0, server->slow_read_ms);
	}
	if (!may_read(server, wire_get_u64(request + 16), length))
		return send_error(server, request);
	if (!server->structured && server->hole != HOLE_NO_READ)
		return send_simple(server, request, 0, length);
	chunk = calloc(1, 8 + (size_t)length);
	ok = chunk && send_chunk(server, request, CHUNK_OFFSET_DATA, chunk, 8 + (size_t)length);
	free(chunk);
	return ok;
}

static bool handle_block_status(struct server *server, const uint8_t *request)
{
	uint8_t extent[12] = {0};

	if (!server->structured || !server->has_context)
		return send_error(server, request);
	wire_put_u32(extent, 1);
	memcpy(extent + 4, request + 24, 4);
	return send_chunk(server, request, CHUNK_BLOCK_STATUS, extent, sizeof(extent));
}

/* What no client has asked for; data only when a client has nothing to ask for. */
static bool send_unasked(struct server *server)
{
	static const uint8_t bytes[16];
	struct pollfd pfd = {.fd = server->fd, .events = POLLIN};

	if (server->hole == HOLE_UNASKED_KEY_UPDATE)
		return gnutls_session_key_update(server->tls, 0) >= 0;
	return server->hole != HOLE_UNASKED_DATA || poll(&pfd, 1, UNASKED_MS) != 0 ||
		server_send(server, bytes, sizeof(bytes));
}

static bool serve_request(struct server *server)
{
	uint8_t request[32];

	if (!server_receive(server, request, server->extended ? 32 : 28) ||
		wire_get_u32(request) != NBD_REQUEST_MAGIC_)
		return false;
	switch (wire_get_u16(request + 6)) {
	case NBD_COMMAND_READ: return handle_read(server, request) && send_unasked(server);
	case NBD_COMMAND_BLOCK_STATUS: return handle_block_status(server, request);
	default: return false;
	}
}

/* --- all of it */

static bool greet(struct server *server)
{
	uint8_t greeting[18], flags[4];

	wire_put_u64(greeting, NBD_MAGIC);
	wire_put_u64(greeting + 8, NBD_OPTION_MAGIC);
	wire_put_u16(greeting + 16,
		NBD_HANDSHAKE_FIXED_NEWSTYLE | NBD_HANDSHAKE_NO_ZEROES |
			(server->hole == HOLE_FLAGS ? 1U << 7 : 0));
	server_limit_idle(server, server->hole == HOLE_IDLE_GREETING ? 0 : server->idle_ms);
	if (!server_send(server, greeting, sizeof(greeting)) ||
		!server_receive(server, flags, sizeof(flags)))
		return false;
	server_limit_idle(server, server->hole == HOLE_IDLE_OPTION ? 0 : server->idle_ms);
	server->client_flags = wire_get_u32(flags);
	if (server->tired)
		return false;
	return server->hole == HOLE_CLIENT_FLAGS ||
		!(server->client_flags & ~(NBD_HANDSHAKE_FIXED_NEWSTYLE | NBD_HANDSHAKE_NO_ZEROES));
}

void server_run(struct server *server)
{
	bool going = greet(server);

	while (going && !server->transmitting)
		going = serve_option(server);
	server_limit_idle(server, 0);
	while (going)
		going = serve_request(server);
}
