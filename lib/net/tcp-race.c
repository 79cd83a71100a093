/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "net/tcp-race.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#define ATTEMPTS_MAX 8 /* at once; a negotiator has few descriptors */
#define ATTEMPT_DELAY_MS 250

/* The sockets that wait are in the order of their addresses. */
struct attempts {
	struct tcp_race *race;
	struct pollfd fds[ATTEMPTS_MAX];
	size_t at[ATTEMPTS_MAX];
	int64_t until_ms[ATTEMPTS_MAX];
	size_t count;
	size_t next; /* address to be tried */
	int64_t next_ms;
	int rc; /* of race->at */
};

int tcp_set_option(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

static bool is_own_address(int fd, const struct addrinfo *peer)
{
	const struct sockaddr_in *peer4 = (const struct sockaddr_in *)peer->ai_addr;
	const struct sockaddr_in6 *peer6 = (const struct sockaddr_in6 *)peer->ai_addr;
	struct sockaddr_storage own = {.ss_family = AF_UNSPEC};
	const struct sockaddr_in *own4 = (const struct sockaddr_in *)&own;
	const struct sockaddr_in6 *own6 = (const struct sockaddr_in6 *)&own;
	socklen_t len = sizeof(own);

	if (getsockname(fd, (struct sockaddr *)&own, &len) < 0 || own.ss_family != peer->ai_family)
		return false;
	if (own.ss_family == AF_INET)
		return own4->sin_port == peer4->sin_port &&
			own4->sin_addr.s_addr == peer4->sin_addr.s_addr;
	return own.ss_family == AF_INET6 && own6->sin6_port == peer6->sin6_port &&
		memcmp(&own6->sin6_addr, &peer6->sin6_addr, sizeof(own6->sin6_addr)) == 0;
}

static int prepare(int fd, const struct addrinfo *peer)
{
	const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
	int rc;

	if (is_own_address(fd, peer)) {
		/* without TIME_WAIT, which would keep the server from its port */
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
		return -ECONNREFUSED;
	}
	/* The driver sends header and data apart with MSG_MORE (kernel fact msg-more): Nagle would
	 * only hold back the last piece. */
	rc = tcp_set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	return rc ? rc : tcp_set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
}

/* The address AT is done with, by RC; the next one need not wait. */
static int note_failure(struct attempts *self, size_t at, int rc)
{
	if (!self->rc || at >= self->race->at) {
		self->rc = rc;
		self->race->at = at;
	}
	self->next_ms = 0;
	return rc;
}

/* The attempt at it is, by RC. 0 when it has won. */
static int settle(struct attempts *self, size_t at, int fd, int rc)
{
	struct tcp_race *race = self->race;

	if (!rc)
		rc = prepare(fd, race->addresses[at]);
	if (!rc) {
		race->at = at;
		race->fd = fd;
		return 0;
	}
	close(fd);
	return note_failure(self, at, rc);
}

static void remove_attempt(struct attempts *self, size_t i)
{
	size_t behind = --self->count - i;

	memmove(&self->fds[i], &self->fds[i + 1], behind * sizeof(self->fds[0]));
	memmove(&self->at[i], &self->at[i + 1], behind * sizeof(self->at[0]));
	memmove(&self->until_ms[i], &self->until_ms[i + 1], behind * sizeof(self->until_ms[0]));
}

static void give_up(struct attempts *self, size_t i)
{
	settle(self, self->at[i], self->fds[i].fd, -ETIMEDOUT);
	remove_attempt(self, i);
}

/* 0 when it has won at once. */
static int start_next(struct attempts *self, int64_t now_ms)
{
	struct tcp_race *race = self->race;
	size_t at = self->next++;
	const struct addrinfo *ai = race->addresses[at];
	int fd;

	if (self->count == ATTEMPTS_MAX)
		give_up(self, 0);
	race->tried++;
	fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
	if (fd < 0)
		return note_failure(self, at, -errno);
	if (connect(fd, ai->ai_addr, ai->ai_addrlen) == 0)
		return settle(self, at, fd, 0);
	if (errno != EINPROGRESS)
		return settle(self, at, fd, -errno);
	self->fds[self->count] = (struct pollfd){.fd = fd, .events = POLLOUT};
	self->at[self->count] = at;
	self->until_ms[self->count++] = now_ms + race->attempt_ms;
	self->next_ms = now_ms + ATTEMPT_DELAY_MS;
	return -EINPROGRESS;
}

static void wait_for_one(struct attempts *self, int64_t now_ms)
{
	int64_t until_ms = self->race->deadline_ms;

	if (self->next < self->race->count && self->next_ms < until_ms)
		until_ms = self->next_ms;
	for (size_t i = 0; i < self->count; i++)
		if (self->until_ms[i] < until_ms)
			until_ms = self->until_ms[i];
	if (poll(self->fds, self->count, until_ms > now_ms ? (int)(until_ms - now_ms) : 0) < 0)
		for (size_t i = 0; i < self->count; i++)
			self->fds[i].revents = 0;
}

/* 0 when one has won; of several the first. */
static int check_all(struct attempts *self, int64_t now_ms)
{
	for (size_t i = 0; i < self->count;) {
		int fd = self->fds[i].fd, socket_error = 0, rc = -EINPROGRESS;
		socklen_t len = sizeof(socket_error);

		if (self->fds[i].revents)
			rc = getsockopt(fd, SOL_SOCKET, SO_ERROR, &socket_error, &len) < 0 ?
				-errno :
				-socket_error;
		else if (now_ms >= self->until_ms[i])
			rc = -ETIMEDOUT;
		if (rc == -EINPROGRESS) {
			i++;
			continue;
		}
		rc = settle(self, self->at[i], fd, rc);
		remove_attempt(self, i);
		if (!rc)
			return 0;
	}
	return -EINPROGRESS;
}

static int run(struct attempts *self)
{
	struct tcp_race *race = self->race;

	for (;;) {
		int64_t now_ms = monotonic_now_ms();

		if (self->next == race->count && !self->count)
			return self->rc;
		if (now_ms >= race->deadline_ms && race->tried)
			return self->rc ? self->rc : -ETIMEDOUT;
		if (self->next < race->count && (!self->count || now_ms >= self->next_ms)) {
			if (start_next(self, now_ms) == 0)
				return 0;
			continue;
		}
		wait_for_one(self, now_ms);
		if (check_all(self, monotonic_now_ms()) == 0)
			return 0;
	}
}

int tcp_race(struct tcp_race *race)
{
	struct attempts self = {.race = race};
	int rc;

	race->at = race->tried = 0;
	race->fd = -1;
	rc = run(&self);
	if (rc)
		while (self.count)
			give_up(&self, 0);
	for (size_t i = 0; i < self.count; i++)
		close(self.fds[i].fd);
	return rc ? self.rc : 0;
}
