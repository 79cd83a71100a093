/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A negotiator that does what it can to keep its parent: it floods, stops, hangs, and passes
 * sockets whose closing waits. No step of the loop takes long for it, and no zombie stays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/passed-fd.h"
#include "child/reaper.h"
#include "fake-negotiator.h"

/* For so long one does what it can to keep its parent; no step of that one may take but a small
 * part. */
#define HANG_MS 10000
#define STEP_MAX_MS 1000

static size_t size_of(uint32_t type)
{
	return type == NEGOTIATION_MESSAGE_EXPORT ? sizeof(struct negotiation_export_message) :
		type == NEGOTIATION_MESSAGE_NAMES ? sizeof(struct negotiation_names_message) :
						    sizeof(struct negotiation_message);
}

static void say(int channel, uint32_t type, const int *fds, size_t fd_count)
{
	static union {
		struct negotiation_message small;
		struct negotiation_export_message export;
		struct negotiation_names_message names;
	} message;
	struct iovec iov = {&message, size_of(type)};
	char control[CMSG_SPACE(2 * sizeof(int))] __attribute__((aligned(8))) = {0};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	message.small.type = type;
	if (fd_count) {
		struct cmsghdr *cmsg = (struct cmsghdr *)control;

		msg.msg_control = control;
		msg.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
		*cmsg = (struct cmsghdr){.cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS,
			.cmsg_len = CMSG_LEN(fd_count * sizeof(int))};
		memcpy(CMSG_DATA(cmsg), fds, fd_count * sizeof(int));
	}
	if (sendmsg(channel, &msg, MSG_NOSIGNAL) < 0)
		_exit(0);
}

static int listener; /* outlives the negotiator, as a server does */
static struct sockaddr_in listener_address;

