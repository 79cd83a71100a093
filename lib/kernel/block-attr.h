/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The block device as sysfs and /proc show it. All paths go through a root that tests can set. */
#ifndef NBDA_KERNEL_BLOCK_ATTR
#define NBDA_KERNEL_BLOCK_ATTR
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/error.h"

/* Numbers of one device and its partitions: the driver's max_part goes no further. */
#define BLOCK_MINORS_MAX 256

/* Read or write one attribute of /sys/block/nbdINDEX, e.g. "size", "backend",
 * "queue/max_sectors_kb". Read strips the trailing newline; -ENOENT when the device or the
 * attribute is not there. */
int block_attr_read(int index, const char *attribute, char *buf, size_t size);
int block_attr_read_u64(int index, const char *attribute, uint64_t *value);
int block_attr_write(int index, const char *attribute, const char *value);

/* Does the device have requests that were sent and not answered? Requests that wait for a link are
 * not among them, nor are flushes: the block layer does not count these. False when the kernel does
 * not say. */
bool block_in_flight(int index);
uint64_t block_in_flight_count(int index);
/* Requests of those kinds that were answered since the device is there. */
uint64_t block_answered_count(int index);
/* ... of any kind, flushes too; 0 when that cannot be read. */
uint64_t block_completed_count(int index);
bool block_exists(int index);
/* Is there such an attribute, or folder of them? Unlike reading, this waits for nobody. */
bool block_has_attr(int index, const char *name);
/* /sys/block/nbdN/pid exists exactly while the device is configured. */
bool block_is_configured(int index);
/* Is the device configured, with exactly this backend identifier? Only then is it whose who set
 * that; pid alone is there of any client's. */
bool block_backend_is(int index, const char *backend);
/* Indices of all nbd devices, ascending; the caller frees. -ENOENT when the nbd module is not
 * loaded. */
int block_list_devices(int **indices, size_t *count);

/* Who uses the device or one of its partitions, as far as lists tell; nothing is opened, and of
 * processes that have it open it knows nothing. -EBUSY (ERROR_BUSY) with the first user by name,
 * "/dev/nbd0p1 is mounted on /mnt", and the command that frees it; 0 when none is found. */
int block_check_unused(int index, struct error *err);
/* What is mounted at PATH, the last one if there are several, goes to SOURCE: a device, or any
 * other text. -ENOENT: nothing is. */
int block_mounted_at(const char *path, char *source, size_t size);
/* The numbers of the device and its partitions, at most MAX: to tell what an open descriptor
 * is of. */
size_t block_device_numbers(int index, dev_t *numbers, size_t max);

#endif
