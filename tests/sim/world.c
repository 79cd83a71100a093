/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Time, chance, descriptors, and the end of a run. */
#include "sim.h"
#include <stdarg.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EVENTS_MAX 65536
#define FDS_MAX 1024
#define NOTES 200
#define NOTE_SIZE 200
#define LINES_SIZE ((NOTES + 2) * NOTE_SIZE)

int64_t sim_now_ms = 1000000;
struct sim_life sim_life;

static uint64_t state, seeded_with;

void sim_seed(uint64_t seed)
{
	seeded_with = seed;
	state = seed * 0x9e3779b97f4a7c15ULL + 1;
}

uint32_t sim_draw(void)
{
	uint64_t x = state += 0x9e3779b97f4a7c15ULL;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return (uint32_t)((x ^ x >> 31) >> 32);
}

unsigned sim_below(unsigned limit)
{
	return (unsigned)((uint64_t)sim_draw() * limit >> 32);
}

bool sim_chance(double percent)
{
	return sim_draw() < percent / 100 * 4294967296.0;
}

int64_t sim_delay_ms(int64_t usual_ms, int64_t longest_ms)
{
	return sim_below((unsigned)(sim_chance(90) ? usual_ms : longest_ms) + 1);
}

/* --- what happened, for people */

static char notes[NOTES][NOTE_SIZE];
static uint64_t note_count;
static bool shows_all;

void sim_note(const char *fmt, ...)
{
	char *note = notes[note_count++ % NOTES];
	int len = snprintf(note, NOTE_SIZE, "%lld.%03d ", (long long)(sim_now_ms / 1000),
		(int)(sim_now_ms % 1000));
	va_list args;

	va_start(args, fmt);
	vsnprintf(note + len, NOTE_SIZE - (size_t)len, fmt, args);
	va_end(args);
	if (shows_all || getenv("SIM_SHOW")) {
		shows_all = true;
		puts(note);
	}
}

static size_t append_notes(char *lines, size_t len)
{
	uint64_t first = note_count > NOTES ? note_count - NOTES : 0;

	if (first)
		len += (size_t)snprintf(lines, LINES_SIZE, "... (SIM_SHOW=1: all of them)\n");
	for (uint64_t i = first; i < note_count; i++)
		len += (size_t)snprintf(lines + len, LINES_SIZE - len, "%s\n", notes[i % NOTES]);
	return len;
}

static bool is_wanted(const char *line)
{
	const char *wanted = getenv("SIM_WANTED");
	regex_t regex;

	return wanted && regcomp(&regex, wanted, REG_EXTENDED | REG_NOSUB) == 0 &&
		regexec(&regex, line, 0, NULL, 0) == 0;
}

/* In one piece: others write, too. */
void sim_violation(const char *fmt, ...)
{
	static char lines[LINES_SIZE];
	size_t len = shows_all ? 0 : append_notes(lines, 0);
	const char *last = lines + len;
	va_list args;

	len += (size_t)snprintf(lines + len, LINES_SIZE - len,
		"SIM_SEED=%llu, %lld.%03d: ", (unsigned long long)seeded_with,
		(long long)(sim_now_ms / 1000), (int)(sim_now_ms % 1000));
	va_start(args, fmt);
	len += (size_t)vsnprintf(lines + len, LINES_SIZE - len, fmt, args);
	va_end(args);
	if (len > LINES_SIZE - 2)
		len = LINES_SIZE - 2;
	lines[len++] = '\n';
	fflush(stdout);
	(void)!write(STDOUT_FILENO, lines, len);
	_exit(is_wanted(last) ? SIM_IS_WANTED : 1);
}

/* --- events: a heap, and of the same time the earlier told first */

struct event {
	int64_t at_ms;
	uint64_t order;
	sim_function *function;
	int a, b;
};

static struct event events[EVENTS_MAX];
static unsigned event_count;
static uint64_t event_order;

static bool is_before(const struct event *one, const struct event *other)
{
	return one->at_ms != other->at_ms ? one->at_ms < other->at_ms : one->order < other->order;
}

