/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "output/log.h"
#include "output/show.h"
#include "base/cleanup.h"
#include "base/text.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define KMSG_TEXT_MAX 880 /* the kernel takes no record of more than 976 bytes (LOG_LINE_MAX) */

static enum { TO_SYSLOG, TO_STDERR, TO_KMSG } destination;
static int kmsg_fd = -1;
static char log_socket[sizeof(((struct sockaddr_un *)0)->sun_path)] = "/dev/log";
static unsigned long lost_count;

void log_open(bool foreground, bool root)
{
	destination = root ? TO_KMSG : foreground ? TO_STDERR : TO_SYSLOG;
	if (root)
		kmsg_fd = open("/dev/kmsg", O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	if (root && kmsg_fd < 0)
		show_note("warning: there will be no log: cannot open /dev/kmsg: %s",
			strerror(errno));
	/* The reader of our stderr may go before us, its file may have no room (ulimit -f), and the
	 * terminal may be another job's: each costs a line, not the supervisor. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	signal(SIGTTOU, SIG_IGN);
}

void log_set_socket(const char *path)
{
	snprintf(log_socket, sizeof(log_socket), "%s", path);
}

/* One write is one record. The kernel drops what is more than some lines in a few seconds
 * (printk.devkmsg), and says so. */
static void to_kmsg(int priority, const char *line)
{
	char record[1000];
	int len = snprintf(record, sizeof(record), "<%d>nbd-attach[%d]: %.*s\n",
		LOG_DAEMON | priority, (int)getpid(), KMSG_TEXT_MAX, line);

	if (kmsg_fd >= 0 && write(kmsg_fd, record, (size_t)len) < 0)
		return; /* there is nobody to tell */
}

/* As syslog(3), which would wait for a daemon that does not read. */
static bool to_syslog(int priority, const char *line)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	_cleanup_fd_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	char message[1300], date[32];
	time_t now = time(NULL);
	struct tm tm;
	int len;

	if (fd < 0 || !localtime_r(&now, &tm) ||
		!strftime(date, sizeof(date), "%b %e %H:%M:%S", &tm))
		return false;
	len = snprintf(message, sizeof(message), "<%d>%s nbd-attach[%d]: %s", LOG_DAEMON | priority,
		date, (int)getpid(), line);
	memcpy(address.sun_path, log_socket, sizeof(address.sun_path));
	return sendto(fd, message, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL,
		       (struct sockaddr *)&address, sizeof(address)) == len;
}

/* What is writable takes so much at least: PIPE_BUF of a pipe, and more of a socket or a file. */
static bool to_stderr(const char *line)
{
	struct pollfd pfd = {.fd = STDERR_FILENO, .events = POLLOUT};
	char message[1300];
	int len = snprintf(message, sizeof(message), "nbd-attach: %s\n", line);

	return poll(&pfd, 1, 0) == 1 && pfd.revents & POLLOUT &&
		write(STDERR_FILENO, message, (size_t)len) == len;
}

static bool to_reader(int priority, const char *line)
{
	return destination == TO_STDERR ? to_stderr(line) : to_syslog(priority, line);
}

void log_message(int priority, const char *fmt, ...)
{
	char line[1200], lost[80];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	text_make_printable(line);
	if (destination == TO_KMSG) {
		to_kmsg(priority, line);
		return;
	}
	snprintf(lost, sizeof(lost), "%lu lines before this one are lost: nobody read them",
		lost_count);
	if (lost_count && to_reader(LOG_WARNING, lost))
		lost_count = 0;
	if (lost_count || !to_reader(priority, line))
		lost_count++;
}
