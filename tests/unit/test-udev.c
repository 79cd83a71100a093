/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "kernel/block-attr.h"
#include "kernel/udev.h"
#include "fake-root.h"

static void assert_holds(const char *name, const char *text)
{
	char path[PATH_MAX], line[64] = "";
	FILE *file;

	fake_root_path(path, name);
	file = fopen(path, "r");
	assert_non_null(file);
	assert_true(fgets(line, sizeof(line), file) || !*text);
	fclose(file);
	assert_string_equal(line, text);
}

static int setup(void **state)
{
	(void)state;
	if (fake_root_make())
		return -1;
	fake_root_put("/sys/block/nbd0/dev", "43:0\n");
	fake_root_put("/sys/block/nbd0/uevent", "");
	fake_root_put("/sys/block/nbd0/nbd0p2/dev", "43:2\n");
	fake_root_put("/sys/block/nbd0/nbd0p2/uevent", "");
	fake_root_put("/run/udev/control", "");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return fake_root_remove();
}

/* A udevd that answers after a while, for a change that it finds in the disk's uevent. */
static pid_t start_udevd(const char *disk, const char *partition)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	usleep(50000);
	fake_root_put("/run/udev/data/b43:0", disk);
	usleep(50000);
	fake_root_put("/run/udev/data/b43:2", partition);
	_exit(0);
}

static bool announce_and_wait(int timeout_ms)
{
	struct udev_wait wait;

	udev_announce(&wait, 0);
	for (int waited_ms = 0; waited_ms < timeout_ms && !udev_has_noted(&wait);
		waited_ms += UDEV_LOOK_AGAIN_MS)
		usleep(UDEV_LOOK_AGAIN_MS * 1000);
	return udev_has_noted(&wait);
}

static void disk_and_partitions_are_told(void **state)
{
	(void)state;
	assert_false(announce_and_wait(0));
	assert_holds("/sys/block/nbd0/uevent", "change");
	assert_holds("/sys/block/nbd0/nbd0p2/uevent", "change");
}

static void waits_for_disk_and_partitions(void **state)
{
	pid_t pid = start_udevd("E:DEVTYPE=disk\n", "E:DEVTYPE=partition\n");
	bool noted = announce_and_wait(10000);
	char path[PATH_MAX];

	(void)state;
	assert_true(noted);
	/* Not before the partition's, which comes last. */
	fake_root_path(path, "/run/udev/data/b43:2");
	assert_int_equal(access(path, F_OK), 0);
	waitpid(pid, NULL, 0);
}

static void an_old_record_does_not_count(void **state)
{
	struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
	char path[PATH_MAX];

	(void)state;
	fake_root_put("/run/udev/data/b43:2", "");
	fake_root_put("/run/udev/data/b43:0", "");
	fake_root_path(path, "/run/udev/data/b43:0");
	assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
	assert_false(announce_and_wait(100));
}

static void an_event_that_found_it_not_ready_does_not_count(void **state)
{
	pid_t pid = start_udevd("E:DEVTYPE=disk\nE:SYSTEMD_READY=0\n", "");

	(void)state;
	assert_false(announce_and_wait(300));
	waitpid(pid, NULL, 0);
}

static void without_udevd_nothing_is_waited_for(void **state)
{
	char path[PATH_MAX];

	(void)state;
	fake_root_path(path, "/run/udev/control");
	unlink(path);
	assert_true(announce_and_wait(10000));
	assert_holds("/sys/block/nbd0/uevent", "");
}

static void knows_a_device_by_its_name_and_readiness(void **state)
{
	(void)state;
	assert_false(udev_knows(0, "0123456789abcdef0123456789abcdef"));
	fake_root_put("/run/udev/data/b43:0",
		"S:disk/by-uuid/x\nS:disk/by-id/nbd-0123456789abcdef0123456789abcdef\nE:A=b\n");
	assert_true(udev_knows(0, "0123456789abcdef0123456789abcdef"));
	assert_false(udev_knows(0, "0123456789abcdef0123456789abcde0"));
	assert_false(udev_knows(0, "0123456789abcdef0123456789abcde"));
	assert_false(udev_knows(1, "0123456789abcdef0123456789abcdef"));
	fake_root_put("/run/udev/data/b43:0",
		"S:disk/by-id/nbd-0123456789abcdef0123456789abcdef\nE:SYSTEMD_READY=0\n");
	assert_false(udev_knows(0, "0123456789abcdef0123456789abcdef"));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(disk_and_partitions_are_told),
		TEST(waits_for_disk_and_partitions),
		TEST(an_old_record_does_not_count),
		TEST(an_event_that_found_it_not_ready_does_not_count),
		TEST(without_udevd_nothing_is_waited_for),
		TEST(knows_a_device_by_its_name_and_readiness),
	};

	return cmocka_run_group_tests_name("udev", tests, NULL, NULL);
}
