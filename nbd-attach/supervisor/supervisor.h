/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The process that stays: it attached the device, and holds the netlink socket and a duplicate of
 * each link until the device is gone (kernel fact socket-owns-device). */
#ifndef NBDA_SUPERVISOR_SUPERVISOR
#define NBDA_SUPERVISOR_SUPERVISOR
#include "supervisor/attachment.h"
#include "supervisor/outcome.h"

/* Attach, call REPORT with the outcome, and when it is good and was taken stay until the device is
 * gone or we are told to end. Returns the exit status. */
int supervisor_run(struct attachment *attachment, int index, supervisor_report_function *report,
	void *data, bool foreground);

#endif
