/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which process has a device open. */
#ifndef NBDA_DEVICE_OPENERS
#define NBDA_DEVICE_OPENERS
#include <stdbool.h>
#include "base/error.h"

/* Lists (block_check_unused()) and processes, with a wait for those that have it open for a
 * moment: 0, or -EBUSY (ERROR_BUSY) with the user and what frees the device. PASS_PROBES: a
 * supervisor's own check of the device is no user. -EACCES where processes are hidden. */
int device_check_users(int index, bool pass_probes, struct error *err);
/* The processes alone, once. */
int device_check_openers(int index, bool pass_probes, struct error *err);

#endif
