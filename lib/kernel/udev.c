/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/udev.h"
#include "base/system-root.h"
#include "base/cleanup.h"
#include "kernel/block-attr.h"
#include "base/text.h"
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_running(void)
{
	char path[PATH_MAX];

	system_path(path, sizeof(path), "/run/udev/control");
	return access(path, F_OK) == 0;
}

/* The attribute of the disk (PARTITION 0) or of one of its partitions. */
static void attribute_of(int index, int partition, const char *name, char *attribute, size_t size)
{
	if (partition)
		snprintf(attribute, size, "nbd%dp%d/%s", index, partition, name);
	else
		snprintf(attribute, size, "%s", name);
}

/* Its record: a file of lines, each a letter, a colon and a value. NULL: udev has none. */
static FILE *open_record(int index, int partition)
{
	char attribute[64], number[32], path[PATH_MAX];

	attribute_of(index, partition, "dev", attribute, sizeof(attribute));
	if (block_attr_read(index, attribute, number, sizeof(number)) < 0)
		return NULL;
	system_path(path, sizeof(path), "/run/udev/data/b%s", number);
	return fopen(path, "re");
}

static bool has_line(FILE *record, const char *wanted)
{
	char line[1024];
	bool found = false;

	rewind(record);
	while (!found && fgets(line, sizeof(line), record)) {
		line[strcspn(line, "\n")] = 0;
		found = strcmp(line, wanted) == 0;
	}
	return found;
}

bool udev_knows(int index, const char *backend)
{
	_cleanup_file_ FILE *record = open_record(index, 0);
	char name[256];

	snprintf(name, sizeof(name), "S:disk/by-id/nbd-%s", backend);
	return record && has_line(record, name) && !has_line(record, "E:SYSTEMD_READY=0");
}

/* Written since SINCE, by an event that found the device ready: one before ours may have been
 * underway. */
static bool is_noted(int index, int partition, const struct timespec *since)
{
	_cleanup_file_ FILE *record = open_record(index, partition);
	struct stat st;

	return record && fstat(fileno(record), &st) == 0 &&
		(st.st_mtim.tv_sec > since->tv_sec ||
			(st.st_mtim.tv_sec == since->tv_sec &&
				st.st_mtim.tv_nsec >= since->tv_nsec)) &&
		!has_line(record, "E:SYSTEMD_READY=0");
}

void udev_announce(struct udev_wait *wait, int index)
{
	char attribute[64];

	*wait = (struct udev_wait){.index = index};
	if (!is_running())
		return;
	clock_gettime(CLOCK_REALTIME_COARSE, &wait->since); /* what files are stamped with */
	for (int partition = 0; partition < UDEV_MINORS_MAX; partition++) {
		attribute_of(index, partition, "uevent", attribute, sizeof(attribute));
		wait->awaited[partition] = block_attr_write(index, attribute, "change") == 0;
	}
}

bool udev_has_noted(struct udev_wait *wait)
{
	for (int partition = 0; partition < UDEV_MINORS_MAX; partition++) {
		if (wait->awaited[partition] && !is_noted(wait->index, partition, &wait->since))
			return false;
		wait->awaited[partition] = false;
	}
	return true;
}
