// SPDX-License-Identifier: GPL-2.0-or-later
#include "path.h"
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#define TIMEOUT_MS 200 /* a client that sends less than the first time is answered all the same */

static size_t listen_to(int fd, struct peer_shared *shared)
{
	uint8_t bytes[4096];
	ssize_t n = recv(fd, bytes, sizeof(bytes), 0);

	if (n <= 0)
		return 0;
	path_hear(shared, bytes, (size_t)n);
	return (size_t)n;
}

static void play(int client_fd, const struct path_tape *tape, struct peer_shared *shared)
{
	struct pollfd poller = {.fd = client_fd, .events = POLLIN};
	const uint8_t *at = tape->bytes;
	size_t heard = 0, n;

	for (size_t i = 0; i < tape->part_count; i++) {
		while (heard < tape->parts[i].heard_before && poll(&poller, 1, TIMEOUT_MS) > 0) {
			n = listen_to(client_fd, shared);
			if (n == 0)
				return;
			heard += n;
		}
		if (send(client_fd, at, tape->parts[i].size, MSG_NOSIGNAL) < 0)
			return;
		at += tape->parts[i].size;
		shared->fired = true;
	}
	while (listen_to(client_fd, shared) > 0)
		continue;
}

static bool record_part(int client_fd, int server_fd, struct path_tape *tape, size_t heard)
{
	size_t room = TAPE_BYTES - tape->size;
	ssize_t n = recv(server_fd, tape->bytes + tape->size, room, 0);

	if (n <= 0 || tape->part_count == TAPE_PARTS ||
		send(client_fd, tape->bytes + tape->size, (size_t)n, MSG_NOSIGNAL) != n)
		return false;
	tape->parts[tape->part_count].heard_before = heard;
	tape->parts[tape->part_count++].size = (size_t)n;
	tape->size += (size_t)n;
	return true;
}

static void record_all(int client_fd, int server_fd, struct path_tape *tape)
{
	struct pollfd fds[2] = {
		{.fd = client_fd, .events = POLLIN}, {.fd = server_fd, .events = POLLIN}};
	uint8_t bytes[4096];
	size_t heard = 0;

	while (poll(fds, 2, -1) > 0) {
		ssize_t n = 0;

		if (fds[0].revents) {
			n = recv(client_fd, bytes, sizeof(bytes), 0);
			if (n <= 0 || send(server_fd, bytes, (size_t)n, MSG_NOSIGNAL) != n)
				return;
			heard += (size_t)n;
		}
		if (fds[1].revents && !record_part(client_fd, server_fd, tape, heard))
			return;
	}
}

void path_record_or_play(
	int client_fd, int server_fd, struct path_tape *tape, struct peer_shared *shared)
{
	if (tape->is_recorded) {
		play(client_fd, tape, shared);
		return;
	}
	record_all(client_fd, server_fd, tape);
	tape->is_recorded = true;
}
