/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/wait.h>
#include <unistd.h>
#include "child/name-services.h"
#include "fake-root.h"

static void the_first_module_that_is_not_known_is_named(void **state)
{
	static const struct {
		const char *file, *name; /* NULL: none */
	} table[] = {
		{"hosts: files dns\n", NULL},
		{"hosts: files mdns4_minimal [NOTFOUND=return] resolve [!UNAVAIL=return] "
		 "myhostname "
		 "dns",
			NULL},
		{"passwd: files wins\nhosts: files\n", NULL},
		{"hosts: files wins dns sss\n", "wins"},
		{"# hosts: wins\n\thosts:\twins\n", "wins"},
		{"hosts:dns mdns\nhosts: sss\n", "sss"},
		{"hosts: files [ NOTFOUND=return SUCCESS=return ] [x] libvirt\n", "libvirt"},
		{"hosts: files [wins dns", NULL},
		{"hosts: files # wins\n", NULL},
		{"hosts: \n", NULL},
		{"", NULL},
	};
	char name[32];

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		fake_root_put("/etc/nsswitch.conf", table[i].file);
		if (name_services_find_doubtful(name, sizeof(name)) != (table[i].name != NULL))
			fail_msg("of \"%s\"", table[i].file);
		if (table[i].name)
			assert_string_equal(name, table[i].name);
	}
}

static void without_a_configuration_there_is_none(void **state)
{
	char name[32], path[PATH_MAX];

	(void)state;
	fake_root_path(path, "/etc/nsswitch.conf");
	remove(path);
	assert_false(name_services_find_doubtful(name, sizeof(name)));
}

/* Root reads all; so the test is another user's, in a process of its own. */
static const char *unreadable_for_others(void)
{
	static const char *const files[] = {"/etc/hosts", "/etc/resolv.conf", "/etc/nsswitch.conf"};
	const char *found;
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		if (geteuid() == 0 && setuid(65534))
			_exit(100);
		found = name_services_find_unreadable();
		for (int i = 0; i < 3; i++)
			if (found && !strcmp(found, files[i]))
				_exit(i + 1);
		_exit(found ? 101 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) <= 3);
	return WEXITSTATUS(status) ? files[WEXITSTATUS(status) - 1] : NULL;
}

static void a_file_that_only_root_can_read_is_named(void **state)
{
	static const char *const files[] = {"/etc/nsswitch.conf", "/etc/resolv.conf", "/etc/hosts"};
	char path[PATH_MAX];

	(void)state;
	chmod(fake_root, 0755);
	for (size_t i = 0; i < 3; i++) {
		fake_root_put(files[i], "");
		fake_root_path(path, files[i]);
		chmod(path, 0644);
	}
	assert_null(unreadable_for_others());
	for (size_t i = 0; i < 3; i++) {
		fake_root_path(path, files[i]);
		chmod(path, 0);
		assert_string_equal(unreadable_for_others(), files[i]);
	}
	for (size_t i = 0; i < 3; i++) {
		fake_root_path(path, files[i]);
		remove(path);
	}
	assert_null(unreadable_for_others());
}

static int setup(void **state)
{
	(void)state;
	return fake_root_make();
}

static int teardown(void **state)
{
	(void)state;
	return fake_root_remove();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_module_that_is_not_known_is_named),
		cmocka_unit_test(a_file_that_only_root_can_read_is_named),
		cmocka_unit_test(without_a_configuration_there_is_none),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
