/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "kernel/block-attr.h"
#include "kernel/block-io.h"
#include "config/device-name.h"
#include "fake-root.h"

static struct error err;

static int setup(void **state)
{
	(void)state;
	if (fake_root_make())
		return -1;
	fake_root_put("/sys/block/nbd0/size", "2048\n");
	fake_root_put("/sys/block/nbd0/dev", "43:0\n");
	fake_root_put("/sys/block/nbd0/queue/io_timeout", "30000\n");
	fake_root_put("/sys/block/nbd0/nbd0p1/dev", "43:1\n");
	fake_root_put("/sys/block/nbd0/nbd0p1/holders/.keep", "");
	fake_root_put("/sys/block/nbd0/holders/.keep", "");
	fake_root_put("/sys/block/nbd10/size", "0\n");
	fake_root_put("/sys/block/nbd2/size", "0\n");
	fake_root_put("/sys/block/nbd2/dev", "43:64\n");
	fake_root_put("/sys/block/sda/size", "100\n");
	fake_root_put(
		"/proc/self/mountinfo", "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n");
	fake_root_put("/proc/swaps",
		"Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n/dev/sda2                       "
		"        partition\t975868\t0\t-2\n");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return fake_root_remove();
}

static void test_parse_device(void **state)
{
	static const struct {
		const char *word;
		int index;
	} good[] = {{"/dev/nbd0", 0}, {"nbd7", 7}, {"nbd1048575", 1048575}, {"auto", -1}};
	static const struct {
		const char *word, *sentence, *hint;
	} bad[] = {
		{"", "'' is not an NBD device", "/dev/nbdN"},
		{"nbd", "is not an NBD device", "auto"},
		{"/dev/sda", "'/dev/sda' is not an NBD device", "/dev/nbdN"},
		{"nbd-1", "is not", ""},
		{"nbd01", "is not", ""},
		{"nbd0x", "is not", ""},
		{"nbd0p", "is not", ""},
		{"nbd0p1x", "is not", ""},
		{"nbd1048576", "is not", ""},
		{"nbd99999999999999999999", "is not", ""},
		{"/dev/dev/nbd0", "is not", ""},
		{"/sys/block/nbd0", "is not", ""},
		{"nbd0p1", "'nbd0p1' is a partition", "use /dev/nbd0"},
		{"/dev/nbd12p3", "is a partition", "use /dev/nbd12"},
		{"nbd0 ", "is not", ""},
		{"nbd0/../sda", "is not", ""},
		{"\033[2Jnbd0", "'?[2Jnbd0' is not", ""},
		{"AUTO", "is not", ""},
	};
	size_t i;
	int index;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(device_name_parse(good[i].word, &index, &err), 0);
		assert_int_equal(index, good[i].index);
	}
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(device_name_parse(bad[i].word, &index, &err), -EINVAL);
		assert_int_equal(err.kind, ERROR_USAGE);
		if (!strstr(err.text, bad[i].sentence) || !strstr(err.hint, bad[i].hint))
			fail_msg("%s: %s / %s", bad[i].word, err.text, err.hint);
	}
}

static void test_in_flight(void **state)
{
	(void)state;
	assert_false(block_in_flight(0));
	fake_root_put("/sys/block/nbd0/inflight", "       0        0\n");
	assert_false(block_in_flight(0));
	fake_root_put("/sys/block/nbd0/inflight", "       3       40\n");
	assert_true(block_in_flight(0));
	assert_int_equal(block_in_flight_count(0), 43);
	fake_root_put("/sys/block/nbd0/inflight", "nonsense\n");
	assert_int_equal(block_in_flight_count(0), 0);
}

