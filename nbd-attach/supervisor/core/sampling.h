/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a sample of the links tells, and when to take the next. Pure: no I/O, no clock. While data
 * flows it samples every few seconds; an idle device is sampled every two minutes, and wakes
 * nobody in between. */
#ifndef NBDA_SUPERVISOR_CORE_SAMPLING
#define NBDA_SUPERVISOR_CORE_SAMPLING
#include <stdbool.h>
#include <stdint.h>
#include "config/limits.h"

#define SAMPLING_IDLE_MS 128000

enum sampling_verdict {
	SAMPLING_REKEY = 1 << 0,     /* half of the key's records are used up */
	SAMPLING_REKEY_NOW = 1 << 1, /* seven eighths */
	/* something is owed, and no byte came for the liveness timeout */
	SAMPLING_SILENT = 1 << 2,
	SAMPLING_OVERTIME = 1 << 3, /* ... for the request timeout */
};

struct sampling_input {
	uint64_t sent_bytes, received_bytes;
	uint64_t records;      /* of the direction that has used more */
	uint64_t record_limit; /* 0: none */
	/* the link itself is known to owe an answer, to whatever kind of request */
	bool owed;
};

struct sampled_link {
	bool known;
	struct sampling_input last;
	bool unanswered;          /* something was sent since the last byte came */
	int64_t waiting_since_ms; /* -1: not waiting */
	/* How fast it uses up its records. */
	int64_t window_since_ms;
	uint64_t window_records, records_per_sec;
};

struct sampling {
	int64_t liveness_ms, request_ms; /* request_ms -1: none */
	unsigned link_count;
	struct sampled_link links[LINKS_MAX];
	int64_t interval_ms;
	/* the driver has said that a request waits, and says so again before then; -1: it has
	 * not */
	int64_t stuck_until_ms;
	/* Of the sample that is being taken: */
	int64_t cap_ms, idle_check_ms;
	bool active, in_flight;
};

void sampling_init(struct sampling *sampling, int64_t liveness_ms, int64_t request_ms,
	unsigned link_count, int64_t now_ms);
/* For how long LINK has owed something without a byte; 0: it does not. */
int64_t sampling_silent_ms(const struct sampling *sampling, unsigned link, int64_t now_ms);
/* LINK has another socket, or none: what was known of it counts no more. */
void sampling_forget(struct sampling *sampling, unsigned link, int64_t now_ms);
/* The driver has logged "Possible stuck request": something is owed, of whatever kind, until a byte
 * comes. It says so of devices with one link (kernel fact stuck-request), each second or two for as
 * long as it is so. */
void sampling_stuck(struct sampling *sampling, int64_t now_ms);
bool sampling_is_stuck(const struct sampling *sampling, int64_t now_ms);
/* A sample: begin, each link that has a socket, finish. IN_FLIGHT: does the block layer count any
 * request of the device? */
void sampling_begin(struct sampling *sampling, bool in_flight, int64_t now_ms);
unsigned sampling_link(struct sampling *sampling, unsigned link,
	const struct sampling_input *sample, int64_t now_ms);
/* When the next one is due. AWAITS_IDLE: a renewal waits for a moment with nothing in flight. */
int64_t sampling_finish(struct sampling *sampling, int64_t now_ms, bool awaits_idle);

#endif
