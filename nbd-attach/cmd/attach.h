/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Attaching one device: everything that the user may have got wrong is said before anything is
 * begun; then the supervisor is forked and its one answer awaited. */
#ifndef NBDA_CMD_ATTACH
#define NBDA_CMD_ATTACH
#include "options/config.h"

/* Attach /dev/nbdINDEX (-1: any) as CONFIG has it, say so or why not, and return the exit status:
 * when the device is ready, or with --foreground when it is gone. OPTIONS: how it is said. */
int attach_run(int index, const struct config *config, const struct options *options);

#endif
