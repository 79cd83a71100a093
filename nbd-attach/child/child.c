/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "child/child.h"
#include "base/passed-fd.h"
#include "base/clock.h"
#include "child/reaper.h"
#include "isolate/isolate.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* What a channel's queue may hold for us to empty it, and not another process. */
#define LEFT_MAX 32

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* --- in the child */

/* As exec() does it: what a handler of the parent's is for is the parent's business. */
static void drop_handlers(void)
{
	struct sigaction act;

	for (int sig = 1; sig < NSIG; sig++) {
		if (sigaction(sig, NULL, &act) < 0 || act.sa_handler == SIG_IGN ||
			act.sa_handler == SIG_DFL)
			continue;
		act = (struct sigaction){.sa_handler = SIG_DFL};
		sigaction(sig, &act, NULL);
	}
}

static int keep_only(int channel, bool stdio)
{
	int null;

	if (dup2(channel, CHILD_CHANNEL) < 0 ||
		syscall(SYS_close_range, CHILD_CHANNEL + 1U, ~0U, 0U) < 0)
		return -errno;
	if (stdio)
		return 0;
	null = open("/dev/null", O_RDWR);
	for (int fd = 0; fd <= 2; fd++)
		if (dup2(null, fd) < 0)
			close(fd);
	if (null > CHILD_CHANNEL)
		close(null);
	return 0;
}

static _Noreturn void run(int channel, pid_t parent, const struct child_options *options,
	child_function *function, const void *argument)
{
	sigset_t none;

	if (options->dies_with_parent) {
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		if (getppid() != parent)
			_exit(1);
	}
	drop_handlers();
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	isolate_enter_child();
	if (keep_only(channel, options->keeps_stdio) < 0)
		_exit(1);
	function(CHILD_CHANNEL, argument);
	_exit(0);
}

/* --- in the parent */

int child_start(struct child *child, const struct child_options *options, child_function *function,
	const void *argument, struct error *err)
{
	pid_t parent = getpid();
	int pair[2], rc;

	*child = (struct child){0};
	if (reaper_is_full())
		return error_set(err, ERROR_OTHER, EAGAIN,
			"too many processes of ours hang in the kernel already, and cannot be "
			"killed");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return error_set(err, ERROR_OTHER, errno, "socketpair: %s", strerror(errno));
	child->pid = fork();
	if (child->pid == 0)
		run(pair[1], parent, options, function, argument);
	rc = child->pid < 0 ? -errno : 0;
	close(pair[1]);
	if (rc) {
		close(pair[0]);
		*child = (struct child){0};
		return error_set(
			err, ERROR_OTHER, -rc, "cannot start another process: %s", strerror(-rc));
	}
	child->channel = pair[0];
	child->deadline_ms =
		options->timeout_ms < 0 ? -1 : monotonic_now_ms() + options->timeout_ms;
	child->pidfd = (int)syscall(SYS_pidfd_open, child->pid, 0U);
	if (child->pidfd < 0) {
		rc = error_set(err, ERROR_OTHER, errno, "pidfd_open: %s", strerror(errno));
		child_kill(child);
	}
	return rc;
}

bool child_is_running(const struct child *child)
{
	return child->pid > 0;
}

int child_poll_fd(const struct child *child)
{
	if (!child_is_running(child))
		return -1;
	return child->channel >= 0 ? child->channel : child->pidfd;
}

int64_t child_deadline_ms(const struct child *child)
{
	return child_is_running(child) ? child->deadline_ms : -1;
}

bool child_is_overdue(const struct child *child)
{
	int64_t deadline_ms = child_deadline_ms(child);

	return deadline_ms >= 0 && monotonic_now_ms() >= deadline_ms;
}

/* With no room for descriptors, so that none comes to us: what is in the channel's queue keeps its
 * own until it is taken from there. */
static ssize_t peek(int channel, void *buf, size_t size, bool *has_descriptors)
{
	struct iovec iov = {buf, size};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n = recvmsg(channel, &msg, MSG_DONTWAIT | MSG_PEEK | MSG_TRUNC);

	*has_descriptors = n >= 0 && msg.msg_flags & MSG_CTRUNC;
	return n;
}

