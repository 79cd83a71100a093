/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Taking a device away from the system without taking it from under somebody, and without taking
 * another one's. */
#ifndef NBDA_DEVICE_DETACH
#define NBDA_DEVICE_DETACH
#include <stddef.h>
#include "base/error.h"

/* Is this process let to configure devices? WHAT ("attaching") is for the sentence. */
int device_check_permission(const char *what, struct error *err);
enum detach_how {
	DETACH_IF_UNUSED,
	/* nobody says whether its server answers: as above, with a shorter timeout */
	DETACH_UNSURE,
	/* its server is away, or its I/O fails already: as above, and refuse also while anything
	 * waits to be written */
	DETACH_UNREACHABLE,
	DETACH_FORCED, /* neither checked for users nor written back */
};

struct device_detach {
	int index;
	enum detach_how how;
	/* only while the kernel shows exactly this; NULL: any, since a user named the
	 * device */
	const char *backend;
};

/* Detach a device: write back what is dirty, have the driver disconnect it, and wait until the
 * kernel has let go. Refused (ERROR_BUSY) while it is in use, naming the user, and when its server
 * answers nothing for some seconds. -ESTALE (ERROR_BUSY), touching nothing: it is not the one of
 * .backend. WARNING receives a sentence when it is done but something is worth knowing. */
int device_detach(
	const struct device_detach *what, char *warning, size_t warning_size, struct error *err);
/* The same as a job_function of a struct device_detach, with a time limit of the caller's.
 * Abandoned, it does not detach any more. */
int device_detach_job(const void *what, struct error *err);

#endif
