/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor-log.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define KMSG_TEXT_MAX 880 /* the kernel takes no record of more than 976 bytes (LOG_LINE_MAX) */

static enum { TO_SYSLOG, TO_STDERR, TO_KMSG } destination;
static int kmsg_fd = -1;

void supervisor_log_open(bool foreground, bool root)
{
	destination = root ? TO_KMSG : foreground ? TO_STDERR : TO_SYSLOG;
	if (root)
		kmsg_fd = open("/dev/kmsg", O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	if (root && kmsg_fd < 0)
		fprintf(stderr, "nbd-attach: warning: there will be no log: cannot open /dev/kmsg: %s\n", strerror(errno));
	if (destination == TO_SYSLOG)
		openlog("nbd-attach", LOG_PID | LOG_NDELAY, LOG_DAEMON);
}

/* One write is one record. The kernel drops what is more than some lines in a few seconds (printk.devkmsg), and says so. */
static void to_kmsg(int priority, const char *line)
{
	char record[1000];
	int len = snprintf(record, sizeof(record), "<%d>nbd-attach[%d]: %.*s\n", LOG_DAEMON | priority, (int)getpid(), KMSG_TEXT_MAX, line);

	if (kmsg_fd >= 0 && write(kmsg_fd, record, (size_t)len) < 0)
		return; /* there is nobody to tell */
}

void supervisor_log(int priority, const char *fmt, ...)
{
	char line[1200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (destination == TO_KMSG)
		to_kmsg(priority, line);
	else if (destination == TO_STDERR)
		fprintf(stderr, "nbd-attach: %s\n", line);
	else
		syslog(priority, "%s", line);
}
