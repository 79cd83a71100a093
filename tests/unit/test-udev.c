/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libudev listens to the kernel and reads the real /sys and /run, whatever root a test sets: its
 * functions are defined here, and this program is linked with them instead. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <libudev.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "kernel/udev.h"
#include "fake-root.h"

#define BACKEND "0123456789abcdef0123456789abcdef"
#define MONITOR_FD 77
#define ANSWERS_MAX 200

static struct error err;

/* --- libudev */

struct udev_device {
	char synth_uuid[64];
	const char *ready, *links[3];
};

static struct {
	struct udev_device answers[ANSWERS_MAX];
	unsigned count, next;
	unsigned overflow_at; /* what comes there is lost */
	bool no_monitor, listens, filters_block;
	int objects; /* that somebody has to unref */
	struct udev_device nbd0;
} fake;

static struct udev_list_entry {
	char unused;
} entries[3];

struct udev *udev_new(void)
{
	fake.objects++;
	return (struct udev *)&fake;
}

struct udev *udev_unref(struct udev *udev)
{
	(void)udev;
	fake.objects--;
	return NULL;
}

struct udev_monitor *udev_monitor_new_from_netlink(struct udev *udev, const char *name)
{
	(void)udev;
	assert_string_equal(name, "udev");
	errno = EMFILE;
	if (fake.no_monitor)
		return NULL;
	fake.objects++;
	return (struct udev_monitor *)&fake;
}

struct udev_monitor *udev_monitor_unref(struct udev_monitor *monitor)
{
	(void)monitor;
	fake.objects--;
	return NULL;
}

int udev_monitor_filter_add_match_subsystem_devtype(
	struct udev_monitor *monitor, const char *subsystem, const char *devtype)
{
	(void)monitor;
	fake.filters_block = strcmp(subsystem, "block") == 0 && !devtype;
	return 0;
}

int udev_monitor_enable_receiving(struct udev_monitor *monitor)
{
	(void)monitor;
	fake.listens = true;
	return 0;
}

int udev_monitor_get_fd(struct udev_monitor *monitor)
{
	(void)monitor;
	return MONITOR_FD;
}

struct udev_device *udev_monitor_receive_device(struct udev_monitor *monitor)
{
	(void)monitor;
	errno = EAGAIN;
	if (fake.overflow_at && fake.next == fake.overflow_at) {
		fake.overflow_at = 0;
		errno = ENOBUFS;
		return NULL;
	}
	if (fake.next == fake.count)
		return NULL;
	fake.objects++;
	return &fake.answers[fake.next++];
}

struct udev_device *udev_device_unref(struct udev_device *device)
{
	(void)device;
	fake.objects--;
	return NULL;
}

const char *udev_device_get_property_value(struct udev_device *device, const char *key)
{
	if (strcmp(key, "SYNTH_UUID") == 0)
		return *device->synth_uuid ? device->synth_uuid : NULL;
	return strcmp(key, "SYSTEMD_READY") == 0 ? device->ready : NULL;
}

struct udev_device *udev_device_new_from_subsystem_sysname(
	struct udev *udev, const char *subsystem, const char *sysname)
{
	(void)udev;
	assert_string_equal(subsystem, "block");
	if (strcmp(sysname, "nbd0") != 0)
		return NULL;
	fake.objects++;
	return &fake.nbd0;
}

struct udev_list_entry *udev_device_get_devlinks_list_entry(struct udev_device *device)
{
	return device->links[0] ? &entries[0] : NULL;
}

struct udev_list_entry *udev_list_entry_get_next(struct udev_list_entry *entry)
{
	return fake.nbd0.links[entry - entries + 1] ? entry + 1 : NULL;
}

const char *udev_list_entry_get_name(struct udev_list_entry *entry)
{
	return fake.nbd0.links[entry - entries];
}

/* --- /sys and /run */

/* What the kernel does with such an attribute: the UUID in the event that comes of "change UUID";
 * empty: nothing was written. */
static void take_uuid(const char *name, char uuid[64])
{
	char path[PATH_MAX], line[64] = "";
	FILE *file;

	snprintf(path, sizeof(path), "%s%s", fake_root, name);
	file = fopen(path, "r");
	assert_non_null(file);
	assert_true(fgets(line, sizeof(line), file) || !*line);
	fclose(file);
	fake_root_put(name, "");
	*uuid = 0;
	if (!*line)
		return;
	assert_int_equal(strlen(line), strlen("change ") + 36);
	assert_memory_equal(line, "change ", strlen("change "));
	for (int i = 0; i < 36; i++)
		assert_true(i == 8 || i == 13 || i == 18 || i == 23 ?
				line[7 + i] == '-' :
				!!strchr("0123456789abcdef", line[7 + i]));
	strcpy(uuid, line + strlen("change "));
}

