/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "device/openers.h"
#include "base/clock.h"
#include "base/cleanup.h"
#include "kernel/block-attr.h"
#include "base/text.h"
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* udev and its helpers open a device for a moment after every change */
#define OPENER_TIMEOUT_MS 2000
#define PROBE_TIMEOUT_MS 6000 /* a supervisor's read through a link that is new */

/* What is looked for, and where. */
struct search {
	int proc_fd;
	bool knows_counts; /* see has_no_descriptors() */
	dev_t numbers[BLOCK_MINORS_MAX];
	size_t count;
};

/* Since Linux 6.2 the size of such a folder is the number of descriptors. Most processes are the
 * kernel's own, which have none. Before, it is 0 for all, this process too. */
static bool has_no_descriptors(const struct search *search, const char *folder)
{
	struct stat st;

	return search->knows_counts && fstatat(search->proc_fd, folder, &st, 0) == 0 &&
		st.st_size == 0;
}

/* Looked at by number: a node may be called anything. The link is followed, but nothing is opened,
 * and only where there are devices: a file of a server that is away could make that wait. */
static bool is_held_in(int folder_fd, const char *name, const struct search *search)
{
	char link[PATH_MAX];
	ssize_t n = readlinkat(folder_fd, name, link, sizeof(link) - 1);
	struct stat st;

	link[n > 0 ? n : 0] = 0;
	if (!strstr(link, "/dev/") || fstatat(folder_fd, name, &st, 0) < 0 || !S_ISBLK(st.st_mode))
		return false;
	for (size_t i = 0; i < search->count; i++)
		if (st.st_rdev == search->numbers[i])
			return true;
	return false;
}

static bool process_holds(const char *pid, const struct search *search)
{
	char path[300];
	struct dirent *entry;
	bool holds = false;
	DIR *fds;
	int fd;

	snprintf(path, sizeof(path), "%s/fd", pid);
	if (has_no_descriptors(search, path))
		return false;
	fd = openat(search->proc_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fds = fd < 0 ? NULL : fdopendir(fd);
	while (fds && !holds && (entry = readdir(fds)))
		holds = is_held_in(fd, entry->d_name, search);
	if (fds)
		closedir(fds);
	else if (fd >= 0)
		close(fd);
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
	DIR *proc = opendir("/proc");
	struct search search = {.proc_fd = proc ? dirfd(proc) : -1};
	struct dirent *entry;
	struct stat own;
	char name[64];
	int rc = 0;

	search.count = block_device_numbers(index, search.numbers, BLOCK_MINORS_MAX);
	search.knows_counts =
		proc && fstatat(search.proc_fd, "self/fd", &own, 0) == 0 && own.st_size > 0;
	*only_probes = true;
	/* Another's name is worth more than a probe's, which ends by itself. */
	while (proc && (rc == 0 || *only_probes) && (entry = readdir(proc))) {
		if (!isdigit((unsigned char)entry->d_name[0]) || atol(entry->d_name) == getpid() ||
			!process_holds(entry->d_name, &search))
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
