/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The wall between the supervisor and what reads the network: the child has nothing, the deadline
 * is the parent's, and no message is believed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "child/negotiator.h"
#include "child/negotiation.h"
#include "base/clock.h"
#include "child/reaper.h"
#include "child/sandbox.h"

/* A server that accepts (the kernel does) and says nothing. */
static int silent_server(struct endpoint *endpoint)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	memset(endpoint, 0, sizeof(*endpoint));
	strcpy(endpoint->hosts[0].name, "127.0.0.1");
	endpoint->hosts[0].port = ntohs(address.sin_port);
	endpoint->host_count = 1;
	return fd;
}

static struct negotiation_job job_for(const struct endpoint *endpoint, int timeout_ms)
{
	return (struct negotiation_job){
		.kind = NEGOTIATION_INFO, .endpoint = endpoint, .timeout_ms = timeout_ms};
}

/* Step until the child is at work, so that what is asked of it afterwards is asked of the
 * negotiator and not of our own fork. */
static void wait_until_waiting(struct negotiation *attempt)
{
	struct negotiation_result result;
	struct error err;

	while (strcmp(attempt->stage, "waiting for the server's greeting") != 0) {
		struct pollfd pfd = {.fd = negotiation_poll_fd(attempt), .events = POLLIN};

		assert_true(poll(&pfd, 1, 5000) > 0);
		assert_int_equal(negotiation_step(attempt, &result, &err), 1);
	}
}

static void status_line(pid_t pid, const char *key, char *value, size_t size)
{
	char path[64], line[256];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	file = fopen(path, "re");
	assert_non_null(file);
	*value = 0;
	while (fgets(line, sizeof(line), file))
		if (strncmp(line, key, strlen(key)) == 0)
			snprintf(value, size, "%s", line + strlen(key));
	fclose(file);
}

static void the_negotiator_has_no_privilege(void **state)
{
	struct negotiation attempt;
	struct endpoint endpoint;
	struct error err;
	char value[256];
	int fd = silent_server(&endpoint);
	struct negotiation_job job = job_for(&endpoint, 5000);

	(void)state;
	if (geteuid() != 0)
		skip();
	sandbox_prepare();
	assert_int_equal(negotiation_start(&attempt, &job, &err), 0);
	wait_until_waiting(&attempt);
	status_line(attempt.child.pid, "Uid:", value, sizeof(value));
	assert_int_not_equal(atoi(value), 0);
	status_line(attempt.child.pid, "Groups:", value, sizeof(value));
	assert_string_equal(value + strspn(value, " \t\n"), "");
	status_line(attempt.child.pid, "CapEff:", value, sizeof(value));
	assert_int_equal(strtoull(value, NULL, 16), 0);
	status_line(attempt.child.pid, "CapBnd:", value, sizeof(value));
	assert_int_equal(strtoull(value, NULL, 16), 0);
	status_line(attempt.child.pid, "NoNewPrivs:", value, sizeof(value));
	assert_int_equal(atoi(value), 1);
	negotiation_cancel(&attempt);
	close(fd);
}

/* After how many idle seconds TCP asks the peer of the connection that the negotiator holds whether
 * it lives; -1 without one. */
static int keep_idle_of(pid_t pid)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0), idle_sec = -1;

	for (int at = 3; at < 16; at++) {
		int fd = (int)syscall(SYS_pidfd_getfd, pidfd, at, 0);
		socklen_t len = sizeof(idle_sec);

		if (fd >= 0 && getsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_sec, &len) < 0)
			idle_sec = -1;
		close(fd);
		if (idle_sec >= 0)
			break;
	}
	close(pidfd);
	return idle_sec;
}