#define DISK "/sys/block/nbd0/uevent"
#define PARTITION "/sys/block/nbd0/nbd0p2/uevent"

static void answer(const char *uuid)
{
	assert_true(fake.count < ANSWERS_MAX);
	strcpy(fake.answers[fake.count++].synth_uuid, uuid);
}

static void answer_event_of(const char *name)
{
	char uuid[64];

	take_uuid(name, uuid);
	assert_true(*uuid);
	answer(uuid);
}

static int setup(void **state)
{
	(void)state;
	memset(&fake, 0, sizeof(fake));
	if (fake_root_make() < 0)
		return -1;
	fake_root_put(DISK, "");
	fake_root_put(PARTITION, "");
	fake_root_put("/run/udev/control", "");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	assert_int_equal(fake.objects, 0);
	return fake_root_remove();
}

/* --- tests */

static void disk_and_partitions_are_told_and_waited_for(void **state)
{
	struct udev_wait wait;

	(void)state;
	assert_int_equal(udev_announce(&wait, 0, &err), 0);
	assert_true(fake.listens && fake.filters_block);
	assert_int_equal(udev_wait_fd(&wait), MONITOR_FD);
	assert_false(udev_has_noted(&wait));
	answer_event_of(DISK);
	assert_false(udev_has_noted(&wait));
	answer_event_of(PARTITION);
	assert_true(udev_has_noted(&wait));
	udev_wait_end(&wait);
	assert_int_equal(udev_wait_fd(&wait), -1);
	assert_true(udev_has_noted(&wait));
	udev_wait_end(&wait);
}

/* The event of another wait, or of a "change" by hand: its UUID is "0", or there is none. */
static void an_answer_to_somebody_else_does_not_count(void **state)
{
	struct udev_wait wait, other;
	char uuid[64];

	(void)state;
	assert_int_equal(udev_announce(&other, 0, &err), 0);
	take_uuid(DISK, uuid);
	take_uuid(PARTITION, uuid);
	answer(uuid);
	answer("0");
	answer("");
	answer("01234567-89ab-4def-8123-456789ab0000");
	assert_int_equal(udev_announce(&wait, 0, &err), 0);
	assert_false(udev_has_noted(&wait));
	answer_event_of(DISK);
	assert_false(udev_has_noted(&wait));
	answer_event_of(PARTITION);
	assert_true(udev_has_noted(&wait));
	udev_wait_end(&wait);
	udev_wait_end(&other);
}

/* As with a path of a multipath device, which is never ready by itself. */
static void an_answer_counts_whatever_udevs_rules_made_of_it(void **state)
{
	struct udev_wait wait;

	(void)state;
	assert_int_equal(udev_announce(&wait, 0, &err), 0);
	answer_event_of(DISK);
	fake.answers[0].ready = "0";
	answer_event_of(PARTITION);
	assert_true(udev_has_noted(&wait));
	udev_wait_end(&wait);
}

static void a_partition_that_appears_meanwhile_is_waited_for(void **state)
{
	struct udev_wait wait;

	(void)state;
	assert_int_equal(udev_announce(&wait, 0, &err), 0);
	answer_event_of(PARTITION);
	assert_false(udev_has_noted(&wait));
	fake_root_put("/sys/block/nbd0/nbd0p3/uevent", "");
	answer_event_of(DISK);
	assert_false(udev_has_noted(&wait));
	answer_event_of("/sys/block/nbd0/nbd0p3/uevent");
	assert_true(udev_has_noted(&wait));
	udev_wait_end(&wait);
}

static void lost_answers_are_asked_for_again_once(void **state)
{
	struct udev_wait wait;
	char uuid[64];

	(void)state;
	assert_int_equal(udev_announce(&wait, 0, &err), 0);
	take_uuid(PARTITION, uuid);
	answer_event_of(DISK);
	fake.overflow_at = 1;
	assert_false(udev_has_noted(&wait));
	take_uuid(DISK, uuid);
	assert_string_equal(uuid, ""); /* its answer was there */
	take_uuid(PARTITION, uuid);
	assert_true(*uuid);
	fake.overflow_at = 1;
	assert_false(udev_has_noted(&wait));
	answer(uuid);
	take_uuid(PARTITION, uuid);
	assert_string_equal(uuid, "");
	assert_true(udev_has_noted(&wait));
	udev_wait_end(&wait);
}

