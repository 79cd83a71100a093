/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "device.h"
#include "cleanup.h"
#include "sysfs.h"
#include "task.h"
#include "text.h"
#include "transport.h"
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#define GONE_TIMEOUT_MS 30000
#define WRITE_BACK_PATIENCE_MS 2000
#define OPENER_PATIENCE_MS 2000 /* udev and its helpers open a device for a moment after every change */

int device_check_permission(const char *what, struct error *err)
{
	if (geteuid() == 0)
		return 0;
	error_set(err, ERROR_PERMISSION, EPERM, "%s a device needs root", what);
	return error_hint(err, -EPERM, "run it with sudo");
}

bool device_wait_gone(int index, int timeout_ms)
{
	int64_t deadline_ms = monotonic_now_ms() + timeout_ms;

	while (sysfs_device_configured(index)) {
		if (monotonic_now_ms() >= deadline_ms)
			return false;
		poll(NULL, 0, 10);
	}
	return true;
}

/* "/dev/nbd1" and "/dev/nbd1p2" are of device 1, "/dev/nbd12" is not. */
static bool is_of_device(const char *path, const char *device)
{
	size_t len = strlen(device);

	return strncmp(path, device, len) == 0 && (path[len] == 0 || path[len] == 'p');
}

static bool process_holds(const char *pid, const char *device)
{
	char path[300], link[64];
	struct dirent *entry;
	bool holds = false;
	DIR *fds;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	fds = opendir(path);
	while (fds && !holds && (entry = readdir(fds))) {
		ssize_t n = readlinkat(dirfd(fds), entry->d_name, link, sizeof(link) - 1);

		link[n > 0 ? n : 0] = 0;
		holds = is_of_device(link, device);
	}
	if (fds)
		closedir(fds);
	return holds;
}

static void read_name(const char *pid, char *name, size_t size)
{
	char path[300], comm[32] = "?";
	_cleanup_file_ FILE *file = NULL;

	snprintf(path, sizeof(path), "/proc/%s/comm", pid);
	file = fopen(path, "re");
	if (file && fgets(comm, sizeof(comm), file))
		comm[strcspn(comm, "\n")] = 0;
	text_sanitise(name, size, comm, strlen(comm));
}

static int check_openers(int index, struct error *err)
{
	char device[32], name[64];
	struct dirent *entry;
	DIR *proc = opendir("/proc");
	int rc = 0;

	snprintf(device, sizeof(device), "/dev/nbd%d", index);
	while (proc && rc == 0 && (entry = readdir(proc))) {
		if (!isdigit((unsigned char)entry->d_name[0]) || !process_holds(entry->d_name, device))
			continue;
		read_name(entry->d_name, name, sizeof(name));
		rc = error_set(err, ERROR_BUSY, EBUSY, "%s is held open by process %s (%s)", device, entry->d_name, name);
		error_hint(err, rc, "end it first, or detach with --force: it will get I/O errors");
	}
	if (proc)
		closedir(proc);
	return rc;
}

/* Where other processes are hidden (a unit's sandbox) nobody is seen to hold the device, and it would be taken from under them. */
static int check_sight(int index, struct error *err)
{
	char link[64];

	if (access("/proc/1", F_OK) == 0 && (readlink("/proc/1/fd/0", link, sizeof(link)) >= 0 || errno != EACCES))
		return 0;
	error_set(err, ERROR_PERMISSION, EACCES, "who has /dev/nbd%d open cannot be seen from here", index);
	return error_hint(err, -EACCES, "nbd-attach detach, run by root, can see it");
}

static int check_unused(int index, struct error *err)
{
	int64_t deadline_ms = monotonic_now_ms() + OPENER_PATIENCE_MS;
	int rc = check_sight(index, err);

	if (rc)
		return rc;
	do {
		rc = sysfs_check_unused(index, err);
		if (rc)
			return rc;
		rc = check_openers(index, err);
		if (rc)
			poll(NULL, 0, 50);
	} while (rc && monotonic_now_ms() < deadline_ms);
	return rc;
}

