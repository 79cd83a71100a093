/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What an episode is like, and what goes wrong in it. */
#include "sim.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sim_config sim_config;
bool sim_weather_is_over;
#define HANG_MAX_MS 60000

static int64_t good_since_ms;
static unsigned disturbances_left;
static bool is_shutting_down, kill_in_hand_over;
static int64_t busy_until_ms;

bool sim_weather_is_shutting_down(void)
{
	return is_shutting_down;
}

/* There is hardly a moment with nothing in flight. */
bool sim_weather_is_busy(void)
{
	return sim_now_ms < busy_until_ms;
}

/* Nothing before then is good weather. */
static void bad_until(int64_t ms)
{
	if (ms > good_since_ms)
		good_since_ms = ms;
}

void sim_weather_note_bad(int64_t until_ms)
{
	bad_until(until_ms);
}

int64_t sim_weather_good_since_ms(void)
{
	return good_since_ms;
}

static int64_t outage_ms(void)
{
	int64_t dead_ms = sim_config.dead_timeout_sec * 1000;

	switch (sim_below(10)) {
	case 0: return sim_below(60000);
	case 1: return dead_ms < 0 ? sim_below(600000) : dead_ms - 5000 + sim_below(20000);
	case 2:
	case 3: return sim_below(10000);
	default: return sim_below(1500);
	}
}

static void start(int host, int unused)
{
	(void)unused;
	sim_server_start(host);
}

static void kill_server(int host)
{
	int64_t for_ms = outage_ms();

	sim_server_kill(host);
	sim_at(sim_now_ms + for_ms, start, host, 0);
	bad_until(sim_now_ms + for_ms);
}

static void kill_ending_server(int host, int epoch)
{
	if (sim_hosts[host].epoch == epoch)
		kill_server(host);
}

static void end_server(int host)
{
	sim_note("server %d ends", host);
	sim_hosts[host].ends = true;
	sim_at(sim_now_ms + sim_below(300), kill_ending_server, host, sim_hosts[host].epoch);
	bad_until(sim_now_ms + 1000);
}

static int find_connection(void)
{
	int at = (int)sim_below(SIM_SOCKETS);

	for (int i = 0; i < SIM_SOCKETS; i++) {
		int socket = (at + i) % SIM_SOCKETS;

		if (sim_sockets[socket].is_used && !sim_sockets[socket].is_pair &&
			!sim_sockets[socket].is_closed_there)
			return socket;
	}
	return SIM_NONE;
}

static void reset_some(void)
{
	int at = find_connection();

	if (at != SIM_NONE)
		sim_reset(at);
}

static void hang_some(int64_t for_ms)
{
	int at = find_connection();

	if (at == SIM_NONE)
		return;
	if (for_ms > HANG_MAX_MS)
		for_ms = HANG_MAX_MS;
	if (sim_chance(30)) /* longer than silence is not thought about */
		for_ms += sim_config.liveness_timeout_ms;
	sim_connection_hang(at, for_ms);
	bad_until(sim_now_ms + for_ms + 1000);
}

static void hang_a_moment(int a, int b)
{
	int at = find_connection();

	(void)a;
	(void)b;
	if (at != SIM_NONE && sim_weather_is_busy())
		sim_connection_hang(at, sim_below(3000));
}

static void kill_supervisor(int64_t at_ms, unsigned after_points)
{
	sim_life.kill_at_ms = at_ms;
	sim_life.kill_after_points = after_points;
	sim_life.may_be_killed = true;
	bad_until(sim_now_ms + 30000);
}

static void accept_offers(int host, int what)
{
	if (what)
		sim_hosts[host].is_other = false;
	else
		sim_hosts[host].hangs_in_negotiation = false;
}

static void refuse_offers(int host, int64_t for_ms)
{
	sim_hosts[host].hangs_in_negotiation = true;
	sim_at(sim_now_ms + for_ms, accept_offers, host, 0);
	bad_until(sim_now_ms + for_ms);
}

