/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor/core/receiver.h"

#define STALL_MS 300
#define STALLS_EMPTY 2 /* nothing is left to read, and the log says nothing: sampled twice */
/* something is, and nobody reads it: a busy machine, or a receiver that ended in a way that is not
 * known */
#define STALLS_UNREAD 10
/* Behind its last line the receiver takes the slot's lock, of which senders have need, too, if
 * there are any, and marks the slot dead. */
#define END_MS 3
#define END_BUSY_MS 20

void receiver_begin(struct receiver *receiver)
{
	*receiver = (struct receiver){.progress_ms = -1, .ended_ms = -1};
}

static void note_progress(struct receiver *receiver, const struct receiver_sample *sample)
{
	if (receiver->progress_ms < 0 || sample->unread_bytes != receiver->unread_bytes) {
		receiver->progress_ms = sample->now_ms;
		receiver->stalls = 0;
	} else if (sample->now_ms - receiver->progress_ms >= STALL_MS) {
		receiver->progress_ms = sample->now_ms;
		receiver->stalls++;
	}
	receiver->unread_bytes = sample->unread_bytes;
}

bool receiver_has_ended(struct receiver *receiver, const struct receiver_sample *sample)
{
	bool ended;

	note_progress(receiver, sample);
	ended = sample->log_says_ended && (!sample->several || !sample->unread_bytes);
	if (!ended)
		ended = receiver->stalls >= (sample->unread_bytes && sample->log_is_read ?
							    STALLS_UNREAD :
							    STALLS_EMPTY);
	if (!ended)
		return false;
	if (receiver->ended_ms < 0)
		receiver->ended_ms = sample->now_ms;
	return sample->now_ms - receiver->ended_ms >= (sample->in_flight ? END_BUSY_MS : END_MS);
}
