// SPDX-License-Identifier: GPL-2.0-or-later
/* The server's side of the NBD handshake and of one kind of request, as the protocol wants it
 * except where the script or the modes of the configuration say otherwise. */
#include "peer.h"
#include "nbd/nbd-protocol.h"
#include "base/cleanup.h"
#include "base/wire.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK_BYTES 512
#define OPTION_MAX_BYTES 65536
#define COMMAND_WRITE 1
#define COMMAND_FLUSH 3
#define COMMAND_BLOCK_STATUS 7
#define CONTEXT_ID 1

static bool reply_header(
	struct peer *peer, uint64_t magic, uint32_t option, uint32_t type, uint32_t size)
{
	uint8_t header[20];

	wire_put_u64(header, magic);
	wire_put_u32(header + 8, option);
	wire_put_u32(header + 12, type);
	wire_put_u32(header + 16, size);
	if (!peer_send(peer, header, sizeof(header), TAG_STRICT))
		return false;
	if (option == NBD_OPT_INFO && peer->shared->sent_nbd < PEER_MAP_BYTES)
		peer->shared->tags[peer->shared->sent_nbd - 8] = TAG_INFO_REFUSAL;
	return true;
}

bool peer_option_reply(
	struct peer *peer, uint32_t option, uint32_t type, const void *data, uint32_t size)
{
	return reply_header(peer, NBD_OPTION_REPLY_MAGIC, option, type, size) &&
		(size == 0 || peer_send(peer, data, size, TAG_STRICT));
}

static bool scripted_reply(struct peer *peer, uint32_t option, const struct scripted_reply *reply)
{
	return reply_header(peer, reply->magic ? reply->magic : NBD_OPTION_REPLY_MAGIC,
		       reply->option ? reply->option : option, reply->type,
		       reply->lie ? reply->claimed_size : reply->size) &&
		(reply->size == 0 || peer_send(peer, reply->data, reply->size, TAG_STRICT));
}

static bool run_script(struct peer *peer, const struct script *script)
{
	bool endless = false;

	for (size_t i = 0; i < sizeof(script->replies) / sizeof(script->replies[0]); i++)
		endless |= script->replies[i].repeat > 1000;
	peer->hold = !endless;
	for (const struct scripted_reply *reply = script->replies; reply->type; reply++)
		for (uint64_t n = 0; n < (reply->repeat ? reply->repeat : 1); n++)
			if (!scripted_reply(peer, script->option, reply))
				return false;
	if (script->raw_size && !peer_send(peer, script->raw, script->raw_size, TAG_STRICT))
		return false;
	return peer_flush(peer);
}

static bool is_our_export(const struct peer *peer, const char *name, uint32_t size)
{
	return size == strlen(peer->config->export_name) &&
		memcmp(name, peer->config->export_name, size) == 0;
}

static uint64_t export_size(const struct peer *peer)
{
	return peer->config->size_bytes ? peer->config->size_bytes : 1 << 20;
}

static bool info_header(struct peer *peer, uint32_t option, uint16_t type, uint32_t size)
{
	uint8_t number[2];

	wire_put_u16(number, type);
	return reply_header(peer, NBD_OPTION_REPLY_MAGIC, option, NBD_REP_INFO, 2 + size) &&
		peer_send(peer, number, 2, type == NBD_INFO_EXPORT ? TAG_STRICT : TAG_INFO_TYPE);
}

static bool info_text(struct peer *peer, uint32_t option, uint16_t type, const char *text)
{
	return info_header(peer, option, type, (uint32_t)strlen(text)) &&
		peer_send(peer, text, strlen(text), TAG_TEXT);
}

static bool export_size_and_flags(struct peer *peer)
{
	uint8_t bytes[10];

	wire_put_u64(bytes, export_size(peer));
	wire_put_u16(bytes + 8, NBD_TFLAG_HAS_FLAGS | NBD_TFLAG_SEND_FLUSH | NBD_TFLAG_SEND_FUA);
	return peer_send(peer, bytes, 8, TAG_VALUE) && peer_send(peer, bytes + 8, 2, TAG_FLAG);
}

static bool info_replies(struct peer *peer, uint32_t option)
{
	uint8_t bytes[12];

	wire_put_u32(bytes, BLOCK_BYTES);
	wire_put_u32(bytes + 4, BLOCK_BYTES);
	wire_put_u32(bytes + 8, 32 << 20);
	return info_header(peer, option, NBD_INFO_EXPORT, 10) && export_size_and_flags(peer) &&
		info_header(peer, option, NBD_INFO_BLOCK_SIZE, 12) &&
		peer_send(peer, bytes, 12, TAG_VALUE) &&
		info_text(peer, option, NBD_INFO_NAME, peer->config->export_name) &&
		info_text(peer, option, NBD_INFO_DESCRIPTION, peer->config->description) &&
		peer_option_reply(peer, option, NBD_REP_ACK, NULL, 0);
}

