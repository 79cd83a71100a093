/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Something that may hang on a device whose server is away, beyond the reach of signals: done by a
 * process of its own, since the one who waits for it may be the one who has to bring the server
 * back. */
#ifndef NBDA_CHILD_JOB
#define NBDA_CHILD_JOB
#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"
#include "child/child.h"

/* All zero: none runs. */
struct job {
	struct child child;
};

/* Returns 0 or -errno, and may fill ERR. It has no descriptor of ours: not even stdio, for whose
 * end somebody may be waiting. */
typedef int job_function(const void *argument, struct error *err);

/* TIMEOUT_MS -1: for as long as it takes. */
int job_start(struct job *job, job_function *function, const void *argument, int timeout_ms,
	struct error *err);
bool job_is_running(const struct job *job);
/* Call job_step() when this is readable (-1: none runs), and at that time (monotonic; -1: none). */
int job_poll_fd(const struct job *job);
int64_t job_deadline_ms(const struct job *job);
/* 1: not finished; 0 or -errno: what the function returned, and said in ERR (-ECHILD when its
 * process died). -ETIMEDOUT also when its time is over: it is abandoned then. After 0 or -errno
 * none runs any more. */
int job_step(struct job *job, struct error *err);
/* Forget it; it ends by itself when it can. */
void job_abandon(struct job *job);
/* Forget it, and see to it that it does nothing more: what it does in the kernel just now is the
 * last. */
void job_kill(struct job *job);
/* start, wait, step: for a caller with nothing else to wait for. */
int job_run(job_function *function, const void *argument, int timeout_ms, struct error *err);

/* In a job: does anybody still wait for what it returns? Before a step that only makes sense
 * then. */
bool job_is_awaited(void);

#endif
