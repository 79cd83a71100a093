/* SPDX-License-Identifier: GPL-2.0-or-later */
/* We are the service manager. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include "supervisor/notify.h"

#define FIRST_FD 3

static int manager = -1;
static char path[64];

/* PATH as NOTIFY_SOCKET has it. */
static void listen_at(const char *at)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	memcpy(address.sun_path, at, strlen(at));
	if (*at == '@')
		address.sun_path[0] = 0;
	/* Out of the way of the descriptors that are passed from 3 on. */
	manager = fcntl(fd, F_DUPFD_CLOEXEC, 100);
	close(fd);
	assert_int_equal(bind(manager, (struct sockaddr *)&address,
				 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(at))),
		0);
	setenv("NOTIFY_SOCKET", at, 1);
}

static int setup(void **state)
{
	(void)state;
	snprintf(path, sizeof(path), "/tmp/test-notify.%d", (int)getpid());
	listen_at(path);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(manager);
	unlink(path);
	unsetenv("NOTIFY_SOCKET");
	return 0;
}

/* The message as a string; *FD is what came with it, or -1. "" when there was none. */
static const char *receive(int *fd)
{
	static char message[2048];
	char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8)));
	struct iovec iov = {message, sizeof(message) - 1};
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(manager, &msg, MSG_CMSG_CLOEXEC);
	struct cmsghdr *cmsg = n >= 0 ? CMSG_FIRSTHDR(&msg) : NULL;

	message[n > 0 ? n : 0] = 0;
	*fd = -1;
	if (cmsg && cmsg->cmsg_type == SCM_RIGHTS)
		memcpy(fd, CMSG_DATA(cmsg), sizeof(int));
	return message;
}

static bool is_same_file(int a, int b)
{
	struct stat sa, sb;

	return fstat(a, &sa) == 0 && fstat(b, &sb) == 0 && sa.st_dev == sb.st_dev &&
		sa.st_ino == sb.st_ino;
}

static void the_manager_is_notified(void **state)
{
	char ready[128];
	int fd;

	(void)state;
	notify_ready("attached");
	snprintf(ready, sizeof(ready), "READY=1\nMAINPID=%d\nSTATUS=attached\n", (int)getpid());
	assert_string_equal(receive(&fd), ready);
	notify_status("1 of 2 links");
	assert_string_equal(receive(&fd), "STATUS=1 of 2 links\n");
	notify_forget_fd("link-0");
	assert_string_equal(receive(&fd), "FDSTOREREMOVE=1\nFDNAME=link-0\n");
	assert_int_equal(fd, -1);
}

static void a_status_is_one_line(void **state)
{
	char status[5000];
	const char *said;
	int fd;

	(void)state;
	notify_status("one\nMAINPID=1");
	assert_string_equal(receive(&fd), "STATUS=one\n");
	memset(status, 'x', sizeof(status) - 1);
	status[sizeof(status) - 1] = 0;
	notify_status(status);
	said = receive(&fd);
	assert_int_equal(strlen(said), strlen("STATUS=\n") + 1000);
	assert_int_equal(said[strlen(said) - 1], '\n');
}

static void a_descriptor_arrives(void **state)
{
	int pair[2], fd;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_true(notify_can_store());
	assert_int_equal(notify_store_fd("link-0", pair[0]), 0);
	assert_string_equal(receive(&fd), "FDSTORE=1\nFDNAME=link-0\nFDPOLL=0\n");
	assert_true(is_same_file(fd, pair[0]));
	close(fd);
	assert_int_equal(notify_store_fd("link-0", -1), -EBADF);
	assert_string_equal(receive(&fd), "");
	close(pair[0]);
	close(pair[1]);
}

static void names_that_could_say_more_are_refused(void **state)
{
	static const char *const names[] = {"", "a:b", "a\nREADY=1", "a b", "Link", "link_0",
		"\x80", "0123456789012345678901234567890x"};
	int fd;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		assert_int_equal(notify_store_fd(names[i], 0), -EINVAL);
		notify_forget_fd(names[i]);
		assert_string_equal(receive(&fd), "");
	}
	assert_int_equal(notify_store_fd("0123456789012345678901234567890", 0), 0);
}

static void abstract_addresses_work_too(void **state)
{
	char address[64];
	int fd;

	(void)state;
	snprintf(address, sizeof(address), "@test-notify.%d", (int)getpid());
	close(manager);
	listen_at(address);
	assert_int_equal(notify_store_fd("netlink", 0), 0);
	assert_string_equal(receive(&fd), "FDSTORE=1\nFDNAME=netlink\nFDPOLL=0\n");
	close(fd);
}

