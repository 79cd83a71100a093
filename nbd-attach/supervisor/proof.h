/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What shows that the driver uses a new link, and that what it sends over it is encrypted: the
 * link's counters, after a small read through the device by a process of ours. */
#ifndef NBDA_SUPERVISOR_PROOF
#define NBDA_SUPERVISOR_PROOF
#include "child/probe.h"
#include "supervisor/condition.h"
#include "supervisor/engine.h"

struct proof {
	struct attachment *attachment;
	struct engine *engine;
	struct condition *condition;
	struct job probe;
	uint64_t losses; /* of links, when it began */
	struct loop_source source;
};

void proof_init(struct proof *proof, struct attachment *attachment, struct engine *engine,
	struct condition *condition, struct loop *loop);
/* Has data gone both ways over link AT since the driver was given it? */
bool proof_has_moved(
	const struct attachment *attachment, const struct machine *machine, unsigned at);
/* These are called by actions. EVENT_PROBED follows, unless one is under way. */
void proof_probe(struct proof *proof);
/* EVENT_SAMPLED is the outcome. */
void proof_sample(struct proof *proof, unsigned at);
/* The same socket again, in case the driver dropped it. Where its slot is taken, by it or by
 * another, that does nothing. */
void proof_offer_again(struct proof *proof, unsigned at);
void proof_close(struct proof *proof);

#endif
