/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A process that stays keeps nothing of its starter open, and all that is its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <unistd.h>
#include "child/inherited-fds.h"

#define HIGH_FD 200

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void what_was_open_is_closed_and_what_was_opened_since_is_not(void **state)
{
	int theirs[2], ours[2];

	(void)state;
	assert_int_equal(pipe(theirs), 0);
	/* wherever it is, and whatever its flags */
	assert_int_equal(fcntl(theirs[1], F_DUPFD_CLOEXEC, HIGH_FD), HIGH_FD);
	inherited_fds_note();
	assert_int_equal(pipe(ours), 0);
	assert_true(is_open(theirs[0]) && is_open(theirs[1]) && is_open(HIGH_FD));
	inherited_fds_close();
	assert_false(is_open(theirs[0]) || is_open(theirs[1]) || is_open(HIGH_FD));
	assert_true(is_open(ours[0]) && is_open(ours[1]));
	for (int fd = 0; fd <= 2; fd++)
		assert_true(is_open(fd));
	/* once: the number may be another's by now */
	inherited_fds_close();
	assert_true(is_open(ours[0]) && is_open(ours[1]));
	close(ours[0]);
	close(ours[1]);
}

/* opendir() fails in such a process, as it does where /proc is not mounted. */
static void they_are_found_without_proc_as_well(void **state)
{
	struct rlimit limit, none;
	int fd = open("/dev/null", O_RDONLY), last = fd;

	(void)state;
	assert_true(fd >= 3);
	assert_int_equal(fcntl(fd, F_DUPFD, HIGH_FD), HIGH_FD);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	/* each number below the limit is taken */
	while (last >= 0 && last < HIGH_FD)
		last = dup(fd);
	close(last);
	none = limit;
	none.rlim_cur = HIGH_FD + 1;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	inherited_fds_note();
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	inherited_fds_close();
	for (fd = 3; fd <= HIGH_FD; fd++)
		assert_false(is_open(fd));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_open_is_closed_and_what_was_opened_since_is_not),
		cmocka_unit_test(they_are_found_without_proc_as_well),
	};

	return cmocka_run_group_tests_name("inherited descriptors", tests, NULL, NULL);
}
