/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The wall between the supervisor and what reads the network: the child has nothing, the deadline is the parent's, and no message is
 * believed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "negotiator.h"
#include "sandbox.h"
#include "transport.h"

/* A server that accepts (the kernel does) and says nothing. */
static int silent_server(struct target *target)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	memset(target, 0, sizeof(*target));
	strcpy(target->hosts[0].name, "127.0.0.1");
	target->hosts[0].port = ntohs(address.sin_port);
	target->host_count = 1;
	return fd;
}

static struct attempt_job job_for(const struct target *target, int timeout_ms)
{
	return (struct attempt_job){.kind = ATTEMPT_INFO, .target = target, .timeout_ms = timeout_ms};
}

/* Step until the child is at work, so that what is asked of it afterwards is asked of the negotiator and not of our own fork. */
static void wait_until_waiting(struct attempt *attempt)
{
	struct attempt_result *result = calloc(1, sizeof(*result));
	struct error err;

	while (strcmp(attempt->stage, "waiting for the server's greeting") != 0) {
		struct pollfd pfd = {.fd = attempt->poll_fd, .events = POLLIN};

		assert_true(poll(&pfd, 1, 5000) > 0);
		assert_int_equal(attempt_step(attempt, result, &err), 1);
	}
	free(result);
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
	struct attempt attempt;
	struct target target;
	struct error err;
	char value[256];
	int fd = silent_server(&target);
	struct attempt_job job = job_for(&target, 5000);

	(void)state;
	if (geteuid() != 0)
		skip();
	sandbox_prepare();
	assert_int_equal(attempt_start(&attempt, &job, &err), 0);
	wait_until_waiting(&attempt);
	status_line(attempt.pid, "Uid:", value, sizeof(value));
	assert_int_not_equal(atoi(value), 0);
	status_line(attempt.pid, "Groups:", value, sizeof(value));
	assert_string_equal(value + strspn(value, " \t\n"), "");
	status_line(attempt.pid, "CapEff:", value, sizeof(value));
	assert_int_equal(strtoull(value, NULL, 16), 0);
	status_line(attempt.pid, "CapBnd:", value, sizeof(value));
	assert_int_equal(strtoull(value, NULL, 16), 0);
	status_line(attempt.pid, "NoNewPrivs:", value, sizeof(value));
	assert_int_equal(atoi(value), 1);
	attempt_cancel(&attempt);
	close(fd);
}

/* The TCP user timeout of the connection that the negotiator holds; -1 without one. */
static int user_timeout_of(pid_t pid)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0), timeout_ms = -1;

	for (int at = 3; at < 16; at++) {
		int fd = (int)syscall(SYS_pidfd_getfd, pidfd, at, 0);
		socklen_t len = sizeof(timeout_ms);

		if (fd >= 0 && getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, &len) < 0)
			timeout_ms = -1;
		close(fd);
		if (timeout_ms >= 0)
			break;
	}
	close(pidfd);
	return timeout_ms;
}

static void a_link_for_the_kernel_watches_its_path(void **state)
{
	static const enum attempt_kind kinds[] = {ATTEMPT_ATTACH, ATTEMPT_INFO};
	struct attempt attempt;
	struct target target;
	struct error err;
	int fd = silent_server(&target);

	(void)state;
	if (geteuid() != 0)
		skip();
	for (size_t i = 0; i < 2; i++) {
		struct attempt_job job = job_for(&target, 5000);

		job.kind = kinds[i];
		job.liveness_timeout_ms = 12345;
		assert_int_equal(attempt_start(&attempt, &job, &err), 0);
		wait_until_waiting(&attempt);
		assert_int_equal(user_timeout_of(attempt.pid), job.kind == ATTEMPT_ATTACH ? 12345 : 0);
		attempt_cancel(&attempt);
	}
	close(fd);
}

