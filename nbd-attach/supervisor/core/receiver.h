/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Has the driver ceased to read from a link's former socket (kernel fact receiver-outlives-link)?
 * It says so in its log, without telling of which link; what is left to read tells the rest. Pure:
 * no I/O, no clock. */
#ifndef NBDA_SUPERVISOR_CORE_RECEIVER
#define NBDA_SUPERVISOR_CORE_RECEIVER
#include <stdbool.h>
#include <stdint.h>

struct receiver {
	int64_t progress_ms; /* -1: not begun */
	int64_t ended_ms;    /* since when it is believed to have ended; -1: not yet */
	int unread_bytes;
	unsigned stalls; /* in a row */
};

struct receiver_sample {
	int64_t now_ms;
	int unread_bytes; /* 0, too, where that cannot be told */
	bool log_is_read;
	bool log_says_ended; /* as many ends of receivers as links were lost */
	bool several;        /* links: the log does not say whose receiver it was */
	/* requests: their senders take the same lock as the receiver's last act */
	bool in_flight;
};

void receiver_begin(struct receiver *receiver);
/* A sample, every few ms: true once its slot can be given another socket. */
bool receiver_has_ended(struct receiver *receiver, const struct receiver_sample *sample);

#endif
