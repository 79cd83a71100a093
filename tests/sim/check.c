/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What must never happen. */
#include "sim.h"

/* How long a request may wait once nothing is wrong any more: a pause between two attempts, the
 * driver's timer, a renewal, a drain; with several links the timer is long, and what is renewed by
 * force may cost a request two of them. */
#define PROMISE_MS 45000
#define PROMISE_SEVERAL_MS 420000
#define LOOK_MS 500
#define SHUTDOWN_MS 60000
/* A gap in service that is taken to be none: the supervisor may count from its beginning. */
#define GAP_MS 3000
#define EARLY_MS GAP_MS
#define MOMENT_MS 1000
/* Until it is seen that nothing is encrypted */
#define CLEAR_MS 5000
/* A successor looks first whether a link serves after all; its device is asked; and the slot. */
#define LATE_MS 15000

/* When I/O was done last, and for longer than a moment: what nobody could see does not count. */
static int64_t next_look_ms, last_completed_ms, run_began_ms, last_served_ms;
static uint64_t last_completed, last_outages;
static int64_t last_link_ms;
static int64_t no_link_since_ms; /* and a supervisor lives */
static bool is_outage_seen;

void sim_check_socket_given(int socket)
{
	const struct sim_socket *s = &sim_sockets[socket];

	if (sim_config.tls && !s->has_tls)
		sim_violation("connection %d is in clear, and TLS was asked for", socket);
	if (s->is_other)
		sim_violation("connection %d is to another export", socket);
}

/* Whether the kernel encrypts is seen by what was sent, by a supervisor that has the socket. */
void sim_check_sent_in_clear(int socket)
{
	struct sim_socket *s = &sim_sockets[socket];
	int64_t since_ms =
		s->clear_since_ms > sim_life.began_ms ? s->clear_since_ms : sim_life.began_ms;

	if (!s->clear_since_ms)
		s->clear_since_ms = sim_now_ms;
	else if (sim_life.is_running && sim_has_open(socket) && sim_now_ms - since_ms > CLEAR_MS)
		sim_violation("connection %d has sent in clear for %lld ms", socket,
			(long long)(sim_now_ms - since_ms));
}

void sim_check_shut(int socket)
{
	(void)socket;
}

void sim_check_executed(int block, uint64_t version)
{
	if (version < sim_acknowledged[block])
		sim_violation("block %d: write %llu is executed after %llu was acknowledged", block,
			(unsigned long long)version, (unsigned long long)sim_acknowledged[block]);
}

static int64_t limit_ms(void)
{
	int64_t limit_ms = sim_config.dead_timeout_sec * 1000;

	return sim_weather_is_shutting_down() && (limit_ms < 0 || limit_ms > SHUTDOWN_MS) ?
		SHUTDOWN_MS :
		limit_ms;
}

void sim_check_failed_request(int request, const char *why)
{
	if (sim_driver.has_failed && sim_now_ms - last_completed_ms > EARLY_MS && limit_ms() >= 0 &&
		sim_now_ms - last_completed_ms >= limit_ms() - EARLY_MS)
		return;
	if (sim_driver.may_serve_wrong)
		return;
	sim_violation("request %d fails although its server was away for %lld ms only: %s", request,
		(long long)(sim_now_ms - last_completed_ms), why);
}

static bool has_link(void)
{
	for (unsigned i = 0; i < sim_driver.slot_count; i++) {
		const struct sim_slot *slot = &sim_driver.slots[i];

		if (!slot->is_dead && !slot->is_dying && slot->socket != SIM_NONE &&
			!sim_sockets[slot->socket].is_reset && !sim_sockets[slot->socket].is_shut)
			return true;
	}
	return false;
}

/* Of several links one that the driver has dropped is believed in until it is used, and a successor
 * cannot tell that all are dead, if it can look none of them up: then the driver's own limit has to
 * do. */
static bool can_see_links(void)
{
	return sim_config.link_count == 1;
}

/* The other side of the dead-timeout: an outage that everybody can see does not last for longer. It
 * begins when a supervisor has seen it, and goes on when that one is killed. */
static void check_limit(void)
{
	int64_t since_ms = sim_now_ms - last_link_ms, lived_ms = sim_now_ms - sim_life.began_ms,
		dead_ms = sim_config.dead_timeout_sec * 1000;
	bool is_seen = sim_life.is_running && lived_ms > LATE_MS;

	/* it is written down within that */
	is_outage_seen = is_outage_seen || (is_seen && sim_now_ms - no_link_since_ms > MOMENT_MS);
	if (dead_ms >= 0 && is_seen && can_see_links() && since_ms > dead_ms + LATE_MS)
		sim_violation("the device has had no link for %lld ms, and does not fail",
			(long long)since_ms);
}

static void note_links(void)
{
	if (has_link() || !sim_driver.is_configured || sim_driver.is_foreign ||
		sim_driver.has_failed) {
		is_outage_seen = false;
		no_link_since_ms = sim_now_ms;
	}
	if (!sim_life.is_running && !is_outage_seen)
		no_link_since_ms = sim_now_ms;
	if (!is_outage_seen)
		last_link_ms = sim_now_ms;
}

void sim_check_time(void)
{
	int64_t promise_ms = sim_config.link_count > 1 ? PROMISE_SEVERAL_MS : PROMISE_MS;

	/* what was served while no supervisor lived does not end an outage: none of them saw it */
	if (!sim_life.is_running)
		last_completed = sim_driver.served;
	if (sim_driver.served != last_completed || !sim_driver.is_configured) {
		if (sim_now_ms - last_served_ms > GAP_MS || sim_driver.outages != last_outages)
			run_began_ms = sim_now_ms;
		last_outages = sim_driver.outages;
		last_completed = sim_driver.served;
		last_served_ms = sim_now_ms;
		if (sim_now_ms - run_began_ms >= MOMENT_MS)
			last_completed_ms = sim_now_ms;
	}
	note_links();
	if (sim_now_ms < next_look_ms)
		return;
	next_look_ms = sim_now_ms + LOOK_MS;
	check_limit();
	if (!sim_driver.is_configured || sim_driver.is_foreign || sim_driver.has_failed ||
		!sim_life.is_running || sim_now_ms - sim_weather_good_since_ms() < promise_ms)
		return;
	for (int i = 0; i < SIM_REQUESTS; i++)
		if (sim_requests[i].state != REQUEST_NONE &&
			sim_now_ms - sim_requests[i].begun_ms > promise_ms)
			sim_violation(
				"request %d waits for %lld ms, and nothing was wrong for %lld", i,
				(long long)(sim_now_ms - sim_requests[i].begun_ms),
				(long long)(sim_now_ms - sim_weather_good_since_ms()));
}

void sim_check_begin(void)
{
	next_look_ms = 0;
	last_completed = last_outages = 0;
	last_completed_ms = run_began_ms = last_served_ms = last_link_ms = no_link_since_ms =
		sim_now_ms;
	is_outage_seen = false;
}