/* In what follows it is what a successor finds that matters; for a while, that alone. */
void sim_weather_note_hand_over(void)
{
	if (kill_in_hand_over && !sim_weather_is_over && sim_life.is_in_loop) {
		kill_supervisor(sim_now_ms + (sim_chance(50) ? sim_below(1000) : 0), sim_below(12));
		if (sim_chance(50))
			for (unsigned i = 0; i < sim_config.host_count; i++)
				refuse_offers((int)i, outage_ms());
	}
	kill_in_hand_over = false;
}

static void disturb(int host)
{
	int64_t for_ms = outage_ms();

	bad_until(sim_now_ms + 100);
	switch (sim_below(18)) {
	case 0:
	case 1:
	case 2:
	case 3: kill_server(host); return;
	case 4:
		sim_server_hang(host, for_ms);
		bad_until(sim_now_ms + for_ms);
		return;
	case 5:
		sim_path_cut(host, for_ms);
		bad_until(sim_now_ms + for_ms + 1000);
		return;
	case 6:
	case 7: reset_some(); return;
	case 8: end_server(host); return;
	case 9: kill_supervisor(sim_now_ms, sim_below(60)); return;
	case 10:
		sim_export_bytes += 1 << 20;
		sim_note("the export has %llu bytes now", (unsigned long long)sim_export_bytes);
		if (sim_chance(70))
			sim_ask("resize");
		return;
	case 11: refuse_offers(host, for_ms); return;
	case 12:
		if (sim_chance(20)) {
			sim_hosts[host].is_other = true;
			sim_at(sim_now_ms + for_ms, accept_offers, host, 1);
			bad_until(sim_now_ms + for_ms);
		} else {
			sim_ask("status");
		}
		return;
	case 14:
	case 15: hang_some(for_ms); return;
	case 16:
		kill_in_hand_over = true;
		kill_server(host);
		return;
	case 17:
		busy_until_ms = sim_now_ms + sim_below(10000);
		sim_at(sim_now_ms + sim_below(5000), hang_a_moment, 0, 0);
		return;
	default:
		if (sim_chance(1)) {
			sim_driver_foreign_takes_over();
			disturbances_left = 0;
		} else if (sim_chance(2)) {
			is_shutting_down = true;
			sim_signal(SIGUSR1);
		}
	}
}

static void tell_to_end(int a, int b)
{
	(void)a;
	(void)b;
	if (!sim_life.is_running) {
		sim_at(sim_now_ms + 1000, tell_to_end, 0, 0);
		return;
	}
	if (sim_life.told_to_end_ms < 0)
		sim_life.told_to_end_ms = sim_now_ms;
	sim_signal(SIGTERM);
	sim_at(sim_now_ms + 30000, tell_to_end, 0, 0);
}

static void turn(int a, int b)
{
	int64_t pause_ms = sim_chance(2) ? 60000 + sim_below(60000) :
		sim_chance(30)           ? sim_below(20000) :
					   sim_below(2000);

	(void)a;
	(void)b;
	if (!sim_life.is_reported && sim_life.lives < 2) {
		sim_at(sim_now_ms + 100, turn, 0, 0);
		return;
	}
	if (disturbances_left == 0) {
		int64_t calm_ms = (sim_config.link_count > 1 ? 450000 : 60000) + sim_below(30000);

		sim_weather_is_over = true;
		sim_life.may_be_killed = false;
		sim_note("the weather is good from now on");
		sim_at((good_since_ms > sim_now_ms ? good_since_ms : sim_now_ms) + calm_ms,
			tell_to_end, 0, 0);
		return;
	}
	disturbances_left--;
	/* the supervisor may be killed in it */
	sim_at(sim_now_ms + 1 + pause_ms, turn, 0, 0);
	disturb((int)sim_below(sim_config.host_count));
}

