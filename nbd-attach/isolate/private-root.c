/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The root is a ramfs and not a tmpfs: what is in a tmpfs can be swapped out, and the swap may be
 * on our device. */
#include "isolate/private-root.h"
#include "base/run-files.h"
#include "base/cleanup.h"
#include "kernel/mountinfo.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CONFIGURATION_MAX_BYTES (256 << 10)

static int failed(const char *what, struct error *err)
{
	int saved = errno;

	error_set(err, saved == EPERM || saved == EACCES ? ERROR_PERMISSION : ERROR_OTHER, saved,
		"--root: cannot %s: %s", what, strerror(saved));
	return error_hint(err, saved ? -saved : -EIO,
		"it makes a mount namespace of its own: that needs CAP_SYS_ADMIN, CAP_SYS_CHROOT, "
		"and no sandbox that forbids mount, pivot_root and namespaces");
}

/* ROOT_FD is then what this process saw as its root, in the new namespace; the process itself is at
 * the very root of it, which in a chroot is another. */
static int leave_namespace(int *root_fd, struct error *err)
{
	_cleanup_fd_ int ns_fd = -1;

	if (unshare(CLONE_NEWNS) < 0)
		return failed("make a mount namespace", err);
	/* Only now: a descriptor from before would be of the former namespace. */
	*root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	ns_fd = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	if (*root_fd < 0 || ns_fd < 0 || setns(ns_fd, CLONE_NEWNS) < 0)
		return failed("enter a mount namespace", err);
	/* Or what is unmounted here would be unmounted everywhere. */
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return failed("make its mounts private", err);
	return 0;
}

/* What a resolver reads. Read before anything is moved, since it may be a link to anywhere; a file
 * that is not there is not there. */
static const char *const configuration[] = {
	"resolv.conf", "hosts", "gai.conf", "host.conf", "nsswitch.conf"};
#define CONFIGURATION_COUNT (sizeof(configuration) / sizeof(configuration[0]))

struct copy {
	char *text; /* NULL: there is no such file */
	size_t length;
};

static void read_configuration(struct copy *copies)
{
	char path[64];

	for (size_t i = 0; i < CONFIGURATION_COUNT; i++) {
		_cleanup_fd_ int fd = -1;
		ssize_t n;

		snprintf(path, sizeof(path), "/etc/%s", configuration[i]);
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		copies[i].text = fd >= 0 ? malloc(CONFIGURATION_MAX_BYTES) : NULL;
		if (!copies[i].text)
			continue;
		n = read(fd, copies[i].text, CONFIGURATION_MAX_BYTES);
		copies[i].length = n > 0 ? (size_t)n : 0;
	}
}

static int write_configuration(const struct copy *copies, struct error *err)
{
	char path[64];

	/* Whatever the umask is: who reads this, the negotiator, has become nobody. */
	if (mkdir("etc", 0755) < 0 || chmod("etc", 0755) < 0)
		return failed("make /etc in memory", err);
	for (size_t i = 0; i < CONFIGURATION_COUNT; i++) {
		_cleanup_fd_ int fd = -1;

		if (!copies[i].text)
			continue;
		snprintf(path, sizeof(path), "etc/%s", configuration[i]);
		fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
		if (fd < 0 || fchmod(fd, 0644) < 0)
			return failed("copy the resolver's configuration", err);
		errno = ENOSPC; /* a short write sets none */
		if (write(fd, copies[i].text, copies[i].length) != (ssize_t)copies[i].length)
			return failed("copy the resolver's configuration", err);
	}
	return 0;
}

/* The current directory is then the new root, mounted for the time being at a directory in /run.
 * ROOT_FD is the former one. */
static int mount_new_root(int root_fd, const char *name, struct error *err)
{
	static const char *const kept[] = {"proc", "sys", "dev", "run"};
	char path[128], target[160], what[64];

	snprintf(path, sizeof(path), "%s/%s", &RUN_DIRECTORY[1], name);
	if (fchdir(root_fd) < 0 || (mkdir(path, 0700) < 0 && errno != EEXIST))
		return failed("make a directory in " RUN_DIRECTORY, err);
	/* Unbindable: or /run, bound with what is mounted in it, would have a copy of it in
	 * itself. */
	if (mount("nbd-attach", path, "ramfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=755") < 0 ||
		mount(NULL, path, NULL, MS_UNBINDABLE, NULL) < 0)
		return failed("mount a file system in memory", err);
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		snprintf(target, sizeof(target), "%s/%s", path, kept[i]);
		snprintf(what, sizeof(what), "keep /%s", kept[i]);
		if (mkdir(target, 0755) < 0 ||
			mount(kept[i], target, NULL, MS_BIND | MS_REC, NULL) < 0)
			return failed(what, err);
	}
	return chdir(path) < 0 ? failed("enter it", err) : 0;
}

