/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who has the device open inside the kernel, without being a holder of it: these open it like a
 * process would, but are none. What each one shows of itself names the device by a path, by a link
 * or by its number. */
#include "kernel/block-attr.h"
#include "base/system-root.h"
#include "base/cleanup.h"
#include "kernel/block-internal.h"
#include "base/text.h"
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum naming { PATH, LOOP_PATH, PATH_IN_TEXT, LINK, NUMBER };

struct opener {
	const char *pattern;
	enum naming naming;
	const char *marker; /* of PATH_IN_TEXT: what stands before the path */
	const char *user;   /* "@N" is component N of the path that was found; the first is 1 */
	const char *remedy;
};

#define CONFIGFS "/sys/kernel/config"
#define LIO_REMEDY(type) "take it away first: targetcli /backstores/" type " delete @7"

static const struct opener openers[] = {
	{"/sys/block/loop*/loop/backing_file", LOOP_PATH, NULL, "the loop device /dev/@3",
		"unmount or end what uses that, then: losetup -d /dev/@3"},
	{"/sys/block/zram*/backing_dev", PATH, NULL, "/dev/@3, which writes back to it",
		"swapoff or unmount that first, then: echo 1 >/sys/block/@3/reset"},
	{CONFIGFS "/target/core/iblock_*/*/udev_path", PATH, NULL,
		"the SCSI target (LIO) as its backstore @7", LIO_REMEDY("block")},
	{CONFIGFS "/target/core/iblock_*/*/info", PATH_IN_TEXT,
		"UDEV PATH: ", "the SCSI target (LIO) as its backstore @7", LIO_REMEDY("block")},
	{CONFIGFS "/target/core/fileio_*/*/udev_path", PATH, NULL,
		"the SCSI target (LIO) as its backstore @7", LIO_REMEDY("fileio")},
	{CONFIGFS "/target/core/fileio_*/*/info", PATH_IN_TEXT,
		"File: ", "the SCSI target (LIO) as its backstore @7", LIO_REMEDY("fileio")},
	{CONFIGFS "/nvmet/subsystems/*/namespaces/*/device_path", PATH, NULL,
		"the NVMe target @6 as its namespace @8",
		"take it away first: echo 0 >" CONFIGFS
		"/nvmet/subsystems/@6/namespaces/@8/enable"},
	{CONFIGFS "/usb_gadget/*/functions/mass_storage.*/lun.*/file", PATH, NULL,
		"the USB gadget @5",
		"take it away first: echo >" CONFIGFS "/usb_gadget/@5/functions/@7/@8/file"},
	{"/sys/class/rnbd-server/ctl/devices/*/block_dev", LINK, NULL, "the RNBD server",
		"its clients have to unmap it first"},
	{"/sys/bus/xen-backend/devices/vbd-*/physical_device", NUMBER, NULL, "a guest of Xen (@5)",
		"take it from the guest first: xl block-detach"},
	/* These claim the device, so that no detaching could go wrong; but nothing else tells who
	 * it is. */
	{"/sys/fs/btrfs/*/devices/*", LINK, NULL, "a mounted btrfs (@4)",
		"unmount it first: findmnt -t btrfs"},
};

const struct block_node *block_node_of_path(
	const char *path, const struct block_node *nodes, size_t count)
{
	char full[PATH_MAX], resolved[PATH_MAX];
	size_t root_len;
	struct stat st;

	if (*path != '/' || !strstr(path, "/dev/") ||
		system_path(full, sizeof(full), "%s", path) < 0)
		return NULL;
	root_len = strlen(full) - strlen(path);
	if (stat(full, &st) == 0 && S_ISBLK(st.st_mode)) {
		for (size_t i = 0; i < count; i++)
			if (nodes[i].number && nodes[i].number == st.st_rdev)
				return &nodes[i];
		return NULL;
	}
	/* Not there, or made for a test: then the name has to do. */
	if (realpath(full, resolved) && strlen(resolved) > root_len)
		path = resolved + root_len;
	for (size_t i = 0; strncmp(path, "/dev/", 5) == 0 && i < count; i++)
		if (strcmp(path + 5, nodes[i].name) == 0)
			return &nodes[i];
	return NULL;
}

static const struct block_node *node_of_number(
	dev_t number, const struct block_node *nodes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (nodes[i].number && nodes[i].number == number)
			return &nodes[i];
	return NULL;
}

/* The kernel appends this to a path that is no longer there: udev makes nodes anew. */
static void strip_deleted(char *path)
{
	static const char suffix[] = " (deleted)";
	size_t len = strlen(path), suffix_len = sizeof(suffix) - 1;

	if (len > suffix_len && strcmp(path + len - suffix_len, suffix) == 0)
		path[len - suffix_len] = 0;
}

/* Opened in a container, or by a node that is gone, the path says nothing here; the loop driver
 * knows the number. */
static const struct block_node *node_of_loop(
	const char *found, char *path, const struct block_node *nodes, size_t count)
{
	const struct block_node *node;
	struct loop_info64 info;
	_cleanup_fd_ int fd = -1;
	char loop[PATH_MAX];
	unsigned number;

	strip_deleted(path);
	node = block_node_of_path(path, nodes, count);
	if (node || !strstr(path, "/dev/") || !strstr(found, "/block/loop") ||
		sscanf(strstr(found, "/block/loop"), "/block/loop%u", &number) != 1 ||
		system_path(loop, sizeof(loop), "/dev/loop%u", number) < 0)
		return node;
	fd = open(loop, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || ioctl(fd, LOOP_GET_STATUS64, &info) < 0 || !info.lo_rdevice)
		return NULL;
	/* The kernel's huge_encode_dev() */
	return node_of_number(
		makedev((info.lo_rdevice >> 8) & 0xfff,
			(info.lo_rdevice & 0xff) | ((info.lo_rdevice >> 12) & 0xfff00)),
		nodes, count);
}