static bool option_list(struct peer *peer)
{
	uint32_t name_size = (uint32_t)strlen(peer->config->export_name),
		 text_size = (uint32_t)strlen(peer->config->description);
	uint8_t number[4];

	wire_put_u32(number, name_size);
	return reply_header(peer, NBD_OPTION_REPLY_MAGIC, NBD_OPT_LIST, NBD_REP_SERVER,
		       4 + name_size + text_size) &&
		/* a longer name and a shorter text are as legal */
		peer_send(peer, number, 4, TAG_VALUE) &&
		peer_send(peer, peer->config->export_name, name_size, TAG_TEXT) &&
		peer_send(peer, peer->config->description, text_size, TAG_TEXT) &&
		peer_option_reply(peer, NBD_OPT_LIST, NBD_REP_ACK, NULL, 0);
}

static bool extra_is_due(struct peer *peer)
{
	unsigned wanted = peer->config->extra_on_read;

	peer->shared->reads = ++peer->reads;
	return peer->config->extra != EXTRA_NONE && (!wanted || wanted == peer->reads);
}

static bool pause_before_extra(struct peer *peer)
{
	if (!peer->config->extra_delay_us)
		return true;
	if (!peer_flush(peer))
		return false;
	usleep(peer->config->extra_delay_us);
	return true;
}

static enum read_mode read_mode(const struct peer *peer)
{
	if (peer->extended)
		return READ_EXTENDED;
	return peer->structured ? READ_STRUCTURED : peer->config->read_mode;
}

/* The header of the reply in HEADER; its size. */
static size_t read_header(enum read_mode mode, const uint8_t *request, uint8_t *header)
{
	uint32_t length = wire_get_u32(request + 24);

	wire_put_u32(header, mode == READ_WRONG_MAGIC ? 0x12345678 : NBD_SIMPLE_REPLY_MAGIC);
	memcpy(header + 8, request + 8, 8);
	switch (mode) {
	case READ_WRONG_HANDLE: header[15] ^= 1; return 16;
	case READ_EIO: wire_put_u32(header + 4, NBD_EIO); return 16;
	case READ_SHUTDOWN: wire_put_u32(header + 4, NBD_ESHUTDOWN); return 16;
	case READ_UNKNOWN_ERROR: wire_put_u32(header + 4, 0xfffffff5); return 16;
	case READ_STRUCTURED: wire_put_u32(header, NBD_STRUCTURED_REPLY_MAGIC); break;
	case READ_EXTENDED: wire_put_u32(header, NBD_EXTENDED_REPLY_MAGIC); break;
	default: return 16;
	}
	wire_put_u16(header + 4, 1); /* done */
	wire_put_u16(header + 6, 1); /* offset and data */
	wire_put_u32(header + 16, mode == READ_STRUCTURED ? 8 + length : length);
	memcpy(header + 20, request + 16, 8); /* the offset */
	return 28;
}

static size_t read_data_size(enum read_mode mode, uint32_t length)
{
	switch (mode) {
	case READ_EIO:
	case READ_SHUTDOWN:
	case READ_UNKNOWN_ERROR: return 0;
	case READ_EXTRA_BYTES: return (size_t)length + 16;
	case READ_SHORT: return (size_t)length - 1;
	default: return length;
	}
}

/* A block for every READ, or what the mode says. */
static bool read_reply(struct peer *peer, const uint8_t *request)
{
	enum read_mode mode = read_mode(peer);
	uint32_t length = wire_get_u32(request + 24);
	_cleanup_free_ uint8_t *block = calloc(1, (size_t)length + 16);
	enum tls_extra_when when = peer->config->extra_when;
	uint8_t header[32] = {0};
	bool extra = extra_is_due(peer);

	if (peer->config->disk)
		memcpy(block, peer->config->disk + wire_get_u64(request + 16), length);
	if (extra && when == EXTRA_BEFORE_READ_REPLY && !peer_tls_extra(peer))
		return false;
	peer->hold = mode != READ_HONEST || extra;
	if (!peer_send(peer, header, read_header(mode, request, header), TAG_STRICT))
		return false;
	peer->shared->data_start_nbd = peer->shared->sent_nbd;
	peer->shared->data_start_wire = peer->shared->sent_wire;
	if (!peer_send(peer, block, read_data_size(mode, length), TAG_TEXT) || !peer_tls_rest(peer))
		return false;
	if (extra && when == EXTRA_BEHIND_READ_REPLY &&
		(!pause_before_extra(peer) || !peer_tls_extra(peer)))
		return false;
	return peer_flush(peer);
}

