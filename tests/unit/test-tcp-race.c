/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Several addresses of one host: when the next one is tried, which one wins, what is left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "net/tcp-race.h"
#include "base/clock.h"

#define LONG_MS 60000
#define PLACES_MAX 12

/* Where a server is, or seems to be. */
enum answer { ACCEPTS, REFUSES, IS_SILENT };

static struct place {
	struct sockaddr_in address;
	struct addrinfo ai;
	int fd, client;
} places[PLACES_MAX];

static const struct addrinfo *addresses[PLACES_MAX];
static int64_t began_ms[PLACES_MAX]; /* when each was tried */
static bool to_itself;

int __real_connect(int fd, const struct sockaddr *address, socklen_t len);
int __wrap_connect(int fd, const struct sockaddr *address, socklen_t len);
int __wrap_connect(int fd, const struct sockaddr *address, socklen_t len)
{
	for (size_t i = 0; i < PLACES_MAX; i++)
		if (address == places[i].ai.ai_addr)
			began_ms[i] = monotonic_now_ms();
	if (to_itself) /* as the kernel chooses it once in some thousand times */
		assert_int_equal(bind(fd, address, len), 0);
	return __real_connect(fd, address, len);
}

static size_t count_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t count = 0;

	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

/* A full queue that nobody accepts from: the kernel drops what comes next, as a dead path does. */
static void fill(struct place *place)
{
	place->client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(listen(place->fd, 0), 0);
	assert_int_equal(__real_connect(place->client, place->ai.ai_addr, place->ai.ai_addrlen), 0);
}

static void set_place(size_t i, enum answer answer)
{
	struct place *place = &places[i];
	socklen_t len = sizeof(place->address);

	place->address = (struct sockaddr_in){
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	place->ai = (struct addrinfo){.ai_family = AF_INET,
		.ai_addr = (struct sockaddr *)&place->address,
		.ai_addrlen = len};
	addresses[i] = &place->ai;
	place->client = -1;
	place->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(place->fd, place->ai.ai_addr, len), 0);
	assert_int_equal(getsockname(place->fd, place->ai.ai_addr, &len), 0);
	if (answer == ACCEPTS)
		assert_int_equal(listen(place->fd, 8), 0);
	else if (answer == IS_SILENT)
		fill(place);
}

static int run(struct tcp_race *race, const enum answer *answers, size_t count, int64_t timeout_ms)
{
	size_t before;
	int rc;

	memset(began_ms, 0, sizeof(began_ms));
	for (size_t i = 0; i < count; i++)
		set_place(i, answers[i]);
	before = count_descriptors();
	*race = (struct tcp_race){.addresses = addresses,
		.count = count,
		.deadline_ms = monotonic_now_ms() + timeout_ms,
		.attempt_ms = timeout_ms};
	rc = tcp_race(race);
	assert_int_equal(race->fd >= 0, rc == 0);
	assert_int_equal(count_descriptors(), before + (rc == 0));
	if (!rc)
		close(race->fd);
	for (size_t i = 0; i < count; i++) {
		close(places[i].fd);
		if (places[i].client >= 0)
			close(places[i].client);
	}
	return rc;
}

static void a_silent_address_costs_a_quarter_of_a_second(void **state)
{
	static const enum answer answers[] = {IS_SILENT, IS_SILENT, ACCEPTS, ACCEPTS};
	int64_t start_ms = monotonic_now_ms();
	struct tcp_race race;

	(void)state;
	assert_int_equal(run(&race, answers, 4, LONG_MS), 0);
	assert_int_equal(race.at, 2);
	assert_int_equal(race.tried, 3);
	/* From the start: on a busy machine each may be seen later than it was begun. */
	assert_true(began_ms[1] - start_ms >= 250);
	assert_true(began_ms[2] - start_ms >= 500);
	assert_int_equal(began_ms[3], 0);
	assert_true(monotonic_now_ms() - start_ms < LONG_MS / 2);
}

static void one_that_refuses_costs_nothing(void **state)
{
	static const enum answer answers[] = {REFUSES, IS_SILENT, REFUSES, ACCEPTS};
	int64_t start_ms = monotonic_now_ms();
	struct tcp_race race;

	(void)state;
	assert_int_equal(run(&race, answers, 4, LONG_MS), 0);
	assert_int_equal(race.at, 3);
	assert_true(began_ms[2] - start_ms >= 250);
}

static void all_failures_are_reported_with_the_last(void **state)
{
	static const enum answer refusing[] = {REFUSES, REFUSES},
				 last_refuses[] = {IS_SILENT, REFUSES},
				 silent[] = {REFUSES, IS_SILENT};
	struct tcp_race race;

	(void)state;
	assert_int_equal(run(&race, refusing, 2, LONG_MS), -ECONNREFUSED);
	assert_int_equal(race.at, 1);
	assert_int_equal(race.tried, 2);
	assert_int_equal(run(&race, last_refuses, 2, 600), -ECONNREFUSED);
	assert_int_equal(race.at, 1);
	assert_int_equal(run(&race, silent, 2, 600), -ETIMEDOUT);
	assert_int_equal(race.at, 1);
}

static void no_more_than_eight_are_tried_at_once(void **state)
{
	enum answer answers[PLACES_MAX];
	struct tcp_race race;

	(void)state;
	for (size_t i = 0; i < PLACES_MAX; i++)
		answers[i] = i + 1 < PLACES_MAX ? IS_SILENT : ACCEPTS;
	assert_int_equal(run(&race, answers, PLACES_MAX, LONG_MS), 0);
	assert_int_equal(race.at, PLACES_MAX - 1);
	assert_int_equal(race.tried, PLACES_MAX);
}

static void a_connection_to_itself_is_refused(void **state)
{
	struct place *place = &places[0];
	struct tcp_race race = {.addresses = addresses,
		.count = 1,
		.deadline_ms = monotonic_now_ms() + LONG_MS,
		.attempt_ms = LONG_MS};
	size_t before;

	(void)state;
	set_place(0, REFUSES);
	close(place->fd); /* nobody has the port now */
	before = count_descriptors();
	to_itself = true;
	assert_int_equal(tcp_race(&race), -ECONNREFUSED);
	to_itself = false;
	assert_int_equal(count_descriptors(), before);
	/* and the server can come back, even without SO_REUSEADDR */
	place->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(place->fd, place->ai.ai_addr, place->ai.ai_addrlen), 0);
	close(place->fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_silent_address_costs_a_quarter_of_a_second),
		cmocka_unit_test(one_that_refuses_costs_nothing),
		cmocka_unit_test(all_failures_are_reported_with_the_last),
		cmocka_unit_test(no_more_than_eight_are_tried_at_once),
		cmocka_unit_test(a_connection_to_itself_is_refused),
	};

	return cmocka_run_group_tests_name("tcp-race", tests, NULL, NULL);
}
