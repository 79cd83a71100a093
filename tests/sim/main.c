/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sim [SECONDS [FIRST [COUNT]]]: plays the episodes of the seeds from FIRST on, on every CPU. Each
 * has a process of its own, so an episode is the same alone and among others.
 * SIM_SEED=N plays that one alone; SIM_SHOW=1 prints each step, at once. SIM_WANTED=REGEX
 * stops at the first violation that is like that, and takes no notice of others. SIM_WORLD="NAME=N
 * ..." plays in such worlds only: see weather.c. */
#include "sim.h"
#include "supervisor/attachment.h"
#include "supervisor/supervisor.h"
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FAILURES_MAX 10
#define EPISODE_SEC 20 /* of a CPU */
#define BEGIN_MS 1000000

static struct totals {
	atomic_ulong next_seed, episodes, outages, lives, failures;
	atomic_long virtual_ms;
	unsigned long failed[FAILURES_MAX];
} * totals;

static bool report(const struct supervisor_report *report, void *data)
{
	(void)data;
	sim_life.is_reported = !report->rc;
	if (report->rc)
		sim_note("not attached: %s", report->error.text);
	return true;
}

/* What the command line makes. */
static struct attachment *new_attachment(void)
{
	struct attachment *attachment = calloc(1, sizeof(*attachment));
	struct error err;

	device_policy_init(&attachment->policy);
	if (endpoint_parse(&attachment->endpoint,
		    sim_config.host_count > 1 ? "192.0.2.0,192.0.2.1" : "192.0.2.0", "disk", &err))
		sim_violation("%s", err.text);
	attachment->policy.connections = sim_config.link_count;
	attachment->policy.dead_timeout_sec = sim_config.dead_timeout_sec;
	attachment->policy.request_timeout_sec = sim_config.request_timeout_sec;
	attachment->policy.liveness_timeout_ms = sim_config.liveness_timeout_ms;
	attachment->policy.rekey_records = (uint64_t)sim_config.rekey_records;
	attachment->policy.auto_resize = sim_config.auto_resize;
	attachment->policy.root = sim_config.is_root;
	attachment->creds = sim_config.tls ? (struct tls_credentials *)attachment : NULL;
	attachment->outage_since_ms = -1;
	return attachment;
}

/* Returns whether another life is to follow. */
static bool live(bool is_first)
{
	struct attachment *attachment = new_attachment();
	int rc;

	sim_life.lives++;
	sim_life.is_in_loop = false;
	sim_life.is_in_child = false;
	sim_life.began_ms = sim_now_ms;
	sim_life.kill_at_ms = INT64_MAX;
	sim_life.is_running = true;
	sim_modules_begin();
	if (setjmp(sim_life.end) == 0) {
		rc = supervisor_run(attachment, SIM_INDEX, report, NULL, true);
		sim_life.is_running = false;
		sim_note("the supervisor ends, %d", rc);
		if (is_first && rc)
			sim_violation("it cannot attach");
		free(attachment);
		return false;
	}
	sim_life.is_running = false;
	sim_close_all();
	sim_children_die();
	sim_take_signal();
	sim_run_until(sim_now_ms + sim_delay_ms(500, 20000));
	return true;
}

static void check_descriptors(void)
{
	for (int i = 0; i < SIM_SOCKETS; i++)
		if (sim_sockets[i].is_used && sim_sockets[i].descriptors > 0 &&
			!sim_config.has_manager)
			sim_violation("connection %d is left open", i);
}

static void on_timer(int number)
{
	(void)number;
	sim_violation("this takes too long");
}

static void begin_world(uint64_t seed)
{
	sim_seed(seed);
	sim_now_ms = BEGIN_MS;
	sim_life.told_to_end_ms = -1;
	sim_driver_begin();
	sim_children_begin();
	sim_files_begin();
	sim_control_begin();
	sim_weather_begin();
	sim_check_begin();
	sim_at(sim_now_ms + 100, sim_use_device, 0, 0);
}

/* Once in a process. */
static void play(uint64_t seed)
{
	const struct itimerval limit = {.it_value = {.tv_sec = EPISODE_SEC}};
	bool goes_on = true;

	signal(SIGPROF, on_timer);
	setitimer(ITIMER_PROF, &limit, NULL);
	begin_world(seed);
	for (bool is_first = true; goes_on; is_first = false)
		goes_on = live(is_first);
	sim_manager_forget();
	check_descriptors();
	totals->episodes++;
	totals->outages += sim_driver.outages;
	totals->lives += sim_life.lives;
	totals->virtual_ms += sim_now_ms - BEGIN_MS;
}

int __real_clock_gettime(clockid_t clock, struct timespec *now);

static int64_t real_ms(void)
{
	struct timespec now;

	__real_clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool is_wanted(int status)
{
	return WIFEXITED(status) && WEXITSTATUS(status) == SIM_IS_WANTED;
}

static void note_failure(unsigned long seed, int status)
{
	unsigned long at = atomic_fetch_add(&totals->failures, 1);

	if (at < FAILURES_MAX)
		totals->failed[at] = seed;
	if (WIFSIGNALED(status))
		printf("SIM_SEED=%lu: signal %d\n", seed, WTERMSIG(status));
	fflush(stdout);
}

static unsigned long failures_max(void)
{
	return getenv("SIM_WANTED") ? 1 : FAILURES_MAX;
}

static void work(int64_t until_ms, unsigned long end)
{
	int status;
	pid_t pid;

	while (real_ms() < until_ms && totals->failures < failures_max()) {
		unsigned long seed = atomic_fetch_add(&totals->next_seed, 1);

		if (seed >= end)
			return;
		pid = fork();
		if (pid == 0) {
			play(seed);
			_exit(0);
		}
		waitpid(pid, &status, 0);
		if (status != 0 && (!getenv("SIM_WANTED") || is_wanted(status)))
			note_failure(seed, status);
	}
}

static void tell(int64_t began_ms)
{
	printf("%lu episodes, %lu outages, %lu supervisors, %ld hours of their time, in %lld s: ",
		totals->episodes, totals->outages, totals->lives, totals->virtual_ms / 3600000,
		(long long)(real_ms() - began_ms) / 1000);
	if (!totals->failures)
		printf("no violation");
	for (unsigned long i = 0; i < totals->failures && i < FAILURES_MAX; i++)
		printf("%s%lu", i ? " " : "violations with the seeds ", totals->failed[i]);
	puts("");
}

int main(int argc, char **argv)
{
	long seconds = argc > 1 ? atol(argv[1]) : 10, cpus = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned long first = argc > 2 ? strtoul(argv[2], NULL, 0) : 1;
	unsigned long count = argc > 3 ? strtoul(argv[3], NULL, 0) : ~0UL - first;
	const char *seed = getenv("SIM_SEED");
	int64_t began_ms = real_ms();

	totals = mmap(
		NULL, sizeof(*totals), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (totals == MAP_FAILED)
		return 1;
	if (seed) {
		play(strtoul(seed, NULL, 0));
		tell(began_ms);
		return 0;
	}
	totals->next_seed = first;
	for (long i = 0; i < cpus; i++) {
		if (fork() == 0) {
			work(began_ms + seconds * 1000, first + count);
			_exit(0);
		}
	}
	while (wait(NULL) > 0)
		;
	tell(began_ms);
	return totals->failures != 0;
}
