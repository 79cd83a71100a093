/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a later connection will need and may not have: certificates of theirs and ours that run out,
 * and lists of revoked ones. It is told long before, since nothing else says so: the links that are
 * there go on. */
#ifndef NBDA_SUPERVISOR_EXPIRY
#define NBDA_SUPERVISOR_EXPIRY
#include "supervisor/attachment.h"
#include "supervisor/loop.h"

#define EXPIRY_WARNINGS_MAX 8

struct expiry_warning {
	char text[256];
};

struct expiry {
	const struct attachment *attachment;
	struct loop_source timer;
	struct {
		char text[256];
		int64_t at_ms; /* monotonic */
	} told[EXPIRY_WARNINGS_MAX];
	size_t next;
};

/* What is to be said of ATTACHMENT at this time, each once; printable. */
size_t expiry_list(const struct attachment *attachment, int64_t now_unix_sec,
	struct expiry_warning warnings[EXPIRY_WARNINGS_MAX]);

void expiry_init(struct expiry *expiry, const struct attachment *attachment, struct loop *loop);
/* There are links, or another one: what is new is logged now, and looked for from time to time. */
void expiry_update(struct expiry *expiry);
void expiry_close(struct expiry *expiry);

#endif