static void without_a_manager_nothing_is_said(void **state)
{
	char longer[400];
	static const char *const addresses[] = {"", "/", "@", "relative", "vsock:2:1234"};

	(void)state;
	for (size_t i = 0; i < sizeof(addresses) / sizeof(*addresses); i++) {
		setenv("NOTIFY_SOCKET", addresses[i], 1);
		assert_false(notify_can_store());
		assert_int_equal(notify_store_fd("link-0", 0), -ENOTCONN);
		notify_ready("attached");
	}
	for (size_t len = sizeof(((struct sockaddr_un *)0)->sun_path); len < sizeof(longer);
		len += 100) {
		memset(longer, '/', len);
		longer[len] = 0;
		setenv("NOTIFY_SOCKET", longer, 1);
		assert_false(notify_can_store());
		assert_int_equal(notify_store_fd("link-0", 0), -ENOTCONN);
	}
	unsetenv("NOTIFY_SOCKET");
	assert_int_equal(notify_store_fd("link-0", 0), -ENOTCONN);
	setenv("NOTIFY_SOCKET", "/tmp/there is no such socket", 1);
	assert_int_equal(notify_store_fd("link-0", 0), -ENOENT);
}

/* Descriptors FIRST_FD to FIRST_FD + COUNT - 1, without close-on-exec as they come over exec. */
static void pass(const char *pid, const char *count_text, const char *names, int count)
{
	char self[16];

	snprintf(self, sizeof(self), "%d", (int)getpid());
	for (int i = 0; i < count; i++)
		assert_int_equal(dup2(manager, FIRST_FD + i), FIRST_FD + i);
	setenv("LISTEN_PID", pid ? pid : self, 1);
	setenv("LISTEN_FDS", count_text, 1);
	if (names)
		setenv("LISTEN_FDNAMES", names, 1);
}

static void environment_is_cleared(void)
{
	assert_null(getenv("LISTEN_PID"));
	assert_null(getenv("LISTEN_FDS"));
	assert_null(getenv("LISTEN_FDNAMES"));
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void stored_descriptors_are_taken(void **state)
{
	struct stored_fd fds[4];

	(void)state;
	pass(NULL, "3", "netlink:link-0:link-1", 3);
	assert_int_equal(notify_take_fds(fds, 4), 3);
	assert_string_equal(fds[0].name, "netlink");
	assert_string_equal(fds[1].name, "link-0");
	assert_string_equal(fds[2].name, "link-1");
	for (int i = 0; i < 3; i++) {
		assert_int_equal(fds[i].fd, FIRST_FD + i);
		assert_int_equal(fcntl(fds[i].fd, F_GETFD), FD_CLOEXEC);
		close(fds[i].fd);
	}
	environment_is_cleared();
	assert_int_equal(notify_take_fds(fds, 4), 0);
}

static void what_cannot_be_used_is_closed(void **state)
{
	struct stored_fd fds[2];

	(void)state;
	pass(NULL, "6", "stored:a b::0123456789012345678901234567890x:link-0:link-1", 6);
	assert_int_equal(notify_take_fds(fds, 2), 2);
	assert_string_equal(fds[0].name, "stored");
	assert_int_equal(fds[0].fd, FIRST_FD);
	assert_string_equal(fds[1].name, "link-0");
	assert_int_equal(fds[1].fd, FIRST_FD + 4);
	for (int i = 1; i < 6; i++)
		assert_int_equal(is_open(FIRST_FD + i), i == 4);
	close(fds[0].fd);
	close(fds[1].fd);
	/* fewer names than descriptors, no names, and fewer descriptors than were said */
	pass(NULL, "2", "link-0", 2);
	assert_int_equal(notify_take_fds(fds, 2), 1);
	assert_false(is_open(FIRST_FD + 1));
	close(fds[0].fd);
	pass(NULL, "1", NULL, 1);
	assert_int_equal(notify_take_fds(fds, 2), 0);
	assert_false(is_open(FIRST_FD));
	pass(NULL, "2", "link-0:link-1", 1);
	assert_int_equal(notify_take_fds(fds, 2), 1);
	close(fds[0].fd);
}

static void bad_counts_and_others_descriptors_are_left_alone(void **state)
{
	static const struct {
		const char *pid, *count;
	} table[] = {
		{NULL, ""},
		{NULL, "0"},
		{NULL, "-1"},
		{NULL, "1x"},
		{NULL, " 1"},
		{NULL, "+1"},
		{NULL, "0x1"},
		{NULL, "257"},
		{NULL, "99999999999999999999"},
		{"1", "1"},
		{"", "1"},
		{"-1", "1"},
		{"99999999999999999999", "1"},
		{"self", "1"},
	};
	struct stored_fd fds[2];

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		pass(table[i].pid, table[i].count, "link-0", 1);
		assert_int_equal(notify_take_fds(fds, 2), 0);
		assert_true(is_open(FIRST_FD));
		assert_int_equal(fcntl(FIRST_FD, F_GETFD), 0);
		environment_is_cleared();
	}
	close(FIRST_FD);
}

