/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A link's end, against a server that still answers when it is told of it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>
#include "supervisor/link.h"

static struct link ours;
static int server;

static int connect_to_ourselves(void **state)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	ours = (struct link){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
	assert_int_equal(bind(listener, (struct sockaddr *)&address, len), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len), 0);
	assert_int_equal(connect(ours.fd, (struct sockaddr *)&address, len), 0);
	server = accept(listener, NULL, NULL);
	assert_true(server >= 0);
	close(listener);
	return 0;
}

static int disconnect(void **state)
{
	(void)state;
	link_close(&ours);
	close(server);
	return 0;
}

/* As nbdkit does with what it has read and not begun (kernel fact half-close-errors). */
static void *answer_at_the_end(void *arg)
{
	char request[16];

	(void)arg;
	while (recv(server, request, sizeof(request), 0) > 0)
		;
	send(server, "late", 4, MSG_NOSIGNAL);
	return NULL;
}

static void no_answer_comes_in_once_a_link_is_shut(void **state)
{
	pthread_t thread;
	char answer[16];
	ssize_t len;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, answer_at_the_end, NULL), 0);
	link_shut(&ours);
	pthread_join(thread, NULL);
	len = recv(ours.fd, answer, sizeof(answer), MSG_DONTWAIT);
	assert_true(len == 0 || (len < 0 && errno != EAGAIN));
}

static void an_answer_that_was_there_is_read(void **state)
{
	struct pollfd in = {.fd = ours.fd, .events = POLLIN};
	char answer[16];

	(void)state;
	assert_int_equal(send(server, "soon", 4, MSG_NOSIGNAL), 4);
	assert_int_equal(poll(&in, 1, 5000), 1);
	link_shut(&ours);
	assert_int_equal(recv(ours.fd, answer, sizeof(answer), MSG_DONTWAIT), 4);
	assert_true(recv(ours.fd, answer, sizeof(answer), MSG_DONTWAIT) <= 0);
}

static void nothing_goes_out_over_a_link_that_is_shut(void **state)
{
	(void)state;
	link_shut(&ours);
	assert_int_equal(send(ours.fd, "more", 4, MSG_NOSIGNAL), -1);
	assert_int_equal(errno, EPIPE);
}

static bool owes(void)
{
	struct link_sample sample;

	assert_int_equal(link_sample(&ours, &sample), 0);
	return sample.owed;
}

static void pass_some_ticks(void)
{
	poll(NULL, 0, 50);
}

/* Of any kind: a flush is no more than that to TCP. */
static void what_is_sent_and_not_answered_is_owed(void **state)
{
	char request[16];

	(void)state;
	pass_some_ticks();
	assert_int_equal(send(ours.fd, "flush", 5, MSG_NOSIGNAL), 5);
	pass_some_ticks();
	assert_true(owes());
	assert_int_equal(recv(server, request, sizeof(request), 0), 5);
	pass_some_ticks();
	assert_true(owes());
	assert_int_equal(send(server, "done", 4, MSG_NOSIGNAL), 4);
	pass_some_ticks();
	assert_false(owes());
	assert_true(link_is_up(&ours));
	shutdown(server, SHUT_WR);
	pass_some_ticks();
	assert_false(link_is_up(&ours));
}

/* The peer's TCP acknowledges all, also the probes of its closed window: its program hangs, and the
 * path is whole. */
static void a_program_that_does_not_read_is_no_dead_path(void **state)
{
	static const char data[1 << 16];
	struct link_sample sample;

	(void)state;
	while (send(ours.fd, data, sizeof(data), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
		;
	assert_int_equal(errno, EAGAIN);
	for (int i = 0; i < 30; i++) {
		poll(NULL, 0, 50);
		assert_int_equal(link_sample(&ours, &sample), 0);
		assert_int_equal(sample.lost_ms, 0);
		assert_true(sample.owed);
	}
	assert_true(link_is_up(&ours));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			no_answer_comes_in_once_a_link_is_shut, connect_to_ourselves, disconnect),
		cmocka_unit_test_setup_teardown(
			an_answer_that_was_there_is_read, connect_to_ourselves, disconnect),
		cmocka_unit_test_setup_teardown(
			what_is_sent_and_not_answered_is_owed, connect_to_ourselves, disconnect),
		cmocka_unit_test_setup_teardown(a_program_that_does_not_read_is_no_dead_path,
			connect_to_ourselves, disconnect),
		cmocka_unit_test_setup_teardown(nothing_goes_out_over_a_link_that_is_shut,
			connect_to_ourselves, disconnect),
	};

	return cmocka_run_group_tests_name("link", tests, NULL, NULL);
}