static void test_completed(void **state)
{
	(void)state;
	assert_int_equal(block_completed_count(0), 0);
	fake_root_put("/sys/block/nbd0/stat",
		"     100  2 3 4   200 6 7 8  9 10 11  300 13 14 15   400 17\n");
	assert_int_equal(block_completed_count(0), 1000);
	assert_int_equal(block_answered_count(0), 600);
	fake_root_put("/sys/block/nbd0/stat", "     100        2        3        4      200\n");
	assert_int_equal(block_completed_count(0), 300);
	fake_root_put("/sys/block/nbd0/stat", "nonsense\n");
	assert_int_equal(block_completed_count(0), 0);
}

static void test_io(void **state)
{
	const struct block_io before = {.reads = {100, 1000, 50}, .writes = {200, 5000, 8}};
	struct block_io io;

	(void)state;
	assert_int_equal(block_io_read(0, &io), -ENOENT);
	fake_root_put("/sys/block/nbd0/stat",
		"     100  2 3 4   200 6 7 8  9 10 11  300 13 14 15   400 17\n");
	assert_int_equal(block_io_read(0, &io), 0);
	assert_memory_equal(&io,
		(&(struct block_io){.reads = {100, 3 * 512, 4},
			.writes = {200, 7 * 512, 8},
			.discards = {300, 14 * 512, 15},
			.flushes = {400, 0, 17},
			.busy_ms = 10,
			.in_flight = 9}),
		sizeof(io));
	block_io_subtract(&io, &before);
	assert_memory_equal(&io,
		(&(struct block_io){.reads = {0, 3 * 512 - 1000, 0},
			.writes = {0, 0, 0},
			.discards = {300, 14 * 512, 15},
			.flushes = {400, 0, 17},
			.busy_ms = 10,
			.in_flight = 9}),
		sizeof(io));
	/* before 4.18 */
	fake_root_put("/sys/block/nbd0/stat", "1 2 3 4 5 6 7 8 9 10 11\n");
	assert_int_equal(block_io_read(0, &io), 0);
	assert_int_equal(io.busy_ms, 10);
	assert_int_equal(io.flushes.requests, 0);
	fake_root_put("/sys/block/nbd0/stat", "1 2 3 4 5 6 7\n");
	assert_int_equal(block_io_read(0, &io), -EINVAL);
	fake_root_put("/sys/block/nbd0/stat", "nonsense\n");
	assert_int_equal(block_io_read(0, &io), -EINVAL);
}

static void test_read_write(void **state)
{
	char buf[64];
	uint64_t value;

	(void)state;
	assert_int_equal(block_attr_read(0, "size", buf, sizeof(buf)), 0);
	assert_string_equal(buf, "2048");
	assert_int_equal(block_attr_read(0, "size", buf, 3), 0);
	assert_string_equal(buf, "20");
	assert_int_equal(block_attr_read(0, "backend", buf, sizeof(buf)), -ENOENT);
	assert_int_equal(block_attr_read(1, "size", buf, sizeof(buf)), -ENOENT);
	assert_int_equal(block_attr_read_u64(0, "size", &value), 0);
	assert_int_equal(value, 2048);
	fake_root_put("/sys/block/nbd0/big", "18446744073709551615\n");
	assert_int_equal(block_attr_read_u64(0, "big", &value), 0);
	assert_true(value == UINT64_MAX);
	fake_root_put("/sys/block/nbd0/big", "18446744073709551616\n");
	assert_int_equal(block_attr_read_u64(0, "big", &value), -ERANGE);
	fake_root_put("/sys/block/nbd0/bad", "-1\n");
	assert_int_equal(block_attr_read_u64(0, "bad", &value), -EINVAL);
	fake_root_put("/sys/block/nbd0/bad", "12x\n");
	assert_int_equal(block_attr_read_u64(0, "bad", &value), -EINVAL);
	fake_root_put("/sys/block/nbd0/bad", "");
	assert_int_equal(block_attr_read_u64(0, "bad", &value), -EINVAL);
	fake_root_put("/sys/block/nbd0/queue/io_timeout", "");
	assert_int_equal(block_attr_write(0, "queue/io_timeout", "1000"), 0);
	assert_int_equal(block_attr_read_u64(0, "queue/io_timeout", &value), 0);
	assert_int_equal(value, 1000);
	assert_int_equal(block_attr_write(0, "queue/none", "1"), -ENOENT);
	assert_int_equal(block_attr_write(99, "queue/io_timeout", "1"), -ENOENT);
}

