/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Telling udev that a device is complete, and hearing from it when it has worked on that. The
 * events of CONNECT itself come too early: the backend identifier is not there yet (Linux 6.1), and
 * our rules call the device not ready until the supervisor's state file is there. */
#ifndef NBDA_KERNEL_UDEV
#define NBDA_KERNEL_UDEV
#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"
#include "kernel/block-attr.h"

/* libudev serves an isolated supervisor (--root), too: it loads no code later, and reads nothing
 * but /sys, /run/udev, and in old versions /etc/udev/udev.conf, which may be missing. */
struct udev;
struct udev_monitor;

/* Does udev's database have device INDEX as ready, under its name /dev/disk/by-id/nbd-BACKEND? */
bool udev_knows(int index, const char *backend);

/* All zero, or ended: nothing is awaited. */
struct udev_wait {
	struct udev *context;
	struct udev_monitor *monitor;
	int index;
	uint32_t id[4];
	/* of the disk, and of its partitions */
	bool told[BLOCK_MINORS_MAX], awaited[BLOCK_MINORS_MAX];
	bool repeated;
};

/* A "change" of the disk and of each of its partitions, each with a UUID by which its answer is
 * known; nothing where no udevd runs. Touches no data of the device, and waits for nothing. -errno:
 * udev is told, but no answer would be heard, and none is awaited: udevd sends them in its own
 * network namespace, which is that of process 1 (a unit's sandbox may hide it: then they are). */
int udev_announce(struct udev_wait *wait, int index, struct error *err);
/* To be polled for POLLIN; -1: nothing is awaited. */
int udev_wait_fd(const struct udev_wait *wait);
/* Has udev worked on all of them, whatever its rules made of it? Reads what is there without
 * waiting. Of a udevd that hangs or died, and of one that is not there though /run/udev/control is,
 * nothing is heard: the caller keeps a deadline. */
bool udev_has_noted(struct udev_wait *wait);
void udev_wait_end(struct udev_wait *wait);

#endif
