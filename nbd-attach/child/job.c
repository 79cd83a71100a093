/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "child/job.h"
#include "isolate/isolate.h"
#include "child/reaper.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define JOB_CHANNEL 3 /* in a job: the pipe to whoever waits for it */

struct outcome {
	int rc;
	struct error err;
};

static _Noreturn void job_main(int channel, job_function *function, const void *argument)
{
	struct outcome outcome = {.err = {.kind = ERROR_OTHER}};
	int null = open("/dev/null", O_RDWR);
	sigset_t none;

	isolate_enter_child();
	/* The supervisor's sockets are not ours to keep open for as long as we hang. */
	for (int fd = 0; fd <= 2; fd++)
		dup2(null, fd);
	dup2(channel, JOB_CHANNEL);
	syscall(SYS_close_range, 4U, ~0U, 0U);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);
	outcome.rc = function(argument, &outcome.err);
	/* below PIPE_BUF: all or nothing */
	_exit(write(JOB_CHANNEL, &outcome, sizeof(outcome)) != sizeof(outcome));
}

int job_start(struct job *job, job_function *function, const void *argument, struct error *err)
{
	int fds[2];

	job->poll_fd = -1;
	job->pid = 0;
	if (reaper_is_full())
		return error_set(err, ERROR_OTHER, EAGAIN,
			"too many processes of ours hang in the kernel already");
	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return error_set(err, ERROR_OTHER, errno, "pipe: %s", strerror(errno));
	fflush(NULL);
	job->pid = fork();
	if (job->pid == 0)
		job_main(fds[1], function, argument);
	close(fds[1]);
	if (job->pid < 0) {
		job->pid = 0;
		close(fds[0]);
		return error_set(err, ERROR_OTHER, EAGAIN, "cannot start another process");
	}
	job->poll_fd = fds[0];
	return 0;
}

int job_step(struct job *job, struct error *err)
{
	struct outcome outcome;
	ssize_t n = read(job->poll_fd, &outcome, sizeof(outcome));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 1;
	job_abandon(job);
	if (n != sizeof(outcome) || outcome.rc > 0)
		return error_set(
			err, ERROR_OTHER, ECHILD, "a process of ours ended without a word");
	if (outcome.rc && err)
		*err = outcome.err;
	return outcome.rc;
}

void job_abandon(struct job *job)
{
	if (job->poll_fd < 0)
		return;
	close(job->poll_fd);
	job->poll_fd = -1;
	reaper_add(job->pid); /* nobody waits for one that hangs */
	job->pid = 0;
}

void job_kill(struct job *job)
{
	if (job->poll_fd >= 0 && job->pid > 0)
		kill(job->pid, SIGKILL);
	job_abandon(job);
}

int job_run(job_function *function, const void *argument, int timeout_ms, struct error *err)
{
	struct job job;
	int rc = job_start(&job, function, argument, err);
	struct pollfd pfd = {.fd = job.poll_fd, .events = POLLIN};

	if (rc)
		return rc;
	if (poll(&pfd, 1, timeout_ms) > 0)
		return job_step(&job, err);
	job_abandon(&job);
	return -ETIMEDOUT;
}

bool job_is_awaited(void)
{
	struct pollfd pfd = {.fd = JOB_CHANNEL};

	return poll(&pfd, 1, 0) >= 0 && !(pfd.revents & (POLLERR | POLLNVAL));
}
