/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Servers of one disk, and the connections to them. */
#include "sim.h"
#include <errno.h>
#include <string.h>

#define LATENCY_MS 2
#define SERVICE_MS 5
#define BUSY_MS 40
#define SLOW_MS 90000
/* what a server has begun it ends, also for a client that has gone */
#define FRESH_MS 300
#define SAMPLE_MS 1000 /* how exactly it is known when a request was sent */
#define CLEAR_MAX_MS 20000

struct sim_socket sim_sockets[SIM_SOCKETS];
struct sim_host sim_hosts[SIM_HOSTS_MAX];
uint64_t sim_export_bytes;
uint64_t sim_storage[SIM_BLOCKS], sim_acknowledged[SIM_BLOCKS];

#define COPIES 8192

/* A request as it was sent over one connection. */
static struct copy {
	bool is_used, is_slow, is_forgotten;
	bool is_delivered; /* the path was not cut */
	int socket, host, request, block, epoch;
	int serial; /* of the socket */
	enum sim_command command;
	uint64_t cookie, version;
	int64_t taken_ms;
} copies[COPIES];

static int next_socket, serials;

static bool is_of(const struct copy *copy, int socket)
{
	return copy->is_used && copy->socket == socket &&
		copy->serial == sim_sockets[socket].serial;
}

int sim_connect(int host)
{
	int found = SIM_NONE;

	for (int tries = 0; tries < SIM_SOCKETS && found == SIM_NONE; tries++) {
		int at = next_socket++ % SIM_SOCKETS;

		if (!sim_sockets[at].is_used)
			found = at;
	}
	if (found == SIM_NONE)
		sim_violation("connections are not closed");
	sim_sockets[found] = (struct sim_socket){.is_used = true,
		.host = host,
		.serial = ++serials,
		.epoch = host == SIM_NONE ? 0 : sim_hosts[host].epoch,
		.has_tls = sim_config.tls,
		.reset_at_ms = -1,
		.unacknowledged_since_ms = -1,
		.last_received_ms = sim_now_ms,
		.last_sent_ms = sim_now_ms,
		.size_bytes = sim_export_bytes};
	if (host != SIM_NONE)
		sim_sockets[found].is_other = sim_hosts[host].is_other;
	if (host != SIM_NONE && sim_config.tls && sim_life.is_reported)
		sim_sockets[found].sends_in_clear = sim_chance(sim_config.clear_percent);
	return found;
}

bool sim_path_is_dead(int socket)
{
	return sim_sockets[socket].host != SIM_NONE && sim_hosts[sim_sockets[socket].host].is_cut;
}

static bool is_usable(int socket)
{
	const struct sim_socket *s = &sim_sockets[socket];

	return s->is_used && !s->is_reset && !s->is_shut;
}

static void learn_reset(int socket, int serial)
{
	struct sim_socket *s = &sim_sockets[socket];

	if (!s->is_used || s->serial != serial || s->is_reset)
		return;
	if (sim_path_is_dead(socket)) {
		sim_at(sim_now_ms + 500, learn_reset, socket, serial);
		return;
	}
	s->is_reset = true;
	s->is_closed_there = true;
	if (s->reset_at_ms < 0)
		s->reset_at_ms = sim_now_ms;
	sim_note("connection %d is reset", socket);
	sim_driver_see(socket);
}

void sim_reset(int socket)
{
	struct sim_socket *s = &sim_sockets[socket];

	s->is_closed_there = true;
	if (s->reset_at_ms < 0)
		s->reset_at_ms = sim_now_ms;
	sim_at(sim_now_ms + sim_delay_ms(3, 30), learn_reset, socket, s->serial);
}

void sim_reset_all(int host)
{
	for (int i = 0; i < SIM_SOCKETS; i++)
		if (sim_sockets[i].is_used && sim_sockets[i].host == host &&
			!sim_sockets[i].is_closed_there)
			sim_reset(i);
}

static void learn_shut(int socket, int serial)
{
	struct sim_socket *s = &sim_sockets[socket];

	if (s->serial == serial && sim_path_is_dead(socket))
		sim_at(sim_now_ms + 500, learn_shut, socket, serial);
	else if (s->serial == serial)
		s->is_closed_there = true;
}

/* Nobody could do better than to give up a connection whose path is dead, or as the user allowed:
 * what the server makes of its requests then is not our matter. */
