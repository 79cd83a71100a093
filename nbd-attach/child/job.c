/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "child/job.h"
#include "base/clock.h"
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <sys/socket.h>

struct work {
	job_function *function;
	const void *argument;
};

struct outcome {
	int rc;
	struct error err;
};

static void job_main(int channel, const void *argument)
{
	const struct work *work = argument;
	struct outcome outcome = {.err = {.kind = ERROR_OTHER}};

	outcome.rc = work->function(work->argument, &outcome.err);
	/* nobody may be there any more to hear it */
	(void)!send(channel, &outcome, sizeof(outcome), MSG_NOSIGNAL);
}

int job_start(struct job *job, job_function *function, const void *argument, int timeout_ms,
	struct error *err)
{
	struct work work = {function, argument};
	struct child_options options = {.timeout_ms = timeout_ms};

	return child_start(&job->child, &options, job_main, &work, err);
}

bool job_is_running(const struct job *job)
{
	return child_is_running(&job->child);
}

int job_poll_fd(const struct job *job)
{
	return child_poll_fd(&job->child);
}

int64_t job_deadline_ms(const struct job *job)
{
	return child_deadline_ms(&job->child);
}

int job_step(struct job *job, struct error *err)
{
	struct outcome outcome;
	int got = child_receive(&job->child, &outcome, sizeof(outcome), NULL);

	if (got == 0 && !child_is_overdue(&job->child))
		return 1;
	job_abandon(job);
	if (got == 0)
		return error_set(err, ERROR_OTHER, ETIMEDOUT,
			"a process of ours has not come to its end in time");
	if (got < 0 || outcome.rc > 0)
		return error_set(
			err, ERROR_OTHER, ECHILD, "a process of ours ended without an answer");
	if (outcome.rc && err)
		*err = outcome.err;
	return outcome.rc;
}

void job_abandon(struct job *job)
{
	child_abandon(&job->child);
}

void job_kill(struct job *job)
{
	child_kill(&job->child);
}

int job_run(job_function *function, const void *argument, int timeout_ms, struct error *err)
{
	struct job job;
	int rc = job_start(&job, function, argument, timeout_ms, err);

	if (rc)
		return rc;
	do {
		struct pollfd pfd = {.fd = job_poll_fd(&job), .events = POLLIN};
		int64_t left_ms = job_deadline_ms(&job) - monotonic_now_ms();

		poll(&pfd, 1, timeout_ms < 0 ? -1 : left_ms > 0 ? (int)left_ms : 0);
		rc = job_step(&job, err);
	} while (rc == 1);
	return rc;
}

bool job_is_awaited(void)
{
	struct pollfd pfd = {.fd = CHILD_CHANNEL};

	return poll(&pfd, 1, 0) >= 0 && !(pfd.revents & (POLLERR | POLLHUP | POLLNVAL));
}
