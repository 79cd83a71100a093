/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor/core/sampling.h"
#include <string.h>

#define ACTIVE_MAX_MS 4000
#define GROWTH 8
/* No link is expected to use up records faster: so often must an idle device be looked at that may become busy at any time. */
#define RECORDS_PER_MS_MAX 50
#define CAP_MIN_MS 10
#define QUIET_MIN_MS 2
#define QUIET_MAX_MS 100
/* How many looks for a quiet moment fit between here and the limit. */
#define QUIET_LOOKS 64
#define WINDOW_MS 200
#define STUCK_MS 5000

static int64_t clamp(int64_t value, int64_t min, int64_t max)
{
	return value < min ? min : value > max ? max : value;
}

static int64_t active_ms(const struct look *look)
{
	int64_t shortest_ms = look->request_ms >= 0 && look->request_ms < look->liveness_ms ? look->request_ms : look->liveness_ms;

	return clamp(shortest_ms / 8, CAP_MIN_MS, ACTIVE_MAX_MS);
}

void look_forget(struct look *look, unsigned link, int64_t now_ms)
{
	/* Until it is measured, the rate may be any. */
	look->links[link] = (struct look_link){.waiting_since_ms = -1, .window_since_ms = now_ms, .records_per_sec = RECORDS_PER_MS_MAX * 1000};
}

int64_t look_silent_ms(const struct look *look, unsigned link, int64_t now_ms)
{
	return look->links[link].waiting_since_ms < 0 ? 0 : now_ms - look->links[link].waiting_since_ms;
}

void look_init(struct look *look, int64_t liveness_ms, int64_t request_ms, unsigned link_count, int64_t now_ms)
{
	memset(look, 0, sizeof(*look));
	look->liveness_ms = liveness_ms;
	look->request_ms = request_ms;
	look->link_count = link_count;
	look->interval_ms = active_ms(look);
	look->stuck_until_ms = -1;
	for (unsigned i = 0; i < link_count; i++)
		look_forget(look, i, now_ms);
}

void look_stuck(struct look *look, int64_t now_ms)
{
	look->stuck_until_ms = now_ms + STUCK_MS;
}

bool look_is_stuck(const struct look *look, int64_t now_ms)
{
	return now_ms < look->stuck_until_ms;
}

void look_begin(struct look *look, bool in_flight, int64_t now_ms)
{
	look->cap_ms = LOOK_IDLE_MS;
	look->quiet_ms = QUIET_MAX_MS;
	look->in_flight = look->active = in_flight || look_is_stuck(look, now_ms);
}

/* Nothing received for long while something is owed. A request may have been sent a moment ago, so the time counts from the first look
 * that sees it waiting. */
static unsigned judge_silence(struct look *look, struct look_link *link, const struct look_sample *now, int64_t now_ms)
{
	int64_t silent_ms;
	bool received = !link->known || now->received_bytes != link->last.received_bytes;

	if (received) {
		link->unanswered = false;
		look->stuck_until_ms = -1;
	} else if (now->sent_bytes != link->last.sent_bytes) {
		link->unanswered = true;
	}
	/* What is in flight is known for the device as a whole. */
	if (received || (!now->owed && (!look->in_flight || (look->link_count > 1 && !link->unanswered)))) {
		link->waiting_since_ms = -1;
		return 0;
	}
	if (link->waiting_since_ms < 0)
		link->waiting_since_ms = now_ms;
	silent_ms = now_ms - link->waiting_since_ms;
	return (silent_ms >= look->liveness_ms ? LOOK_SILENT : 0) | (look->request_ms >= 0 && silent_ms >= look->request_ms ? LOOK_OVERTIME : 0);
}

static void measure_rate(struct look_link *link, uint64_t records, int64_t now_ms)
{
	int64_t elapsed_ms = now_ms - link->window_since_ms;

	if (elapsed_ms < WINDOW_MS)
		return;
	link->records_per_sec = records > link->window_records ? (records - link->window_records) * 1000 / (uint64_t)elapsed_ms : 0;
	link->window_records = records;
	link->window_since_ms = now_ms;
}

/* How soon could the limit be reached? */
static void consider_limit(struct look *look, struct look_link *link, const struct look_sample *now, int64_t now_ms)
{
	uint64_t hard = now->record_limit / 8 * 7, left = hard > now->records ? hard - now->records : 0;
	int64_t cap_ms = clamp((int64_t)(left / RECORDS_PER_MS_MAX), CAP_MIN_MS, LOOK_IDLE_MS), quiet_ms;

	if (cap_ms < look->cap_ms)
		look->cap_ms = cap_ms;
	measure_rate(link, now->records, now_ms);
	quiet_ms = clamp((int64_t)(left * 1000 / (link->records_per_sec + 1) / QUIET_LOOKS), QUIET_MIN_MS, QUIET_MAX_MS);
	if (quiet_ms < look->quiet_ms)
		look->quiet_ms = quiet_ms;
}

unsigned look_link(struct look *look, unsigned at, const struct look_sample *sample, int64_t now_ms)
{
	struct look_link *link = &look->links[at];
	unsigned verdict = 0;

	if (link->known && (sample->received_bytes != link->last.received_bytes || sample->sent_bytes != link->last.sent_bytes))
		look->active = true;
	if (sample->owed)
		look->active = true;
	verdict |= judge_silence(look, link, sample, now_ms);
	if (sample->record_limit) {
		consider_limit(look, link, sample, now_ms);
		if (sample->records >= sample->record_limit / 2)
			verdict |= LOOK_RENEW;
		if (sample->records >= sample->record_limit / 8 * 7)
			verdict |= LOOK_RENEW_NOW;
	}
	link->last = *sample;
	link->known = true;
	return verdict;
}

int64_t look_finish(struct look *look, int64_t now_ms, bool awaits_quiet)
{
	int64_t next_ms;

	look->interval_ms = look->active ? active_ms(look) : clamp(look->interval_ms * GROWTH, CAP_MIN_MS, LOOK_IDLE_MS);
	next_ms = look->interval_ms < look->cap_ms ? look->interval_ms : look->cap_ms;
	if (awaits_quiet && look->quiet_ms < next_ms)
		next_ms = look->quiet_ms;
	return now_ms + next_ms;
}
