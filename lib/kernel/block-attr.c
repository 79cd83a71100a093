/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/block-attr.h"
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "kernel/block-internal.h"
#include "base/text.h"

#define INDEX_MAX ((1 << 20) - 1) /* the kernel's minor numbers have 20 bits */

/* The module's only state; it exists for tests and is set before anything else happens. */
static char root[PATH_MAX];

void sysfs_set_root(const char *new_root)
{
	text_copy(root, sizeof(root), new_root ? new_root : "");
}

int sysfs_make_path(char *path, size_t size, const char *fmt, ...)
{
	size_t used = strlen(root);
	va_list ap;
	int len;

	if (used >= size)
		return -ENAMETOOLONG;
	memcpy(path, root, used);
	va_start(ap, fmt);
	len = vsnprintf(path + used, size - used, fmt, ap);
	va_end(ap);
	return len < 0 || (size_t)len >= size - used ? -ENAMETOOLONG : 0;
}

/* The number of "nbd7" with LEN digits behind the prefix, or -1. Leading zeroes would make two names of one device. */
static int parse_index(const char *digits, size_t len)
{
	long value = 0;
	size_t i;

	if (!len || len > 7 || (len > 1 && digits[0] == '0'))
		return -1;
	for (i = 0; i < len; i++) {
		if (!isdigit((unsigned char)digits[i]))
			return -1;
		value = value * 10 + (digits[i] - '0');
	}
	return value <= INDEX_MAX ? (int)value : -1;
}

static int refuse_device(const char *shown, struct error *err)
{
	error_set(err, ERROR_USAGE, EINVAL, "'%s' is not an NBD device", shown);
	return error_hint(err, -EINVAL, "name a device as /dev/nbdN or nbdN; auto picks a free one");
}

int sysfs_parse_device(const char *word, int *index, struct error *err)
{
	const char *name = !strncmp(word, "/dev/", 5) ? word + 5 : word;
	char shown[80];
	size_t digits;

	if (!strcmp(word, "auto")) {
		*index = -1;
		return 0;
	}
	text_sanitise(shown, sizeof(shown), word, strlen(word));
	if (strncmp(name, "nbd", 3))
		return refuse_device(shown, err);
	name += 3;
	digits = strspn(name, "0123456789");
	*index = parse_index(name, digits);
	if (*index < 0)
		return refuse_device(shown, err);
	if (name[digits] == 'p' && name[digits + 1] && !name[digits + 1 + strspn(name + digits + 1, "0123456789")]) {
		error_set(err, ERROR_USAGE, EINVAL, "'%s' is a partition; a whole device is needed", shown);
		return error_hint(err, -EINVAL, "use /dev/nbd%d", *index);
	}
	return name[digits] ? refuse_device(shown, err) : 0;
}

/* Whole small file as text, newline stripped. */
int sysfs_read_small(const char *path, char *buf, size_t size)
{
	_cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len;

	if (!size)
		return -EINVAL;
	if (fd < 0)
		return -errno;
	len = read(fd, buf, size - 1);
	if (len < 0)
		return -errno;
	while (len > 0 && buf[len - 1] == '\n')
		len--;
	buf[len] = 0;
	return 0;
}

int sysfs_read(int index, const char *attribute, char *buf, size_t size)
{
	char path[PATH_MAX];
	int rc = sysfs_make_path(path, sizeof(path), "/sys/block/nbd%d/%s", index, attribute);

	return rc < 0 ? rc : sysfs_read_small(path, buf, size);
}

int sysfs_read_u64(int index, const char *attribute, uint64_t *value)
{
	char text[32], *end;
	int rc = sysfs_read(index, attribute, text, sizeof(text));

	if (rc < 0)
		return rc;
	if (!isdigit((unsigned char)text[0]))
		return -EINVAL;
	errno = 0;
	*value = strtoull(text, &end, 10);
	return errno ? -errno : *end ? -EINVAL : 0;
}

int sysfs_write(int index, const char *attribute, const char *value)
{
	_cleanup_fd_ int fd = -1;
	char path[PATH_MAX];
	size_t len = strlen(value);
	ssize_t done;
	int rc = sysfs_make_path(path, sizeof(path), "/sys/block/nbd%d/%s", index, attribute);

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

	return index >= 0 && !sysfs_make_path(path, sizeof(path), "/sys/block/nbd%d%s", index, attribute) && !access(path, F_OK);
}

bool sysfs_in_flight(int index)
{
	unsigned long long reads = 0, writes = 0;
	char text[64];

	return sysfs_read(index, "inflight", text, sizeof(text)) == 0 && sscanf(text, "%llu %llu", &reads, &writes) == 2 && reads + writes > 0;
}

uint64_t sysfs_completed(int index)
{
	unsigned long long reads = 0, writes = 0, discards = 0, flushes = 0;
	char text[256];

	/* Documentation/block/stat.rst: fields 1, 5, 12 and 16 */
	if (sysfs_read(index, "stat", text, sizeof(text)) < 0 ||
		sscanf(text, "%llu %*u %*u %*u %llu %*u %*u %*u %*u %*u %*u %llu %*u %*u %*u %llu", &reads, &writes, &discards, &flushes) < 2)
		return 0;
	return reads + writes + discards + flushes;
}

bool sysfs_has(int index, const char *name)
{
	char attribute[64];

	snprintf(attribute, sizeof(attribute), "/%s", name);
	return exists(index, attribute);
}

bool sysfs_device_exists(int index)
{
	return exists(index, "");
}

bool sysfs_device_configured(int index)
{
	return exists(index, "/pid");
}

bool sysfs_backend_is(int index, const char *backend)
{
	char there[256];

	return *backend && sysfs_device_configured(index) && sysfs_read(index, "backend", there, sizeof(there)) == 0 && strcmp(there, backend) == 0;
}

static int compare_int(const void *a, const void *b)
{
	int x = *(const int *)a, y = *(const int *)b;

	return (x > y) - (x < y);
}

int sysfs_list_devices(int **indices, size_t *count)
{
	_cleanup_dir_ DIR *dir = NULL;
	_cleanup_free_ int *list = NULL;
	char path[PATH_MAX];
	struct dirent *entry;
	size_t used = 0, room = 0;
	int rc = sysfs_make_path(path, sizeof(path), "/sys/block");

	if (rc < 0)
		return rc;
	dir = opendir(path);
	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		int index = strncmp(entry->d_name, "nbd", 3) ? -1 : parse_index(entry->d_name + 3, strlen(entry->d_name + 3));

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
		rc = sysfs_make_path(path, sizeof(path), "/sys/module/nbd");
		if (rc < 0 || access(path, F_OK))
			return -ENOENT;
	} else {
		qsort(list, used, sizeof(*list), compare_int);
	}
	*indices = steal_pointer(&list);
	*count = used;
	return 0;
}