static void a_silent_server_costs_the_deadline_and_no_more(void **state)
{
	struct attempt_result *result = calloc(1, sizeof(*result));
	struct target target;
	struct error err;
	int fd = silent_server(&target);
	struct attempt_job job = job_for(&target, 300);
	int64_t began_ms = monotonic_now_ms();

	(void)state;
	assert_true(attempt_run(&job, result, &err) < 0);
	assert_in_range(monotonic_now_ms() - began_ms, 290, 2000);
	assert_int_equal(err.kind, ERROR_UNREACHABLE);
	assert_true(err.retry);
	assert_non_null(strstr(err.text, "the server's greeting"));
	free(result);
	close(fd);
}

static void a_stuck_negotiator_is_killed_at_the_deadline(void **state)
{
	struct attempt_result *result = calloc(1, sizeof(*result));
	struct attempt attempt;
	struct target target;
	struct error err;
	int fd = silent_server(&target), rc;
	struct attempt_job job = job_for(&target, 1000);
	int64_t began_ms = monotonic_now_ms();

	(void)state;
	assert_int_equal(attempt_start(&attempt, &job, &err), 0);
	wait_until_waiting(&attempt);
	assert_int_equal(kill(attempt.pid, SIGSTOP), 0);
	while ((rc = attempt_step(&attempt, result, &err)) == 1)
		poll(NULL, 0, 20);
	assert_in_range(monotonic_now_ms() - began_ms, 990, 3000);
	assert_non_null(strstr(err.text, "timed out after 1 s while waiting for the server's greeting"));
	free(result);
	close(fd);
}

static void a_negotiator_that_dies_is_told_of(void **state)
{
	struct attempt_result *result = calloc(1, sizeof(*result));
	struct attempt attempt;
	struct target target;
	struct error err;
	int fd = silent_server(&target), rc;
	struct attempt_job job = job_for(&target, 5000);

	(void)state;
	assert_int_equal(attempt_start(&attempt, &job, &err), 0);
	wait_until_waiting(&attempt);
	assert_int_equal(kill(attempt.pid, SIGKILL), 0);
	while ((rc = attempt_step(&attempt, result, &err)) == 1)
		poll(NULL, 0, 20);
	assert_non_null(strstr(err.text, "died by signal 9"));
	free(result);
	close(fd);
}

static void a_name_without_a_resolver_is_tried_where_it_was(void **state)
{
	struct sockaddr_in *address;
	struct known_address known = {.length = sizeof(*address)};
	struct attempt attempt;
	struct target target;
	struct error err;
	int fd = silent_server(&target);
	struct attempt_job job = job_for(&target, 20000);

	(void)state;
	address = (struct sockaddr_in *)&known.address;
	assert_int_equal(getsockname(fd, (struct sockaddr *)address, &known.length), 0);
	strcpy(target.hosts[0].name, "no-such-host.invalid");
	job.known = &known;
	job.impatient = true;
	assert_int_equal(attempt_start(&attempt, &job, &err), 0);
	wait_until_waiting(&attempt);
	attempt_cancel(&attempt);
	close(fd);
}

/* From here on we are the negotiator, and a bad one. */
struct fake {
	struct attempt attempt;
	struct attempt_message message;
	struct attempt_result result;
	struct error err;
	struct target target;
	int end;
};

static int setup_fake(void **state)
{
	struct fake *fake = calloc(1, sizeof(*fake));
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	fake->attempt.poll_fd = pair[0];
	fake->attempt.deadline_ms = monotonic_now_ms() + 5000;
	fake->attempt.job.kind = ATTEMPT_INFO;
	fake->attempt.job.target = &fake->target;
	fake->target.host_count = 2;
	fake->end = pair[1];
	*state = fake;
	return 0;
}

static int teardown_fake(void **state)
{
	struct fake *fake = *state;

	attempt_cancel(&fake->attempt);
	close(fake->end);
	free(fake);
	return 0;
}

static int send_and_step(struct fake *fake, size_t size)
{
	assert_int_equal(send(fake->end, &fake->message, size, 0), size);
	return attempt_step(&fake->attempt, &fake->result, &fake->err);
}

