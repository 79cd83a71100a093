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
#include <sys/socket.h>
#include <sys/un.h>
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_log_daemon_that_does_not_read_is_not_waited_for),
		cmocka_unit_test(a_reader_of_stderr_is_not_waited_for),
	};

	return cmocka_run_group_tests_name("supervisor-log", tests, NULL, NULL);
}
