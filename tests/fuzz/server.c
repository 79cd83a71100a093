/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server.h"
#include "base/wire.h"
#include "nbd/nbd-protocol.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- the transport */

static size_t portion(const struct server *server, size_t size)
{
	return server->step && server->step < size ? server->step : size;
}

static long read_some(struct transport *transport, void *buf, size_t size, struct error *err)
{
	struct server *server = (struct server *)transport;
	size_t there = server->size - server->at, n = portion(server, size < there ? size : there);

	FUZZ_CHECK(size > 0);
	if (!n && server->breaks)
		return error_set(err, ERROR_UNREACHABLE, EIO, "the connection broke");
	memcpy(buf, server->bytes + server->at, n);
	server->at += n;
	return (long)n;
}

static long write_some(struct transport *transport, const void *buf, size_t size, struct error *err)
{
	struct server *server = (struct server *)transport;
	size_t n = portion(server, size), room = sizeof(server->sent) - server->sent_size;

	(void)err;
	memcpy(server->sent + server->sent_size, buf, n < room ? n : room);
	server->sent_size += n < room ? n : room;
	/* Each option is written at once, its header of 16 bytes first. */
	if (!server->step && size >= 16 && wire_get_u64(buf) == NBD_OPTION_MAGIC) {
		const uint8_t *bytes = buf;

		server->asked = wire_get_u32(bytes + 8);
		server->options |= 1U << (server->asked & 31);
		FUZZ_CHECK(wire_get_u32(bytes + 12) == size - 16);
	}
	return (long)n;
}

static size_t pending(struct transport *transport)
{
	return ((struct server *)transport)->leaves_in_session;
}

static const struct transport_ops ops = {read_some, write_some, pending};

/* A socket for nego_check_silence(), which looks into it: empty, with a byte, or at its end. */
static int socket_in_state(bool has_byte, bool has_end)
{
	static int fds[3] = {-1, -1, -1};
	int *fd = &fds[has_byte ? 1 : has_end ? 2 : 0];

	if (*fd < 0) {
		int pair[2];

		FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
		*fd = pair[0];
		if (has_byte)
			FUZZ_CHECK(write(pair[1], "x", 1) == 1);
		else if (has_end)
			close(pair[1]);
	}
	return *fd;
}

void server_init(struct server *server, struct fuzz_input *input)
{
	uint8_t manner = fuzz_u8(input);

	server->size = server->at = server->sent_size = 0;
	server->options = server->asked = 0;
	server->step = manner & 1 ? 3 : 0;
	server->breaks = manner & 2;
	server->leaves_in_session = manner & 4;
	server->leaves_in_socket = manner & 8;
	server->hangs_up = manner & 16;
	server->transport = (struct transport){.ops = &ops,
		.fd = socket_in_state(server->leaves_in_socket, server->hangs_up),
		.deadline_ms = INT64_MAX};
}

void server_rewind(struct server *server)
{
	server->size = server->at = 0;
}

void server_begin(struct server *server, struct fuzz_input *input, struct nego *nego)
{
	uint8_t state;

	server_init(server, input);
	state = fuzz_u8(input);
	nego_init(nego, &server->transport, state & 1);
	nego->tls_active = state & 1;
	nego->fixed_newstyle = state & 1 || !(state & 2); /* nothing else begins TLS */
	nego->no_zeroes = !(state & 4);
}

/* The handle that the client chooses, so that a seed can have it. */
ssize_t __wrap_getrandom(void *buf, size_t size, unsigned flags);

ssize_t __wrap_getrandom(void *buf, size_t size, unsigned flags)
{
	(void)flags;
	memset(buf, 'h', size);
	return (ssize_t)size;
}

/* --- what it says */

static uint8_t *say_room(struct server *server, size_t size)
{
	uint8_t *at = server->bytes + server->size;

	if (size > sizeof(server->bytes) - server->size)
		return NULL;
	server->size += size;
	return at;
}

void server_say(struct server *server, const void *bytes, size_t size)
{
	uint8_t *at = say_room(server, size);

	if (at && size)
		memcpy(at, bytes, size);
}

void server_say_rest(struct server *server, struct fuzz_input *input)
{
	size_t room = sizeof(server->bytes) - server->size,
	       size = input->left < room ? input->left : room;

	server_say(server, input->at, size);
	input->at += input->left;
	input->left = 0;
}

static void say_input(struct server *server, struct fuzz_input *input, size_t size)
{
	uint8_t *at = say_room(server, size);

	if (at)
		fuzz_bytes(input, at, size);
}

static void say_u16(struct server *server, uint16_t value)
{
	uint8_t *at = say_room(server, 2);

	if (at)
		wire_put_u16(at, value);
}

static void say_u32(struct server *server, uint32_t value)
{
	uint8_t *at = say_room(server, 4);

	if (at)
		wire_put_u32(at, value);
}

static void say_u64(struct server *server, uint64_t value)
{
	say_u32(server, (uint32_t)(value >> 32));
	say_u32(server, (uint32_t)value);
}

