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

struct mitm {
	int client_fd, server_fd;
	const struct mitm_config *config;
	struct peer_shared *shared;
};

static bool send_all(int fd, const void *buf, size_t size)
{
	const uint8_t *at = buf;

	while (size > 0) {
		ssize_t n = send(fd, at, size, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		at += n;
		size -= (size_t)n;
	}
	return true;
}

static void record(struct mitm *mitm, const uint8_t *bytes, size_t size)
{
	struct peer_shared *shared = mitm->shared;

	for (size_t i = 0; i < size && shared->heard_size < PEER_MAP_BYTES; i++)
		shared->heard[shared->heard_size++] = bytes[i];
}

static bool receive(struct mitm *mitm, int fd, void *buf, size_t size)
{
	if (size == 0)
		return true;
	if (recv(fd, buf, size, MSG_WAITALL) != (ssize_t)size)
		return false;
	if (fd == mitm->client_fd)
		record(mitm, buf, size);
	return true;
}

static bool greeting(struct mitm *mitm)
{
	uint8_t bytes[18], flags[4];
	uint16_t server_flags;

	if (!receive(mitm, mitm->server_fd, bytes, sizeof(bytes)))
		return false;
	if (mitm->config->oldstyle)
		wire_put_u64(bytes + 8, NBD_OLD_MAGIC);
	server_flags = wire_get_u16(bytes + 16);
	wire_put_u16(
		bytes + 16, (server_flags & ~mitm->config->clear_flags) | mitm->config->set_flags);
	if (!send_all(mitm->client_fd, bytes, sizeof(bytes)) ||
		!receive(mitm, mitm->client_fd, flags, sizeof(flags)))
		return false;
	return send_all(mitm->server_fd, flags, sizeof(flags));
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

static bool inject(struct mitm *mitm, bool wait_for_end)
{
	const struct mitm_config *config = mitm->config;
	uint8_t *part = malloc(PART_MAX_BYTES);
	uint32_t type = 0;
	bool ok;

	wire_put_u64(part, NBD_OPTION_MAGIC);
	wire_put_u32(part + 8, config->inject_option);
	wire_put_u32(part + 12, config->inject_size);
	if (config->inject_size)
		memcpy(part + 16, config->inject_data, config->inject_size);
	ok = send_all(mitm->server_fd, part, 16 + config->inject_size);
	while (ok && wait_for_end && type != NBD_REP_ACK && !(type & NBD_REP_FLAG_ERROR)) {
		ok = read_part(mitm, mitm->server_fd, 20, part) > 0;
		type = ok ? wire_get_u32(part + 12) : 0;
	}
	free(part);
	return ok;
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
	if (!send_all(mitm->client_fd, part, size))
		return false;
	if (!config->glue_size || !config->glue_delay_ms)
		return true;
	usleep((useconds_t)config->glue_delay_ms * 1000);
	return send_all(mitm->client_fd, config->glue, config->glue_size);
}

static bool starttls(struct mitm *mitm, uint8_t *part, size_t size)
{
	const struct mitm_config *config = mitm->config;

	if (config->swallow_starttls && !config->answer.type)
		peer_stall();
	if (config->swallow_starttls)
		return answer_starttls(mitm, part, 0);
	if (!send_all(mitm->server_fd, part, size) ||
		(config->glue_to_server && !inject(mitm, false)))
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
		ok = inject(mitm, true);
	size = read_part(mitm, mitm->client_fd, 16, part);
	ok = ok && size > 0;
	if (ok && wire_get_u32(part + 8) == NBD_OPT_STARTTLS)
		ok = starttls(mitm, part, size);
	else if (ok)
		ok = send_all(mitm->server_fd, part, size);
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
		record(mitm, buf, (size_t)n);
	return send_all(to, buf, (size_t)n);
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

	if (greeting(&mitm) && first_option(&mitm))
		relay(&mitm);
}
