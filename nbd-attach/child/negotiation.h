/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One negotiation, in a child process of its own: the negotiator. It has no root, no capabilities
 * and no new privileges when it reads the first byte from the network, and the parent kills it at
 * the deadline. */
#ifndef NBDA_CHILD_NEGOTIATION
#define NBDA_CHILD_NEGOTIATION
#include <stdint.h>
#include "base/error.h"
#include "child/child.h"
#include "child/negotiator.h"

/* All zero: none runs. */
struct negotiation {
	struct negotiation_job job;
	struct child child;
	char stage[64];
	unsigned stage_count; /* 0: it has not begun to connect */
	bool has_names;
	bool is_killed; /* since it lived on behind its last message */
	enum { NEGOTIATION_TALKING, NEGOTIATION_HAS_SPOKEN, NEGOTIATION_HAS_HUNG_UP } state;
	int rc; /* its last message, for when it has ended: */
	struct error err;
	struct negotiation_result result;
};

int negotiation_start(
	struct negotiation *negotiation, const struct negotiation_job *job, struct error *err);
bool negotiation_is_running(const struct negotiation *negotiation);
/* Call negotiation_step() when this is readable (-1: none runs), or at that time (monotonic). Each
 * step may change both. */
int negotiation_poll_fd(const struct negotiation *negotiation);
int64_t negotiation_deadline_ms(const struct negotiation *negotiation);
/* Never blocks. 1: not finished; 0: RESULT is there; -errno: failed, ERR says why. After 0 or
 * -errno the child has ended or was killed. */
int negotiation_step(
	struct negotiation *negotiation, struct negotiation_result *result, struct error *err);
/* Kill, without waiting for its end. */
void negotiation_cancel(struct negotiation *negotiation);
/* start, wait, step: for a caller with nothing else to wait for. */
int negotiation_run(
	const struct negotiation_job *job, struct negotiation_result *result, struct error *err);

#endif