/* Without a disk what is written is lost. */
static bool write_or_flush(struct peer *peer, const uint8_t *request)
{
	uint32_t length =
		wire_get_u16(request + 6) == COMMAND_WRITE ? wire_get_u32(request + 24) : 0;
	_cleanup_free_ uint8_t *data = malloc((size_t)length + 1);
	uint8_t reply[16] = {0};

	if (!peer_receive(peer, data, length))
		return false;
	if (peer->config->disk)
		memcpy(peer->config->disk + wire_get_u64(request + 16), data, length);
	wire_put_u32(reply, NBD_SIMPLE_REPLY_MAGIC);
	memcpy(reply + 8, request + 8, 8);
	return peer_send(peer, reply, sizeof(reply), TAG_STRICT);
}

/* All of it is data, by base:allocation. What says so in the context that was selected before TLS
 * would be a hole, and zeroes, to a client that takes it for base:allocation. */
static bool block_status(struct peer *peer, const uint8_t *request)
{
	uint8_t reply[32] = {0};

	wire_put_u32(reply, NBD_STRUCTURED_REPLY_MAGIC);
	wire_put_u16(reply + 4, 1); /* done */
	wire_put_u16(reply + 6, 5); /* block status */
	memcpy(reply + 8, request + 8, 8);
	wire_put_u32(reply + 16, 12);
	wire_put_u32(reply + 20, CONTEXT_ID);
	wire_put_u32(reply + 24, wire_get_u32(request + 24));
	wire_put_u32(reply + 28, peer->has_foreign_context ? 3 : 0);
	return peer_send(peer, reply, sizeof(reply), TAG_STRICT);
}

static bool is_in_range(const struct peer *peer, const uint8_t *request)
{
	uint64_t size = export_size(peer), offset = wire_get_u64(request + 16);

	return offset <= size && wire_get_u32(request + 24) <= size - offset;
}

static void transmission(struct peer *peer)
{
	uint8_t request[28];

	while (peer_receive(peer, request, sizeof(request))) {
		uint16_t command = wire_get_u16(request + 6);

		if (wire_get_u32(request) != NBD_REQUEST_MAGIC_ || !is_in_range(peer, request))
			return;
		if (command == COMMAND_BLOCK_STATUS && peer->structured &&
			block_status(peer, request))
			continue;
		if ((command == COMMAND_WRITE || command == COMMAND_FLUSH) &&
			write_or_flush(peer, request))
			continue;
		if (command != NBD_COMMAND_READ || wire_get_u32(request + 24) > 1 << 20)
			return;
		peer->shared->reached_read = true;
		if (peer->config->read_mode == READ_SILENT)
			peer_stall();
		if (peer->config->read_mode == READ_CLOSE || !read_reply(peer, request))
			return;
	}
}

static bool option_info_or_go(
	struct peer *peer, uint32_t option, const uint8_t *data, uint32_t size)
{
	uint32_t name_size = size >= 6 ? wire_get_u32(data) : UINT32_MAX;

	if (name_size > size - 6 || size < 6)
		return peer_option_reply(peer, option, NBD_REP_ERR_INVALID, NULL, 0);
	if (!is_our_export(peer, (const char *)data + 4, name_size))
		return peer_option_reply(
			peer, option, NBD_REP_ERR_UNKNOWN, "no such disk here", 17);
	if (!info_replies(peer, option))
		return false;
	if (option != NBD_OPT_GO)
		return true;
	transmission(peer);
	return false;
}

static bool option_starttls(struct peer *peer)
{
	if (!peer->config->credentials || peer->tls ||
		!(peer->client_flags & NBD_HANDSHAKE_FIXED_NEWSTYLE))
		return peer_option_reply(peer, NBD_OPT_STARTTLS, NBD_REP_ERR_POLICY, NULL, 0);
	if (!peer_option_reply(peer, NBD_OPT_STARTTLS, NBD_REP_ACK, NULL, 0) ||
		!peer_handshake(peer))
		return false;
	peer->has_foreign_context &= peer->config->keeps_state;
	peer->structured &= peer->config->keeps_state;
	peer->extended &= peer->config->keeps_state;
	return peer->config->extra_when != EXTRA_AFTER_HANDSHAKE || peer_tls_extra(peer);
}