static void a_message_of_the_wrong_size_is_refused(void **state)
{
	struct fake *fake = *state;

	fake->message.type = ATTEMPT_MESSAGE_RESULT;
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

	fake->message.type = ATTEMPT_MESSAGE_ERROR;
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

	fake->attempt.job.tls = (const struct tls_credentials *)fake; /* only whether there is one matters here */
	fake->message.type = ATTEMPT_MESSAGE_RESULT;
	assert_true(send_and_step(fake, sizeof(fake->message)) < 0);
	assert_int_equal(fake->err.kind, ERROR_TLS);
}

static void a_host_that_was_not_among_those_given_is_refused(void **state)
{
	struct fake *fake = *state;

	fake->message.type = ATTEMPT_MESSAGE_RESULT;
	fake->message.result.host_index = 2;
	assert_true(send_and_step(fake, sizeof(fake->message)) < 0);
	assert_int_equal(fake->err.kind, ERROR_TLS);
}

static void each_of_the_hosts_given_is_taken(void **state)
{
	struct fake *fake = *state;

	fake->message.type = ATTEMPT_MESSAGE_RESULT;
	fake->message.result.host_index = 1;
	assert_int_equal(send_and_step(fake, sizeof(fake->message)), 0);
	assert_int_equal(fake->result.host_index, 1);
}

static void a_unix_socket_is_host_0(void **state)
{
	struct fake *fake = *state;

	fake->target.host_count = 0;
	fake->message.type = ATTEMPT_MESSAGE_RESULT;
	assert_int_equal(send_and_step(fake, sizeof(fake->message)), 0);
}

static void a_unix_socket_is_no_other_host(void **state)
{
	struct fake *fake = *state;

	fake->target.host_count = 0;
	fake->message.type = ATTEMPT_MESSAGE_RESULT;
	fake->message.result.host_index = 1;
	assert_true(send_and_step(fake, sizeof(fake->message)) < 0);
}

static void a_result_without_its_socket_is_refused(void **state)
{
	struct fake *fake = *state;

	fake->attempt.job.kind = ATTEMPT_ATTACH;
	fake->message.type = ATTEMPT_MESSAGE_RESULT;
	assert_true(send_and_step(fake, sizeof(fake->message)) < 0);
	assert_int_equal(fake->err.kind, ERROR_TLS);
}

static void a_socket_said_to_have_ktls_is_looked_at(void **state)
{
	struct fake *fake = *state;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct iovec iov = {&fake->message, sizeof(fake->message)};
	char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8))) = {0};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(int));
	fake->attempt.job.kind = ATTEMPT_ATTACH;
	fake->attempt.job.tls = (const struct tls_credentials *)fake;
	fake->message.type = ATTEMPT_MESSAGE_RESULT;
	fake->message.result.tls.version = 13;
	fake->message.result.tls.kernel_cipher = 51;
	assert_int_equal(sendmsg(fake->end, &msg, 0), sizeof(fake->message));
	assert_true(attempt_step(&fake->attempt, &fake->result, &fake->err) < 0);
	assert_int_equal(fake->err.kind, ERROR_TLS);
	close(fd);
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
		cmocka_unit_test_setup_teardown(a_message_of_the_wrong_size_is_refused, setup_fake, teardown_fake),
		cmocka_unit_test_setup_teardown(an_unknown_message_is_refused, setup_fake, teardown_fake),
		cmocka_unit_test_setup_teardown(text_from_the_negotiator_is_cut_and_cleaned, setup_fake, teardown_fake),
		cmocka_unit_test_setup_teardown(a_result_without_the_tls_that_was_asked_for_is_refused, setup_fake, teardown_fake),
		cmocka_unit_test_setup_teardown(a_host_that_was_not_among_those_given_is_refused, setup_fake, teardown_fake),
		cmocka_unit_test_setup_teardown(each_of_the_hosts_given_is_taken, setup_fake, teardown_fake),
		cmocka_unit_test_setup_teardown(a_unix_socket_is_host_0, setup_fake, teardown_fake),
		cmocka_unit_test_setup_teardown(a_unix_socket_is_no_other_host, setup_fake, teardown_fake),
		cmocka_unit_test_setup_teardown(a_result_without_its_socket_is_refused, setup_fake, teardown_fake),
		cmocka_unit_test_setup_teardown(a_socket_said_to_have_ktls_is_looked_at, setup_fake, teardown_fake),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
