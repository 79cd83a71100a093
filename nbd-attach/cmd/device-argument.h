/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The device that a subcommand is about. */
#ifndef NBDA_CMD_DEVICE_ARGUMENT
#define NBDA_CMD_DEVICE_ARGUMENT
#include "base/error.h"

/* The number of the device that WORD names. It has to be one, not "auto"; where WORD is a place at
 * which something is mounted, ERR says from which device, and how COMMAND is typed for it. */
int device_argument(const char *word, const char *command, int *index, struct error *err);

#endif