/* A connection whose close() waits for its peer, who does not read. */
static int lingering(void)
{
	struct linger linger = {1, HANG_MS / 1000};
	const struct sockaddr *address = (const struct sockaddr *)&listener_address;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	static const char data[65536];

	if (connect(fd, address, sizeof(listener_address)))
		_exit(1);
	while (send(fd, data, sizeof(data), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
		;
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	return fd;
}

/* The last one to have them is then the process that takes them from the channel, or closes it. */
static void say_lingering(int channel, uint32_t type, size_t count)
{
	int fds[2] = {lingering(), lingering()};

	say(channel, type, fds, count);
	close(fds[0]);
	if (count > 1)
		close(fds[1]);
}

static void sends_its_last_message(int channel)
{
	say(channel, NEGOTIATION_MESSAGE_RESULT, NULL, 0);
}
static void says_an_error(int channel)
{
	say(channel, NEGOTIATION_MESSAGE_ERROR, NULL, 0);
}
static void closes(int channel)
{
	close(channel);
}
static void half_closes(int channel)
{
	shutdown(channel, SHUT_WR);
}
static void closes_for_reading(int channel)
{
	shutdown(channel, SHUT_RD);
}
static void says_nothing_at_length(int channel)
{
	send(channel, "", 0, 0);
}
static void stops(int channel)
{
	(void)channel;
	raise(SIGSTOP);
}
static void lingers_in_a_stage(int channel)
{
	say_lingering(channel, NEGOTIATION_MESSAGE_STAGE, 1);
}
static void lingers_in_an_error(int channel)
{
	say_lingering(channel, NEGOTIATION_MESSAGE_ERROR, 1);
}
static void lingers_in_the_result(int channel)
{
	say_lingering(channel, NEGOTIATION_MESSAGE_RESULT, 1);
}
static void gives_two(int channel)
{
	say_lingering(channel, NEGOTIATION_MESSAGE_RESULT, 2);
}

static void lingers_behind_its_last_message(int channel)
{
	say(channel, NEGOTIATION_MESSAGE_ERROR, NULL, 0);
	say_lingering(channel, NEGOTIATION_MESSAGE_STAGE, 2);
}

static void lingers_behind_nothing(int channel)
{
	int fd = lingering();
	struct msghdr msg = {0};
	struct passed_fd room;

	passed_fd_add(&msg, &room, fd);
	says_an_error(channel);
	send(channel, "", 0, 0);
	sendmsg(channel, &msg, 0);
	close(fd);
	close(channel);
}

static void floods(int channel)
{
	for (;;)
		say(channel, NEGOTIATION_MESSAGE_STAGE, NULL, 0);
}

static void says_names(int channel)
{
	say(channel, NEGOTIATION_MESSAGE_NAMES, NULL, 0);
}
static void lingers_in_an_export(int channel)
{
	say_lingering(channel, NEGOTIATION_MESSAGE_EXPORT, 1);
}

static void floods_with_exports(int channel)
{
	for (;;)
		say(channel, NEGOTIATION_MESSAGE_EXPORT, NULL, 0);
}

static const struct hostile {
	const char *name;
	void (*act)(int channel);
	enum negotiation_kind kind;
	const char *message; /* NULL: it is believed */
} hostiles[] = {
	{"sends its last message and lives on", sends_its_last_message, NEGOTIATION_INFO, NULL},
	{"says an error and lives on", says_an_error, NEGOTIATION_INFO, ""},
	{"closes its channel and lives on", closes, NEGOTIATION_INFO, "hung up and did not end"},
	{"half-closes its channel and lives on", half_closes, NEGOTIATION_INFO,
		"hung up and did not end"},
	{"closes its channel for reading", closes_for_reading, NEGOTIATION_INFO, "timed out"},
	{"sends an empty message", says_nothing_at_length, NEGOTIATION_INFO,
		"hung up and did not end"},
	{"stops", stops, NEGOTIATION_INFO, "timed out"},
	{"sends stages without end", floods, NEGOTIATION_INFO, "without end"},
	{"sends exports without end", floods_with_exports, NEGOTIATION_LIST, "timed out"},
	{"sends exports where one is asked for", floods_with_exports, NEGOTIATION_INFO,
		"than was asked for"},
	{"sends names that nobody asked for", says_names, NEGOTIATION_ATTACH, "than was asked for"},
	{"gives a lingering socket in an export", lingers_in_an_export, NEGOTIATION_LIST,
		"than was asked for"},
	{"gives a lingering socket in a stage", lingers_in_a_stage, NEGOTIATION_ATTACH,
		"than was asked for"},
	{"gives a lingering socket in an error", lingers_in_an_error, NEGOTIATION_ATTACH,
		"than was asked for"},
	{"gives a lingering socket with a result that needs none", lingers_in_the_result,
		NEGOTIATION_INFO, "than was asked for"},
	{"gives a lingering socket as the result", lingers_in_the_result, NEGOTIATION_ATTACH, NULL},
	{"gives two lingering sockets as the result", gives_two, NEGOTIATION_ATTACH,
		"than was asked for"},
	{"leaves lingering sockets behind its last message", lingers_behind_its_last_message,
		NEGOTIATION_ATTACH, ""},
	{"leaves a lingering socket behind an empty message", lingers_behind_nothing,
		NEGOTIATION_ATTACH, ""},
};

static void act_and_hang(int channel, const void *argument)
{
	const struct fake *fake = argument;

	fake->act(channel);
	poll(NULL, 0, HANG_MS);
}

static void start_hostile(struct fake *fake, const struct hostile *hostile)
{
	socklen_t len = sizeof(listener_address);

	listener = fake_silent_server(&fake->endpoint);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&listener_address, &len), 0);
	fake->act = hostile->act;
	fake->negotiation.job.kind = hostile->kind;
	fake_start(fake, act_and_hang, 700);
}

static void no_negotiator_keeps_the_loop(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(hostiles) / sizeof(hostiles[0]); i++) {
		const struct hostile *hostile = &hostiles[i];
		int64_t began_ms = monotonic_now_ms(), longest_ms;
		struct fake *fake;
		int rc;

		fake_setup((void **)&fake);
		start_hostile(fake, hostile);
		longest_ms = fake_drive(fake, &rc);
		if (longest_ms > STEP_MAX_MS)
			fail_msg("one that %s keeps the loop for %lld ms", hostile->name,
				(long long)longest_ms);
		if (monotonic_now_ms() - began_ms > HANG_MS / 2)
			fail_msg("one that %s is not done with after %lld ms", hostile->name,
				(long long)(monotonic_now_ms() - began_ms));
		if ((rc == 0) != !hostile->message ||
			(rc && !strstr(fake->err.text, hostile->message)))
			fail_msg(
				"one that %s: %d, %s", hostile->name, rc, rc ? fake->err.text : "");
		if (rc == 0 && hostile->kind == NEGOTIATION_ATTACH) {
			began_ms = monotonic_now_ms();
			close(fake->result.fd);
			assert_in_range(monotonic_now_ms() - began_ms, 0, STEP_MAX_MS);
		}
		fake_teardown((void **)&fake);
		close(listener);
	}
}

