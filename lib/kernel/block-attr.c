/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/block-attr.h"
#include "base/system-root.h"
#include "config/device-name.h"
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "kernel/block-internal.h"
#include "base/text.h"

int block_attr_read(int index, const char *attribute, char *buf, size_t size)
{
	char path[PATH_MAX];
	int rc = system_path(path, sizeof(path), "/sys/block/nbd%d/%s", index, attribute);

	return rc < 0 ? rc : system_read_file(path, buf, size);
}

int block_attr_read_u64(int index, const char *attribute, uint64_t *value)
{
	char text[32], *end;
	int rc = block_attr_read(index, attribute, text, sizeof(text));

	if (rc < 0)
		return rc;
	if (!isdigit((unsigned char)text[0]))
		return -EINVAL;
	errno = 0;
	*value = strtoull(text, &end, 10);
	return errno ? -errno : *end ? -EINVAL : 0;
}

int block_attr_write(int index, const char *attribute, const char *value)
{
	_cleanup_fd_ int fd = -1;
	char path[PATH_MAX];
	size_t len = strlen(value);
	ssize_t done;
	int rc = system_path(path, sizeof(path), "/sys/block/nbd%d/%s", index, attribute);

	if (rc < 0)
		return rc;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	done = write(fd, value, len);
	return done < 0 ? -errno : (size_t)done != len ? -EIO : 0;
}

static bool exists(int index, const char *attribute)
{
	char path[PATH_MAX];

	return index >= 0 &&
		!system_path(path, sizeof(path), "/sys/block/nbd%d%s", index, attribute) &&
		!access(path, F_OK);
}

uint64_t block_in_flight_count(int index)
{
	unsigned long long reads = 0, writes = 0;
	char text[64];

	return block_attr_read(index, "inflight", text, sizeof(text)) == 0 &&
			sscanf(text, "%llu %llu", &reads, &writes) == 2 ?
		reads + writes :
		0;
}

bool block_in_flight(int index)
{
	return block_in_flight_count(index) > 0;
}

/* Documentation/block/stat.rst: fields 1, 5 and 12, and 16 for flushes */
static uint64_t count_completed(int index, bool with_flushes)
{
	unsigned long long reads = 0, writes = 0, discards = 0, flushes = 0;
	char text[256];

	if (block_attr_read(index, "stat", text, sizeof(text)) < 0 ||
		sscanf(text, "%llu %*u %*u %*u %llu %*u %*u %*u %*u %*u %*u %llu %*u %*u %*u %llu",
			&reads, &writes, &discards, &flushes) < 2)
		return 0;
	return reads + writes + discards + (with_flushes ? flushes : 0);
}

uint64_t block_completed_count(int index)
{
	return count_completed(index, true);
}

uint64_t block_answered_count(int index)
{
	return count_completed(index, false);
}

bool block_has_attr(int index, const char *name)
{
	char attribute[64];

	snprintf(attribute, sizeof(attribute), "/%s", name);
	return exists(index, attribute);
}

bool block_exists(int index)
{
	return exists(index, "");
}

bool block_is_configured(int index)
{
	return exists(index, "/pid");
}

bool block_backend_is(int index, const char *backend)
{
	char there[256];

	return *backend && block_is_configured(index) &&
		block_attr_read(index, "backend", there, sizeof(there)) == 0 &&
		strcmp(there, backend) == 0;
}

static int compare_int(const void *a, const void *b)
{
	int x = *(const int *)a, y = *(const int *)b;

	return (x > y) - (x < y);
}

int block_list_devices(int **indices, size_t *count)
{
	_cleanup_dir_ DIR *dir = NULL;
	_cleanup_free_ int *list = NULL;
	char path[PATH_MAX];
	struct dirent *entry;
	size_t used = 0, room = 0;
	int rc = system_path(path, sizeof(path), "/sys/block");

	if (rc < 0)
		return rc;
	dir = opendir(path);
	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		int index = device_name_index(entry->d_name);

		if (index < 0)
			continue;
		if (used == room) {
			size_t more = room ? room * 2 : 16;
			int *grown = reallocarray(list, more, sizeof(*list));

			if (!grown)
				return -ENOMEM;
			list = grown;
			room = more;
		}
		list[used++] = index;
	}
	if (!used) {
		/* nbds_max=0 is a loaded driver without devices. */
		rc = system_path(path, sizeof(path), "/sys/module/nbd");
		if (rc < 0 || access(path, F_OK))
			return -ENOENT;
	} else {
		qsort(list, used, sizeof(*list), compare_int);
	}
	*indices = steal_pointer(&list);
	*count = used;
	return 0;
}
