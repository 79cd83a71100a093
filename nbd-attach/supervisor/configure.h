/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A new device in the kernel: what its queue needs before anybody may use it, and CONNECT with the
 * links of ATTACHMENT. Waits for the kernel: not for the loop. */
#ifndef NBDA_SUPERVISOR_CONFIGURE
#define NBDA_SUPERVISOR_CONFIGURE
#include "supervisor/attachment.h"
#include "supervisor/control.h"

/* Block size and flags, out of the offer and the user's settings. */
int configure_choose_geometry(struct attachment *attachment, struct error *err);
/* INDEX -1: any free device, which CONTROL is opened for before. Sets attachment->configured as
 * soon as it has to be disconnected again. */
int configure_device(
	struct attachment *attachment, int index, struct control *control, struct error *err);
/* May the device INDEX be attached beside what is attached already? -EBUSY when another one writes
 * to the same export, as this would. */
int configure_check_single(struct attachment *attachment, int index, struct error *err);

#endif
