/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
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
		cmocka_unit_test(without_a_configuration_there_is_none),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
