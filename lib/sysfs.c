/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sysfs.h"
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "cleanup.h"
#include "text.h"

#define INDEX_MAX ((1 << 20) - 1) /* the kernel's minor numbers have 20 bits */

/* The module's only state; it exists for tests and is set before anything else happens. */
static char root[PATH_MAX];

void sysfs_set_root(const char *new_root)
{
	text_copy(root, sizeof(root), new_root ? new_root : "");
}

static int make_path(char *path, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static int make_path(char *path, size_t size, const char *fmt, ...)
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
static int read_small(const char *path, char *buf, size_t size)
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
	int rc = make_path(path, sizeof(path), "/sys/block/nbd%d/%s", index, attribute);

	return rc < 0 ? rc : read_small(path, buf, size);
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
	int rc = make_path(path, sizeof(path), "/sys/block/nbd%d/%s", index, attribute);

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

	return index >= 0 && !make_path(path, sizeof(path), "/sys/block/nbd%d%s", index, attribute) && !access(path, F_OK);
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

static void cleanup_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

#define _cleanup_dir_ __attribute__((cleanup(cleanup_dir)))

int sysfs_list_devices(int **indices, size_t *count)
{
	_cleanup_dir_ DIR *dir = NULL;
	_cleanup_free_ int *list = NULL;
	char path[PATH_MAX];
	struct dirent *entry;
	size_t used = 0, room = 0;
	int rc = make_path(path, sizeof(path), "/sys/block");

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
		rc = make_path(path, sizeof(path), "/sys/module/nbd");
		if (rc < 0 || access(path, F_OK))
			return -ENOENT;
	} else {
		qsort(list, used, sizeof(*list), compare_int);
	}
	*indices = steal_pointer(&list);
	*count = used;
	return 0;
}

/* The node of a use: the whole disk or one of its partitions, by number, since names in /proc may be aliases. */
struct node {
	char name[32];
	dev_t number;
};

static int read_number(struct node *node, const char *path)
{
	unsigned major_number, minor_number;
	char text[32];
	int rc = read_small(path, text, sizeof(text));

	if (rc < 0)
		return rc;
	if (sscanf(text, "%u:%u", &major_number, &minor_number) != 2)
		return -EINVAL;
	node->number = makedev(major_number, minor_number);
	return 0;
}

