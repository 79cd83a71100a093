/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "child/reaper.h"
#include "child/job.h"

static char directory[] = "/tmp/test-job.XXXXXX";
static char go[64], acted[64];

/* A job that waits, and then does what it was to do. */
static int wait_and_act(const void *argument, struct error *err)
{
	(void)argument;
	(void)err;
	for (int i = 0; i < 6000 && access(go, F_OK) < 0; i++)
		poll(NULL, 0, 5);
	close(creat(acted, 0600));
	return 0;
}

static int answer(const void *argument, struct error *err)
{
	const int *number = argument;

	return *number ? error_set(err, ERROR_OTHER, *number, "number %d", *number) : 0;
}

static int die(const void *argument, struct error *err)
{
	(void)argument;
	(void)err;
	_exit(0);
}

static void reap_all(void)
{
	for (int i = 0; i < 6000; i++) {
		siginfo_t info;

		reaper_collect();
		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 && errno == ECHILD)
			return;
		poll(NULL, 0, 5);
	}
	fail_msg("there are children left");
}

static int setup(void **state)
{
	(void)state;
	strcpy(directory + strlen(directory) - 6, "XXXXXX");
	if (!mkdtemp(directory))
		return -1;
	snprintf(go, sizeof(go), "%s/go", directory);
	snprintf(acted, sizeof(acted), "%s/acted", directory);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(go);
	unlink(acted);
	return rmdir(directory);
}

static void the_answer_comes_back(void **state)
{
	int numbers[] = {0, 5};
	struct error err;

	(void)state;
	assert_int_equal(job_run(answer, &numbers[0], 30000, &err), 0);
	assert_int_equal(job_run(answer, &numbers[1], 30000, &err), -5);
	assert_string_equal(err.text, "number 5");
	assert_int_equal(job_run(die, NULL, 30000, &err), -ECHILD);
	reap_all();
}

static void one_that_is_abandoned_goes_on(void **state)
{
	struct job job;

	(void)state;
	assert_int_equal(job_start(&job, wait_and_act, NULL, -1, NULL), 0);
	assert_int_equal(job_step(&job, NULL), 1);
	job_abandon(&job);
	assert_false(job_is_running(&job));
	close(creat(go, 0600));
	reap_all();
	assert_int_equal(access(acted, F_OK), 0);
}

static void one_that_is_killed_does_nothing_more(void **state)
{
	struct job job;

	(void)state;
	assert_int_equal(job_start(&job, wait_and_act, NULL, -1, NULL), 0);
	assert_int_equal(job_step(&job, NULL), 1);
	job_kill(&job);
	assert_false(job_is_running(&job));
	close(creat(go, 0600));
	reap_all();
	assert_int_equal(access(acted, F_OK), -1);
}

static void one_that_is_late_is_abandoned(void **state)
{
	struct error err = {0};
	struct job job;
	int rc;

	(void)state;
	assert_int_equal(job_start(&job, wait_and_act, NULL, 100, NULL), 0);
	assert_in_range(job_deadline_ms(&job) - monotonic_now_ms(), 0, 100);
	while ((rc = job_step(&job, &err)) == 1) {
		struct pollfd pfd = {.fd = job_poll_fd(&job), .events = POLLIN};

		assert_int_equal(poll(&pfd, 1, 110), 0);
	}
	assert_int_equal(rc, -ETIMEDOUT);
	assert_non_null(strstr(err.text, "in time"));
	assert_false(job_is_running(&job));
	assert_int_equal(job_run(wait_and_act, NULL, 20, NULL), -ETIMEDOUT);
	close(creat(go, 0600));
	reap_all();
	assert_int_equal(access(acted, F_OK), 0);
}

/* What came before the end of its time counts, however late it is seen. */
static void an_answer_in_time_is_one(void **state)
{
	int number = 5;
	struct error err;
	struct job job;

	(void)state;
	assert_int_equal(job_start(&job, answer, &number, 300, NULL), 0);
	poll(NULL, 0, 400);
	assert_int_equal(job_step(&job, &err), -5);
	reap_all();
}

static int act_when_forsaken(const void *argument, struct error *err)
{
	(void)argument;
	(void)err;
	for (int i = 0; i < 6000 && job_is_awaited(); i++)
		poll(NULL, 0, 5);
	if (!job_is_awaited())
		close(creat(acted, 0600));
	return 0;
}

static void a_job_knows_whether_it_is_awaited(void **state)
{
	struct job job;

	(void)state;
	assert_int_equal(job_start(&job, act_when_forsaken, NULL, -1, NULL), 0);
	poll(NULL, 0, 100);
	assert_int_equal(job_step(&job, NULL), 1);
	assert_int_equal(access(acted, F_OK), -1);
	job_abandon(&job);
	reap_all();
	assert_int_equal(access(acted, F_OK), 0);
}

static void one_that_never_began_is_none(void **state)
{
	struct job job = {0};

	(void)state;
	assert_false(job_is_running(&job));
	assert_int_equal(job_poll_fd(&job), -1);
	assert_int_equal(job_deadline_ms(&job), -1);
	assert_int_equal(job_step(&job, NULL), -ECHILD);
	job_abandon(&job);
	job_kill(&job);
	assert_true(fcntl(0, F_GETFD) >= 0); /* which its zeros may not be taken for */
}

static void there_is_an_end_to_those_that_hang(void **state)
{
	struct job job;
	struct error err;
	int count = 0;

	(void)state;
	while (count < 1000 && job_start(&job, wait_and_act, NULL, -1, &err) == 0) {
		job_abandon(&job);
		count++;
	}
	assert_in_range(count, 8, 100);
	assert_non_null(strstr(err.text, "hang in the kernel"));
	close(creat(go, 0600));
	reap_all();
	assert_int_equal(job_run(die, NULL, 30000, &err), -ECHILD);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_answer_comes_back),
		TEST(one_that_is_abandoned_goes_on),
		TEST(one_that_is_killed_does_nothing_more),
		TEST(one_that_is_late_is_abandoned),
		TEST(an_answer_in_time_is_one),
		TEST(a_job_knows_whether_it_is_awaited),
		TEST(one_that_never_began_is_none),
		TEST(there_is_an_end_to_those_that_hang),
	};

	return cmocka_run_group_tests_name("job", tests, NULL, NULL);
}
