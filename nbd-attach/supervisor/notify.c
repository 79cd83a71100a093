/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor/notify.h"
#include "base/cleanup.h"
#include "base/passed-fd.h"
#include "base/text.h"
#include <ctype.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define FIRST_FD 3 /* SD_LISTEN_FDS_START */
#define FDS_MAX 256
#define STATUS_MAX 1000
/* for each of 64 links, and for netlink, that it is to be forgotten and that it is to be kept; and
 * that we are ready */
#define WAITING_MAX 160

static socklen_t manager_address(struct sockaddr_un *address)
{
	const char *path = getenv("NOTIFY_SOCKET");
	size_t len = path ? strlen(path) : 0;

	if (len < 2 || (path[0] != '/' && path[0] != '@') || len >= sizeof(address->sun_path))
		return 0;
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(address->sun_path, path, len);
	if (path[0] == '@')
		address->sun_path[0] = 0;
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
}

/* Messages that the manager has had no room for, from the oldest on. */
static struct waiting {
	char *message;
	char name[STORED_FD_NAME_SIZE]; /* of the descriptor that it is about; empty: none */
	int fd;                         /* -1: none */
} waiting[WAITING_MAX];
static size_t waiting_count;

/* A manager that hangs must not hang us: we may be what its own disk depends on. */
static int send_now(const char *message, int attached_fd)
{
	struct iovec iov = {(char *)message, strlen(message)};
	struct sockaddr_un address;
	struct msghdr msg = {.msg_name = &address,
		.msg_namelen = manager_address(&address),
		.msg_iov = &iov,
		.msg_iovlen = 1};
	struct passed_fd room;
	_cleanup_fd_ int fd = -1;

	if (!msg.msg_namelen)
		return -ENOTCONN;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	passed_fd_add(&msg, &room, attached_fd);
	return sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

static bool is_for_later(int rc)
{
	return rc == -EAGAIN || rc == -ENOBUFS || rc == -ENOMEM || rc == -ETOOMANYREFS ||
		rc == -EMFILE || rc == -ENFILE;
}

static void drop(struct waiting *message)
{
	free(message->message);
	if (message->fd >= 0)
		close(message->fd);
}

/* What waits about NAME is out of date. */
static void drop_waiting(const char *name)
{
	size_t left = 0;

	for (size_t i = 0; i < waiting_count; i++) {
		if (strcmp(waiting[i].name, name) == 0)
			drop(&waiting[i]);
		else
			waiting[left++] = waiting[i];
	}
	waiting_count = left;
}

size_t notify_flush(void)
{
	size_t sent = 0;

	while (sent < waiting_count &&
		!is_for_later(send_now(waiting[sent].message, waiting[sent].fd)))
		drop(&waiting[sent++]);
	memmove(waiting, waiting + sent, (waiting_count - sent) * sizeof(*waiting));
	waiting_count -= sent;
	return waiting_count;
}

static int send_message(const char *message, const char *name, int attached_fd)
{
	struct waiting later = {.fd = -1};
	/* none overtakes another */
	int rc = notify_flush() ? -EAGAIN : send_now(message, attached_fd);

	if (!is_for_later(rc))
		return rc;
	if (waiting_count == WAITING_MAX)
		return rc;
	/* Its owner may close it meanwhile. */
	if (attached_fd >= 0 && (later.fd = fcntl(attached_fd, F_DUPFD_CLOEXEC, 0)) < 0)
		return -errno;
	snprintf(later.name, sizeof(later.name), "%s", name);
	later.message = strdup(message);
	if (!later.message) {
		drop(&later);
		return -ENOMEM;
	}
	waiting[waiting_count++] = later;
	return 0;
}

/* A newline would begin another assignment. */
static size_t line_length(const char *text)
{
	size_t len = strcspn(text, "\n");

	return len < STATUS_MAX ? len : STATUS_MAX;
}

void notify_ready(const char *status)
{
	char line[STATUS_MAX + 1], message[STATUS_MAX + 64];

	text_sanitise(line, sizeof(line), status, line_length(status));
	snprintf(message, sizeof(message), "READY=1\nMAINPID=%d\nSTATUS=%s\n", (int)getpid(), line);
	send_message(message, "", -1);
}

void notify_status(const char *status)
{
	char line[STATUS_MAX + 1], message[STATUS_MAX + 64];

	text_sanitise(line, sizeof(line), status, line_length(status));
	snprintf(message, sizeof(message), "STATUS=%s\n", line);
	send_now(message, -1); /* one that is lost costs nothing: it would be out of date */
}

static bool is_name(const char *name, size_t len)
{
	if (len < 1 || len >= STORED_FD_NAME_SIZE)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!islower((unsigned char)name[i]) && !isdigit((unsigned char)name[i]) &&
			name[i] != '-')
			return false;
	return true;
}

bool notify_can_store(void)
{
	struct sockaddr_un address;

	return manager_address(&address) > 0;
}

int notify_store_fd(const char *name, int fd)
{
	char message[64 + STORED_FD_NAME_SIZE];

	if (!is_name(name, strlen(name)))
		return -EINVAL;
	if (fd < 0)
		return -EBADF;
	/* FDPOLL=0: or a link would be dropped when its server hangs up, while the driver still has
	 * it. */
	snprintf(message, sizeof(message), "FDSTORE=1\nFDNAME=%s\nFDPOLL=0\n", name);
	return send_message(message, name, fd);
}

void notify_forget_fd(const char *name)
{
	char message[64 + STORED_FD_NAME_SIZE];

	if (!is_name(name, strlen(name)))
		return;
	snprintf(message, sizeof(message), "FDSTOREREMOVE=1\nFDNAME=%s\n", name);
	drop_waiting(name);
	send_message(message, name, -1);
}

/* 0 for whatever is not a decimal number from 1 to MAX. */
static long environment_number(const char *variable, long max)
{
	const char *text = getenv(variable);
	char *end;
	long number;

	if (!text || !isdigit((unsigned char)*text))
		return 0;
	errno = 0;
	number = strtol(text, &end, 10);
	return errno || *end || number < 1 || number > max ? 0 : number;
}

int64_t notify_watchdog_ms(void)
{
	long usec = environment_number("WATCHDOG_USEC", LONG_MAX);

	/* Set for a parent of ours, it is not for us. */
	if (getenv("WATCHDOG_PID") &&
		environment_number("WATCHDOG_PID", INT32_MAX) != (long)getpid())
		return 0;
	return usec && usec < 2000 ? 1 : usec / 2000;
}

void notify_watchdog(void)
{
	send_now("WATCHDOG=1\n", -1);
}

size_t notify_take_fds(struct stored_fd *fds, size_t max)
{
	/* Another process's: a parent's manager passed them, and the parent left the environment as
	 * it was. */
	bool ours = environment_number("LISTEN_PID", INT32_MAX) == (long)getpid();
	long count = ours ? environment_number("LISTEN_FDS", FDS_MAX) : 0;
	const char *name = getenv("LISTEN_FDNAMES");
	size_t taken = 0;

	for (int fd = FIRST_FD; fd < FIRST_FD + count; fd++) {
		size_t len = name ? strcspn(name, ":") : 0;

		if (fcntl(fd, F_SETFD, FD_CLOEXEC) == 0) {
			if (taken < max && is_name(name, len)) {
				fds[taken].fd = fd;
				snprintf(fds[taken++].name, STORED_FD_NAME_SIZE, "%.*s", (int)len,
					name);
			} else {
				close(fd);
			}
		}
		name = name && name[len] ? name + len + 1 : NULL;
	}
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return taken;
}
