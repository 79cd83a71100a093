/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files in /run, which outlive a supervisor. */
#include "sim.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>

#define FILES 8

static struct file {
	char path[64];
	bool exists;
	char *text;
	size_t size, room, at;
	unsigned mode;
	int64_t changed_ms;
} files[FILES];

static int find(const char *path, bool create)
{
	int room = SIM_NONE;

	for (int i = 0; i < FILES; i++) {
		if (files[i].exists && strcmp(files[i].path, path) == 0)
			return i;
		if (!files[i].exists)
			room = i;
	}
	if (!create)
		return SIM_NONE;
	if (room == SIM_NONE)
		sim_violation("files in /run are not removed");
	snprintf(files[room].path, sizeof(files[room].path), "%s", path);
	files[room].exists = true;
	files[room].size = files[room].at = 0;
	return room;
}

void sim_files_begin(void)
{
	for (int i = 0; i < FILES; i++)
		files[i].exists = false;
}

/* --- system calls */

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
	int at;

	if (strcmp(path, "/proc/1/status") == 0)
		return -1;
	sim_point();
	at = find(path, flags & O_CREAT);
	if (at == SIM_NONE) {
		errno = ENOENT;
		return -1;
	}
	if (flags & O_TRUNC)
		files[at].size = 0;
	files[at].at = 0;
	files[at].mode = files[at].mode ? files[at].mode : 0600;
	return sim_open(SIM_FILE, at);
}

ssize_t __real_write(int fd, const void *buf, size_t size);
ssize_t __wrap_write(int fd, const void *buf, size_t size);
ssize_t __wrap_write(int fd, const void *buf, size_t size)
{
	struct file *file;
	int at;

	if (sim_kind_of(fd, &at) != SIM_FILE)
		return __real_write(fd, buf, size);
	sim_point();
	file = &files[at];
	if (file->size + size > file->room) {
		file->room = 2 * (file->size + size);
		file->text = realloc(file->text, file->room);
	}
	memcpy(file->text + file->size, buf, size);
	file->size += size;
	file->changed_ms = sim_now_ms;
	return (ssize_t)size;
}

ssize_t __real_read(int fd, void *buf, size_t size);
ssize_t __wrap_read(int fd, void *buf, size_t size);
ssize_t __wrap_read(int fd, void *buf, size_t size)
{
	struct signalfd_siginfo *info = buf;
	struct file *file;
	int at;
	enum sim_kind kind = sim_kind_of(fd, &at);

	if (kind == SIM_SIGNALS) {
		memset(info, 0, sizeof(*info));
		info->ssi_signo = (unsigned)sim_take_signal();
		return info->ssi_signo ? (ssize_t)sizeof(*info) : -1;
	}
	if (kind != SIM_FILE)
		return __real_read(fd, buf, size);
	file = &files[at];
	size = size < file->size - file->at ? size : file->size - file->at;
	memcpy(buf, file->text + file->at, size);
	file->at += size;
	return (ssize_t)size;
}

int __wrap_fstat(int fd, struct stat *st);
int __wrap_fstat(int fd, struct stat *st)
{
	int at;

	if (sim_kind_of(fd, &at) != SIM_FILE)
		return -1;
	*st = (struct stat){.st_mode = S_IFREG | files[at].mode};
	st->st_mtim.tv_sec = files[at].changed_ms / 1000;
	st->st_mtim.tv_nsec = files[at].changed_ms % 1000 * 1000000;
	return 0;
}

int __wrap_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to)
{
	int at, former;

	sim_point();
	at = find(from, false);
	former = find(to, false);
	if (at == SIM_NONE)
		return -1;
	if (former != SIM_NONE)
		files[former].exists = false;
	snprintf(files[at].path, sizeof(files[at].path), "%s", to);
	return 0;
}

int __wrap_unlink(const char *path);
int __wrap_unlink(const char *path)
{
	int at;

	sim_point();
	at = find(path, false);
	if (at == SIM_NONE)
		return -1;
	files[at].exists = false;
	files[at].mode = 0;
	return 0;
}

int __wrap_chmod(const char *path, mode_t mode);
int __wrap_chmod(const char *path, mode_t mode)
{
	int at = find(path, false);

	sim_point();
	if (at == SIM_NONE)
		return -1;
	files[at].mode = mode;
	return 0;
}

int __wrap_utimensat(int dir, const char *path, const struct timespec times[2], int flags);
int __wrap_utimensat(int dir, const char *path, const struct timespec times[2], int flags)
{
	int at = find(path, false);

	(void)dir;
	(void)flags;
	sim_point();
	if (at == SIM_NONE)
		return -1;
	files[at].changed_ms = times[1].tv_sec * 1000 + times[1].tv_nsec / 1000000;
	return 0;
}
