/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/udev.h"
#include "base/system-root.h"
#include "kernel/block-attr.h"
#include <errno.h>
#include <libudev.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define EVENTS_AT_ONCE 64
#define UUID_SIZE sizeof("01234567-89ab-4def-8123-456789abcdef")

static bool is_running(void)
{
	char path[PATH_MAX];

	system_path(path, sizeof(path), "/run/udev/control");
	return access(path, F_OK) == 0;
}

static bool has_link(struct udev_device *device, const char *wanted)
{
	struct udev_list_entry *link = udev_device_get_devlinks_list_entry(device);

	while (link && strcmp(udev_list_entry_get_name(link), wanted) != 0)
		link = udev_list_entry_get_next(link);
	return link;
}

static bool is_ready(struct udev_device *device)
{
	const char *ready = udev_device_get_property_value(device, "SYSTEMD_READY");

	return !ready || strcmp(ready, "0") != 0;
}

bool udev_knows(int index, const char *backend)
{
	struct udev *context = udev_new();
	struct udev_device *device;
	char name[16], link[256];
	bool known;

	if (!context)
		return false;
	snprintf(name, sizeof(name), "nbd%d", index);
	snprintf(link, sizeof(link), "/dev/disk/by-id/nbd-%s", backend);
	device = udev_device_new_from_subsystem_sysname(context, "block", name);
	known = device && has_link(device, link) && is_ready(device);
	if (device)
		udev_device_unref(device);
	udev_unref(context);
	return known;
}

/* What cannot be told is taken for yes: then the caller's deadline has to do. */
static bool is_in_our_network(void)
{
	char path[PATH_MAX];
	struct stat first, own;

	system_path(path, sizeof(path), "/proc/1/ns/net");
	if (stat(path, &first) < 0)
		return true;
	system_path(path, sizeof(path), "/proc/self/ns/net");
	return stat(path, &own) < 0 || (first.st_dev == own.st_dev && first.st_ino == own.st_ino);
}

static int open_monitor(struct udev_wait *wait)
{
	int rc;

	if (getrandom(wait->id, sizeof(wait->id), GRND_INSECURE) < 0)
		return -errno;
	wait->context = udev_new();
	errno = ENOMEM; /* an older libudev sets none */
	wait->monitor = wait->context ? udev_monitor_new_from_netlink(wait->context, "udev") : NULL;
	if (!wait->monitor)
		return -errno;
	rc = udev_monitor_filter_add_match_subsystem_devtype(wait->monitor, "block", NULL);
	return rc < 0 ? rc : udev_monitor_enable_receiving(wait->monitor);
}

static int listen_to_udev(struct udev_wait *wait, struct error *err)
{
	int rc;

	if (!is_in_our_network())
		return error_set(err, ERROR_OTHER, ENONET,
			"its answers are heard in the network namespace of process 1 alone");
	rc = open_monitor(wait);
	if (rc >= 0)
		return 0;
	udev_wait_end(wait);
	return error_set(err, ERROR_OTHER, -rc, "cannot listen to it: %s", strerror(-rc));
}

/* What the kernel passes on as SYNTH_UUID, and udevd with it (Linux 4.13). */
static void uuid_of(const struct udev_wait *wait, unsigned partition, char uuid[UUID_SIZE])
{
	const uint32_t *id = wait->id;

	snprintf(uuid, UUID_SIZE, "%08x-%04x-4%03x-8%03x-%08x%04x", id[0], id[1] >> 16,
		id[1] & 0xfff, id[2] & 0xfff, id[3], partition);
}

/* The disk (partition 0) and its partitions, but for those that were told of. */
static void tell(struct udev_wait *wait)
{
	char attribute[64] = "uevent", uuid[UUID_SIZE], change[sizeof("change ") + UUID_SIZE];

	for (unsigned partition = 0; partition < BLOCK_MINORS_MAX; partition++) {
		if (wait->told[partition])
			continue;
		if (partition)
			snprintf(attribute, sizeof(attribute), "nbd%dp%u/uevent", wait->index,
				partition);
		uuid_of(wait, partition, uuid);
		snprintf(change, sizeof(change), "change %s", uuid);
		wait->told[partition] = block_attr_write(wait->index, attribute, change) == 0;
		wait->awaited[partition] = wait->told[partition] && wait->monitor;
	}
}

int udev_announce(struct udev_wait *wait, int index, struct error *err)
{
	int rc;

	*wait = (struct udev_wait){.index = index};
	if (!is_running())
		return 0;
	rc = listen_to_udev(wait, err); /* first: the answer may be there at once */
	tell(wait);
	return rc;
}

int udev_wait_fd(const struct udev_wait *wait)
{
	return wait->monitor ? udev_monitor_get_fd(wait->monitor) : -1;
}

/* One with SYSTEMD_READY=0 is an answer, too, and a last one: other rules keep back what is part of
 * a RAID or of a multipath device. */
static void note(struct udev_wait *wait, const char *answered)
{
	char uuid[UUID_SIZE];

	for (unsigned partition = 0; answered && partition < BLOCK_MINORS_MAX; partition++) {
		if (!wait->awaited[partition])
			continue;
		uuid_of(wait, partition, uuid);
		if (strcmp(uuid, answered) == 0)
			wait->awaited[partition] = false;
	}
}

/* Answers were lost, and may have been ours. Once: more events can only make that worse. */
static void tell_again(struct udev_wait *wait)
{
	if (wait->repeated)
		return;
	wait->repeated = true;
	for (unsigned partition = 0; partition < BLOCK_MINORS_MAX; partition++)
		wait->told[partition] = wait->told[partition] && !wait->awaited[partition];
	tell(wait);
}

static void read_answers(struct udev_wait *wait)
{
	for (unsigned i = 0; i < EVENTS_AT_ONCE; i++) {
		struct udev_device *device;

		errno = 0;
		device = udev_monitor_receive_device(wait->monitor);
		if (device) {
			note(wait, udev_device_get_property_value(device, "SYNTH_UUID"));
			udev_device_unref(device);
		} else if (errno == ENOBUFS) {
			tell_again(wait);
		} else {
			return;
		}
	}
}

bool udev_has_noted(struct udev_wait *wait)
{
	if (!wait->monitor)
		return true;
	read_answers(wait);
	/* udev opens the disk, and the first to open it makes the kernel read its table. */
	if (!wait->awaited[0])
		tell(wait);
	for (unsigned partition = 0; partition < BLOCK_MINORS_MAX; partition++)
		if (wait->awaited[partition])
			return false;
	return true;
}

void udev_wait_end(struct udev_wait *wait)
{
	if (wait->monitor)
		udev_monitor_unref(wait->monitor);
	if (wait->context)
		udev_unref(wait->context);
	wait->monitor = NULL;
	wait->context = NULL;
}