static void a_link_for_the_kernel_watches_its_path(void **state)
{
	static const enum negotiation_kind kinds[] = {NEGOTIATION_ATTACH, NEGOTIATION_INFO};
	struct negotiation attempt;
	struct endpoint endpoint;
	struct error err;
	int fd = silent_server(&endpoint);

	(void)state;
	if (geteuid() != 0)
		skip();
	for (size_t i = 0; i < 2; i++) {
		struct negotiation_job job = job_for(&endpoint, 5000);

		job.kind = kinds[i];
		job.liveness_timeout_ms = 12345;
		assert_int_equal(negotiation_start(&attempt, &job, &err), 0);
		wait_until_waiting(&attempt);
		assert_true(
			(keep_idle_of(attempt.child.pid) == 6) == (job.kind == NEGOTIATION_ATTACH));
		negotiation_cancel(&attempt);
	}
	close(fd);
}

static void a_silent_server_costs_the_deadline_and_no_more(void **state)
{
	struct negotiation_result result;
	struct endpoint endpoint;
	struct error err;
	int fd = silent_server(&endpoint);
	struct negotiation_job job = job_for(&endpoint, 300);
	int64_t began_ms = monotonic_now_ms();

	(void)state;
	assert_true(negotiation_run(&job, &result, &err) < 0);
	assert_in_range(monotonic_now_ms() - began_ms, 290, 2000);
	assert_int_equal(err.kind, ERROR_UNREACHABLE);
	assert_true(err.retry);
	assert_non_null(strstr(err.text, "the server's greeting"));
	close(fd);
}

static void a_stuck_negotiator_is_killed_at_the_deadline(void **state)
{
	struct negotiation_result result;
	struct negotiation attempt;
	struct endpoint endpoint;
	struct error err;
	int fd = silent_server(&endpoint), rc;
	struct negotiation_job job = job_for(&endpoint, 1000);
	int64_t began_ms = monotonic_now_ms();

	(void)state;
	assert_int_equal(negotiation_start(&attempt, &job, &err), 0);
	wait_until_waiting(&attempt);
	assert_int_equal(kill(attempt.child.pid, SIGSTOP), 0);
	while ((rc = negotiation_step(&attempt, &result, &err)) == 1)
		poll(NULL, 0, 20);
	assert_in_range(monotonic_now_ms() - began_ms, 990, 3000);
	assert_non_null(
		strstr(err.text, "timed out after 1 s while waiting for the server's greeting"));
	close(fd);
}

static void a_negotiator_that_dies_is_told_of(void **state)
{
	struct negotiation_result result;
	struct negotiation attempt;
	struct endpoint endpoint;
	struct error err;
	int fd = silent_server(&endpoint), rc;
	struct negotiation_job job = job_for(&endpoint, 5000);

	(void)state;
	assert_int_equal(negotiation_start(&attempt, &job, &err), 0);
	wait_until_waiting(&attempt);
	assert_int_equal(kill(attempt.child.pid, SIGKILL), 0);
	while ((rc = negotiation_step(&attempt, &result, &err)) == 1)
		poll(NULL, 0, 20);
	assert_non_null(strstr(err.text, "died by signal 9"));
	close(fd);
}

static void a_name_without_a_resolver_is_tried_where_it_was(void **state)
{
	struct sockaddr_in *address;
	struct known_address known = {.length = sizeof(*address)};
	struct negotiation attempt;
	struct endpoint endpoint;
	struct error err;
	int fd = silent_server(&endpoint);
	struct negotiation_job job = job_for(&endpoint, 20000);

	(void)state;
	address = (struct sockaddr_in *)&known.address;
	assert_int_equal(getsockname(fd, (struct sockaddr *)address, &known.length), 0);
	strcpy(endpoint.hosts[0].name, "no-such-host.invalid");
	job.known = &known;
	job.short_timeout = true;
	assert_int_equal(negotiation_start(&attempt, &job, &err), 0);
	wait_until_waiting(&attempt);
	negotiation_cancel(&attempt);
	close(fd);
}

/* From here on the negotiator is a bad one, which sends MESSAGE, or does what it is told to. */
struct fake {
	struct negotiation attempt;
	struct negotiation_message message;
	struct negotiation_result result;
	struct error err;
	struct endpoint endpoint;
	size_t size;
	void (*act)(int channel);
};

