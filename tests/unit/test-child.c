/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a child has of its parent, how the parent listens to it, and how it ends. Hostile ones are
 * in test-negotiation-hostile.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "child/child.h"
#include "child/reaper.h"

static const struct child_options plain = {.timeout_ms = -1};
static struct error err;

static void reap_all(void)
{
	for (int i = 0; i < 6000 && reaper_has_any(); i++) {
		poll(NULL, 0, 5);
		reaper_collect();
	}
	assert_false(reaper_has_any());
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void await(const struct child *child)
{
	struct pollfd pfd = {.fd = child_poll_fd(child), .events = POLLIN};

	assert_int_equal(poll(&pfd, 1, 30000), 1);
}

static void hang(int channel, const void *argument)
{
	(void)channel;
	(void)argument;
	poll(NULL, 0, 60000);
}

/* --- what it has */

struct inheritance {
	unsigned descriptors; /* a bit for each; that of the folder is not counted */
	bool stdio_is_null, any_blocked, handler_is_default, ignored_is_ignored;
};

static void tell_inheritance(int channel, const void *argument)
{
	struct inheritance got = {0};
	DIR *fds = opendir("/proc/self/fd");
	struct stat null, st;
	struct sigaction act;
	struct dirent *entry;
	sigset_t blocked;

	(void)argument;
	while ((entry = readdir(fds)))
		if (*entry->d_name != '.' && atoi(entry->d_name) != dirfd(fds))
			got.descriptors |= 1U << atoi(entry->d_name);
	stat("/dev/null", &null);
	got.stdio_is_null = true;
	for (int fd = 0; fd <= 2; fd++)
		if (fstat(fd, &st) < 0 || st.st_rdev != null.st_rdev)
			got.stdio_is_null = false;
	sigprocmask(SIG_BLOCK, NULL, &blocked);
	got.any_blocked = !sigisemptyset(&blocked);
	sigaction(SIGTERM, NULL, &act);
	got.handler_is_default = act.sa_handler == SIG_DFL;
	sigaction(SIGHUP, NULL, &act);
	got.ignored_is_ignored = act.sa_handler == SIG_IGN;
	send(channel, &got, sizeof(got), 0);
}

static void handle(int sig)
{
	(void)sig;
}

static struct inheritance inherited_with(const struct child_options *options)
{
	struct inheritance got;
	struct child child;

	assert_int_equal(child_start(&child, options, tell_inheritance, NULL, &err), 0);
	await(&child);
	assert_int_equal(child_receive(&child, &got, sizeof(got), NULL), 1);
	child_abandon(&child);
	reap_all();
	return got;
}

static void it_has_nothing_of_its_parents(void **state)
{
	static const struct child_options with_stdio = {.keeps_stdio = true, .timeout_ms = -1};
	int files[2] = {memfd_create("stdout", 0), memfd_create("kept", 0)}, out = dup(1);
	struct inheritance got, with;
	sigset_t usr1;

	(void)state;
	signal(SIGTERM, handle);
	signal(SIGHUP, SIG_IGN);
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	sigprocmask(SIG_BLOCK, &usr1, NULL);
	fflush(stdout);
	dup2(files[0], 1);
	got = inherited_with(&plain);
	with = inherited_with(&with_stdio);
	dup2(out, 1);
	signal(SIGTERM, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
	sigprocmask(SIG_UNBLOCK, &usr1, NULL);
	close(out);
	close(files[0]);
	close(files[1]);
	assert_int_equal(got.descriptors, 15); /* 0 to 2, and the channel */
	assert_true(got.stdio_is_null);
	assert_false(got.any_blocked);
	assert_true(got.handler_is_default);
	assert_true(got.ignored_is_ignored);
	assert_int_equal(with.descriptors, 15);
	assert_false(with.stdio_is_null);
}

/* What stands in a buffer of stdio is written once, and by the parent. */
static void buffers_stay_the_parents(void **state)
{
	static const struct child_options with_stdio = {.keeps_stdio = true, .timeout_ms = -1};
	int fd = memfd_create("out", 0);
	FILE *file = fdopen(fd, "w");
	struct child child;

	(void)state;
	fputs("once", file);
	inherited_with(&with_stdio);
	assert_int_equal(child_start(&child, &with_stdio, tell_inheritance, NULL, &err), 0);
	child_abandon(&child);
	reap_all();
	fflush(file);
	assert_int_equal(lseek(fd, 0, SEEK_END), 4);
	fclose(file);
}

/* A parent of its own for each, which ends. */
static pid_t orphan(bool dies_with_parent)
{
	struct child_options options = {.dies_with_parent = dies_with_parent, .timeout_ms = -1};
	int ends[2];
	pid_t middle, pid = 0;
	struct child child;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	middle = fork();
	if (middle == 0) {
		if (child_start(&child, &options, hang, NULL, &err))
			_exit(1);
		poll(NULL, 0, 50); /* it has said by now what it wants */
		_exit(write(ends[1], &child.pid, sizeof(child.pid)) != sizeof(child.pid));
	}
	assert_int_equal(read(ends[0], &pid, sizeof(pid)), sizeof(pid));
	assert_int_equal(waitpid(middle, NULL, 0), middle);
	close(ends[0]);
	close(ends[1]);
	return pid;
}

static void one_that_is_to_die_with_its_parent_does(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	pid = orphan(true);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	pid = orphan(false);
	poll(NULL, 0, 50);
	assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
}

/* --- what it says */

static void send_with_fds(int channel, size_t size, size_t fd_count)
{
	static const struct linger linger = {1, 5};
	static const char data[64] = "abcdefghijklmnop";
	struct iovec iov = {(char *)data, size};
	union {
		char bytes[CMSG_SPACE(2 * sizeof(int))];
		struct cmsghdr header;
	} control = {.header = {.cmsg_level = SOL_SOCKET,
			     .cmsg_type = SCM_RIGHTS,
			     .cmsg_len = CMSG_LEN(fd_count * sizeof(int))}};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	int fds[2] = {socket(AF_INET, SOCK_STREAM, 0), socket(AF_INET, SOCK_STREAM, 0)};

	setsockopt(fds[0], SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	memcpy(CMSG_DATA(&control.header), fds, fd_count * sizeof(int));
	if (fd_count) {
		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
	}
	sendmsg(channel, &msg, MSG_NOSIGNAL);
	close(fds[0]);
	close(fds[1]);
}

struct speech {
	size_t sizes[3];
	size_t fd_count;
};

static void speak(int channel, const void *argument)
{
	const struct speech *speech = argument;

	for (size_t i = 0; i < 3 && speech->sizes[i]; i++)
		send_with_fds(channel, speech->sizes[i], speech->fd_count);
}

static void start(struct child *child, const struct speech *speech)
{
	assert_int_equal(child_start(child, &plain, speak, speech, &err), 0);
	await(child);
}

static void end(struct child *child)
{
	child_kill(child);
	assert_false(child_is_running(child));
	reap_all();
}

static void messages_of_the_right_size_are_taken(void **state)
{
	static const struct speech speech = {.sizes = {8, 16, 4}};
	struct child child;
	char buf[16] = "";
	int fd = 0;

	(void)state;
	start(&child, &speech);
	assert_int_equal(child_peek(&child, buf, 4), 1);
	assert_memory_equal(buf, "abcd\0", 5);
	assert_int_equal(child_receive(&child, buf, 8, &fd), 1);
	assert_memory_equal(buf, "abcdefgh\0", 9);
	assert_int_equal(fd, -1);
	await(&child);
	assert_int_equal(child_receive(&child, buf, 16, NULL), 1);
	await(&child);
	assert_int_equal(child_receive(&child, buf, 4, NULL), 1);
	await(&child);
	assert_int_equal(child_receive(&child, buf, 4, NULL), -EPIPE);
	assert_int_equal(child_peek(&child, buf, 4), -EPIPE);
	end(&child);
}

static void those_of_another_are_not(void **state)
{
	static const struct speech speech = {.sizes = {8}};
	struct child child;
	char buf[64];

	(void)state;
	start(&child, &speech);
	assert_int_equal(child_receive(&child, buf, 7, NULL), -EPROTO);
	assert_int_equal(child_receive(&child, buf, 9, NULL), -EPROTO);
	end(&child);
}

static void one_that_is_silent_is_not_waited_for(void **state)
{
	struct child child;
	char buf[8];

	(void)state;
	assert_int_equal(child_start(&child, &plain, hang, NULL, &err), 0);
	assert_int_equal(child_peek(&child, buf, sizeof(buf)), 0);
	assert_int_equal(child_receive(&child, buf, sizeof(buf), NULL), 0);
	end(&child);
}

static void a_descriptor_is_taken_when_asked_for(void **state)
{
	static const struct speech speech = {.sizes = {8}, .fd_count = 1};
	struct linger linger;
	socklen_t len = sizeof(linger);
	struct child child;
	char buf[8];
	int fd = -1;

	(void)state;
	start(&child, &speech);
	assert_int_equal(child_receive(&child, buf, 8, NULL), -EPROTO);
	assert_int_equal(child_receive(&child, buf, 8, &fd), 1);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &len), 0);
	assert_int_equal(linger.l_onoff, 0);
	close(fd);
	end(&child);
}

static int count_descriptors(void)
{
	int count = 0;

	for (int fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void two_are_refused(void **state)
{
	static const struct speech speech = {.sizes = {8}, .fd_count = 2};
	int before = count_descriptors(), fd = 0;
	struct child child;
	char buf[8];

	(void)state;
	start(&child, &speech);
	assert_int_equal(child_receive(&child, buf, 8, &fd), -EPROTO);
	assert_int_equal(fd, -1);
	end(&child);
	assert_int_equal(count_descriptors(), before);
}

static void what_is_left_in_the_channel_leaves_nothing(void **state)
{
	static const struct speech speech = {.sizes = {8, 8, 8}, .fd_count = 2},
				   bare = {.sizes = {8, 8, 8}};
	int before = count_descriptors();
	struct child child;

	(void)state;
	start(&child, &speech);
	end(&child);
	start(&child, &bare);
	end(&child);
	assert_int_equal(count_descriptors(), before);
}

/* --- how it ends */

static void leave(int channel, const void *argument)
{
	(void)channel;
	_exit(*(const int *)argument);
}

static void how_it_ended_is_reported(void **state)
{
	struct child child;
	int status, number = 7;

	(void)state;
	assert_int_equal(child_start(&child, &plain, leave, &number, &err), 0);
	child_close_channel(&child);
	await(&child); /* for its end: there is no channel */
	assert_true(child_has_ended(&child, &status));
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	assert_false(child_is_running(&child));
	assert_int_equal(child_poll_fd(&child), -1);
	assert_int_equal(child_start(&child, &plain, hang, NULL, &err), 0);
	child_close_channel(&child);
	assert_false(child_has_ended(&child, &status));
	kill(child.pid, SIGABRT);
	await(&child);
	assert_true(child_has_ended(&child, &status));
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

/* One that has ended is left to the parent, and its channel's end says so. */
static void the_end_of_the_channel_is_not_its_end(void **state)
{
	struct child child;
	int status, number = 0;
	char byte;

	(void)state;
	assert_int_equal(child_start(&child, &plain, leave, &number, &err), 0);
	await(&child);
	assert_int_equal(child_receive(&child, &byte, 1, NULL), -EPIPE);
	assert_true(child_is_running(&child));
	child_close_channel(&child);
	await(&child);
	assert_true(child_has_ended(&child, &status));
}

static void its_time_is_reported(void **state)
{
	struct child_options later = {.timeout_ms = 60000}, soon = {.timeout_ms = 1};
	struct child child;

	(void)state;
	assert_int_equal(child_start(&child, &plain, hang, NULL, &err), 0);
	assert_int_equal(child_deadline_ms(&child), -1);
	assert_false(child_is_overdue(&child));
	end(&child);
	assert_int_equal(child_start(&child, &later, hang, NULL, &err), 0);
	assert_in_range(child_deadline_ms(&child) - monotonic_now_ms(), 1, 60000);
	assert_false(child_is_overdue(&child));
	end(&child);
	assert_int_equal(child_start(&child, &soon, hang, NULL, &err), 0);
	poll(NULL, 0, 10);
	assert_true(child_is_overdue(&child));
	end(&child);
	assert_false(child_is_overdue(&child));
}

static void one_that_lives_on_is_left_to_the_reaper(void **state)
{
	int before = count_descriptors();
	struct child child;
	pid_t pid;

	(void)state;
	assert_int_equal(child_start(&child, &plain, hang, NULL, &err), 0);
	pid = child.pid;
	child_abandon(&child);
	assert_false(child_is_running(&child));
	reaper_collect();
	assert_true(reaper_has_any());
	assert_int_equal(count_descriptors(), before);
	kill(pid, SIGKILL);
	reap_all();
}

/* As one that hangs in the kernel, it does not end when it is killed: a process that traces it
 * holds up its exit. Returns that process, or -1 where it is not let. */
static pid_t hold_up(pid_t pid)
{
	int ends[2];
	char is_held = 0;
	pid_t tracer;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	tracer = fork();
	if (tracer == 0) {
		is_held = ptrace(PTRACE_SEIZE, pid, NULL, (void *)PTRACE_O_TRACEEXIT) == 0;
		if (write(ends[1], &is_held, 1) == 1)
			poll(NULL, 0, 60000);
		_exit(0);
	}
	assert_int_equal(read(ends[0], &is_held, 1), 1);
	close(ends[0]);
	close(ends[1]);
	if (is_held)
		return tracer;
	kill(tracer, SIGKILL);
	waitpid(tracer, NULL, 0);
	return -1;
}

static void one_that_cannot_be_killed_is_not_waited_for(void **state)
{
	int64_t began_ms;
	struct child child;
	pid_t tracer;
	bool is_left;

	(void)state;
	assert_int_equal(child_start(&child, &plain, hang, NULL, &err), 0);
	tracer = hold_up(child.pid);
	if (tracer < 0) {
		end(&child);
		skip();
	}
	began_ms = monotonic_now_ms();
	child_kill(&child);
	poll(NULL, 0, 100);
	reaper_collect();
	is_left = reaper_has_any();
	kill(tracer, SIGKILL);
	waitpid(tracer, NULL, 0);
	reap_all();
	assert_true(is_left);
	assert_in_range(monotonic_now_ms() - began_ms, 100, 5000);
}

static void all_zero_is_none(void **state)
{
	struct child child = {0};
	char byte;
	int status;

	(void)state;
	assert_false(child_is_running(&child));
	assert_int_equal(child_poll_fd(&child), -1);
	assert_int_equal(child_deadline_ms(&child), -1);
	assert_false(child_is_overdue(&child));
	assert_int_equal(child_peek(&child, &byte, 1), -EPIPE);
	assert_int_equal(child_receive(&child, &byte, 1, NULL), -EPIPE);
	assert_false(child_has_ended(&child, &status));
	child_close_channel(&child);
	child_abandon(&child);
	child_kill(&child);
	assert_true(fcntl(0, F_GETFD) >= 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_has_nothing_of_its_parents),
		cmocka_unit_test(buffers_stay_the_parents),
		cmocka_unit_test(one_that_is_to_die_with_its_parent_does),
		cmocka_unit_test(messages_of_the_right_size_are_taken),
		cmocka_unit_test(those_of_another_are_not),
		cmocka_unit_test(one_that_is_silent_is_not_waited_for),
		cmocka_unit_test(a_descriptor_is_taken_when_asked_for),
		cmocka_unit_test(two_are_refused),
		cmocka_unit_test(what_is_left_in_the_channel_leaves_nothing),
		cmocka_unit_test(how_it_ended_is_reported),
		cmocka_unit_test(the_end_of_the_channel_is_not_its_end),
		cmocka_unit_test(its_time_is_reported),
		cmocka_unit_test(one_that_lives_on_is_left_to_the_reaper),
		cmocka_unit_test(one_that_cannot_be_killed_is_not_waited_for),
		cmocka_unit_test(all_zero_is_none),
	};

	return cmocka_run_group_tests_name("child", tests, NULL, NULL);
}