static void test_list_and_state(void **state)
{
	int *list = NULL;
	size_t count = 0;

	(void)state;
	assert_int_equal(block_list_devices(&list, &count), 0);
	assert_int_equal(count, 3);
	assert_int_equal(list[0], 0);
	assert_int_equal(list[1], 2);
	assert_int_equal(list[2], 10);
	free(list);
	assert_true(block_exists(10));
	assert_false(block_exists(1));
	assert_false(block_exists(-1));
	assert_false(block_is_configured(0));
	fake_root_put("/sys/block/nbd0/pid", "77\n");
	assert_true(block_is_configured(0));
}

static void test_list_without_module(void **state)
{
	char other[] = "/tmp/test-sysfs-empty.XXXXXX", path[PATH_MAX];
	int *list = NULL;
	size_t count = 7;

	(void)state;
	assert_non_null(mkdtemp(other));
	system_root_set(other);
	assert_int_equal(block_list_devices(&list, &count), -ENOENT);
	snprintf(path, sizeof(path), "mkdir -p %s/sys/block/sda", other);
	assert_int_equal(system(path), 0);
	assert_int_equal(block_list_devices(&list, &count), -ENOENT);
	/* Loaded with nbds_max=0. */
	snprintf(path, sizeof(path), "mkdir -p %s/sys/module/nbd", other);
	assert_int_equal(system(path), 0);
	assert_int_equal(block_list_devices(&list, &count), 0);
	assert_int_equal(count, 0);
	free(list);
	snprintf(path, sizeof(path), "rm -rf %s", other);
	assert_int_equal(system(path), 0);
}

static void busy(int index, const char *text)
{
	memset(&err, 0, sizeof(err));
	assert_int_equal(block_check_unused(index, &err), -EBUSY);
	assert_int_equal(err.kind, ERROR_BUSY);
	assert_string_equal(err.text, text);
}

static void test_unused(void **state)
{
	(void)state;
	assert_int_equal(block_check_unused(0, &err), 0);
	assert_int_equal(block_check_unused(2, &err), 0);
	assert_int_equal(block_check_unused(55, &err), 0);
	/* Names that only begin alike. */
	fake_root_put("/proc/self/mountinfo",
		"22 1 43:160 / /x rw - ext4 /dev/nbd10 rw\n23 1 43:17 / /y rw - ext4 /dev/nbd0x "
		"rw\n");
	fake_root_put("/proc/swaps",
		"Filename Type\n/dev/nbd10p1 partition 1 0 -2\n/swap/dev/nbd0 file 1 0 -2\n");
	assert_int_equal(block_check_unused(0, &err), 0);
}

static void test_mounted(void **state)
{
	(void)state;
	fake_root_put("/proc/self/mountinfo",
		"22 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n30 22 43:1 / /mnt rw,relatime "
		"shared:5 master:1 - ext4 "
		"/dev/nbd0p1 rw\n");
	busy(0, "/dev/nbd0p1 is mounted on /mnt");
	assert_string_equal(err.hint, "unmount it first: umount /mnt");
	assert_int_equal(block_check_unused(2, &err), 0);
	fake_root_put("/proc/self/mountinfo",
		"30 22 43:0 / /my\\040disk\\012x rw - ext4 /dev/mapper/alias rw\n");
	busy(0, "/dev/nbd0 is mounted on /my disk?x");
	/* btrfs: an anonymous number, the device only in the source. */
	fake_root_put("/proc/self/mountinfo", "30 22 0:45 / /data rw - btrfs /dev/nbd0 rw\n");
	busy(0, "/dev/nbd0 is mounted on /data");
}