static int setup_fake(void **state)
{
	struct fake *fake = calloc(1, sizeof(*fake));

	fake->attempt.result.fd = -1;
	fake->attempt.job.kind = NEGOTIATION_INFO;
	fake->attempt.job.endpoint = &fake->endpoint;
	fake->endpoint.host_count = 2;
	*state = fake;
	return 0;
}

static int teardown_fake(void **state)
{
	struct fake *fake = *state;

	negotiation_cancel(&fake->attempt);
	free(fake);
	return 0;
}

static void start_fake(struct fake *fake, child_function *function, int timeout_ms)
{
	struct child_options options = {
		.keeps_stdio = true, .dies_with_parent = true, .timeout_ms = timeout_ms};

	assert_int_equal(
		child_start(&fake->attempt.child, &options, function, fake, &fake->err), 0);
}

/* As the supervisor's loop does it. Returns the longest time that it was kept. */
static int64_t drive(struct fake *fake, int *rc)
{
	int64_t longest_ms = 0;

	do {
		struct pollfd pfd = {.fd = negotiation_poll_fd(&fake->attempt), .events = POLLIN};
		int64_t left_ms = negotiation_deadline_ms(&fake->attempt) - monotonic_now_ms(),
			began_ms;

		poll(&pfd, 1, left_ms > 0 ? (int)left_ms : 0);
		began_ms = monotonic_now_ms();
		*rc = negotiation_step(&fake->attempt, &fake->result, &fake->err);
		if (monotonic_now_ms() - began_ms > longest_ms)
			longest_ms = monotonic_now_ms() - began_ms;
	} while (*rc == 1);
	return longest_ms;
}

static void send_its_message(int channel, const void *argument)
{
	const struct fake *fake = argument;

	send(channel, &fake->message, fake->size, 0);
}

static int send_and_step(struct fake *fake, size_t size)
{
	int rc;

	fake->size = size;
	start_fake(fake, send_its_message, 5000);
	drive(fake, &rc);
	assert_false(negotiation_is_running(&fake->attempt));
	return rc;
}

static void a_message_of_the_wrong_size_is_refused(void **state)
{
	struct fake *fake = *state;

	fake->message.type = NEGOTIATION_MESSAGE_RESULT;
	assert_true(send_and_step(fake, 8) < 0);
	assert_non_null(strstr(fake->err.text, "wrong size"));
}

static void an_unknown_message_is_refused(void **state)
{
	struct fake *fake = *state;

	fake->message.type = 77;
	assert_true(send_and_step(fake, sizeof(fake->message)) < 0);
	assert_non_null(strstr(fake->err.text, "unknown type 77"));
}

static void text_from_the_negotiator_is_cut_and_cleaned(void **state)
{
	struct fake *fake = *state;

	fake->message.type = NEGOTIATION_MESSAGE_ERROR;
	fake->message.error.kind = (enum error_kind)99;
	memset(fake->message.error.text, '\x1b', sizeof(fake->message.error.text));
	memset(fake->message.error.hint, 'h', sizeof(fake->message.error.hint));
	assert_true(send_and_step(fake, sizeof(fake->message)) < 0);
	assert_null(strchr(fake->err.text, '\x1b'));
	assert_true(strnlen(fake->err.hint, sizeof(fake->err.hint)) < sizeof(fake->err.hint));
	assert_int_equal(fake->err.kind, ERROR_OTHER);
}

static void a_result_without_the_tls_that_was_asked_for_is_refused(void **state)
{
	struct fake *fake = *state;

	/* only whether there is one matters here */
	fake->attempt.job.tls = (const struct tls_credentials *)fake;
	fake->message.type = NEGOTIATION_MESSAGE_RESULT;
	assert_true(send_and_step(fake, sizeof(fake->message)) < 0);
	assert_int_equal(fake->err.kind, ERROR_TLS);
}

