/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include "cmd/device-argument.h"
#include "fake-root.h"

static struct error err;

static int setup(void **state)
{
	(void)state;
	if (fake_root_make())
		return -1;
	fake_root_put("/proc/self/mountinfo",
		"22 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n"
		"30 22 43:1 / /mnt/my\\040disk rw - ext4 /dev/nbd7p1 rw\n"
		"31 22 43:0 / /srv rw - xfs /dev/nbd3 rw\n"
		"32 22 8:2 / /both rw - ext4 /dev/nbd1 rw\n"
		"33 32 8:2 / /both rw - ext4 /dev/sdb rw\n");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return fake_root_remove();
}

static void refused(const char *word, const char *command, const char *text, const char *hint)
{
	int index = 0;

	memset(&err, 0, sizeof(err));
	assert_int_equal(device_argument(word, command, &index, &err), -EINVAL);
	assert_int_equal(err.kind, ERROR_USAGE);
	assert_non_null(strstr(err.text, text));
	assert_non_null(strstr(err.hint, hint));
}

static void a_device_is_a_number(void **state)
{
	int index = 0;

	(void)state;
	assert_int_equal(device_argument("/dev/nbd7", "detach", &index, &err), 0);
	assert_int_equal(index, 7);
	assert_int_equal(device_argument("nbd3", "status", &index, &err), 0);
	assert_int_equal(index, 3);
}

static void where_it_is_mounted_is_told(void **state)
{
	(void)state;
	refused("/srv", "detach", "/srv is where /dev/nbd3 is mounted",
		"umount /srv && nbd-attach detach /dev/nbd3");
	refused("/srv/", "detach", "/srv/ is where /dev/nbd3 is mounted", "detach /dev/nbd3");
	refused("/srv", "resize", "/dev/nbd3", "nbd-attach resize /dev/nbd3");
	refused("/mnt/my disk", "detach", "/dev/nbd7p1 is mounted", "nbd-attach detach /dev/nbd7");
	/* what covers the other counts */
	refused("/both", "detach", "/dev/sdb is mounted", "no NBD device");
	refused("/", "detach", "/dev/sda1 is mounted", "no NBD device");
}

static void anything_else_is_no_device(void **state)
{
	(void)state;
	refused("/sr", "detach", "'/sr' is not an NBD device", "nbd-attach status");
	refused("/srv/x", "detach", "not an NBD device", "nbd-attach status");
	refused("nbd3p1", "detach", "is a partition", "use /dev/nbd3");
	refused("auto", "reload", "reload which device?", "nbd-attach status");
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(a_device_is_a_number),
		CASE(where_it_is_mounted_is_told),
		CASE(anything_else_is_no_device),
	};

	return cmocka_run_group_tests_name("device-argument", tests, NULL, NULL);
}