/* A size that a mutation of one byte makes small, about a limit, or huge. */
static uint16_t take_size(struct fuzz_input *input)
{
	uint8_t size = fuzz_u8(input);

	return size < 0x80 ? size : size < 0xc0 ? (uint16_t)((size & 0x3f) * 260) : fuzz_u16(input);
}

/* NBD_REP_SERVER: a name's length, the name, and a description. */
static void say_server(struct server *server, struct fuzz_input *input)
{
	uint16_t name_size = take_size(input), description_size = take_size(input);

	say_u32(server, name_size);
	say_input(server, input, name_size);
	say_input(server, input, description_size);
}

static void say_block_sizes(struct server *server, struct fuzz_input *input)
{
	for (int i = 0; i < 3; i++) {
		uint8_t power = fuzz_u8(input);

		say_u32(server,
			power < 0x40               ? 1U << (power & 31) :
				power < 0x80       ? (1U << (power & 31)) - 1 :
				power == UINT8_MAX ? UINT32_MAX :
						     fuzz_u32(input));
	}
}

static void say_info(struct server *server, struct fuzz_input *input)
{
	uint8_t first = fuzz_u8(input);
	uint16_t type = first < 0x80 ? first & 3 : fuzz_u16(input);

	say_u16(server, type);
	switch (type) {
	case NBD_INFO_EXPORT:
		if (first & 0x40) /* any size, not one in blocks */
			say_input(server, input, 8);
		else
			say_u64(server,
				(uint64_t)fuzz_u32(input) << 9 | (fuzz_u8(input) & 0x7f) << 2);
		say_u16(server, fuzz_u16(input) ^ NBD_TFLAG_HAS_FLAGS);
		break;
	case NBD_INFO_BLOCK_SIZE: say_block_sizes(server, input); break;
	default: say_input(server, input, take_size(input));
	}
}

static void say_payload(struct server *server, struct fuzz_input *input, uint32_t type)
{
	switch (type) {
	case NBD_REP_ACK: break;
	case NBD_REP_SERVER: say_server(server, input); break;
	case NBD_REP_INFO: say_info(server, input); break;
	default: say_input(server, input, take_size(input));
	}
}

enum {
	REPLY_TYPE = 0x0f,
	REPLY_OF_OTHER_OPTION = 0x10,
	REPLY_OF_OTHER_SIZE = 0x20,
	REPLY_OF_OTHER_MAGIC = 0x40,
	REPLY_RAW_PAYLOAD = 0x80,
};

static uint32_t take_type(struct fuzz_input *input, uint8_t how)
{
	uint32_t number = how & REPLY_TYPE;

	if (number == REPLY_TYPE)
		return fuzz_u32(input);
	if (number < 4)
		return number;
	return NBD_REP_FLAG_ERROR | (number - 3);
}

uint32_t server_reply(struct server *server, struct fuzz_input *input, uint32_t option)
{
	uint8_t how = fuzz_u8(input);
	uint32_t type = take_type(input, how), size;
	size_t payload_at;
	uint8_t *header;

	if (how & REPLY_OF_OTHER_OPTION)
		option = fuzz_u32(input);
	header = say_room(server, 20);
	if (!header)
		return NBD_REP_ACK;
	payload_at = server->size;
	if (how & REPLY_RAW_PAYLOAD)
		say_input(server, input, take_size(input));
	else
		say_payload(server, input, type);
	size = (uint32_t)(server->size - payload_at);
	wire_put_u64(
		header, NBD_OPTION_REPLY_MAGIC ^ (how & REPLY_OF_OTHER_MAGIC ? fuzz_u8(input) : 0));
	wire_put_u32(header + 8, option);
	wire_put_u32(header + 12, type);
	wire_put_u32(header + 16, how & REPLY_OF_OTHER_SIZE ? fuzz_u32(input) : size);
	return type;
}

void server_replies(struct server *server, struct fuzz_input *input, uint32_t option)
{
	while (input->left) {
		uint32_t type = server_reply(server, input, option);

		if (type == NBD_REP_ACK || type & NBD_REP_FLAG_ERROR)
			return;
	}
}

void server_transmission(struct server *server, struct fuzz_input *input, uint32_t size)
{
	static const uint32_t magics[] = {
		NBD_SIMPLE_REPLY_MAGIC, NBD_STRUCTURED_REPLY_MAGIC, NBD_EXTENDED_REPLY_MAGIC};
	uint8_t how = fuzz_u8(input), handle[8];

	say_u32(server, (how & 3) == 3 ? fuzz_u32(input) : magics[how & 3]);
	say_u32(server, how & 4 ? fuzz_u8(input) : 0);
	__wrap_getrandom(handle, sizeof(handle), 0);
	handle[7] ^= how & 8 ? 1 : 0;
	server_say(server, handle, sizeof(handle));
	say_input(server, input, how & 16 ? take_size(input) : size);
}