static void test_hostile_mountinfo(void **state)
{
	(void)state;
	fake_root_put("/proc/self/mountinfo",
		"\n - \n1 2\n1 2 43:0\n1 2 43:0 / \n1 2 43:0 / - \nx y z / /m - a /dev/nbd0\n");
	block_check_unused(0, &err);
	fake_root_put("/proc/self/mountinfo", "30 22 43:0 / /m\\9\\0 rw - ext4\n");
	busy(0, "/dev/nbd0 is mounted on /m\\9\\0");
}

static void test_swap(void **state)
{
	(void)state;
	fake_root_put("/proc/swaps", "Filename\tType\n/dev/nbd0  partition\t1\t0\t-2\n");
	busy(0, "/dev/nbd0 is used as swap");
	assert_string_equal(err.hint, "turn it off first: swapoff /dev/nbd0");
	fake_root_put("/proc/swaps", "Filename\tType\n/dev/nbd0p1 partition\t1\t0\t-2\n");
	busy(0, "/dev/nbd0p1 is used as swap");
}

static void test_held(void **state)
{
	(void)state;
	fake_root_put("/sys/block/nbd0/holders/dm-0", "");
	fake_root_put("/sys/block/dm-0/dm/name", "cryptroot\n");
	busy(0, "/dev/nbd0 is held by dm-0 (cryptroot)");
}

static void test_partition_held(void **state)
{
	(void)state;
	fake_root_put("/sys/block/nbd0/nbd0p1/holders/md127", "");
	busy(0, "/dev/nbd0p1 is held by md127");
	assert_string_equal(err.hint, "stop the array first: mdadm --stop /dev/md127");
}

static void link_to(const char *name, const char *target)
{
	char path[PATH_MAX];

	fake_root_path(path, name);
	assert_int_equal(symlink(target, path), 0);
}

static void test_loop(void **state)
{
	(void)state;
	fake_root_put("/sys/block/loop0/loop/backing_file", "/srv/image\n");
	fake_root_put("/sys/block/loop1/size", "0\n");
	fake_root_put("/sys/block/loop2/loop/backing_file", "/dev/nbd0x\n");
	fake_root_put("/sys/block/loop4/loop/backing_file", "nbd0\n");
	fake_root_put("/sys/block/loop5/loop/backing_file", "/dev/nbd10\n");
	assert_int_equal(block_check_unused(0, &err), 0);
	fake_root_put("/sys/block/loop3/loop/backing_file", "/dev/nbd0\n");
	busy(0, "/dev/nbd0 is used by the loop device /dev/loop3");
	assert_string_equal(err.hint, "unmount or end what uses that, then: losetup -d /dev/loop3");
	fake_root_put("/sys/block/loop3/loop/backing_file", "/dev/nbd0p1\n");
	busy(0, "/dev/nbd0p1 is used by the loop device /dev/loop3");
	/* udev made the node anew. */
	fake_root_put("/sys/block/loop3/loop/backing_file", "/dev/nbd0 (deleted)\n");
	busy(0, "/dev/nbd0 is used by the loop device /dev/loop3");
	assert_int_equal(block_check_unused(2, &err), 0);
}

static void test_other_names(void **state)
{
	(void)state;
	fake_root_put("/dev/nbd0p1", "");
	link_to("/dev/disk/by-id/nbd-x-part1", "../../nbd0p1");
	fake_root_put("/sys/block/loop3/loop/backing_file", "/dev/disk/by-id/nbd-x-part1\n");
	busy(0, "/dev/nbd0p1 is used by the loop device /dev/loop3");
	fake_root_put("/sys/block/loop3/loop/backing_file", "/srv/image\n");
	fake_root_put(
		"/proc/swaps", "Filename\tType\n/dev/disk/by-id/nbd-x-part1 partition\t1\t0\t-2\n");
	busy(0, "/dev/nbd0p1 is used as swap");
	fake_root_put("/proc/swaps", "");
	fake_root_put("/proc/self/mountinfo",
		"30 22 0:45 / /data rw - btrfs /dev/disk/by-id/nbd-x-part1 rw\n");
	busy(0, "/dev/nbd0p1 is mounted on /data");
	fake_root_put("/proc/self/mountinfo", "30 22 0:45 / /data rw - nfs server:/dev/nbd0 rw\n");
	assert_int_equal(block_check_unused(0, &err), 0);
}

