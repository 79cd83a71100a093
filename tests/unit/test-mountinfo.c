/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include "kernel/mountinfo.h"

static int read_text(struct mountinfo *table, const char *text)
{
	FILE *file = fmemopen((char *)text, strlen(text), "r");
	int rc;

	assert_non_null(file);
	rc = mountinfo_read(table, file);
	fclose(file);
	return rc;
}

/* An initramfs with a root disk mounted already, and with the new root moved on top: its /proc is
 * not the old one. */
static const char initrd[] = "1 1 0:2 / / rw - rootfs rootfs rw\n"
			     "21 1 0:21 / /proc rw,nosuid shared:5 - proc proc rw\n"
			     "22 1 0:22 / /run rw shared:6 master:1 - tmpfs tmpfs rw,size=10%\n"
			     "30 1 259:1 / /sysroot rw - ext4 /dev/nbd0p1 rw\n"
			     "31 30 0:40 / /sysroot/my\\040disk\\134 rw - xfs /dev/sdb rw\n"
			     "50 1 0:50 / / rw unbindable - ramfs nbd-attach rw\n"
			     "51 50 0:21 / /proc rw - proc proc rw\n";

static void lines_are_read(void **state)
{
	struct mountinfo table;

	(void)state;
	assert_int_equal(read_text(&table, initrd), 0);
	assert_int_equal(table.count, 7);
	assert_int_equal(table.entries[1].id, 21);
	assert_int_equal(table.entries[1].parent_id, 1);
	assert_string_equal(table.entries[1].path, "/proc");
	assert_string_equal(table.entries[1].type, "proc");
	assert_string_equal(table.entries[2].type, "tmpfs");
	assert_string_equal(table.entries[4].path, "/sysroot/my disk\\");
	assert_int_equal(mountinfo_find(&table, "/")->id, 50);
	assert_int_equal(mountinfo_find(&table, "/sysroot/my disk\\")->id, 31);
	assert_null(mountinfo_find(&table, "/pro"));
	mountinfo_free(&table);
	assert_int_equal(read_text(&table, "\n"), -EPROTO);
	mountinfo_free(&table);
}

static void a_line_has_the_device_and_the_source(void **state)
{
	char disk[] = "31 30 259:40 / /my\\040disk rw,noatime shared:6 master:1 - xfs "
		      "/dev/my\\040disk rw\n",
	     last[] = "31 30 0:40 / /a rw - tmpfs", none[] = "31 30 0:40 / /a rw - tmpfs  rw\n";
	struct mountinfo_line parts;

	(void)state;
	assert_true(mountinfo_parse(disk, &parts));
	assert_int_equal(parts.number, makedev(259, 40));
	assert_string_equal(parts.path, "/my disk");
	assert_string_equal(parts.type, "xfs");
	assert_string_equal(parts.source, "/dev/my disk");
	assert_true(mountinfo_parse(last, &parts));
	assert_string_equal(parts.type, "tmpfs");
	assert_string_equal(parts.source, "");
	assert_true(mountinfo_parse(none, &parts));
	assert_string_equal(parts.source, "");
}

static void whatever_hangs_below_a_mount_is_within_it(void **state)
{
	static const bool within_new[] = {false, false, false, false, false, true, true},
			  within_disk[] = {false, false, false, true, true, false, false};
	struct mountinfo table;

	(void)state;
	assert_int_equal(read_text(&table, initrd), 0);
	for (size_t i = 0; i < table.count; i++) {
		assert_int_equal(mountinfo_is_within(&table, &table.entries[i], 50), within_new[i]);
		assert_int_equal(
			mountinfo_is_within(&table, &table.entries[i], 30), within_disk[i]);
		assert_true(mountinfo_is_within(&table, &table.entries[i], 1));
	}
	mountinfo_free(&table);
	/* In circles, and below one that is not shown. */
	assert_int_equal(read_text(&table,
				 "2 3 0:1 / /a rw - tmpfs a rw\n3 2 0:1 / /b rw - tmpfs b rw\n4 99 "
				 "0:1 / /c rw - tmpfs c rw\n"),
		0);
	for (size_t i = 0; i < table.count; i++)
		assert_false(mountinfo_is_within(&table, &table.entries[i], 50));
	mountinfo_free(&table);
}

static void other_lines_are_refused(void **state)
{
	static const char *const bad[] = {
		"x",
		"1 1 0:2 / / rw",
		"1 1 0:2 / / rw -\n",
		"1 1 0:2 / / rw - \n",
		"1 x 0:2 / / rw - ext4 x rw\n",
		"1 1 0:2 / relative rw - ext4 x rw\n",
		"1 1 0:2 - ext4 x rw\n",
	};
	struct mountinfo table;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_int_equal(read_text(&table, bad[i]), -EPROTO);
		mountinfo_free(&table);
	}
}

/* Any user may mount by FUSE, and choose its name. */
static void a_long_type_is_no_type_that_is_known(void **state)
{
	struct mountinfo table;

	(void)state;
	assert_int_equal(read_text(&table,
				 "1 1 0:2 / / rw - fuse.a-type-of-more-than-thirty-two-letters x "
				 "rw\n2 1 0:3 / /a rw - tmpfs x rw\n"),
		0);
	assert_int_equal(table.count, 2);
	assert_false(mountinfo_type_is_diskless(table.entries[0].type));
	assert_true(mountinfo_type_is_diskless(table.entries[1].type));
	mountinfo_free(&table);
}

static void what_is_not_known_may_be_a_disk(void **state)
{
	static const char *const memory[] = {
		"rootfs", "ramfs", "tmpfs", "proc", "sysfs", "devtmpfs", "cgroup2"};
	static const char *const others[] = {"ext4", "btrfs", "xfs", "nfs", "nfs4", "overlay",
		"squashfs", "fuse", "fuse.sshfs", "autofs", "zfs", "9p", "", "tmpf", "tmpfs2"};

	(void)state;
	for (size_t i = 0; i < sizeof(memory) / sizeof(*memory); i++)
		assert_true(mountinfo_type_is_diskless(memory[i]));
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		assert_false(mountinfo_type_is_diskless(others[i]));
}

static void random_lines_do_no_harm(void **state)
{
	static const char letters[] = "0123 /\\-ext4 proc:\n ";
	struct mountinfo table;
	char text[200];

	(void)state;
	srandom(4);
	for (int round = 0; round < 20000; round++) {
		size_t len = 1 + (size_t)random() % (sizeof(text) - 2);

		for (size_t i = 0; i < len; i++)
			text[i] = letters[(size_t)random() % (sizeof(letters) - 1)];
		text[len] = 0;
		read_text(&table, text);
		for (size_t i = 0; i < table.count; i++)
			mountinfo_is_within(&table, &table.entries[i], 7);
		mountinfo_free(&table);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_read),
		cmocka_unit_test(a_line_has_the_device_and_the_source),
		cmocka_unit_test(whatever_hangs_below_a_mount_is_within_it),
		cmocka_unit_test(other_lines_are_refused),
		cmocka_unit_test(a_long_type_is_no_type_that_is_known),
		cmocka_unit_test(what_is_not_known_may_be_a_disk),
		cmocka_unit_test(random_lines_do_no_harm),
	};

	return cmocka_run_group_tests_name("mountinfo", tests, NULL, NULL);
}