static void a_flood_is_not_read_all_at_once(void **state)
{
	struct udev_wait wait;
	int rounds = 1;

	(void)state;
	assert_int_equal(udev_announce(&wait, 0, &err), 0);
	while (fake.count < ANSWERS_MAX - 2)
		answer("0");
	answer_event_of(DISK);
	answer_event_of(PARTITION);
	for (; !udev_has_noted(&wait); rounds++)
		assert_true(fake.next <= 64U * rounds);
	assert_true(rounds > 1);
	udev_wait_end(&wait);
}

static void without_udevd_nothing_is_waited_for(void **state)
{
	char path[PATH_MAX], uuid[64];
	struct udev_wait wait;

	(void)state;
	snprintf(path, sizeof(path), "%s/run/udev/control", fake_root);
	unlink(path);
	assert_int_equal(udev_announce(&wait, 0, &err), 0);
	assert_true(udev_has_noted(&wait));
	assert_int_equal(udev_wait_fd(&wait), -1);
	take_uuid(DISK, uuid);
	assert_string_equal(uuid, "");
	udev_wait_end(&wait);
}

static void what_cannot_be_heard_of_is_told_but_not_waited_for(void **state)
{
	struct udev_wait wait;
	char uuid[64];

	(void)state;
	fake.no_monitor = true;
	assert_int_equal(udev_announce(&wait, 0, &err), -EMFILE);
	assert_true(udev_has_noted(&wait));
	assert_int_equal(udev_wait_fd(&wait), -1);
	take_uuid(DISK, uuid);
	assert_true(*uuid);
}

/* Where udevd's answers do not come, 10 seconds would be waited for nothing. */
static void in_another_network_namespace_it_is_told_but_not_waited_for(void **state)
{
	struct udev_wait wait;
	char uuid[64];

	(void)state;
	fake_root_put("/proc/1/ns/net", "");
	fake_root_put("/proc/self/ns/net", "");
	assert_int_equal(udev_announce(&wait, 0, &err), -ENONET);
	assert_string_equal(
		err.text, "its answers are heard in the network namespace of process 1 alone");
	assert_true(udev_has_noted(&wait));
	assert_int_equal(udev_wait_fd(&wait), -1);
	take_uuid(DISK, uuid);
	assert_true(*uuid);
}

static void in_process_1s_network_namespace_it_is_waited_for(void **state)
{
	char own[PATH_MAX], first[PATH_MAX];
	struct udev_wait wait;

	(void)state;
	fake_root_put("/proc/self/ns/net", "");
	fake_root_put("/proc/1/ns/other", "");
	snprintf(own, sizeof(own), "%s/proc/self/ns/net", fake_root);
	snprintf(first, sizeof(first), "%s/proc/1/ns/net", fake_root);
	assert_int_equal(link(own, first), 0);
	assert_int_equal(udev_announce(&wait, 0, &err), 0);
	assert_false(udev_has_noted(&wait));
	udev_wait_end(&wait);
}

static void knows_a_device_by_its_name_and_readiness(void **state)
{
	(void)state;
	assert_false(udev_knows(0, BACKEND));
	fake.nbd0.links[0] = "/dev/disk/by-uuid/x";
	assert_false(udev_knows(0, BACKEND));
	fake.nbd0.links[1] = "/dev/disk/by-id/nbd-" BACKEND;
	assert_true(udev_knows(0, BACKEND));
	assert_false(udev_knows(0, "0123456789abcdef0123456789abcde0"));
	assert_false(udev_knows(0, "0123456789abcdef0123456789abcde"));
	assert_false(udev_knows(1, BACKEND));
	fake.nbd0.ready = "1";
	assert_true(udev_knows(0, BACKEND));
	fake.nbd0.ready = "0";
	assert_false(udev_knows(0, BACKEND));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(disk_and_partitions_are_told_and_waited_for),
		TEST(an_answer_to_somebody_else_does_not_count),
		TEST(an_answer_counts_whatever_udevs_rules_made_of_it),
		TEST(a_partition_that_appears_meanwhile_is_waited_for),
		TEST(lost_answers_are_asked_for_again_once),
		TEST(a_flood_is_not_read_all_at_once),
		TEST(without_udevd_nothing_is_waited_for),
		TEST(what_cannot_be_heard_of_is_told_but_not_waited_for),
		TEST(in_another_network_namespace_it_is_told_but_not_waited_for),
		TEST(in_process_1s_network_namespace_it_is_waited_for),
		TEST(knows_a_device_by_its_name_and_readiness),
	};

	return cmocka_run_group_tests_name("udev", tests, NULL, NULL);
}