/* By number, whatever the node is called; where this may make one. */
static void test_number(void **state)
{
	char path[PATH_MAX];

	(void)state;
	fake_root_path(path, "/dev/alias");
	if (mknod(path, S_IFBLK | 0600, makedev(43, 1)) < 0)
		skip();
	fake_root_put("/sys/block/loop3/loop/backing_file", "/dev/alias\n");
	busy(0, "/dev/nbd0p1 is used by the loop device /dev/loop3");
	/* And the name alone says nothing where the number does. */
	fake_root_path(path, "/dev/nbd0");
	assert_int_equal(mknod(path, S_IFBLK | 0600, makedev(8, 1)), 0);
	fake_root_put("/sys/block/loop3/loop/backing_file", "/dev/nbd0\n");
	assert_int_equal(block_check_unused(0, &err), 0);
}

static void test_targets(void **state)
{
	(void)state;
	fake_root_put("/sys/kernel/config/target/core/iblock_0/disk1/udev_path", "/dev/nbd0\n");
	fake_root_put("/sys/kernel/config/target/core/iblock_0/disk1/enable", "0\n");
	fake_root_put("/sys/kernel/config/nvmet/subsystems/nqn.x/namespaces/1/device_path",
		"/dev/nbd0\n");
	fake_root_put("/sys/kernel/config/nvmet/subsystems/nqn.x/namespaces/1/enable", "0\n");
	fake_root_put("/sys/block/zram0/backing_dev", "none\n");
	assert_int_equal(block_check_unused(0, &err), 0);
	fake_root_put("/sys/kernel/config/target/core/iblock_0/disk1/enable", "1\n");
	busy(0, "/dev/nbd0 is used by the SCSI target (LIO) as its backstore disk1");
	assert_string_equal(
		err.hint, "take it away first: targetcli /backstores/block delete disk1");
	fake_root_put("/sys/kernel/config/target/core/iblock_0/disk1/udev_path", "");
	fake_root_put("/sys/kernel/config/target/core/iblock_0/disk1/info",
		"Status: ACTIVATED\n        iBlock device: nbd0  UDEV PATH: /dev/nbd0  readonly: "
		"0\n");
	busy(0, "/dev/nbd0 is used by the SCSI target (LIO) as its backstore disk1");
	fake_root_put("/sys/kernel/config/target/core/iblock_0/disk1/info", "UDEV PATH: ");
	fake_root_put("/sys/kernel/config/target/core/fileio_1/f/info",
		"TCM FILEIO ID: 0        File: /dev/nbd0p1  Size: 1 Mode: O_DSYNC\n");
	busy(0, "/dev/nbd0p1 is used by the SCSI target (LIO) as its backstore f");
	assert_string_equal(err.hint, "take it away first: targetcli /backstores/fileio delete f");
	fake_root_put("/sys/kernel/config/target/core/fileio_1/f/info", "\n");
	fake_root_put("/sys/kernel/config/nvmet/subsystems/nqn.x/namespaces/1/enable", "1\n");
	busy(0, "/dev/nbd0 is used by the NVMe target nqn.x as its namespace 1");
	assert_string_equal(err.hint,
		"take it away first: echo 0 "
		">/sys/kernel/config/nvmet/subsystems/nqn.x/namespaces/1/enable");
}

