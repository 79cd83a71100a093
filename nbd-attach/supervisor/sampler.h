/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What has to be sampled, since nobody says it: record numbers, silence, idle moments, what has
 * become of the queue's settings. What a sample means, and when to take the next, is
 * core/sampling.h's to say. */
#ifndef NBDA_SUPERVISOR_SAMPLER
#define NBDA_SUPERVISOR_SAMPLER
#include "child/job.h"
#include "supervisor/condition.h"
#include "supervisor/core/sampling.h"
#include "supervisor/engine.h"
#include "supervisor/receivers.h"

struct sampler {
	struct attachment *attachment;
	struct engine *engine;
	struct condition *condition;
	struct receivers *receivers;
	struct sampling sampling;
	struct loop_source due, checking;
	struct job queue_check;
	int64_t queue_check_at_ms;
	int unread_bytes[LINKS_MAX]; /* at the last sample, of a silent link; 0: none */
	uint64_t completed;          /* requests of the device, at the last sample of an outage */
	bool knows_completed;
	int64_t outage_settles_ms;
	bool silence_told[LINKS_MAX], iostats_told, scheduler_told;
};

/* The first sample is taken at once. */
void sampler_init(struct sampler *sampler, struct attachment *attachment, struct engine *engine,
	struct condition *condition, struct receivers *receivers, struct loop *loop);
/* Take one at that time at the latest. */
void sampler_sample_by(struct sampler *sampler, int64_t at_ms);
/* An outage begins, or begins anew. */
void sampler_note_outage(struct sampler *sampler);
/* Has a link that was silent brought anything since the last sample? Of one that is lost: has the
 * device got anything done? SAMPLED says so. */
void sampler_sample_link(const struct sampler *sampler, unsigned at);
/* Link AT has another socket, or none. */
void sampler_forget(struct sampler *sampler, unsigned at);
/* The driver has said that a request waits for long, of whatever kind
 * (kernel fact unseen-requests): a server that hangs is noticed on a device that is not
 * sampled just then. */
void sampler_note_stuck(struct sampler *sampler);
/* ... that a receiver has ended. */
void sampler_note_receiver(struct sampler *sampler);
void sampler_close(struct sampler *sampler);

#endif
