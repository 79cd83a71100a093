/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "child/reaper.h"
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define PIDS_MAX 64
#define STACK_BYTES 16384
#define FULL 32 /* what is left is for those that have been started already */

static pid_t pids[PIDS_MAX];
static size_t count;

void reaper_collect(void)
{
	size_t left = 0;

	for (size_t i = 0; i < count; i++)
		if (waitpid(pids[i], NULL, WNOHANG) == 0)
			pids[left++] = pids[i];
	count = left;
}

bool reaper_has_any(void)
{
	return count > 0;
}

void reaper_add(pid_t pid)
{
	if (pid <= 0 || waitpid(pid, NULL, WNOHANG) != 0)
		return;
	reaper_collect();
	if (count < PIDS_MAX)
		pids[count++] = pid;
}

bool reaper_is_full(void)
{
	reaper_collect();
	return count >= FULL;
}

struct closing {
	pid_t parent;
	int fd;
};

/* No more of the C library than this: it has not been told that it is in another process. While
 * this hangs it holds all our descriptors, also after we have ended: so it ends with us, if it
 * can. */
static int close_in_child(void *argument)
{
	const struct closing *closing = argument;

	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() == closing->parent)
		close(closing->fd);
	_exit(0);
}

void reaper_close(int fd)
{
	struct closing closing = {getpid(), fd};
	char stack[STACK_BYTES] __attribute__((aligned(64))); /* the child has it as a copy */

	if (fd >= 0)
		reaper_add(clone(
			close_in_child, stack + sizeof(stack), CLONE_FILES | SIGCHLD, &closing));
}
