/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Something that may hang on a device whose server is away, beyond the reach of signals: done by a process of its own, since the one
 * who waits for it may be the one who has to bring the server back. */
#ifndef NBDA_TASK_H
#define NBDA_TASK_H
#include <stdbool.h>
#include <sys/types.h>
#include "base/error.h"

struct task {
	int poll_fd; /* readable when it is done; -1: none runs */
	pid_t pid;
};

/* Returns 0 or -errno, and may fill ERR. It has no descriptor of ours: not even stdio, for whose end somebody may be waiting. */
typedef int task_function(const void *argument, struct error *err);

int task_start(struct task *task, task_function *function, const void *argument, struct error *err);
/* 1: not finished; 0 or -errno: what the function returned, and said in ERR (-EIO also when its process died). Then none runs any more. */
int task_step(struct task *task, struct error *err);
/* Forget it; it ends by itself when it can. */
void task_abandon(struct task *task);
/* Forget it, and see to it that it does nothing more: what it does in the kernel just now is the last. */
void task_kill(struct task *task);
/* start and wait, for at most TIMEOUT_MS: -ETIMEDOUT then, and it is abandoned. */
int task_run(task_function *function, const void *argument, int timeout_ms, struct error *err);

/* In a task: does anybody still wait for what it returns? Before a step that only makes sense then. */
bool task_is_awaited(void);

#endif