void sim_at(int64_t at_ms, sim_function *function, int a, int b)
{
	unsigned at = event_count++;
	struct event event = {
		at_ms < sim_now_ms ? sim_now_ms : at_ms, event_order++, function, a, b};

	if (event_count > EVENTS_MAX)
		sim_violation("too many events");
	for (; at && is_before(&event, &events[(at - 1) / 2]); at = (at - 1) / 2)
		events[at] = events[(at - 1) / 2];
	events[at] = event;
}

static struct event take_first(void)
{
	struct event first = events[0], last = events[--event_count];
	unsigned at = 0, child;

	for (; (child = 2 * at + 1) < event_count; at = child) {
		if (child + 1 < event_count && is_before(&events[child + 1], &events[child]))
			child++;
		if (!is_before(&events[child], &last))
			break;
		events[at] = events[child];
	}
	events[at] = last;
	return first;
}

int64_t sim_next_ms(void)
{
	return event_count ? events[0].at_ms : INT64_MAX;
}

void sim_run_until(int64_t until_ms)
{
	while (event_count && events[0].at_ms <= until_ms) {
		struct event event = take_first();

		sim_now_ms = event.at_ms > sim_now_ms ? event.at_ms : sim_now_ms;
		event.function(event.a, event.b);
		sim_check_time();
	}
	if (until_ms > sim_now_ms)
		sim_now_ms = until_ms;
}

/* --- descriptors */

static struct {
	enum sim_kind kind;
	int id;
} fds[FDS_MAX];

int sim_open(enum sim_kind kind, int id)
{
	for (int i = 0; i < FDS_MAX; i++) {
		if (fds[i].kind != SIM_CLOSED)
			continue;
		fds[i].kind = kind;
		fds[i].id = id;
		if (kind == SIM_SOCKET || kind == SIM_PAIR)
			sim_sockets[id].descriptors++;
		return SIM_FD_BASE + i;
	}
	sim_violation("descriptors are not closed");
}

enum sim_kind sim_kind_of(int fd, int *id)
{
	if (fd < SIM_FD_BASE || fd >= SIM_FD_BASE + FDS_MAX)
		return SIM_CLOSED;
	if (id)
		*id = fds[fd - SIM_FD_BASE].id;
	return fds[fd - SIM_FD_BASE].kind;
}

void sim_close(int fd)
{
	int id, at = fd - SIM_FD_BASE;
	enum sim_kind kind = sim_kind_of(fd, &id);

	if (kind == SIM_CLOSED)
		sim_violation("descriptor %d is closed twice", fd);
	fds[at].kind = SIM_CLOSED;
	if (kind == SIM_SOCKET || kind == SIM_PAIR)
		sim_drop_reference(id);
}

void sim_close_all(void)
{
	for (int i = 0; i < FDS_MAX; i++)
		if (fds[i].kind != SIM_CLOSED)
			sim_close(SIM_FD_BASE + i);
}

bool sim_has_open(int socket)
{
	for (int i = 0; i < FDS_MAX; i++)
		if (fds[i].kind == SIM_SOCKET && fds[i].id == socket)
			return true;
	return false;
}

bool sim_is_hung_up(int fd)
{
	int id;

	return sim_kind_of(fd, &id) == SIM_SOCKET &&
		(sim_sockets[id].is_reset || sim_sockets[id].is_shut);
}

/* --- the supervisor's life */

void sim_point(void)
{
	if (!sim_life.is_running || !sim_life.may_be_killed || sim_now_ms < sim_life.kill_at_ms)
		return;
	if (sim_life.kill_after_points > 0) {
		sim_life.kill_after_points--;
		return;
	}
	sim_note("*** the supervisor is killed");
	sim_life.is_in_child = false;
	longjmp(sim_life.end, 1);
}

void sim_blocks(const char *what)
{
	if (sim_life.is_in_loop && !sim_life.is_in_child)
		sim_violation("the loop blocks: %s", what);
}
