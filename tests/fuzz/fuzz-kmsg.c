/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's log, into which others write, too: records with lines of "--" between; an empty one
 * is one that was overwritten. */
#include "fuzz.h"
#include "kernel/kmsg.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOG_FD 12345
#define RECORDS_MAX 64

static char *records[RECORDS_MAX];
static size_t next;

ssize_t __real_read(int fd, void *buf, size_t size);
ssize_t __wrap_read(int fd, void *buf, size_t size);

ssize_t __wrap_read(int fd, void *buf, size_t size)
{
	size_t len;

	if (fd != LOG_FD)
		return __real_read(fd, buf, size);
	if (next == RECORDS_MAX) {
		errno = EAGAIN;
		return -1;
	}
	len = strlen(records[next]);
	if (!len || len > size)
		errno = len ? EINVAL : EPIPE;
	else
		memcpy(buf, records[next], len);
	next++;
	return len && len <= size ? (ssize_t)len : -1;
}

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
off_t __real_lseek(int fd, off_t offset, int whence);
off_t __wrap_lseek(int fd, off_t offset, int whence);

int __wrap_open(const char *path, int flags, ...)
{
	va_list args;
	mode_t mode;

	va_start(args, flags);
	mode = va_arg(args, mode_t);
	va_end(args);
	return strcmp(path, "/dev/kmsg") == 0 ? LOG_FD : __real_open(path, flags, mode);
}

off_t __wrap_lseek(int fd, off_t offset, int whence)
{
	if (fd != LOG_FD)
		return __real_lseek(fd, offset, whence);
	next = whence == SEEK_SET ? 0 : RECORDS_MAX;
	return 0;
}

/* What a process writes to /dev/kmsg is not of facility "kernel", which the priority tells. */
static bool may_be_the_kernels(const char *record)
{
	size_t digits = strspn(record, "-0");

	digits += record[digits] >= '1' && record[digits] <= '7';
	return digits > 0 && record[digits] == ',';
}

static uint64_t count_events(int index)
{
	uint64_t count = 0;

	for (size_t i = 0; i < next; i++) {
		int error = 0;
		enum kmsg_event event = kmsg_parse(records[i], index, &error);

		if (strlen(records[i]) > 8192)
			break; /* the kernel gives none, and reading ends */
		FUZZ_CHECK(event == KMSG_OTHER || may_be_the_kernels(records[i]));
		FUZZ_CHECK(event == KMSG_OTHER || strstr(records[i], "nbd"));
		FUZZ_CHECK(event == KMSG_ERROR_REPLY || error == 0);
		count += event == KMSG_ERROR_REPLY || event == KMSG_STUCK ||
			event == KMSG_RECEIVER_ENDED;
	}
	return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kernel_log log, past;

	fuzz_split(data, size, records, RECORDS_MAX);
	/* What is older is not read. */
	FUZZ_CHECK(kmsg_open(&log, 0) == 0);
	kmsg_read(&log);
	FUZZ_CHECK(log.records == 0);
	next = 0;
	kmsg_read(&log);
	FUZZ_CHECK(log.error_replies + log.stuck + log.receivers_ended == count_events(0));
	FUZZ_CHECK(log.records <= next);
	/* The past says how the device is, and counts nothing. */
	FUZZ_CHECK(kmsg_open_past(&past, 0) == 0);
	FUZZ_CHECK(past.error_replies + past.stuck + past.receivers_ended == 0);
	FUZZ_CHECK(past.io_failed == log.io_failed && past.disconnect == log.disconnect);
	log.fd = past.fd = -1;
	kmsg_close(&log);
	kmsg_close(&past);
	for (size_t i = 0; i < RECORDS_MAX; i++)
		free(records[i]);
	return 0;
}