static void test_other_openers(void **state)
{
	(void)state;
	fake_root_put("/sys/bus/xen-backend/devices/vbd-1-51712/physical_device", "2b:0\n");
	busy(0, "/dev/nbd0 is used by a guest of Xen (vbd-1-51712)");
	fake_root_put("/sys/bus/xen-backend/devices/vbd-1-51712/physical_device", "2b:40\n");
	fake_root_put("/sys/kernel/config/usb_gadget/g/functions/mass_storage.0/lun.0/file",
		"/dev/nbd0\n");
	busy(0, "/dev/nbd0 is used by the USB gadget g");
	assert_string_equal(err.hint,
		"take it away first: echo "
		">/sys/kernel/config/usb_gadget/g/functions/mass_storage.0/lun.0/file");
	fake_root_put("/sys/kernel/config/usb_gadget/g/functions/mass_storage.0/lun.0/file", "");
	fake_root_put("/sys/block/zram0/backing_dev", "/dev/nbd0\n");
	busy(0, "/dev/nbd0 is used by /dev/zram0, which writes back to it");
	fake_root_put("/sys/block/zram0/backing_dev", "none\n");
	link_to("/sys/fs/btrfs/uuid/devices/nbd0", "../../../../block/nbd0");
	busy(0, "/dev/nbd0 is used by a mounted btrfs (uuid)");
	fake_root_put("/sys/block/nbd0/nbd0p1/bcache/set/x", "");
	busy(0, "/dev/nbd0p1 is registered with bcache");
	assert_string_equal(err.hint,
		"unregister it first: echo 1 >/sys/block/nbd0/nbd0p1/bcache/set/unregister");
}

static void test_numbers(void **state)
{
	dev_t numbers[4];

	(void)state;
	assert_int_equal(block_device_numbers(0, numbers, 4), 2);
	assert_true(numbers[0] == makedev(43, 0) && numbers[1] == makedev(43, 1));
	assert_int_equal(block_device_numbers(0, numbers, 1), 1);
	assert_int_equal(block_device_numbers(10, numbers, 4), 0);
	assert_int_equal(block_device_numbers(55, numbers, 4), 0);
}

static void test_missing_proc(void **state)
{
	char path[PATH_MAX];

	(void)state;
	fake_root_path(path, "/proc/swaps");
	unlink(path);
	fake_root_path(path, "/proc/self/mountinfo");
	unlink(path);
	assert_int_equal(block_check_unused(0, &err), 0);
}

/* pid alone is there of whatever client's device. */
static void a_device_is_whose_backend_it_shows(void **state)
{
	(void)state;
	assert_false(block_backend_is(0, "0011"));
	fake_root_put("/sys/block/nbd0/backend", "0011\n");
	assert_false(block_backend_is(0, "0011"));
	fake_root_put("/sys/block/nbd0/pid", "7\n");
	assert_true(block_backend_is(0, "0011"));
	assert_false(block_backend_is(0, "001"));
	assert_false(block_backend_is(0, "00112"));
	assert_false(block_backend_is(0, ""));
	fake_root_put("/sys/block/nbd2/pid", "7\n");
	assert_false(block_backend_is(2, ""));
	assert_false(block_backend_is(2, "0011"));
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(a_device_is_whose_backend_it_shows),
		CASE(test_parse_device),
		CASE(test_in_flight),
		CASE(test_completed),
		CASE(test_io),
		CASE(test_read_write),
		CASE(test_list_and_state),
		CASE(test_list_without_module),
		CASE(test_unused),
		CASE(test_mounted),
		CASE(test_hostile_mountinfo),
		CASE(test_swap),
		CASE(test_held),
		CASE(test_partition_held),
		CASE(test_loop),
		CASE(test_other_names),
		CASE(test_number),
		CASE(test_targets),
		CASE(test_other_openers),
		CASE(test_numbers),
		CASE(test_missing_proc),
	};

	return cmocka_run_group_tests_name("sysfs", tests, NULL, NULL);
}