static void a_host_that_was_not_among_those_given_is_refused(void **state)
{
	struct fake *fake = *state;

	fake->message.type = NEGOTIATION_MESSAGE_RESULT;
	fake->message.result.host_index = 2;
	assert_true(send_and_step(fake, sizeof(fake->message)) < 0);
	assert_int_equal(fake->err.kind, ERROR_TLS);
}

static void each_of_the_hosts_given_is_taken(void **state)
{
	struct fake *fake = *state;

	fake->message.type = NEGOTIATION_MESSAGE_RESULT;
	fake->message.result.host_index = 1;
	assert_int_equal(send_and_step(fake, sizeof(fake->message)), 0);
	assert_int_equal(fake->result.host_index, 1);
}

static void a_unix_socket_is_host_0(void **state)
{
	struct fake *fake = *state;

	fake->endpoint.host_count = 0;
	fake->message.type = NEGOTIATION_MESSAGE_RESULT;
	assert_int_equal(send_and_step(fake, sizeof(fake->message)), 0);
}

static void a_unix_socket_is_no_other_host(void **state)
{
	struct fake *fake = *state;

	fake->endpoint.host_count = 0;
	fake->message.type = NEGOTIATION_MESSAGE_RESULT;
	fake->message.result.host_index = 1;
	assert_true(send_and_step(fake, sizeof(fake->message)) < 0);
}

/* --- names */

struct names_fake {
	struct fake fake;
	struct negotiation_names_message names;
	unsigned count;
};

static void send_names_and_result(int channel, const void *argument)
{
	const struct names_fake *fake = argument;

	for (unsigned i = 0; i < fake->count; i++)
		send(channel, &fake->names, sizeof(fake->names), 0);
	send(channel, &fake->fake.message, sizeof(fake->fake.message), 0);
}

/* COUNT messages with names, and the result. */
static int negotiate_names(struct names_fake *fake, struct export_names *names, unsigned count)
{
	int rc;

	memset(fake, 0, sizeof(*fake));
	memset(names, 0, sizeof(*names));
	fake->fake.attempt.result.fd = -1;
	fake->fake.attempt.job.kind = NEGOTIATION_INFO;
	fake->fake.attempt.job.endpoint = &fake->fake.endpoint;
	fake->fake.attempt.job.names = names;
	strcpy(fake->fake.endpoint.export_name, "mine");
	fake->fake.message.type = NEGOTIATION_MESSAGE_RESULT;
	fake->names.type = NEGOTIATION_MESSAGE_NAMES;
	memset(&fake->names.names, '\x1b', sizeof(fake->names.names));
	fake->count = count;
	start_fake(&fake->fake, send_names_and_result, 5000);
	drive(&fake->fake, &rc);
	return rc;
}

static void names_come_before_the_result(void **state)
{
	struct names_fake *fake = calloc(1, sizeof(*fake));
	struct export_names *names = calloc(1, sizeof(*names));

	(void)state;
	assert_int_equal(negotiate_names(fake, names, 1), 0);
	assert_string_equal(names->name, "mine"); /* whatever it says */
	assert_true(*names->description && !strchr(names->description, '\x1b'));
	assert_true(*names->canonical_name && !strchr(names->canonical_name, '\x1b'));
	assert_true(negotiate_names(fake, names, 0) < 0);
	assert_non_null(strstr(fake->fake.err.text, "does not hold together"));
	assert_true(negotiate_names(fake, names, 2) < 0);
	assert_non_null(strstr(fake->fake.err.text, "more than was asked for"));
	free(fake);
	free(names);
}

static void a_result_without_its_socket_is_refused(void **state)
{
	struct fake *fake = *state;

	fake->attempt.job.kind = NEGOTIATION_ATTACH;
	fake->message.type = NEGOTIATION_MESSAGE_RESULT;
	assert_true(send_and_step(fake, sizeof(fake->message)) < 0);
	assert_int_equal(fake->err.kind, ERROR_TLS);
}