static void the_watchdog_is_fed_twice_as_often_as_is_asked(void **state)
{
	int fd;
	char own[16];
	const struct {
		const char *usec, *pid;
		int64_t ms;
	} table[] = {
		{NULL, NULL, 0},
		{"30000000", NULL, 15000},
		{"30000000", own, 15000},
		{"30000000", "1", 0},
		{"30000000", "", 0},
		{"30000000", "x", 0},
		{"0", own, 0},
		{"-1", own, 0},
		{"", own, 0},
		{"30s", own, 0},
		{"1", own, 1},
		{"1999", own, 1},
		{"2000", own, 1},
		{"4000", own, 2},
		{"99999999999999999999", own, 0},
		{NULL, own, 0},
	};

	(void)state;
	snprintf(own, sizeof(own), "%d", (int)getpid());
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		unsetenv("WATCHDOG_USEC");
		unsetenv("WATCHDOG_PID");
		if (table[i].usec)
			setenv("WATCHDOG_USEC", table[i].usec, 1);
		if (table[i].pid)
			setenv("WATCHDOG_PID", table[i].pid, 1);
		assert_int_equal(notify_watchdog_ms(), table[i].ms);
	}
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	notify_watchdog();
	assert_string_equal(receive(&fd), "WATCHDOG=1\n");
	assert_int_equal(fd, -1);
}

/* One that reads nothing holds up nobody: its queue is full soon. */
static void a_manager_that_hangs_is_not_waited_for(void **state)
{
	(void)state;
	for (int i = 0; i < 3000; i++) {
		notify_watchdog();
		notify_status("still here");
	}
}

/* Until the manager's queue is full. */
static int fill_queue(void)
{
	int count = 0;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, path);
	while (sendto(fd, "x", 1, MSG_DONTWAIT, (struct sockaddr *)&address, sizeof(address)) >= 0)
		count++;
	close(fd);
	return count;
}

/* Each of these would have waited for five seconds once. */
static void a_manager_that_does_not_read_is_told_later(void **state)
{
	int count = fill_queue(), fds[2], got, fd;
	struct timespec began, ended;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	clock_gettime(CLOCK_MONOTONIC, &began);
	notify_ready("attached");
	assert_int_equal(notify_store_fd("netlink", fds[0]), 0);
	assert_int_equal(notify_store_fd("link-0", fds[0]), 0);
	notify_forget_fd("link-0");
	assert_int_equal(notify_store_fd("link-0", fds[1]), 0);
	notify_status("lost");
	clock_gettime(CLOCK_MONOTONIC, &ended);
	assert_in_range(ended.tv_sec - began.tv_sec, 0, 3);
	assert_int_equal(notify_flush(), 4); /* what was forgotten need not be stored first */
	/* They are kept although we close them. */
	got = dup(fds[1]);
	close(fds[0]);
	close(fds[1]);
	for (int i = 0; i < count; i++)
		receive(&fd);
	assert_int_equal(notify_flush(), 0);
	assert_non_null(strstr(receive(&fd), "READY=1\n"));
	assert_non_null(strstr(receive(&fd), "FDSTORE=1\nFDNAME=netlink\n"));
	close(fd);
	assert_non_null(strstr(receive(&fd), "FDSTOREREMOVE=1\nFDNAME=link-0\n"));
	assert_non_null(strstr(receive(&fd), "FDSTORE=1\nFDNAME=link-0\n"));
	assert_true(is_same_file(fd, got));
	close(fd);
	close(got);
	assert_string_equal(receive(&fd), "");
}

static void there_is_room_for_all_links(void **state)
{
	char name[STORED_FD_NAME_SIZE];
	int fd, count = 0;

	(void)state;
	fill_queue();
	notify_ready("attached");
	for (int round = 0; round < 3; round++)
		for (int i = 0; i < 64; i++) {
			snprintf(name, sizeof(name), "link-%d", i);
			notify_forget_fd(name);
			assert_int_equal(notify_store_fd(name, 0), 0);
		}
	assert_int_equal(notify_flush(), 129);
	do {
		for (const char *message = receive(&fd); *message; message = receive(&fd)) {
			count += strncmp(message, "FDSTORE=1", 9) == 0;
			if (fd >= 0)
				close(fd);
		}
	} while (notify_flush());
	while (*receive(&fd))
		count += fd >= 0 && close(fd) == 0;
	assert_int_equal(count, 64);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_manager_is_notified, setup, teardown),
		cmocka_unit_test_setup_teardown(a_status_is_one_line, setup, teardown),
		cmocka_unit_test_setup_teardown(a_descriptor_arrives, setup, teardown),
		cmocka_unit_test_setup_teardown(
			names_that_could_say_more_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(abstract_addresses_work_too, setup, teardown),
		cmocka_unit_test_setup_teardown(without_a_manager_nothing_is_said, setup, teardown),
		cmocka_unit_test_setup_teardown(
			the_watchdog_is_fed_twice_as_often_as_is_asked, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_manager_that_hangs_is_not_waited_for, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_manager_that_does_not_read_is_told_later, setup, teardown),
		cmocka_unit_test_setup_teardown(there_is_room_for_all_links, setup, teardown),
		cmocka_unit_test_setup_teardown(stored_descriptors_are_taken, setup, teardown),
		cmocka_unit_test_setup_teardown(what_cannot_be_used_is_closed, setup, teardown),
		cmocka_unit_test_setup_teardown(
			bad_counts_and_others_descriptors_are_left_alone, setup, teardown),
	};

	return cmocka_run_group_tests_name("notify", tests, NULL, NULL);
}