static int read_table(struct mountinfo *table, const char *path, struct error *err)
{
	_cleanup_file_ FILE *file = fopen(path, "re");
	int rc = file ? mountinfo_read(table, file) : -errno;

	errno = -rc;
	return rc ? failed("read its mounts", err) : 0;
}

/* Of what came along with /run and the others: a disk that is mounted in /run, say. */
static void drop_disks(const struct mountinfo *table, const char *new_root)
{
	size_t len = strlen(new_root);

	for (size_t i = table->count; i > 0; i--) {
		const struct mountinfo_entry *entry = &table->entries[i - 1];

		if (strncmp(entry->path, new_root, len) == 0 && entry->path[len] == '/' &&
			!mountinfo_type_is_diskless(entry->type))
			umount2(entry->path, MNT_DETACH | UMOUNT_NOFOLLOW);
	}
}

/* Each path means what it did before, since this process's root is the former one still: what was
 * moved on top of it is not followed. */
static void drop_all_but(const struct mountinfo *table, int id)
{
	for (size_t i = table->count; i > 0; i--) {
		const struct mountinfo_entry *entry = &table->entries[i - 1];

		if (strcmp(entry->path, "/") != 0 && !mountinfo_is_within(table, entry, id))
			umount2(entry->path, MNT_DETACH | UMOUNT_NOFOLLOW);
	}
}

static int check_diskless(const char *path, struct error *err)
{
	struct mountinfo table = {0};
	int rc = read_table(&table, path, err);

	for (size_t i = 0; !rc && i < table.count; i++) {
		const struct mountinfo_entry *entry = &table.entries[i];

		if (mountinfo_type_is_diskless(entry->type))
			continue;
		rc = error_set(err, ERROR_OTHER, EBUSY,
			"--root: %s (%s) cannot be left behind, and may be on a disk", entry->path,
			entry->type);
		error_hint(err, rc,
			"/proc, /sys, /dev and /run have to be the kernel's own or in memory "
			"(tmpfs)");
	}
	mountinfo_free(&table);
	return rc;
}

/* As switch_root(8) does. What is left of the initramfs is in memory, and nothing of ours is lost
 * when systemd empties it. */
static int move_on_top(const struct mountinfo *table, const char *new_root, struct error *err)
{
	const struct mountinfo_entry *entry = mountinfo_find(table, new_root);
	int rc;

	errno = ENOENT;
	if (!entry || mount(".", "/", NULL, MS_MOVE, NULL) < 0)
		return failed("move the new root into place", err);
	drop_all_but(table, entry->id);
	/* From here all mounts of the namespace are to be seen, and after chroot() only those in
	 * the new root. */
	rc = check_diskless("proc/self/mountinfo", err);
	if (rc)
		return rc;
	return chroot(".") < 0 ? failed("change its root", err) : 0;
}

/* A running system's root makes way for pivot_root(2), and is detached with all below it; an
 * initramfs's cannot (EINVAL). */
static int become_root(struct error *err)
{
	struct mountinfo table = {0};
	char new_root[PATH_MAX];
	int rc = read_table(&table, "proc/self/mountinfo", err);

	if (!rc && !getcwd(new_root, sizeof(new_root)))
		rc = failed("find the new root", err);
	if (!rc) {
		drop_disks(&table, new_root);
		if (syscall(SYS_pivot_root, ".", ".") == 0)
			/* it lies on top of the new one */
			rc = umount2(".", MNT_DETACH) < 0 ? failed("leave its former root", err) :
							    0;
		else
			rc = errno == EINVAL ? move_on_top(&table, new_root, err) :
					       failed("pivot its root", err);
	}
	mountinfo_free(&table);
	return rc;
}

static int enter(const char *name, const struct copy *copies, struct error *err)
{
	int root_fd = -1, rc = leave_namespace(&root_fd, err);
	char path[128];

	if (!rc)
		rc = mount_new_root(root_fd, name, err);
	if (root_fd >= 0)
		close(root_fd); /* it would keep the former root's file system busy */
	if (!rc)
		rc = write_configuration(copies, err);
	if (!rc)
		rc = become_root(err);
	if (rc)
		return rc;
	if (chdir("/") < 0 ||
		mount(NULL, "/", NULL,
			MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
			NULL) < 0)
		return failed("make the new root read-only", err);
	snprintf(path, sizeof(path), RUN_DIRECTORY "/%s", name);
	rmdir(path);
	return check_diskless("/proc/self/mountinfo", err);
}

int private_root_enter(const char *name, struct error *err)
{
	struct copy copies[CONFIGURATION_COUNT] = {0};
	int rc;

	read_configuration(copies);
	rc = enter(name, copies, err);
	for (size_t i = 0; i < CONFIGURATION_COUNT; i++)
		free(copies[i].text);
	return rc;
}