static void send_it_with_a_socket(int channel, const void *argument)
{
	const struct fake *fake = argument;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct negotiation_message message = fake->message;
	struct iovec iov = {&message, sizeof(message)};
	char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8))) = {0};
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control)};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(int));
	sendmsg(channel, &msg, 0);
}

static void a_socket_said_to_have_ktls_is_looked_at(void **state)
{
	struct fake *fake = *state;
	int rc;

	fake->attempt.job.kind = NEGOTIATION_ATTACH;
	fake->attempt.job.tls = (const struct tls_credentials *)fake;
	fake->message.type = NEGOTIATION_MESSAGE_RESULT;
	fake->message.result.tls.version = 13;
	fake->message.result.tls.kernel_cipher = 51;
	start_fake(fake, send_it_with_a_socket, 5000);
	drive(fake, &rc);
	assert_true(rc < 0);
	assert_int_equal(fake->err.kind, ERROR_TLS);
	/* and it is that socket that is refused, not that there is none */
	setup_fake(state);
	((struct fake *)*state)->attempt.job.kind = NEGOTIATION_ATTACH;
	((struct fake *)*state)->message.type = NEGOTIATION_MESSAGE_RESULT;
	start_fake(*state, send_it_with_a_socket, 5000);
	drive(*state, &rc);
	assert_int_equal(rc, 0);
	close(((struct fake *)*state)->result.fd);
	teardown_fake(state);
	*state = fake;
}

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

static void says_its_last_word(int channel)
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

static void lingers_behind_its_last_word(int channel)
{
	say(channel, NEGOTIATION_MESSAGE_ERROR, NULL, 0);
	say_lingering(channel, NEGOTIATION_MESSAGE_STAGE, 2);
}

static void lingers_behind_nothing(int channel)
{
	int fd = lingering();
	char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8))) = {0};
	struct msghdr msg = {.msg_control = control, .msg_controllen = sizeof(control)};
	struct cmsghdr *cmsg = (struct cmsghdr *)control;

	*cmsg = (struct cmsghdr){.cmsg_level = SOL_SOCKET,
		.cmsg_type = SCM_RIGHTS,
		.cmsg_len = CMSG_LEN(sizeof(int))};
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(int));
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
	const char *sentence; /* NULL: it is believed */
} hostiles[] = {
	{"says its last word and lives on", says_its_last_word, NEGOTIATION_INFO, NULL},
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
	{"leaves lingering sockets behind its last word", lingers_behind_its_last_word,
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
	struct endpoint ignored;

	listener = silent_server(&ignored);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&listener_address, &len), 0);
	fake->act = hostile->act;
	fake->attempt.job.kind = hostile->kind;
	start_fake(fake, act_and_hang, 700);
}