/* The device and its partitions; *COUNT of them, the caller frees. */
static int find_nodes(int index, struct node **nodes, size_t *count)
{
	_cleanup_dir_ DIR *dir = NULL;
	_cleanup_free_ struct node *list = NULL;
	char path[PATH_MAX], prefix[32];
	struct dirent *entry;
	size_t used = 1;
	int rc = make_path(path, sizeof(path), "/sys/block/nbd%d", index);

	if (rc < 0)
		return rc;
	dir = opendir(path);
	if (!dir)
		return -errno;
	list = calloc(1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	snprintf(list[0].name, sizeof(list[0].name), "nbd%d", index);
	rc = make_path(path, sizeof(path), "/sys/block/nbd%d/dev", index);
	if (rc < 0 || read_number(&list[0], path) < 0)
		list[0].number = 0;
	snprintf(prefix, sizeof(prefix), "nbd%dp", index);
	while ((entry = readdir(dir))) {
		struct node *grown;

		if (strncmp(entry->d_name, prefix, strlen(prefix)) || strlen(entry->d_name) >= sizeof(list->name))
			continue;
		grown = reallocarray(list, used + 1, sizeof(*list));
		if (!grown)
			return -ENOMEM;
		list = grown;
		memset(&list[used], 0, sizeof(list[used]));
		text_copy(list[used].name, sizeof(list[used].name), entry->d_name);
		if (!make_path(path, sizeof(path), "/sys/block/nbd%d/%s/dev", index, entry->d_name))
			read_number(&list[used], path);
		used++;
	}
	*nodes = steal_pointer(&list);
	*count = used;
	return 0;
}

/* mountinfo and swaps write space, tab, newline and backslash as \ooo. */
static void unescape_octal(char *text)
{
	char *out = text;

	while (*text) {
		if (text[0] == '\\' && text[1] >= '0' && text[1] <= '3' && text[2] >= '0' && text[2] <= '7' && text[3] >= '0' &&
			text[3] <= '7') {
			*out++ = (char)((text[1] - '0') << 6 | (text[2] - '0') << 3 | (text[3] - '0'));
			text += 4;
		} else {
			*out++ = *text++;
		}
	}
	*out = 0;
}

static FILE *open_proc(const char *name)
{
	char path[PATH_MAX];

	return make_path(path, sizeof(path), "/proc/%s", name) < 0 ? NULL : fopen(path, "re");
}

static bool names_node(const char *source, const struct node *node)
{
	return !strncmp(source, "/dev/", 5) && !strcmp(source + 5, node->name);
}

static int busy_mount(const struct node *node, char *mount_point, struct error *err)
{
	char shown[256];

	unescape_octal(mount_point);
	text_sanitise(shown, sizeof(shown), mount_point, strlen(mount_point));
	error_set(err, ERROR_BUSY, EBUSY, "/dev/%s is mounted on %s", node->name, shown);
	return error_hint(err, -EBUSY, "unmount it first: umount %s", shown);
}

/* A file system on several devices (btrfs) has a number of its own in mountinfo, hence the comparison with the source too. */
static int check_mounts(const struct node *nodes, size_t count, struct error *err)
{
	_cleanup_file_ FILE *file = open_proc("self/mountinfo");
	_cleanup_free_ char *line = NULL;
	size_t room = 0, i;

	while (file && getline(&line, &room, file) > 0) {
		unsigned major_number, minor_number;
		char *mount_point, *source = strstr(line, " - "), *save;
		int offset = 0;

		if (sscanf(line, "%*d %*d %u:%u %*s %n", &major_number, &minor_number, &offset) < 2 || !offset || !source)
			continue;
		*source = 0;
		source += 3;
		mount_point = strtok_r(line + offset, " ", &save);
		strtok_r(source, " ", &save);
		source = strtok_r(NULL, " \n", &save);
		if (!mount_point)
			continue;
		if (source)
			unescape_octal(source);
		for (i = 0; i < count; i++)
			if ((nodes[i].number && nodes[i].number == makedev(major_number, minor_number)) ||
				(source && names_node(source, &nodes[i])))
				return busy_mount(&nodes[i], mount_point, err);
	}
	return 0;
}

static int check_swaps(const struct node *nodes, size_t count, struct error *err)
{
	_cleanup_file_ FILE *file = open_proc("swaps");
	_cleanup_free_ char *line = NULL;
	size_t room = 0, i;

	while (file && getline(&line, &room, file) > 0) {
		line[strcspn(line, " \t\n")] = 0;
		unescape_octal(line);
		for (i = 0; i < count; i++) {
			if (!names_node(line, &nodes[i]))
				continue;
			error_set(err, ERROR_BUSY, EBUSY, "/dev/%s is used as swap", nodes[i].name);
			return error_hint(err, -EBUSY, "turn it off first: swapoff /dev/%s", nodes[i].name);
		}
	}
	return 0;
}

static int busy_holder(const struct node *node, const char *holder, struct error *err)
{
	char path[PATH_MAX], name[128] = "", shown[128] = "";

	if (!make_path(path, sizeof(path), "/sys/block/%s/dm/name", holder) && !read_small(path, name, sizeof(name)) && *name) {
		text_sanitise(shown, sizeof(shown), name, strlen(name));
		error_set(err, ERROR_BUSY, EBUSY, "/dev/%s is held by %s (%s)", node->name, holder, shown);
		return error_hint(err, -EBUSY, "remove the mapping first: dmsetup remove %s (or vgchange, cryptsetup close)", shown);
	}
	error_set(err, ERROR_BUSY, EBUSY, "/dev/%s is held by %s", node->name, holder);
	if (!strncmp(holder, "md", 2))
		return error_hint(err, -EBUSY, "stop the array first: mdadm --stop /dev/%s", holder);
	return -EBUSY;
}

static int check_holders(int index, const struct node *nodes, size_t count, struct error *err)
{
	char path[PATH_MAX];
	struct dirent *entry;
	size_t i;
	int rc;

	for (i = 0; i < count; i++) {
		_cleanup_dir_ DIR *dir = NULL;

		rc = i ? make_path(path, sizeof(path), "/sys/block/nbd%d/%s/holders", index, nodes[i].name) :
			 make_path(path, sizeof(path), "/sys/block/nbd%d/holders", index);
		dir = rc < 0 ? NULL : opendir(path);
		while (dir && (entry = readdir(dir)))
			if (entry->d_name[0] != '.')
				return busy_holder(&nodes[i], entry->d_name, err);
	}
	return 0;
}

/* The kernel's own answer, which knows of users that no list shows (other mount namespaces, loop devices, O_EXCL openers). Claiming
 * the whole disk also fails when a partition is claimed. */
static int check_claim(const struct node *disk, struct error *err)
{
	_cleanup_fd_ int fd = -1;
	char path[PATH_MAX];

	if (make_path(path, sizeof(path), "/dev/%s", disk->name) < 0)
		return 0;
	fd = open(path, O_RDONLY | O_EXCL | O_CLOEXEC | O_NONBLOCK);
	if (fd >= 0 || errno != EBUSY)
		return 0;
	error_set(err, ERROR_BUSY, EBUSY, "/dev/%s is held open by another process", disk->name);
	return error_hint(err, -EBUSY, "see who: fuser -v /dev/%s; it may be mounted in a container", disk->name);
}

int sysfs_check_unused(int index, struct error *err)
{
	_cleanup_free_ struct node *nodes = NULL;
	size_t count = 0;
	int rc = find_nodes(index, &nodes, &count);

	if (rc < 0) {
		/* No device, no user. */
		if (rc == -ENOENT)
			return 0;
		return error_set(err, ERROR_OTHER, -rc, "cannot look at /sys/block/nbd%d: %s", index, strerror(-rc));
	}
	rc = check_mounts(nodes, count, err);
	if (!rc)
		rc = check_swaps(nodes, count, err);
	if (!rc)
		rc = check_holders(index, nodes, count, err);
	return rc ? rc : check_claim(&nodes[0], err);
}
