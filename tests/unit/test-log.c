/* SPDX-License-Identifier: GPL-2.0-or-later */
/* We read what the supervisor says, or do not. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "output/log.h"

#define LINES 2000 /* more than any queue has room for */

/* Each line would wait for ever once there is no room. */
static void say_much(void)
{
	struct timespec began, ended;
	char text[1000];

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = 0;
	clock_gettime(CLOCK_MONOTONIC, &began);
	for (int i = 0; i < LINES; i++)
		log_message(LOG_INFO, "line %d %s", i, text);
	clock_gettime(CLOCK_MONOTONIC, &ended);
	assert_in_range(ended.tv_sec - began.tv_sec, 0, 20);
}

static void a_log_daemon_that_does_not_read_is_not_waited_for(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), count = 0;
	char message[2048];
	ssize_t n;

	(void)state;
	snprintf(address.sun_path, sizeof(address.sun_path), "/tmp/test-supervisor-log.%d",
		(int)getpid());
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	log_set_socket(address.sun_path);
	log_open(false, false);
	alarm(60);
	say_much();
	while ((n = recv(fd, message, sizeof(message) - 1, 0)) > 0) {
		message[n] = 0;
		assert_int_equal(strncmp(message, "<30>", 4), 0); /* daemon.info */
		assert_non_null(strstr(message, "]: line "));
		count++;
	}
	assert_in_range(count, 1, LINES - 1);
	log_message(LOG_ERR, "after that");
	n = recv(fd, message, sizeof(message) - 1, 0);
	assert_true(n > 0);
	message[n] = 0;
	snprintf(message + 1500, 100, "]: %d lines before this one are lost", LINES - count);
	assert_non_null(strstr(message, message + 1500));
	n = recv(fd, message, sizeof(message) - 1, 0);
	assert_true(n > 0);
	message[n] = 0;
	assert_int_equal(strncmp(message, "<27>", 4), 0);
	assert_non_null(strstr(message, "]: after that"));
	log_message(LOG_ERR, "and this");
	assert_true(recv(fd, message, sizeof(message) - 1, 0) > 0);
	assert_true(recv(fd, message, sizeof(message) - 1, 0) < 0);
	alarm(0);
	unlink(address.sun_path);
	close(fd);
}

static void a_reader_of_stderr_is_not_waited_for(void **state)
{
	int fds[2], former = dup(STDERR_FILENO);

	(void)state;
	assert_int_equal(pipe(fds), 0);
	dup2(fds[1], STDERR_FILENO);
	close(fds[1]);
	log_open(true, false);
	alarm(60);
	say_much();
	/* Nor does it end us if there is none any more. */
	close(fds[0]);
	log_message(LOG_ERR, "nobody hears this");
	alarm(0);
	dup2(former, STDERR_FILENO);
	close(former);
}

/* A full disk, a file at its limit, a terminal that is gone: the line is lost, and counted. */
static void a_stderr_that_takes_nothing_ends_nobody(void **state)
{
	const struct rlimit tiny = {16, 16};
	int pty = posix_openpt(O_RDWR | O_NOCTTY), tty = -1, out[2];
	char text[800] = "";
	pid_t pid;
	int status;

	(void)state;
	assert_true(pty >= 0 && grantpt(pty) == 0 && unlockpt(pty) == 0);
	tty = open(ptsname(pty), O_RDWR | O_NOCTTY);
	assert_true(tty >= 0);
	close(pty);
	assert_int_equal(pipe(out), 0);
	pid = fork();
	if (pid == 0) {
		FILE *file = tmpfile();

		log_open(true, false);
		dup2(out[1], STDERR_FILENO);
		log_message(LOG_ERR, "what the tests before lost is told now");
		dup2(open("/dev/full", O_WRONLY), STDERR_FILENO);
		log_message(LOG_ERR, "no room");
		dup2(tty, STDERR_FILENO);
		log_message(LOG_ERR, "nobody is there");
		if (!file || setrlimit(RLIMIT_FSIZE, &tiny) < 0)
			_exit(1);
		dup2(fileno(file), STDERR_FILENO);
		log_message(LOG_ERR, "longer than a file may be");
		log_message(LOG_ERR, "and again");
		dup2(out[1], STDERR_FILENO);
		log_message(LOG_ERR, "there is one again");
		_exit(0);
	}
	close(tty);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_true(read(out[0], text, sizeof(text) - 1) > 0);
	assert_non_null(strstr(text, ": 4 lines before this one are lost"));
	assert_non_null(strstr(text, "there is one again"));
	close(out[0]);
	close(out[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_log_daemon_that_does_not_read_is_not_waited_for),
		cmocka_unit_test(a_reader_of_stderr_is_not_waited_for),
		cmocka_unit_test(a_stderr_that_takes_nothing_ends_nobody),
	};

	return cmocka_run_group_tests_name("supervisor-log", tests, NULL, NULL);
}
