/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor/record.h"
#include "base/clock.h"
#include "kernel/udev.h"
#include "output/log.h"
#include "supervisor/state-file.h"
#include <string.h>

#define RETRY_MS 5000

/* Without even an empty file udev's rules took the device for one that is not ready. */
static void note_written(const struct attachment *attachment)
{
	struct udev_wait none = {0};

	log_message(LOG_NOTICE, "/dev/nbd%d: its state can be written again", attachment->index);
	if (!udev_knows(attachment->index, attachment->backend))
		(void)udev_announce(&none, attachment->index, NULL);
	udev_wait_end(&none);
}

void record_save(struct record *record)
{
	struct error former = record->problem;

	record->problem = (struct error){0};
	loop_call_at(&record->retry, LOOP_NEVER);
	if (state_save(record->attachment, &record->problem) == 0) {
		if (former.kind)
			note_written(record->attachment);
		return;
	}
	loop_call_at(&record->retry, monotonic_now_ms() + RETRY_MS);
	if (strcmp(former.text, record->problem.text) != 0)
		log_message(LOG_WARNING, "%s; %s", record->problem.text, record->problem.hint);
}

static void on_retry(void *owner, short revents)
{
	(void)revents;
	record_save(owner);
}

void record_init(struct record *record, const struct attachment *attachment, struct loop *loop)
{
	*record = (struct record){.attachment = attachment};
	loop_add(loop, &record->retry, LOOP_TIME, on_retry, record);
}

void record_close(struct record *record)
{
	loop_remove(&record->retry);
}