/* Their closing was left to others; those and all that were killed are reaped in the end. */
static void no_zombie_stays(void **state)
{
	int64_t began_ms = monotonic_now_ms();

	(void)state;
	while (monotonic_now_ms() - began_ms < 3 * HANG_MS) {
		siginfo_t info = {0};

		reaper_collect();
		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 && errno == ECHILD)
			return;
		poll(NULL, 0, 20);
	}
	fail_msg("there are children left");
}

static void a_crash_after_the_last_message_is_one(void **state)
{
	struct fake *fake = *state;
	static const struct hostile hostile = {
		.act = sends_its_last_message, .kind = NEGOTIATION_INFO};
	int rc = 1;

	start_hostile(fake, &hostile);
	while (fake->negotiation.state == NEGOTIATION_TALKING) {
		struct pollfd pfd = {
			.fd = negotiation_poll_fd(&fake->negotiation), .events = POLLIN};

		poll(&pfd, 1, 5000);
		assert_int_equal(
			negotiation_step(&fake->negotiation, &fake->result, &fake->err), 1);
	}
	fake->negotiation.child.deadline_ms += 60000;
	kill(fake->negotiation.child.pid, SIGABRT);
	fake_drive(fake, &rc);
	assert_true(rc < 0);
	assert_non_null(strstr(fake->err.text, "died by signal 6"));
	close(listener);
}

static void sends_three_bytes(int channel)
{
	send(channel, "abc", 3, 0);
}

/* It is killed at once: its end would tell nothing. */
/* Its connection is used only once it cannot use it any more. */
static void one_that_lives_on_has_ended_before_its_link_is_used(void **state)
{
	struct fake *fake = *state;
	static const struct hostile hostile = {
		.act = lingers_in_the_result, .kind = NEGOTIATION_ATTACH};
	pid_t pid;
	int rc = 1;

	start_hostile(fake, &hostile);
	pid = fake->negotiation.child.pid;
	fake_drive(fake, &rc);
	assert_int_equal(rc, 0);
	assert_int_equal(kill(pid, 0), -1);
	assert_int_equal(errno, ESRCH);
	close(fake->result.fd);
	close(listener);
}

static void the_link_of_one_that_cannot_be_ended_is_not_used(void **state)
{
	struct fake *fake = *state;
	static const struct hostile hostile = {
		.act = lingers_in_the_result, .kind = NEGOTIATION_ATTACH};
	int rc = 1;

	start_hostile(fake, &hostile);
	fake->negotiation.is_killed = true; /* in vain */
	fake_drive(fake, &rc);
	assert_int_equal(rc, -EIO);
	assert_non_null(strstr(fake->err.text, "cannot be ended"));
	assert_int_equal(fake->result.fd, 0);
	close(listener);
}

static void of_one_that_lies_nothing_more_is_awaited(void **state)
{
	struct fake *fake = *state;
	struct pollfd pfd = {.events = POLLIN};

	fake->act = sends_three_bytes;
	fake_start(fake, act_and_hang, 5000);
	pfd.fd = negotiation_poll_fd(&fake->negotiation);
	assert_int_equal(poll(&pfd, 1, 5000), 1);
	assert_int_equal(negotiation_step(&fake->negotiation, &fake->result, &fake->err), -EPROTO);
	assert_false(negotiation_is_running(&fake->negotiation));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_crash_after_the_last_message_is_one, fake_setup, fake_teardown),
		cmocka_unit_test_setup_teardown(
			of_one_that_lies_nothing_more_is_awaited, fake_setup, fake_teardown),
		cmocka_unit_test_setup_teardown(one_that_lives_on_has_ended_before_its_link_is_used,
			fake_setup, fake_teardown),
		cmocka_unit_test_setup_teardown(the_link_of_one_that_cannot_be_ended_is_not_used,
			fake_setup, fake_teardown),
		cmocka_unit_test(no_negotiator_keeps_the_loop),
		cmocka_unit_test(no_zombie_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
