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

#define TASK_CHANNEL 3 /* in a task: the pipe to whoever waits for it */

struct outcome {
	int rc;
	struct error err;
};

static _Noreturn void task_main(int channel, task_function *function, const void *argument)
{
	struct outcome outcome = {.err = {.kind = ERROR_OTHER}};
	int null = open("/dev/null", O_RDWR);
	sigset_t none;

	aloof_enter_child();
	/* The supervisor's sockets are not ours to keep open for as long as we hang. */
	for (int fd = 0; fd <= 2; fd++)
		dup2(null, fd);
	dup2(channel, TASK_CHANNEL);
	syscall(SYS_close_range, 4U, ~0U, 0U);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);
	outcome.rc = function(argument, &outcome.err);
	_exit(write(TASK_CHANNEL, &outcome, sizeof(outcome)) != sizeof(outcome)); /* below PIPE_BUF: all or nothing */
}

int task_start(struct task *task, task_function *function, const void *argument, struct error *err)
{
	int fds[2];

	task->poll_fd = -1;
	task->pid = 0;
	if (reaper_is_full())
		return error_set(err, ERROR_OTHER, EAGAIN, "too many processes of ours hang in the kernel already");
	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return error_set(err, ERROR_OTHER, errno, "pipe: %s", strerror(errno));
	fflush(NULL);
	task->pid = fork();
	if (task->pid == 0)
		task_main(fds[1], function, argument);
	close(fds[1]);
	if (task->pid < 0) {
		task->pid = 0;
		close(fds[0]);
		return error_set(err, ERROR_OTHER, EAGAIN, "cannot start another process");
	}
	task->poll_fd = fds[0];
	return 0;
}

int task_step(struct task *task, struct error *err)
{
	struct outcome outcome;
	ssize_t n = read(task->poll_fd, &outcome, sizeof(outcome));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 1;
	task_abandon(task);
	if (n != sizeof(outcome) || outcome.rc > 0)
		return error_set(err, ERROR_OTHER, ECHILD, "a process of ours ended without a word");
	if (outcome.rc && err)
		*err = outcome.err;
	return outcome.rc;
}

void task_abandon(struct task *task)
{
	if (task->poll_fd < 0)
		return;
	close(task->poll_fd);
	task->poll_fd = -1;
	reaper_add(task->pid); /* nobody waits for one that hangs */
	task->pid = 0;
}

void task_kill(struct task *task)
{
	if (task->poll_fd >= 0 && task->pid > 0)
		kill(task->pid, SIGKILL);
	task_abandon(task);
}

int task_run(task_function *function, const void *argument, int timeout_ms, struct error *err)
{
	struct task task;
	int rc = task_start(&task, function, argument, err);
	struct pollfd pfd = {.fd = task.poll_fd, .events = POLLIN};

	if (rc)
		return rc;
	if (poll(&pfd, 1, timeout_ms) > 0)
		return task_step(&task, err);
	task_abandon(&task);
	return -ETIMEDOUT;
}

bool task_is_awaited(void)
{
	struct pollfd pfd = {.fd = TASK_CHANNEL};

	return poll(&pfd, 1, 0) >= 0 && !(pfd.revents & (POLLERR | POLLNVAL));
}
