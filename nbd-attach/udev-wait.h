/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Telling udev that a device is complete, and waiting until it has taken note. The events of CONNECT itself come too early: the backend
 * identifier is not there yet (Linux 6.1), and our rules call the device not ready until the supervisor's state file is there. */
#ifndef NBDA_UDEV_WAIT_H
#define NBDA_UDEV_WAIT_H
#include <stdbool.h>

/* Prefix for /run/udev; /sys is sysfs_set_root()'s. */
void udev_set_root(const char *root);
/* Does udev's database have device INDEX as ready, under its name /dev/disk/by-id/nbd-BACKEND? */
bool udev_knows(int index, const char *backend);
/* A "change" of the disk and of each of its partitions, and wait until all of them are in the database, for at most TIMEOUT_MS; not at
 * all where no udevd runs. Touches no data of the device. False: out of time. */
bool udev_announce(int index, int timeout_ms);

#endif