#define SETTING(name)                                                                              \
	{                                                                                          \
#name, &sim_config.name, sizeof(sim_config.name)                                   \
	}

static const struct setting {
	const char *name;
	void *value;
	size_t size_bytes;
} settings[] = {SETTING(link_count), SETTING(host_count), SETTING(tls), SETTING(is_unix),
	SETTING(is_root), SETTING(has_manager), SETTING(has_log), SETTING(has_sock_diag),
	SETTING(serves_one_connection), SETTING(dead_timeout_sec), SETTING(request_timeout_sec),
	SETTING(slow_driver_percent)};

/* NAME=N; the end of it. A world that was misspelt would be another one. */
static const char *read_setting(const char *at)
{
	size_t length = strcspn(at, "= ");

	for (size_t i = 0; at[length] == '=' && i < sizeof(settings) / sizeof(*settings); i++) {
		const struct setting *setting = &settings[i];
		char *end;
		int64_t number;

		if (strlen(setting->name) != length || strncmp(at, setting->name, length) != 0)
			continue;
		number = strtoll(at + length + 1, &end, 0);
		memcpy(setting->value, &number, setting->size_bytes); /* little-endian */
		return end;
	}
	fprintf(stderr, "SIM_WORLD: there is no setting \"%.*s\"\n", (int)strcspn(at, " "), at);
	exit(2);
}

/* SIM_WORLD="is_unix=1 link_count=2": these are as they are told, whatever was drawn. */
static void read_settings(void)
{
	const char *at = getenv("SIM_WORLD");

	while (at && *(at += strspn(at, " ")))
		at = read_setting(at);
	if (sim_config.is_unix)
		sim_config.tls = sim_config.has_sock_diag = false;
	if (sim_config.link_count > 1)
		sim_config.serves_one_connection = false;
}

void sim_weather_begin(void)
{
	static const int64_t dead_timeouts_sec[] = {-1, 5, 20, 60, 600, 600};
	static const unsigned link_counts[] = {1, 1, 1, 1, 1, 2, 4};

	memset(&sim_config, 0, sizeof(sim_config));
	sim_config.link_count = link_counts[sim_below(7)];
	sim_config.host_count = 1 + sim_below(2);
	sim_config.is_unix = sim_chance(10);
	sim_config.tls = !sim_config.is_unix && sim_chance(70);
	sim_config.is_root = sim_chance(20);
	sim_config.has_manager = sim_chance(60);
	sim_config.has_log = sim_chance(85);
	sim_config.has_sock_diag = !sim_config.is_unix && sim_chance(85);
	sim_config.serves_one_connection = sim_config.link_count == 1 && sim_chance(10);
	sim_config.waits_for_size = sim_chance(70);
	sim_config.dead_timeout_sec = dead_timeouts_sec[sim_below(6)];
	sim_config.request_timeout_sec = sim_chance(10) ? 30 : -1;
	sim_config.liveness_timeout_ms = sim_chance(40) ? 5000 : 30000;
	sim_config.clear_percent = sim_chance(5) ? 5 : 0;
	sim_config.rekey_records = sim_chance(60) ? 100 + sim_below(3000) : 0;
	sim_config.auto_resize = sim_chance(50);
	sim_config.notice_loss_percent = sim_chance(20) ? 30 : 0;
	sim_config.slow_driver_percent = sim_chance(50) ? 5 : (int)sim_below(60);
	read_settings();
	memset(sim_hosts, 0, sizeof(sim_hosts));
	for (unsigned i = 0; i < sim_config.host_count; i++)
		sim_hosts[i].is_up = true;
	sim_export_bytes = 1ULL << 30;
	sim_weather_is_over = is_shutting_down = false;
	good_since_ms = sim_now_ms;
	disturbances_left = 20 + sim_below(150);
	sim_at(sim_now_ms + 500 + sim_below(2000), turn, 0, 0);
}
