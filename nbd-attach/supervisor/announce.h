/* SPDX-License-Identifier: GPL-2.0-or-later */
/* That the device is ready, or why not: told to udev, and once to the process that waits. It is
 * told as soon as udev has noted the device, or its time for that is over. The device has been
 * supervised all the while: what udev runs on it may be the first to wait for its server. */
#ifndef NBDA_SUPERVISOR_ANNOUNCE
#define NBDA_SUPERVISOR_ANNOUNCE
#include <json.h>
#include "kernel/udev.h"
#include "supervisor/control.h"
#include "supervisor/manager.h"
#include "supervisor/outcome.h"

struct announce {
	struct attachment *attachment;
	struct control *control;
	struct manager *manager;
	supervisor_report_function *deliver;
	void *deliver_data;
	struct supervisor_report *report; /* NULL: delivered */
	struct udev_wait udev;
	struct loop_source waiting;
	int64_t until_ms;
	/* what the report for machines says; its owner's */
	json_object *(*status)(void *owner);
	/* is there nothing to announce any more? */
	bool (*is_over)(void *owner);
	void *owner;
	int rc; /* the exit status: ERROR_*, 0 when the device is ready and somebody knows */
};

/* -ENOMEM. */
int announce_init(struct announce *announce, struct attachment *attachment, struct control *control,
	struct manager *manager, struct loop *loop);
/* The device is there: tell udev, and the process that waits when that has noted it. */
void announce_begin(struct announce *announce);
/* It has failed with RC, as the report's error says. */
void announce_failure(struct announce *announce, int rc);
/* Not to be waited for any longer: IS_GONE, the device was detached before it was ready. */
void announce_now(struct announce *announce, bool is_gone);
void announce_close(struct announce *announce);

#endif