/* When a last message and the end come together, just as the kernel has seen that there is no
 * message, it says that it is the end (unix_dgram_recvmsg): only the second time is that true. */
static int await_size(const struct child *child, void *buf, size_t size, bool *has_descriptors)
{
	ssize_t n = 0;

	if (!child_is_running(child) || child->channel < 0)
		return -EPIPE;
	for (int i = 0; i < 2 && n <= 0; i++) {
		n = peek(child->channel, buf, size, has_descriptors);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return 0;
	}
	return n <= 0 ? -EPIPE : n > INT32_MAX ? INT32_MAX : (int)n;
}

int child_peek(const struct child *child, void *buf, size_t size)
{
	bool has_descriptors;
	int n = await_size(child, buf, size, &has_descriptors);

	return n > 0 ? 1 : n;
}

/* The one descriptor of the message that is next in the queue, with no linger; -EPROTO: there are
 * more. Those come not to us. */
static int take_fd(int channel, int *fd)
{
	static const struct linger none = {0};
	struct passed_fd room;
	char byte;
	struct iovec iov = {&byte, 1};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	passed_fd_expect(&msg, &room);
	if (recvmsg(channel, &msg, MSG_DONTWAIT | MSG_PEEK | MSG_CMSG_CLOEXEC) < 0)
		return -EPROTO;
	*fd = passed_fd_take(&msg);
	if (*fd >= 0)
		/* or close() would wait until all is sent */
		setsockopt(*fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
	return *fd < 0 || msg.msg_flags & MSG_CTRUNC ? -EPROTO : 0;
}

/* Descriptors that were not asked for stay in the queue, whose end is child_close_channel()'s. */
int child_receive(const struct child *child, void *buf, size_t size, int *fd)
{
	bool has_descriptors = false;
	int taken_fd = -1, n = await_size(child, buf, size, &has_descriptors);
	char byte;

	if (fd)
		*fd = -1;
	if (n <= 0)
		return n;
	if ((size_t)n != size || (has_descriptors && !fd))
		return -EPROTO;
	if (has_descriptors && take_fd(child->channel, &taken_fd)) {
		reaper_close(taken_fd);
		return -EPROTO;
	}
	if (fd)
		*fd = taken_fd;
	return recv(child->channel, &byte, 1, MSG_DONTWAIT) < 0 ? -EPIPE : 1;
}

static bool drop_message(int channel)
{
	bool has_descriptors;
	char byte;

	return peek(channel, &byte, 1, &has_descriptors) > 0 && !has_descriptors &&
		recv(channel, &byte, 1, MSG_DONTWAIT) >= 0;
}

/* What is left in its queue is closed with it, descriptors too, and that might block. To whom
 * credentials are to be passed, they come with each message, also with one of no bytes; with the
 * end of all come none. */
void child_close_channel(struct child *child)
{
	int on = 1;
	bool has_credentials = true;
	char byte;

	if (!child_is_running(child) || child->channel < 0)
		return;
	shutdown(child->channel, SHUT_RD); /* nothing can be added from here on */
	for (int i = 0; i < LEFT_MAX && drop_message(child->channel); i++)
		;
	setsockopt(child->channel, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
	if (peek(child->channel, &byte, 1, &has_credentials) <= 0 && !has_credentials)
		close(child->channel);
	else
		reaper_close(child->channel);
	child->channel = -1;
}

bool child_has_ended(struct child *child, int *status)
{
	*status = 0;
	if (!child_is_running(child) || waitpid(child->pid, status, WNOHANG) == 0)
		return false;
	child_close_channel(child);
	close_fd(&child->pidfd);
	*child = (struct child){0};
	return true;
}

void child_abandon(struct child *child)
{
	if (!child_is_running(child))
		return;
	child_close_channel(child);
	close_fd(&child->pidfd);
	reaper_add(child->pid);
	*child = (struct child){0};
}

void child_kill_and_await(struct child *child, int timeout_ms)
{
	if (!child_is_running(child))
		return;
	kill(child->pid, SIGKILL);
	child->deadline_ms = monotonic_now_ms() + timeout_ms;
}

void child_kill(struct child *child)
{
	if (child_is_running(child))
		kill(child->pid, SIGKILL);
	child_abandon(child);
}
