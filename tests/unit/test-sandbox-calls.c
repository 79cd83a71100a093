/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A filter of system calls is for every thread of the process, those that were there before it,
 * too, as the module of a token may have begun some; or it is for none, and that is said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "child/sandbox-calls.h"

/* Of a process that is confined, for the test to look at. */
struct outcome {
	bool thread_had_a_socket; /* before the filter */
	int rc, thread_errno;     /* of a socket after it; 0: it had one */
	struct error err;
};

static struct outcome *outcome;
static const struct calls_filter *filter;
static sem_t is_there, go;

static int try_a_socket(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

static void *begun_before(void *has_own_filter)
{
	static struct sock_filter allow[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
	static const struct sock_fprog own = {1, allow};

	if (has_own_filter) {
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &own);
	}
	outcome->thread_had_a_socket = try_a_socket() == 0;
	sem_post(&is_there);
	sem_wait(&go);
	outcome->thread_errno = try_a_socket();
	sem_post(&is_there);
	return NULL;
}

static void confine(bool thread_has_own_filter)
{
	pthread_t thread;

	sem_init(&is_there, 0, 0);
	sem_init(&go, 0, 0);
	if (pthread_create(&thread, NULL, begun_before, thread_has_own_filter ? &go : NULL))
		_exit(1);
	sem_wait(&is_there);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	outcome->rc = calls_restrict(filter, &outcome->err);
	sem_post(&go);
	sem_wait(&is_there);
	_exit(0);
}

static void begin(bool thread_has_own_filter)
{
	int status;
	pid_t pid;

	outcome = mmap(
		NULL, sizeof(*outcome), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(outcome, MAP_FAILED);
	filter = calls_find(CALLS_TALK | CALLS_TLS | CALLS_TOKEN);
	assert_non_null(filter);
	pid = fork();
	if (pid == 0)
		confine(thread_has_own_filter);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_true(outcome->thread_had_a_socket);
}

static void end(void)
{
	munmap(outcome, sizeof(*outcome));
}

static void a_thread_from_before_is_under_it(void **state)
{
	(void)state;
	begin(false);
	assert_int_equal(outcome->rc, 0);
	assert_int_equal(outcome->thread_errno, EPERM);
	end();
}

static void one_that_cannot_be_is_an_error(void **state)
{
	(void)state;
	begin(true);
	assert_int_equal(outcome->rc, -ESRCH);
	assert_int_equal(outcome->err.kind, ERROR_PERMISSION);
	assert_non_null(strstr(outcome->err.text, "it has a filter of its own"));
	assert_non_null(strstr(outcome->err.hint, "PKCS #11"));
	end();
}

static void this_kernel_has_filters(void **state)
{
	(void)state;
	assert_true(calls_can_restrict());
}

static void each_use_has_its_own(void **state)
{
	static const unsigned uses[] = {CALLS_COMBINATIONS};

	(void)state;
	assert_int_equal(sizeof(uses) / sizeof(uses[0]), CALLS_FILTER_COUNT);
	for (size_t i = 0; i < CALLS_FILTER_COUNT; i++) {
		assert_ptr_equal(calls_find(uses[i]), &calls_filters[i]);
		assert_in_range(calls_filters[i].length, 100, BPF_MAXINSNS);
	}
	assert_null(calls_find(CALLS_CONNECT));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_thread_from_before_is_under_it),
		cmocka_unit_test(one_that_cannot_be_is_an_error),
		cmocka_unit_test(this_kernel_has_filters),
		cmocka_unit_test(each_use_has_its_own),
	};

	return cmocka_run_group_tests_name("sandbox-calls", tests, NULL, NULL);
}
