/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor/core/sampling.h"
#include <string.h>

#define ACTIVE_MAX_MS 4000
#define GROWTH 8
/* No link is expected to use up records faster: so often is an idle device sampled that may
 * become busy at any time. */
#define RECORDS_PER_MS_MAX 50
#define CAP_MIN_MS 10
#define IDLE_CHECK_MIN_MS 2
#define IDLE_CHECK_MAX_MS 100
/* How many checks for an idle moment fit between here and the limit. */
#define IDLE_CHECKS 64
#define WINDOW_MS 200
#define STUCK_MS 5000

static int64_t clamp(int64_t value, int64_t min, int64_t max)
{
	return value < min ? min : value > max ? max : value;
}

static int64_t active_ms(const struct sampling *sampling)
{
	int64_t shortest_ms =
		sampling->request_ms >= 0 && sampling->request_ms < sampling->liveness_ms ?
		sampling->request_ms :
		sampling->liveness_ms;

	return clamp(shortest_ms / 8, CAP_MIN_MS, ACTIVE_MAX_MS);
}

void sampling_forget(struct sampling *sampling, unsigned link, int64_t now_ms)
{
	/* Until it is measured, the rate may be any. */
	sampling->links[link] = (struct sampled_link){.waiting_since_ms = -1,
		.window_since_ms = now_ms,
		.records_per_sec = RECORDS_PER_MS_MAX * 1000ULL};
}

int64_t sampling_silent_ms(const struct sampling *sampling, unsigned link, int64_t now_ms)
{
	return sampling->links[link].waiting_since_ms < 0 ?
		0 :
		now_ms - sampling->links[link].waiting_since_ms;
}

void sampling_init(struct sampling *sampling, int64_t liveness_ms, int64_t request_ms,
	unsigned link_count, int64_t now_ms)
{
	memset(sampling, 0, sizeof(*sampling));
	sampling->liveness_ms = liveness_ms;
	sampling->request_ms = request_ms;
	sampling->link_count = link_count;
	sampling->interval_ms = active_ms(sampling);
	sampling->stuck_until_ms = -1;
	for (unsigned i = 0; i < link_count; i++)
		sampling_forget(sampling, i, now_ms);
}

void sampling_stuck(struct sampling *sampling, int64_t now_ms)
{
	sampling->stuck_until_ms = now_ms + STUCK_MS;
}

bool sampling_is_stuck(const struct sampling *sampling, int64_t now_ms)
{
	return now_ms < sampling->stuck_until_ms;
}

void sampling_begin(struct sampling *sampling, bool in_flight, int64_t now_ms)
{
	sampling->cap_ms = SAMPLING_IDLE_MS;
	sampling->idle_check_ms = IDLE_CHECK_MAX_MS;
	sampling->in_flight = sampling->active = in_flight || sampling_is_stuck(sampling, now_ms);
}

/* Nothing received for long while something is owed. A request may have been sent a moment ago, so
 * the time counts from the first sample that sees it waiting. */
static unsigned judge_silence(struct sampling *sampling, struct sampled_link *link,
	const struct sampling_input *now, int64_t now_ms)
{
	int64_t silent_ms;
	bool received = !link->known || now->received_bytes != link->last.received_bytes;

	if (received) {
		link->unanswered = false;
		sampling->stuck_until_ms = -1;
	} else if (now->sent_bytes != link->last.sent_bytes) {
		link->unanswered = true;
	}
	/* What is in flight is known for the device as a whole. */
	if (received ||
		(!now->owed &&
			(!sampling->in_flight ||
				(sampling->link_count > 1 && !link->unanswered)))) {
		link->waiting_since_ms = -1;
		return 0;
	}
	if (link->waiting_since_ms < 0)
		link->waiting_since_ms = now_ms;
	silent_ms = now_ms - link->waiting_since_ms;
	return (silent_ms >= sampling->liveness_ms ? SAMPLING_SILENT : 0) |
		(sampling->request_ms >= 0 && silent_ms >= sampling->request_ms ?
				SAMPLING_OVERTIME :
				0);
}

static void measure_rate(struct sampled_link *link, uint64_t records, int64_t now_ms)
{
	int64_t elapsed_ms = now_ms - link->window_since_ms;

	if (elapsed_ms < WINDOW_MS)
		return;
	link->records_per_sec = records > link->window_records ?
		(records - link->window_records) * 1000 / (uint64_t)elapsed_ms :
		0;
	link->window_records = records;
	link->window_since_ms = now_ms;
}

/* How soon could the limit be reached? */
static void consider_limit(struct sampling *sampling, struct sampled_link *link,
	const struct sampling_input *now, int64_t now_ms)
{
	uint64_t hard = now->record_limit / 8 * 7,
		 left = hard > now->records ? hard - now->records : 0;
	int64_t cap_ms = clamp((int64_t)(left / RECORDS_PER_MS_MAX), CAP_MIN_MS, SAMPLING_IDLE_MS),
		idle_check_ms;

	if (cap_ms < sampling->cap_ms)
		sampling->cap_ms = cap_ms;
	measure_rate(link, now->records, now_ms);
	idle_check_ms = clamp((int64_t)(left * 1000 / (link->records_per_sec + 1) / IDLE_CHECKS),
		IDLE_CHECK_MIN_MS, IDLE_CHECK_MAX_MS);
	if (idle_check_ms < sampling->idle_check_ms)
		sampling->idle_check_ms = idle_check_ms;
}

unsigned sampling_link(
	struct sampling *sampling, unsigned at, const struct sampling_input *sample, int64_t now_ms)
{
	struct sampled_link *link = &sampling->links[at];
	unsigned verdict = 0;

	if (link->known &&
		(sample->received_bytes != link->last.received_bytes ||
			sample->sent_bytes != link->last.sent_bytes))
		sampling->active = true;
	if (sample->owed)
		sampling->active = true;
	verdict |= judge_silence(sampling, link, sample, now_ms);
	if (sample->record_limit) {
		consider_limit(sampling, link, sample, now_ms);
		if (sample->records >= sample->record_limit / 2)
			verdict |= SAMPLING_REKEY;
		if (sample->records >= sample->record_limit / 8 * 7)
			verdict |= SAMPLING_REKEY_NOW;
	}
	link->last = *sample;
	link->known = true;
	return verdict;
}

int64_t sampling_finish(struct sampling *sampling, int64_t now_ms, bool awaits_idle)
{
	int64_t next_ms;

	sampling->interval_ms = sampling->active ?
		active_ms(sampling) :
		clamp(sampling->interval_ms * GROWTH, CAP_MIN_MS, SAMPLING_IDLE_MS);
	next_ms =
		sampling->interval_ms < sampling->cap_ms ? sampling->interval_ms : sampling->cap_ms;
	if (awaits_idle && sampling->idle_check_ms < next_ms)
		next_ms = sampling->idle_check_ms;
	return now_ms + next_ms;
}
