/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Attaching one device: everything that the user may have got wrong is said before anything is
 * begun; then the supervisor is forked and its one answer awaited. */
#ifndef NBDA_CMD_ATTACH
#define NBDA_CMD_ATTACH
#include "options/options.h"

/* Attach /dev/nbdINDEX (-1: any) to TARGET, say so or why not, and return the exit status: when the
 * device is ready, or with --foreground when it is gone. OPTIONS comes to point into TARGET. */
int attach_run(int index, struct target *target, struct options *options);

#endif