static bool honest_option(struct peer *peer, uint32_t option, const uint8_t *data, uint32_t size)
{
	static const uint8_t zeroes[124];

	if (option != NBD_OPT_STARTTLS && option != NBD_OPT_ABORT && peer->config->tls_required &&
		!peer->tls)
		return peer_option_reply(peer, option, NBD_REP_ERR_TLS_REQD, NULL, 0);
	switch (option) {
	case NBD_OPT_STARTTLS: return option_starttls(peer);
	case NBD_OPT_LIST: return option_list(peer);
	case NBD_OPT_ABORT:
		peer->shared->abort_start_nbd = peer->shared->sent_nbd;
		peer_option_reply(peer, option, NBD_REP_ACK, NULL, 0);
		return false;
	case NBD_OPT_INFO:
	case NBD_OPT_GO:
		if (!peer->config->no_go)
			return option_info_or_go(peer, option, data, size);
		break;
	case NBD_OPT_EXPORT_NAME:
		if (is_our_export(peer, (const char *)data, size) && export_size_and_flags(peer) &&
			((peer->client_flags & NBD_HANDSHAKE_NO_ZEROES) ||
				peer_send(peer, zeroes, sizeof(zeroes), TAG_TEXT)))
			transmission(peer);
		return false;
	case OPT_STRUCTURED_REPLY:
		/* Refused, so that every client is sent the same reply. */
		if (peer->config->read_mode != READ_HONEST)
			break;
		peer->structured = true;
		return peer_option_reply(peer, option, NBD_REP_ACK, NULL, 0);
	case OPT_EXTENDED_HEADERS:
		peer->extended = true;
		return peer_option_reply(peer, option, NBD_REP_ACK, NULL, 0);
	case OPT_SET_META_CONTEXT:
		peer->has_foreign_context |= !peer->tls;
		return peer_option_reply(
			       peer, option, REP_META_CONTEXT, "\0\0\0\1base:allocation", 19) &&
			peer_option_reply(peer, option, NBD_REP_ACK, NULL, 0);
	}
	return peer_option_reply(peer, option, NBD_REP_ERR_UNSUP, NULL, 0);
}

static bool handle_option(struct peer *peer, uint32_t option, const uint8_t *data, uint32_t size)
{
	const struct script *script = &peer->config->script;

	if (script->option != option)
		return honest_option(peer, option, data, size);
	if (!run_script(peer, script))
		return false;
	switch (script->then) {
	case THEN_NEXT: return true;
	case THEN_HONEST: return honest_option(peer, option, data, size);
	case THEN_TRANSMISSION: transmission(peer); return false;
	case THEN_STALL: peer_stall();
	case THEN_CLOSE: return false;
	}
	return false;
}

static bool greet(struct peer *peer)
{
	const struct peer_config *config = peer->config;
	uint8_t greeting[18], answer[4];

	if (config->greeting) {
		peer_send(peer, config->greeting, config->greeting_size, TAG_STRICT);
		peer_stall();
	}
	wire_put_u64(greeting, NBD_MAGIC);
	wire_put_u64(greeting + 8, NBD_OPTION_MAGIC);
	wire_put_u16(greeting + 16,
		config->handshake_flags ? config->handshake_flags :
					  NBD_HANDSHAKE_FIXED_NEWSTYLE | NBD_HANDSHAKE_NO_ZEROES);
	if (!peer_send(peer, greeting, 16, TAG_STRICT) ||
		!peer_send(peer, greeting + 16, 2, TAG_FLAG) ||
		!peer_receive(peer, answer, sizeof(answer)))
		return false;
	peer->client_flags = wire_get_u32(answer);
	return (peer->client_flags & ~3U) == 0;
}

static const struct peer_config *honest_again(const struct peer_config *config)
{
	static struct peer_config honest;

	honest = (struct peer_config){.credentials = config->credentials,
		.priority = config->priority,
		.tls_required = config->tls_required,
		.export_name = config->export_name,
		.description = config->description,
		.size_bytes = config->size_bytes,
		.disk = config->disk};
	return &honest;
}

void peer_serve(int fd, const struct peer_config *config, struct peer_shared *shared)
{
	static struct peer peer;
	static uint8_t data[OPTION_MAX_BYTES];
	uint8_t header[16];
	bool going;

	if (shared->connections++ > 0 && config->first_only)
		config = honest_again(config);
	peer = (struct peer){.fd = fd, .config = config, .shared = shared};
	going = greet(&peer);
	while (going) {
		uint32_t size;

		if (!peer_receive(&peer, header, sizeof(header)) ||
			wire_get_u64(header) != NBD_OPTION_MAGIC)
			break;
		size = wire_get_u32(header + 12);
		if (size > sizeof(data) || !peer_receive(&peer, data, size))
			break;
		going = handle_option(&peer, wire_get_u32(header + 8), data, size);
	}
	if (peer.tls)
		gnutls_deinit(peer.tls);
}