static bool is_excused(int socket)
{
	int64_t limit_ms = sim_config.request_timeout_sec * 1000;

	for (int i = 0; i < COPIES; i++)
		if (is_of(&copies[i], socket) && limit_ms >= 0 &&
			sim_now_ms - copies[i].taken_ms >= limit_ms - SAMPLE_MS)
			return true;
	return sim_path_is_dead(socket) || sim_driver.has_failed;
}

static void forget_copies(int socket)
{
	for (int i = 0; i < COPIES; i++)
		if (is_of(&copies[i], socket))
			copies[i].is_forgotten = true;
}

void sim_shut(int socket)
{
	struct sim_socket *s = &sim_sockets[socket];

	if (s->is_shut)
		return;
	s->is_shut = true;
	s->shut_at_ms = sim_now_ms;
	sim_note("connection %d is shut", socket);
	if (is_excused(socket))
		forget_copies(socket);
	sim_at(sim_now_ms + 1, learn_shut, socket, s->serial);
	sim_driver_see(socket);
}

void sim_drop_reference(int socket)
{
	struct sim_socket *s = &sim_sockets[socket];

	s->descriptors--;
	if (s->descriptors + s->driver_references > 0)
		return;
	s->is_used = false;
	if (!s->is_pair)
		learn_shut(socket, s->serial);
}

/* --- requests at a server */

/* Its client is gone: what becomes of it then? What was begun a moment ago ends soon, or is
 * forgotten. What takes long goes on taking long, if it was us who gave it up. */
static bool goes_on(const struct copy *copy)
{
	const struct sim_socket *s = &sim_sockets[copy->socket];

	if (!is_of(copy, copy->socket))
		return sim_now_ms - copy->taken_ms <= FRESH_MS;
	/* nobody can know what will take long a moment after it was sent */
	if (s->is_shut && copy->taken_ms > s->shut_at_ms - FRESH_MS &&
		sim_now_ms > s->shut_at_ms + FRESH_MS)
		return false;
	if (!s->is_closed_there)
		return true;
	if (s->reset_at_ms >= 0)
		return sim_now_ms - copy->taken_ms <= FRESH_MS && sim_chance(50);
	return true;
}

static void drop(struct copy *copy)
{
	struct sim_socket *s = &sim_sockets[copy->socket];

	if (is_of(copy, copy->socket)) {
		s->copies -= s->copies > 0;
		s->silent_copies -= copy->is_slow && s->silent_copies > 0;
	}
	copy->is_used = false;
}

static void arrive(int at, int is_error)
{
	struct copy *copy = &copies[at];
	struct sim_socket *s = &sim_sockets[copy->socket];

	if (!is_usable(copy->socket) || !is_of(copy, copy->socket)) {
		drop(copy);
		return;
	}
	if (sim_path_is_dead(copy->socket)) {
		sim_at(sim_now_ms + 200, arrive, at, is_error);
		return;
	}
	s->received_bytes += copy->command == SIM_READ ? 16 + 4096 : 16;
	s->received_records++;
	s->last_received_ms = sim_now_ms;
	s->unread++;
	sim_answer(copy->socket, copy->request, copy->cookie, is_error);
	drop(copy);
}

/* It is no TLS record, which is seen once there is enough of it. */
static void refuse_clear(int socket, int serial)
{
	if (sim_sockets[socket].is_used && sim_sockets[socket].serial == serial)
		sim_reset(socket);
}

static void execute(int at, int unused)
{
	struct copy *copy = &copies[at];
	struct sim_socket *s = &sim_sockets[copy->socket];
	struct sim_host *host = &sim_hosts[copy->host];

	(void)unused;
	if (copy->is_forgotten || host->epoch != copy->epoch || !goes_on(copy)) {
		drop(copy); /* with the process that had it, or its connection */
		return;
	}
	if (!copy->is_delivered && !(is_usable(copy->socket) && is_of(copy, copy->socket))) {
		drop(copy);
		return;
	}
	if (!copy->is_delivered && host->is_cut) {
		sim_at(sim_now_ms + 100, execute, at, 0);
		return;
	}
	copy->is_delivered = true;
	if (is_of(copy, copy->socket) && s->sends_in_clear) {
		if (!s->is_refused)
			sim_at(sim_now_ms + sim_below(CLEAR_MAX_MS), refuse_clear, copy->socket,
				copy->serial);
		s->is_refused = true;
		drop(copy);
		return;
	}
	if (host->is_hung) {
		sim_at(host->hung_until_ms + 1 + sim_below(20), execute, at, 0);
		return;
	}
	if (is_of(copy, copy->socket) && sim_now_ms < s->hung_until_ms) {
		sim_at(s->hung_until_ms + 1 + sim_below(20), execute, at, 0);
		return;
	}
	if (host->ends && sim_chance(80)) {
		sim_at(sim_now_ms + LATENCY_MS, arrive, at, ESHUTDOWN);
		return;
	}
	if (copy->command == SIM_WRITE) {
		sim_check_executed(copy->block, copy->version);
		sim_storage[copy->block] = copy->version;
	}
	if (copy->command == SIM_READ && sim_storage[copy->block] < copy->version)
		sim_violation("a read of block %d shows version %llu, and %llu was acknowledged",
			copy->block, (unsigned long long)sim_storage[copy->block],
			(unsigned long long)copy->version);
	sim_at(sim_now_ms + 1 + sim_below(LATENCY_MS), arrive, at, 0);
}

