/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Telling udev that a device is complete, and waiting until it has taken note. The events of
 * CONNECT itself come too early: the backend identifier is not there yet (Linux 6.1), and our rules
 * call the device not ready until the supervisor's state file is there. */
#ifndef NBDA_KERNEL_UDEV
#define NBDA_KERNEL_UDEV
#include <stdbool.h>
#include <time.h>

/* Does udev's database have device INDEX as ready, under its name /dev/disk/by-id/nbd-BACKEND? */
bool udev_knows(int index, const char *backend);
#define UDEV_MINORS_MAX 256 /* the driver's max_part goes no further */
#define UDEV_LOOK_AGAIN_MS 10

struct udev_wait {
	int index;
	bool awaited[UDEV_MINORS_MAX]; /* the disk, and its partitions */
	struct timespec since;
};

/* A "change" of the disk and of each of its partitions, where udevd runs. Touches no data of the
 * device, and waits for nothing. */
void udev_announce(struct udev_wait *wait, int index);
/* Are all of them in the database by now? To be asked again and again; true at once where no udevd
 * runs. */
bool udev_has_noted(struct udev_wait *wait);

#endif