static const struct block_node *node_of_link(
	const char *found, const struct block_node *nodes, size_t count)
{
	char resolved[PATH_MAX];
	const char *name = realpath(found, resolved) ? strrchr(resolved, '/') + 1 : "";

	for (size_t i = 0; i < count; i++)
		if (strcmp(name, nodes[i].name) == 0)
			return &nodes[i];
	return NULL;
}

static const struct block_node *find_node(const struct opener *opener, const char *found,
	const struct block_node *nodes, size_t count)
{
	unsigned major_number, minor_number;
	char text[PATH_MAX], *path;

	if (opener->naming == LINK)
		return node_of_link(found, nodes, count);
	if (system_read_file(found, text, sizeof(text)) < 0)
		return NULL;
	switch (opener->naming) {
	case LOOP_PATH: return node_of_loop(found, text, nodes, count);
	case NUMBER:
		return sscanf(text, "%x:%x", &major_number, &minor_number) == 2 ?
			node_of_number(makedev(major_number, minor_number), nodes, count) :
			NULL;
	case PATH_IN_TEXT:
		path = strstr(text, opener->marker);
		if (!path)
			return NULL;
		path += strlen(opener->marker);
		path[strcspn(path, " \t\n")] = 0;
		return block_node_of_path(path, nodes, count);
	default: strip_deleted(text); return block_node_of_path(text, nodes, count);
	}
}

/* Configured and switched off is not opened. Those that can be so have an attribute "enable" beside
 * the others. */
static bool is_off(const char *found)
{
	char path[PATH_MAX], value[8];
	char *end;

	if (!text_copy(path, sizeof(path), found))
		return false;
	end = strrchr(path, '/');
	if (!end || end + sizeof("/enable") > path + sizeof(path))
		return false;
	memcpy(end, "/enable", sizeof("/enable"));
	return system_read_file(path, value, sizeof(value)) == 0 && strcmp(value, "0") == 0;
}

/* TEXT with the components of PATH in the place of "@N". */
static void expand(char *out, size_t size, const char *text, const char *path)
{
	char shown[128];
	size_t used = 0;

	for (; *text && used + 1 < size; text++) {
		const char *component = path;

		if (text[0] != '@' || text[1] < '1' || text[1] > '9') {
			out[used++] = *text;
			continue;
		}
		text++;
		for (int i = *text - '0'; component && i > 0; i--) {
			component = strchr(component, '/');
			component = component ? component + 1 : NULL;
		}
		text_sanitise(shown, sizeof(shown), component ? component : "?",
			component ? strcspn(component, "/") : 1);
		used += (size_t)snprintf(out + used, size - used, "%s", shown);
		if (used >= size)
			used = size - 1;
	}
	out[used] = 0;
}

static int check_opener(const struct opener *opener, const struct block_node *nodes, size_t count,
	struct error *err)
{
	char pattern[PATH_MAX], user[200], remedy[300];
	size_t root_len;
	glob_t found;
	int rc = 0;

	if (system_path(pattern, sizeof(pattern), "%s", opener->pattern) < 0 ||
		glob(pattern, GLOB_NOSORT, NULL, &found) != 0)
		return 0;
	root_len = strlen(pattern) - strlen(opener->pattern);
	for (size_t i = 0; rc == 0 && i < found.gl_pathc; i++) {
		const struct block_node *node = find_node(opener, found.gl_pathv[i], nodes, count);

		if (!node || is_off(found.gl_pathv[i]))
			continue;
		expand(user, sizeof(user), opener->user, found.gl_pathv[i] + root_len);
		expand(remedy, sizeof(remedy), opener->remedy, found.gl_pathv[i] + root_len);
		error_set(err, ERROR_BUSY, EBUSY, "/dev/%s is used by %s", node->name, user);
		rc = error_hint(err, -EBUSY, "%s", remedy);
	}
	globfree(&found);
	return rc;
}

/* A device that is bcache's cache has no holder, unlike one that is cached. */
static int check_bcache(const struct block_node *nodes, size_t count, struct error *err)
{
	char path[PATH_MAX], attributes[100];

	for (size_t i = 0; i < count; i++) {
		snprintf(attributes, sizeof(attributes), "/sys/block/%s%s%s/bcache", nodes[0].name,
			i ? "/" : "", i ? nodes[i].name : "");
		if (system_path(path, sizeof(path), "%s", attributes) < 0 || access(path, F_OK) < 0)
			continue;
		error_set(
			err, ERROR_BUSY, EBUSY, "/dev/%s is registered with bcache", nodes[i].name);
		if (system_path(path, sizeof(path), "%s/set", attributes) < 0)
			return -EBUSY;
		return error_hint(err, -EBUSY, "unregister it first: echo 1 >%s/%s", attributes,
			access(path, F_OK) == 0 ? "set/unregister" : "stop");
	}
	return 0;
}

int block_check_kernel_openers(const struct block_node *nodes, size_t count, struct error *err)
{
	int rc = check_bcache(nodes, count, err);

	for (size_t i = 0; rc == 0 && i < sizeof(openers) / sizeof(openers[0]); i++)
		rc = check_opener(&openers[i], nodes, count, err);
	return rc;
}