void sim_server_take(int socket, int request, uint64_t cookie)
{
	struct sim_socket *s = &sim_sockets[socket];
	const struct sim_request *r = &sim_requests[request];
	int at = 0;
	int64_t service_ms = sim_delay_ms(sim_weather_is_busy() ? BUSY_MS : SERVICE_MS, 40);

	while (at < COPIES && copies[at].is_used)
		at++;
	if (at == COPIES)
		sim_violation("a server has too many requests");
	copies[at] = (struct copy){.is_used = true,
		.socket = socket,
		.request = request,
		.block = r->block,
		.host = s->host,
		.serial = s->serial,
		.epoch = s->epoch,
		.command = r->command,
		.cookie = cookie,
		.version = r->version,
		.is_delivered = !sim_path_is_dead(socket),
		.taken_ms = sim_now_ms};
	/* under --root nobody sees one among others that are quick (renewal.c) */
	if (sim_life.is_reported && !sim_config.is_root && sim_chance(0.02)) {
		copies[at].is_slow = true;
		service_ms = sim_below(SLOW_MS);
		sim_weather_note_bad(sim_now_ms + service_ms + 1000);
		s->silent_copies++;
	}
	s->copies++;
	sim_at(sim_now_ms + 1 + service_ms, execute, at, 0);
}

/* --- the servers themselves */

void sim_server_kill(int host)
{
	struct sim_host *h = &sim_hosts[host];

	if (!h->is_up)
		return;
	sim_note("server %d is killed", host);
	sim_reset_all(host);
	h->is_up = h->is_hung = h->ends = false;
	h->epoch++;
}

void sim_server_start(int host)
{
	if (!sim_hosts[host].is_up)
		sim_note("server %d is there", host);
	sim_hosts[host].is_up = true;
	sim_hosts[host].hangs_in_negotiation = sim_hosts[host].ends = false;
}

static void resume(int host, int epoch)
{
	struct sim_host *h = &sim_hosts[host];

	if (h->epoch != epoch || !h->is_hung)
		return;
	sim_note("server %d goes on", host);
	h->is_hung = false;
}

void sim_server_hang(int host, int64_t for_ms)
{
	struct sim_host *h = &sim_hosts[host];

	if (!h->is_up || h->is_hung)
		return;
	sim_note("server %d hangs for %lld ms", host, (long long)for_ms);
	h->is_hung = true;
	h->hung_until_ms = sim_now_ms + for_ms;
	sim_at(h->hung_until_ms, resume, host, h->epoch);
}

void sim_connection_hang(int socket, int64_t for_ms)
{
	if (sim_now_ms < sim_sockets[socket].hung_until_ms)
		return;
	sim_note("connection %d hangs for %lld ms", socket, (long long)for_ms);
	sim_sockets[socket].hung_until_ms = sim_now_ms + for_ms;
}

static void repair_path(int host, int unused)
{
	(void)unused;
	sim_note("the path to server %d is back", host);
	sim_hosts[host].is_cut = false;
	for (int i = 0; i < SIM_SOCKETS; i++)
		if (sim_sockets[i].is_used && sim_sockets[i].host == host)
			sim_sockets[i].unacknowledged_since_ms = -1;
}

void sim_path_cut(int host, int64_t for_ms)
{
	if (sim_hosts[host].is_cut)
		return;
	sim_note("the path to server %d is cut for %lld ms", host, (long long)for_ms);
	sim_hosts[host].is_cut = true;
	sim_at(sim_now_ms + for_ms, repair_path, host, 0);
}
