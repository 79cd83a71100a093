/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The process that stays: it attached the device, and holds the netlink socket and a duplicate of each link until the device is
 * gone (kernel fact 11). */
#ifndef NBDA_SUPERVISOR_H
#define NBDA_SUPERVISOR_H
#include "supervisor/attachment.h"

/* What the front end is told, once. */
struct supervisor_report {
	int rc; /* 0: ready */
	struct error error;
	char line[1024];       /* for people */
	char json[128 << 10]; /* the same for machines */
};

/* Delivers the outcome; false when nobody took it. */
typedef bool supervisor_report_function(const struct supervisor_report *report, void *data);

/* Attach, call REPORT with the outcome, and when it is good and was taken stay until the device is gone or we are told to end.
 * Returns the exit status. */
int supervisor_run(struct attachment *attachment, int index, supervisor_report_function *report, void *data, bool foreground);

#endif
