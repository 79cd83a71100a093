/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/kmsg.h"
#include "base/cleanup.h"
#include <ctype.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define RECORD_SIZE 8193 /* CONSOLE_EXT_LOG_MAX: the kernel gives whole records or none */
#define RECORDS_AT_ONCE 10000

/* A unit that may not open the kernel's log gets it as its standard input
 * (systemd/nbd-attach@.service). */
static int open_standard_input(void)
{
	struct stat st;
	int fd;

	if (fstat(STDIN_FILENO, &st) < 0 || !S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 11))
		return -1;
	fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	if (fd >= 0)
		fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

static int open_log(struct kernel_log *log, int index, int whence)
{
	*log = (struct kernel_log){
		.fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC), .index = index};
	if (log->fd < 0)
		log->fd = open_standard_input();
	if (log->fd < 0)
		return -errno;
	if (lseek(log->fd, 0, whence) >= 0)
		return 0;
	index = -errno;
	kmsg_close(log);
	return index;
}

int kmsg_open(struct kernel_log *log, int index)
{
	return open_log(log, index, SEEK_END); /* what is older is of a former life of the device */
}

int kmsg_open_past(struct kernel_log *log, int index)
{
	int rc = open_log(log, index, SEEK_SET);
	uint64_t before;

	/* The whole ring, which is at most some thousand records. */
	do {
		before = log->records;
		kmsg_read(log);
	} while (log->records != before);
	log->error_replies = log->stuck = log->receivers_ended = 0;
	return rc;
}

void kmsg_close(struct kernel_log *log)
{
	if (log->fd >= 0)
		close(log->fd);
	log->fd = -1;
}

static bool skip_prefix(const char **at, const char *prefix)
{
	size_t len = strlen(prefix);

	if (strncmp(*at, prefix, len) != 0)
		return false;
	*at += len;
	return true;
}

/* A number that is there, and fits: strtol alone would take blanks, and cut what is too large. */
static bool take_number(const char **at, int *value)
{
	char *end;
	long number;

	if (!isdigit((unsigned char)**at) && !(**at == '-' && isdigit((unsigned char)(*at)[1])))
		return false;
	errno = 0;
	number = strtol(*at, &end, 10);
	if (errno || number < INT_MIN || number > INT_MAX)
		return false;
	*value = (int)number;
	*at = end;
	return true;
}

/* What ends a receiver (recv_work), each with one line: it cannot read, or what it has read is no
 * answer that it knows. */
static bool is_receivers_end(const char *at)
{
	static const char *const lines[] = {
		"Receive control failed (",
		"Receive data failed (",
		"Wrong magic (",
		"Unexpected reply ",
		"Suspicious reply ",
		"Double reply on req ",
		"Command already handled ",
		"Raced with timeout on req ",
		"recv_work: no io inflight",
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		if (strncmp(at, lines[i], strlen(lines[i])) == 0)
			return true;
	return false;
}

/* "nbd0: detected capacity change from 0 to 131072": the block layer's, at each CONNECT. */
static bool is_configured_now(const char *at, int index)
{
	int device;

	return skip_prefix(&at, ";nbd") && take_number(&at, &device) && device == index &&
		skip_prefix(&at, ": detected capacity change from 0 to ");
}

/* "LEVEL,SEQUENCE,MICROSECONDS,FLAGS[,...];MESSAGE\n", then lines of " KEY=VALUE\n". */
enum kmsg_event kmsg_parse(const char *record, int index, int *error)
{
	int priority, device, number;
	const char *at = record;

	/* The numbers above 7 have a facility in them: somebody else wrote the record through
	 * /dev/kmsg, who cannot say "kernel". */
	if (!take_number(&at, &priority) || *at != ',' || priority < 0 || priority > 7)
		return KMSG_OTHER;
	at += strcspn(at, ";\n");
	if (is_configured_now(at, index))
		return KMSG_CONFIGURED;
	if (!skip_prefix(&at, ";block nbd") || !take_number(&at, &device) || device != index ||
		!skip_prefix(&at, ": "))
		return KMSG_OTHER;
	if (skip_prefix(&at, "Possible stuck request"))
		return KMSG_STUCK;
	if (is_receivers_end(at))
		return KMSG_RECEIVER_ENDED;
	if (skip_prefix(&at, "NBD_DISCONNECT"))
		return KMSG_DISCONNECT;
	if (skip_prefix(&at, "shutting down sockets"))
		return KMSG_SHUT_DOWN;
	if (!skip_prefix(&at, "Other side returned error (") || !take_number(&at, &number) ||
		*at != ')')
		return KMSG_OTHER;
	*error = number;
	return KMSG_ERROR_REPLY;
}

/* Is it a reason to sample the device? */
static bool count(struct kernel_log *log, const char *record)
{
	log->records++;
	switch (kmsg_parse(record, log->index, &log->last_error)) {
	case KMSG_ERROR_REPLY: log->error_replies++; return true;
	case KMSG_STUCK: log->stuck++; return true;
	case KMSG_RECEIVER_ENDED: log->receivers_ended++; return true;
	case KMSG_CONFIGURED: log->disconnect = log->io_failed = false; return false;
	case KMSG_DISCONNECT:
		log->disconnect = true;
		log->io_failed = false; /* of the life that ends so */
		return true;
	case KMSG_SHUT_DOWN: log->io_failed = log->io_failed || !log->disconnect; return true;
	default: return false;
	}
}

bool kmsg_read(struct kernel_log *log)
{
	char record[RECORD_SIZE];
	bool ours = false;

	/* Bounded: a kernel that logs faster than we read must not keep us here. */
	for (int i = 0; log->fd >= 0 && i < RECORDS_AT_ONCE; i++) {
		ssize_t n = read(log->fd, record, sizeof(record) - 1);

		if (n > 0) {
			record[n] = 0;
			ours |= count(log, record);
		} else if (n == 0 || (errno != EPIPE && errno != EINTR)) {
			/* EPIPE: records were overwritten before we came to them; the next read is
			 * of those that are left. */
			break;
		}
	}
	return ours;
}