/* Claim the device, so that nobody can mount it between the check and the end, and write back what raw writers left. */
static int claim_and_write_back(int index, int *fd, char *warning, size_t warning_size, struct error *err)
{
	char path[32];

	snprintf(path, sizeof(path), "/dev/nbd%d", index);
	*fd = open(path, O_RDONLY | O_EXCL | O_CLOEXEC);
	if (*fd < 0)
		return error_set(err, errno == EBUSY ? ERROR_BUSY : errno == EACCES ? ERROR_PERMISSION : ERROR_OTHER, errno, "cannot claim %s: %s", path, strerror(errno));
	if (sync_file_range(*fd, 0, 0, SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER) < 0) {
		error_set(err, ERROR_OTHER, errno, "what was written to %s cannot be brought to the server: %s", path, strerror(errno));
		return error_hint(err, -errno, "with --force it is detached all the same, and these writes are lost");
	}
	if (fdatasync(*fd) < 0 && warning)
		snprintf(warning, warning_size, "the server could not be told to flush its cache (%s); if it crashes now, its last writes may be lost",
			strerror(errno));
	return 0;
}

static int write_back(const void *argument, struct error *err)
{
	char path[32];
	_cleanup_fd_ int fd = -1;

	(void)err;
	snprintf(path, sizeof(path), "/dev/nbd%d", *(const int *)argument);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 || sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER) < 0 ? -errno : 0;
}

/* A writer may have closed the device and left what it wrote to the kernel (its close() hangs then, and it is not seen to have the device
 * open any more). Where there is such data, writing it back does not come to an end. */
static int check_nothing_waits(int index, char *warning, size_t warning_size, struct error *err)
{
	int rc = task_run(write_back, &index, WRITE_BACK_PATIENCE_MS, err);

	if (rc == -ETIMEDOUT) {
		error_set(err, ERROR_BUSY, EBUSY, "the server of /dev/nbd%d is away, and data waits to be written to it", index);
		return error_hint(err, -EBUSY, "wait until it is back (nbd-attach status), or detach with --force and lose this data");
	}
	if (warning)
		snprintf(warning, warning_size, rc ? "writes had failed before: what is on the server's disk is not all that was written (%s)" :
			"the server is away and could not be told to flush its cache: if it crashed, its last writes may be lost", strerror(-rc));
	return 0;
}

int device_detach(struct nbd_genl *genl, int index, enum detach_how how, char *warning, size_t warning_size, struct error *err)
{
	bool configured;
	int fd = -1, rc = nbd_genl_is_configured(genl, index, &configured, err);

	if (warning)
		*warning = 0;
	if (rc)
		return rc;
	if (!configured) {
		error_set(err, ERROR_BUSY, ENOTCONN, "/dev/nbd%d is not attached", index);
		return error_hint(err, -ENOTCONN, "see what is: nbd-attach status");
	}
	if (how == DETACH_UNREACHABLE) /* first: while anything waits, even opening the device hangs */
		rc = check_nothing_waits(index, warning, warning_size, err);
	if (!rc && how != DETACH_FORCED)
		rc = check_unused(index, err);
	if (!rc && how == DETACH_IF_UNUSED)
		rc = claim_and_write_back(index, &fd, warning, warning_size, err);
	if (!rc)
		rc = nbd_genl_disconnect(genl, index, err);
	if (fd >= 0)
		close(fd); /* the kernel lets go of the device only now */
	if (rc)
		return rc;
	if (device_wait_gone(index, how == DETACH_FORCED ? 1000 : GONE_TIMEOUT_MS) || how == DETACH_FORCED)
		return 0;
	error_set(err, ERROR_BUSY, EBUSY, "/dev/nbd%d was disconnected, but somebody still holds it open", index);
	return error_hint(err, -EBUSY, "it is free again when the last one closes it");
}
