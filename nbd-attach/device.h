/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Taking a device away from the system without taking it from under somebody. */
#ifndef NBDA_DEVICE_H
#define NBDA_DEVICE_H
#include <stdbool.h>
#include "error.h"
#include "nbd-genl.h"

/* Is this process let to configure devices? WHAT ("attaching") is for the sentence. */
int device_check_permission(const char *what, struct error *err);
enum detach_how {
	DETACH_IF_UNUSED,
	DETACH_UNREACHABLE, /* its server is away, or its I/O fails already: as above, and refuse also while anything waits to be written */
	DETACH_FORCED, /* neither looked at who uses it nor written back */
};

/* Detach /dev/nbdINDEX: refuse (ERROR_BUSY, naming the user) while it is mounted, swapped on, held or open; write back what is
 * dirty; DISCONNECT; wait until the kernel has let go. WARNING, if not NULL, receives a sentence when it is done but something is worth
 * knowing. Writing back waits for a server that is away: never call this where the reconnect has to come from. */
int device_detach(struct nbd_genl *genl, int index, enum detach_how how, char *warning, size_t warning_size, struct error *err);
/* Wait until the kernel says that the device is not configured. */
bool device_wait_gone(int index, int timeout_ms);

#endif
