/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The state file, kept up to date: what cannot be written (a full /run) is said, and tried again
 * until it is. */
#ifndef NBDA_SUPERVISOR_RECORD
#define NBDA_SUPERVISOR_RECORD
#include "supervisor/attachment.h"
#include "supervisor/loop.h"

struct record {
	const struct attachment *attachment;
	struct loop_source retry;
	struct error problem; /* why the file is not up to date; ERROR_NONE: it is */
};

void record_init(struct record *record, const struct attachment *attachment, struct loop *loop);
/* Write it as the attachment is now. */
void record_save(struct record *record);
void record_close(struct record *record);

#endif