static void no_negotiator_keeps_the_loop(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(hostiles) / sizeof(hostiles[0]); i++) {
		const struct hostile *hostile = &hostiles[i];
		int64_t began_ms = monotonic_now_ms(), longest_ms;
		struct fake *fake;
		int rc;

		setup_fake((void **)&fake);
		start_hostile(fake, hostile);
		longest_ms = drive(fake, &rc);
		if (longest_ms > STEP_MAX_MS)
			fail_msg("one that %s keeps the loop for %lld ms", hostile->name,
				(long long)longest_ms);
		if (monotonic_now_ms() - began_ms > HANG_MS / 2)
			fail_msg("one that %s is not done with after %lld ms", hostile->name,
				(long long)(monotonic_now_ms() - began_ms));
		if ((rc == 0) != !hostile->sentence ||
			(rc && !strstr(fake->err.text, hostile->sentence)))
			fail_msg(
				"one that %s: %d, %s", hostile->name, rc, rc ? fake->err.text : "");
		if (rc == 0 && hostile->kind == NEGOTIATION_ATTACH) {
			began_ms = monotonic_now_ms();
			close(fake->result.fd);
			assert_in_range(monotonic_now_ms() - began_ms, 0, STEP_MAX_MS);
		}
		teardown_fake((void **)&fake);
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

static void a_crash_after_the_last_word_is_one(void **state)
{
	struct fake *fake = *state;
	static const struct hostile hostile = {.act = says_its_last_word, .kind = NEGOTIATION_INFO};
	int rc = 1;

	start_hostile(fake, &hostile);
	while (fake->attempt.state == NEGOTIATION_TALKING) {
		struct pollfd pfd = {.fd = negotiation_poll_fd(&fake->attempt), .events = POLLIN};

		poll(&pfd, 1, 5000);
		assert_int_equal(negotiation_step(&fake->attempt, &fake->result, &fake->err), 1);
	}
	fake->attempt.child.deadline_ms += 60000;
	kill(fake->attempt.child.pid, SIGABRT);
	drive(fake, &rc);
	assert_true(rc < 0);
	assert_non_null(strstr(fake->err.text, "died by signal 6"));
	close(listener);
}

static void sends_three_bytes(int channel)
{
	send(channel, "abc", 3, 0);
}

/* It is killed at once: its end would tell nothing. */
static void of_one_that_lies_nothing_more_is_awaited(void **state)
{
	struct fake *fake = *state;
	struct pollfd pfd = {.events = POLLIN};

	fake->act = sends_three_bytes;
	start_fake(fake, act_and_hang, 5000);
	pfd.fd = negotiation_poll_fd(&fake->attempt);
	assert_int_equal(poll(&pfd, 1, 5000), 1);
	assert_int_equal(negotiation_step(&fake->attempt, &fake->result, &fake->err), -EPROTO);
	assert_false(negotiation_is_running(&fake->attempt));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_negotiator_has_no_privilege),
		cmocka_unit_test(a_link_for_the_kernel_watches_its_path),
		cmocka_unit_test(a_silent_server_costs_the_deadline_and_no_more),
		cmocka_unit_test(a_stuck_negotiator_is_killed_at_the_deadline),
		cmocka_unit_test(a_negotiator_that_dies_is_told_of),
		cmocka_unit_test(a_name_without_a_resolver_is_tried_where_it_was),
		cmocka_unit_test_setup_teardown(
			a_message_of_the_wrong_size_is_refused, setup_fake, teardown_fake),
		cmocka_unit_test_setup_teardown(
			an_unknown_message_is_refused, setup_fake, teardown_fake),
		cmocka_unit_test_setup_teardown(
			text_from_the_negotiator_is_cut_and_cleaned, setup_fake, teardown_fake),
		cmocka_unit_test_setup_teardown(
			a_result_without_the_tls_that_was_asked_for_is_refused, setup_fake,
			teardown_fake),
		cmocka_unit_test_setup_teardown(a_host_that_was_not_among_those_given_is_refused,
			setup_fake, teardown_fake),
		cmocka_unit_test_setup_teardown(
			each_of_the_hosts_given_is_taken, setup_fake, teardown_fake),
		cmocka_unit_test_setup_teardown(a_unix_socket_is_host_0, setup_fake, teardown_fake),
		cmocka_unit_test_setup_teardown(
			a_unix_socket_is_no_other_host, setup_fake, teardown_fake),
		cmocka_unit_test(names_come_before_the_result),
		cmocka_unit_test_setup_teardown(
			a_result_without_its_socket_is_refused, setup_fake, teardown_fake),
		cmocka_unit_test_setup_teardown(
			a_socket_said_to_have_ktls_is_looked_at, setup_fake, teardown_fake),
		cmocka_unit_test_setup_teardown(
			a_crash_after_the_last_word_is_one, setup_fake, teardown_fake),
		cmocka_unit_test_setup_teardown(
			of_one_that_lies_nothing_more_is_awaited, setup_fake, teardown_fake),
		cmocka_unit_test(no_negotiator_keeps_the_loop),
		cmocka_unit_test(no_zombie_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
