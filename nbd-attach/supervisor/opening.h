/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A new device from the first connection to the first read. Waits: not for the loop. */
#ifndef NBDA_SUPERVISOR_OPENING
#define NBDA_SUPERVISOR_OPENING
#include "supervisor/attachment.h"
#include "supervisor/control.h"

/* Negotiate every link, CONNECT, read once through the device, and prove that what the driver sends
 * is encrypted. On failure the device is disconnected again. INDEX -1: any free device, which
 * CONTROL is opened for before. */
int opening_run(
	struct attachment *attachment, int index, struct control *control, struct error *err);

#endif
