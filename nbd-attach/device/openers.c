/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "device/openers.h"
#include "base/clock.h"
#include "base/cleanup.h"
#include "kernel/block-attr.h"
#include "base/text.h"
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* udev and its helpers open a device for a moment after every change */
#define OPENER_TIMEOUT_MS 2000
#define PROBE_TIMEOUT_MS 6000 /* a supervisor's read through a link that is new */

/* Looked at by number: a node may be called anything. The link is followed, but nothing is opened,
 * and only where there are devices: a file of a server that is away could make that wait. */
static bool process_holds(const char *pid, const dev_t *numbers, size_t count)
{
	char path[300], link[PATH_MAX];
	struct dirent *entry;
	bool holds = false;
	struct stat st;
	DIR *fds;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	fds = opendir(path);
	while (fds && !holds && (entry = readdir(fds))) {
		ssize_t n = readlinkat(dirfd(fds), entry->d_name, link, sizeof(link) - 1);

		link[n > 0 ? n : 0] = 0;
		if (!strstr(link, "/dev/") || fstatat(dirfd(fds), entry->d_name, &st, 0) < 0 ||
			!S_ISBLK(st.st_mode))
			continue;
		for (size_t i = 0; i < count; i++)
			holds = holds || st.st_rdev == numbers[i];
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

/* One of our own processes, root's: none but a supervisor's check opens a device without claiming
 * it. */
static bool is_probe(const char *pid, const char *name)
{
	char path[300];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%s", pid);
	return strcmp(name, "nbd-attach") == 0 && stat(path, &st) == 0 && st.st_uid == 0;
}

static int busy_opener(int index, const char *pid, const char *name, struct error *err)
{
	if (is_probe(pid, name)) {
		error_set(err, ERROR_BUSY, EBUSY,
			"/dev/nbd%d is being read by its own supervisor (process %s), and that is "
			"not answered",
			index, pid);
		return error_hint(err, -EBUSY,
			"wait until the server answers (nbd-attach status), or detach with "
			"--force");
	}
	error_set(err, ERROR_BUSY, EBUSY, "/dev/nbd%d is held open by process %s (%s)", index, pid,
		name);
	return error_hint(
		err, -EBUSY, "end it first, or detach with --force: it will get I/O errors");
}

/* *ONLY_PROBES: each one that was found was a probe of ours. */
static int find_opener(int index, bool pass_probes, bool *only_probes, struct error *err)
{
	dev_t numbers[BLOCK_MINORS_MAX];
	size_t count = block_device_numbers(index, numbers, BLOCK_MINORS_MAX);
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	char name[64];
	int rc = 0;

	*only_probes = true;
	/* Another's name is worth more than a probe's, which ends by itself. */
	while (proc && (rc == 0 || *only_probes) && (entry = readdir(proc))) {
		if (!isdigit((unsigned char)entry->d_name[0]) || atol(entry->d_name) == getpid() ||
			!process_holds(entry->d_name, numbers, count))
			continue;
		read_name(entry->d_name, name, sizeof(name));
		if (is_probe(entry->d_name, name) && pass_probes)
			continue;
		*only_probes = is_probe(entry->d_name, name);
		rc = busy_opener(index, entry->d_name, name, err);
	}
	if (proc)
		closedir(proc);
	return rc;
}

int device_check_openers(int index, bool pass_probes, struct error *err)
{
	bool only_probes;

	return find_opener(index, pass_probes, &only_probes, err);
}

/* Where other processes are hidden (a unit's sandbox) nobody is seen to hold the device. */
static int check_sight(int index, struct error *err)
{
	char link[64];

	if (access("/proc/1", F_OK) == 0 &&
		(readlink("/proc/1/fd/0", link, sizeof(link)) >= 0 || errno != EACCES))
		return 0;
	error_set(err, ERROR_PERMISSION, EACCES, "who has /dev/nbd%d open cannot be seen from here",
		index);
	return error_hint(err, -EACCES, "nbd-attach detach, run by root, can see it");
}

int device_check_users(int index, bool pass_probes, struct error *err)
{
	int64_t began_ms = monotonic_now_ms();
	bool only_probes = false;
	int rc = check_sight(index, err);

	if (rc)
		return rc;
	do {
		rc = block_check_unused(index, err);
		if (rc)
			return rc;
		rc = find_opener(index, pass_probes, &only_probes, err);
		if (rc)
			poll(NULL, 0, 50);
	} while (rc &&
		monotonic_now_ms() - began_ms <
			(only_probes ? PROBE_TIMEOUT_MS : OPENER_TIMEOUT_MS));
	return rc;
}
