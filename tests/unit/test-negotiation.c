/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The wall between the supervisor and what reads the network: the negotiator has no privilege, and
 * the deadline is its parent's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "fake-negotiator.h"

static struct negotiation_job job_for(const struct endpoint *endpoint, int timeout_ms)
{
	return (struct negotiation_job){
		.kind = NEGOTIATION_INFO, .endpoint = endpoint, .timeout_ms = timeout_ms};
}

/* Step until the child is at work, so that what is asked of it afterwards is asked of the
 * negotiator and not of our own fork. */
static void wait_until_waiting(struct negotiation *negotiation)
{
	struct negotiation_result result;
	struct error err;

	while (strcmp(negotiation->stage, "waiting for the server's greeting") != 0) {
		struct pollfd pfd = {.fd = negotiation_poll_fd(negotiation), .events = POLLIN};

		assert_true(poll(&pfd, 1, 5000) > 0);
		assert_int_equal(negotiation_step(negotiation, &result, &err), 1);
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
	struct negotiation negotiation;
	struct endpoint endpoint;
	struct error err;
	char value[256];
	int fd = fake_silent_server(&endpoint);
	struct negotiation_job job = job_for(&endpoint, 5000);

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(negotiation_start(&negotiation, &job, &err), 0);
	wait_until_waiting(&negotiation);
	status_line(negotiation.child.pid, "Uid:", value, sizeof(value));
	assert_int_not_equal(atoi(value), 0);
	status_line(negotiation.child.pid, "Groups:", value, sizeof(value));
	assert_string_equal(value + strspn(value, " \t\n"), "");
	status_line(negotiation.child.pid, "CapEff:", value, sizeof(value));
	assert_int_equal(strtoull(value, NULL, 16), 0);
	status_line(negotiation.child.pid, "CapBnd:", value, sizeof(value));
	assert_int_equal(strtoull(value, NULL, 16), 0);
	status_line(negotiation.child.pid, "NoNewPrivs:", value, sizeof(value));
	assert_int_equal(atoi(value), 1);
	negotiation_cancel(&negotiation);
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
	struct negotiation negotiation;
	struct endpoint endpoint;
	struct error err;
	int fd = fake_silent_server(&endpoint);

	(void)state;
	if (geteuid() != 0)
		skip();
	for (size_t i = 0; i < 2; i++) {
		struct negotiation_job job = job_for(&endpoint, 5000);

		job.kind = kinds[i];
		job.liveness_timeout_ms = 12345;
		assert_int_equal(negotiation_start(&negotiation, &job, &err), 0);
		wait_until_waiting(&negotiation);
		assert_true((keep_idle_of(negotiation.child.pid) == 6) ==
			(job.kind == NEGOTIATION_ATTACH));
		negotiation_cancel(&negotiation);
	}
	close(fd);
}

static void a_silent_server_costs_the_deadline_and_no_more(void **state)
{
	struct negotiation_result result;
	struct endpoint endpoint;
	struct error err;
	int fd = fake_silent_server(&endpoint);
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
	struct negotiation negotiation;
	struct endpoint endpoint;
	struct error err;
	int fd = fake_silent_server(&endpoint), rc;
	struct negotiation_job job = job_for(&endpoint, 1000);
	int64_t began_ms = monotonic_now_ms();

	(void)state;
	assert_int_equal(negotiation_start(&negotiation, &job, &err), 0);
	wait_until_waiting(&negotiation);
	assert_int_equal(kill(negotiation.child.pid, SIGSTOP), 0);
	while ((rc = negotiation_step(&negotiation, &result, &err)) == 1)
		poll(NULL, 0, 20);
	assert_in_range(monotonic_now_ms() - began_ms, 990, 3000);
	assert_non_null(
		strstr(err.text, "timed out after 1 s while waiting for the server's greeting"));
	close(fd);
}

static void a_negotiator_that_dies_is_reported(void **state)
{
	struct negotiation_result result;
	struct negotiation negotiation;
	struct endpoint endpoint;
	struct error err;
	int fd = fake_silent_server(&endpoint), rc;
	struct negotiation_job job = job_for(&endpoint, 5000);

	(void)state;
	assert_int_equal(negotiation_start(&negotiation, &job, &err), 0);
	wait_until_waiting(&negotiation);
	assert_int_equal(kill(negotiation.child.pid, SIGKILL), 0);
	while ((rc = negotiation_step(&negotiation, &result, &err)) == 1)
		poll(NULL, 0, 20);
	assert_non_null(strstr(err.text, "died by signal 9"));
	close(fd);
}

static void a_name_without_a_resolver_is_tried_where_it_was(void **state)
{
	struct sockaddr_in *address;
	struct known_address known = {.length = sizeof(*address)};
	struct negotiation negotiation;
	struct endpoint endpoint;
	struct error err;
	int fd = fake_silent_server(&endpoint);
	struct negotiation_job job = job_for(&endpoint, 20000);

	(void)state;
	address = (struct sockaddr_in *)&known.address;
	assert_int_equal(getsockname(fd, (struct sockaddr *)address, &known.length), 0);
	strcpy(endpoint.hosts[0].name, "no-such-host.invalid");
	job.known = &known;
	job.short_timeout = true;
	assert_int_equal(negotiation_start(&negotiation, &job, &err), 0);
	wait_until_waiting(&negotiation);
	negotiation_cancel(&negotiation);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_negotiator_has_no_privilege),
		cmocka_unit_test(a_link_for_the_kernel_watches_its_path),
		cmocka_unit_test(a_silent_server_costs_the_deadline_and_no_more),
		cmocka_unit_test(a_stuck_negotiator_is_killed_at_the_deadline),
		cmocka_unit_test(a_negotiator_that_dies_is_reported),
		cmocka_unit_test(a_name_without_a_resolver_is_tried_where_it_was),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
