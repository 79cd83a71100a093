// SPDX-License-Identifier: GPL-2.0-or-later
#include "mitm.h"
#include "nbd/nbd-protocol.h"
#include "base/wire.h"
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PART_MAX_BYTES 65536
/* behind the magics a size, flags and zeroes, in place of 2 bytes of flags */
#define OLDSTYLE_REST_BYTES (8 + 4 + 124 - 2)

struct mitm {
	int client_fd, server_fd;
	const struct mitm_config *config;
	struct peer_shared *shared;
};

static bool receive(struct mitm *mitm, int fd, void *buf, size_t size)
{
	if (size == 0)
		return true;
	if (recv(fd, buf, size, MSG_WAITALL) != (ssize_t)size)
		return false;
	if (fd == mitm->client_fd)
		path_hear(mitm->shared, buf, size);
	return true;
}

static bool greeting(struct mitm *mitm)
{
	uint8_t bytes[18 + OLDSTYLE_REST_BYTES] = {0}, flags[4];
	size_t size = 18;
	uint16_t server_flags;

	if (!receive(mitm, mitm->server_fd, bytes, size))
		return false;
	server_flags = wire_get_u16(bytes + 16);
	wire_put_u16(
		bytes + 16, (server_flags & ~mitm->config->clear_flags) | mitm->config->set_flags);
	if (mitm->config->oldstyle) {
		wire_put_u64(bytes + 8, NBD_OLD_MAGIC);
		wire_put_u64(bytes + 16, 1 << 20);
		size += OLDSTYLE_REST_BYTES;
	}
	if (!path_send(mitm->client_fd, bytes, size) ||
		!receive(mitm, mitm->client_fd, flags, sizeof(flags)))
		return false;
	wire_put_u32(flags, wire_get_u32(flags) & ~mitm->config->clear_client_flags);
	return path_send(mitm->server_fd, flags, sizeof(flags));
}

/* One option or reply, header and data, into PART (PART_MAX_BYTES); its size or 0. */
static size_t read_part(struct mitm *mitm, int fd, size_t header_size, uint8_t *part)
{
	uint32_t size;

	if (!receive(mitm, fd, part, header_size))
		return 0;
	size = wire_get_u32(part + header_size - 4);
	if (size > PART_MAX_BYTES - header_size || !receive(mitm, fd, part + header_size, size))
		return 0;
	return header_size + size;
}

static bool inject(
	struct mitm *mitm, uint32_t option, const void *data, uint32_t size, bool wait_for_end)
{
	uint8_t *part = malloc(PART_MAX_BYTES);
	uint32_t type = 0;
	bool ok;

	wire_put_u64(part, NBD_OPTION_MAGIC);
	wire_put_u32(part + 8, option);
	wire_put_u32(part + 12, size);
	if (size)
		memcpy(part + 16, data, size);
	ok = path_send(mitm->server_fd, part, 16 + size);
	while (ok && wait_for_end && type != NBD_REP_ACK && !(type & NBD_REP_FLAG_ERROR)) {
		ok = read_part(mitm, mitm->server_fd, 20, part) > 0;
		type = ok ? wire_get_u32(part + 12) : 0;
	}
	free(part);
	return ok;
}

static bool inject_configured(struct mitm *mitm, bool wait_for_end)
{
	const struct mitm_config *config = mitm->config;

	if (config->inject_structured && !inject(mitm, OPT_STRUCTURED_REPLY, NULL, 0, true))
		return false;
	return inject(mitm, config->inject_option, config->inject_data, config->inject_size,
		wait_for_end);
}

/* The reply to STARTTLS in PART (SIZE bytes of it are the server's) as the client gets it. */
static bool answer_starttls(struct mitm *mitm, uint8_t *part, size_t size)
{
	const struct mitm_config *config = mitm->config;

	if (config->answer.type) {
		wire_put_u64(part, NBD_OPTION_REPLY_MAGIC);
		wire_put_u32(
			part + 8, config->answer.option ? config->answer.option : NBD_OPT_STARTTLS);
		wire_put_u32(part + 12, config->answer.type);
		wire_put_u32(part + 16, config->answer.size);
		if (config->answer.size)
			memcpy(part + 20, config->answer.data, config->answer.size);
		size = 20 + config->answer.size;
	}
	if (config->glue_size && !config->glue_delay_ms) {
		memcpy(part + size, config->glue, config->glue_size);
		size += config->glue_size;
	}
	if (!path_send(mitm->client_fd, part, size))
		return false;
	if (!config->glue_size || !config->glue_delay_ms)
		return true;
	usleep((useconds_t)config->glue_delay_ms * 1000);
	return path_send(mitm->client_fd, config->glue, config->glue_size);
}

static bool starttls(struct mitm *mitm, uint8_t *part, size_t size)
{
	const struct mitm_config *config = mitm->config;

	if (config->swallow_starttls && !config->answer.type)
		peer_stall();
	if (config->swallow_starttls)
		return answer_starttls(mitm, part, 0);
	if (!path_send(mitm->server_fd, part, size) ||
		(config->glue_to_server && !inject_configured(mitm, false)))
		return false;
	size = read_part(mitm, mitm->server_fd, 20, part);
	return size > 0 && answer_starttls(mitm, part, size);
}

static bool first_option(struct mitm *mitm)
{
	uint8_t *part = malloc(2 * PART_MAX_BYTES);
	size_t size;
	bool ok = true;

	if (mitm->config->inject_option && !mitm->config->glue_to_server)
		ok = inject_configured(mitm, true);
	size = read_part(mitm, mitm->client_fd, 16, part);
	ok = ok && size > 0;
	if (ok && wire_get_u32(part + 8) == NBD_OPT_STARTTLS)
		ok = starttls(mitm, part, size);
	else if (ok)
		ok = path_send(mitm->server_fd, part, size);
	free(part);
	return ok;
}

static bool relay_one(struct mitm *mitm, int from, int to)
{
	uint8_t buf[4096];
	ssize_t n = recv(from, buf, sizeof(buf), 0);

	if (n <= 0)
		return false;
	if (from == mitm->client_fd)
		path_hear(mitm->shared, buf, (size_t)n);
	return path_send(to, buf, (size_t)n);
}

static void relay(struct mitm *mitm)
{
	struct pollfd fds[2] = {{.fd = mitm->client_fd, .events = POLLIN},
		{.fd = mitm->server_fd, .events = POLLIN}};

	while (poll(fds, 2, -1) > 0) {
		if (fds[0].revents && !relay_one(mitm, mitm->client_fd, mitm->server_fd))
			return;
		if (fds[1].revents && !relay_one(mitm, mitm->server_fd, mitm->client_fd))
			return;
	}
}

void mitm_run(
	int client_fd, int server_fd, const struct mitm_config *config, struct peer_shared *shared)
{
	struct mitm mitm = {client_fd, server_fd, config, shared};
	uint8_t starttls[16];

	if (config->tape)
		path_record_or_play(client_fd, server_fd, config->tape, shared);
	else if (config->prefix) {
		if (greeting(&mitm) && receive(&mitm, client_fd, starttls, sizeof(starttls)))
			path_prefix_run(client_fd, server_fd, starttls, shared);
	} else if (greeting(&mitm) && first_option(&mitm)) {
		if (config->path.record)
			path_run(client_fd, server_fd, config, shared);
		else
			relay(&mitm);
	}
}
