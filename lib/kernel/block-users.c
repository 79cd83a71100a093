/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/block-attr.h"
#include "base/system-root.h"
#include "base/cleanup.h"
#include "kernel/block-internal.h"
#include "kernel/mountinfo.h"
#include "base/text.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static int read_number(struct block_node *node, const char *path)
{
	unsigned major_number, minor_number;
	char text[32];
	int rc = system_read_file(path, text, sizeof(text));

	if (rc < 0)
		return rc;
	if (sscanf(text, "%u:%u", &major_number, &minor_number) != 2)
		return -EINVAL;
	node->number = makedev(major_number, minor_number);
	return 0;
}

int block_find_nodes(int index, struct block_node **nodes, size_t *count)
{
	_cleanup_dir_ DIR *dir = NULL;
	_cleanup_free_ struct block_node *list = NULL;
	char path[PATH_MAX], prefix[32];
	struct dirent *entry;
	size_t used = 1;
	int rc = system_path(path, sizeof(path), "/sys/block/nbd%d", index);

	if (rc < 0)
		return rc;
	dir = opendir(path);
	if (!dir)
		return -errno;
	list = calloc(1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	snprintf(list[0].name, sizeof(list[0].name), "nbd%d", index);
	rc = system_path(path, sizeof(path), "/sys/block/nbd%d/dev", index);
	if (rc < 0 || read_number(&list[0], path) < 0)
		list[0].number = 0;
	snprintf(prefix, sizeof(prefix), "nbd%dp", index);
	while ((entry = readdir(dir))) {
		struct block_node *grown;

		if (strncmp(entry->d_name, prefix, strlen(prefix)) ||
			strlen(entry->d_name) >= sizeof(list->name))
			continue;
		grown = reallocarray(list, used + 1, sizeof(*list));
		if (!grown)
			return -ENOMEM;
		list = grown;
		memset(&list[used], 0, sizeof(list[used]));
		text_copy(list[used].name, sizeof(list[used].name), entry->d_name);
		if (!system_path(
			    path, sizeof(path), "/sys/block/nbd%d/%s/dev", index, entry->d_name))
			read_number(&list[used], path);
		used++;
	}
	*nodes = steal_pointer(&list);
	*count = used;
	return 0;
}

static FILE *open_proc(const char *name)
{
	char path[PATH_MAX];

	return system_path(path, sizeof(path), "/proc/%s", name) < 0 ? NULL : fopen(path, "re");
}

static int busy_mount(
	const struct block_node *node, const struct mountinfo_line *mount, struct error *err)
{
	char shown[256];

	text_sanitise(shown, sizeof(shown), mount->path, strlen(mount->path));
	error_set(err, ERROR_BUSY, EBUSY, "/dev/%s is mounted on %s", node->name, shown);
	return error_hint(err, -EBUSY, "unmount it first: umount %s", shown);
}

/* A file system on several devices (btrfs) has a number of its own in mountinfo, hence the
 * comparison with the source too. */
static int check_mounts(const struct block_node *nodes, size_t count, struct error *err)
{
	_cleanup_file_ FILE *file = open_proc("self/mountinfo");
	_cleanup_free_ char *line = NULL;
	size_t room = 0;

	while (file && getline(&line, &room, file) > 0) {
		const struct block_node *node;
		struct mountinfo_line mount;

		if (!mountinfo_parse(line, &mount))
			continue;
		for (size_t i = 0; i < count; i++)
			if (nodes[i].number && nodes[i].number == mount.number)
				return busy_mount(&nodes[i], &mount, err);
		node = block_node_of_path(mount.source, nodes, count);
		if (node)
			return busy_mount(node, &mount, err);
	}
	return 0;
}

int block_mounted_at(const char *path, char *source, size_t size)
{
	_cleanup_file_ FILE *file = open_proc("self/mountinfo");
	_cleanup_free_ char *line = NULL;
	size_t room = 0, length = strlen(path);
	int rc = -ENOENT;

	while (length > 1 && path[length - 1] == '/')
		length--;
	/* the last one covers those before it */
	while (file && getline(&line, &room, file) > 0) {
		struct mountinfo_line mount;

		if (!mountinfo_parse(line, &mount) || strlen(mount.path) != length ||
			strncmp(mount.path, path, length) != 0)
			continue;
		text_copy(source, size, mount.source);
		rc = 0;
	}
	return rc;
}

static int check_swaps(const struct block_node *nodes, size_t count, struct error *err)
{
	_cleanup_file_ FILE *file = open_proc("swaps");
	_cleanup_free_ char *line = NULL;
	size_t room = 0;

	while (file && getline(&line, &room, file) > 0) {
		const struct block_node *node;

		line[strcspn(line, " \t\n")] = 0;
		text_unescape_octal(line);
		node = block_node_of_path(line, nodes, count);
		if (!node)
			continue;
		error_set(err, ERROR_BUSY, EBUSY, "/dev/%s is used as swap", node->name);
		return error_hint(err, -EBUSY, "turn it off first: swapoff /dev/%s", node->name);
	}
	return 0;
}

static int busy_holder(const struct block_node *node, const char *holder, struct error *err)
{
	char path[PATH_MAX], name[128] = "", shown[128] = "";

	if (!system_path(path, sizeof(path), "/sys/block/%s/dm/name", holder) &&
		!system_read_file(path, name, sizeof(name)) && *name) {
		text_sanitise(shown, sizeof(shown), name, strlen(name));
		error_set(err, ERROR_BUSY, EBUSY, "/dev/%s is held by %s (%s)", node->name, holder,
			shown);
		return error_hint(err, -EBUSY,
			"remove the mapping first: dmsetup remove %s (or vgchange, cryptsetup "
			"close)",
			shown);
	}
	error_set(err, ERROR_BUSY, EBUSY, "/dev/%s is held by %s", node->name, holder);
	if (!strncmp(holder, "md", 2))
		return error_hint(
			err, -EBUSY, "stop the array first: mdadm --stop /dev/%s", holder);
	return -EBUSY;
}

static int check_holders(int index, const struct block_node *nodes, size_t count, struct error *err)
{
	char path[PATH_MAX];
	struct dirent *entry;
	size_t i;
	int rc;

	for (i = 0; i < count; i++) {
		_cleanup_dir_ DIR *dir = NULL;

		rc = i ? system_path(path, sizeof(path), "/sys/block/nbd%d/%s/holders", index,
				 nodes[i].name) :
			 system_path(path, sizeof(path), "/sys/block/nbd%d/holders", index);
		dir = rc < 0 ? NULL : opendir(path);
		while (dir && (entry = readdir(dir)))
			if (entry->d_name[0] != '.')
				return busy_holder(&nodes[i], entry->d_name, err);
	}
	return 0;
}

int block_check_unused(int index, struct error *err)
{
	_cleanup_free_ struct block_node *nodes = NULL;
	size_t count = 0;
	int rc = block_find_nodes(index, &nodes, &count);

	if (rc < 0) {
		/* No device, no user. */
		if (rc == -ENOENT)
			return 0;
		return error_set(err, ERROR_OTHER, -rc, "cannot look at /sys/block/nbd%d: %s",
			index, strerror(-rc));
	}
	rc = check_mounts(nodes, count, err);
	if (!rc)
		rc = check_swaps(nodes, count, err);
	if (!rc)
		rc = check_holders(index, nodes, count, err);
	return rc ? rc : block_check_kernel_openers(nodes, count, err);
}

size_t block_device_numbers(int index, dev_t *numbers, size_t max)
{
	_cleanup_free_ struct block_node *nodes = NULL;
	size_t count = 0, used = 0;

	if (block_find_nodes(index, &nodes, &count) == 0)
		for (size_t i = 0; i < count && used < max; i++)
			if (nodes[i].number)
				numbers[used++] = nodes[i].number;
	return used;
}
