/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A /run that is full: what could not be written is said, marked, and tried again. In a mount
 * namespace of its own, with a tmpfs of a few pages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/run-files.h"
#include "supervisor/record.h"
#include "supervisor/state-file.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif
#define BACKEND "00112233445566778899aabbccddeeff"
#define DEVICE 200000000
#define FILLER RUN_DIRECTORY "/filler"

static char path[RUN_PATH_SIZE], new_path[RUN_PATH_SIZE];
static struct attachment *attachment, *loaded;

static int setup(void **state)
{
	(void)state;
	run_file_path(path, DEVICE, "state");
	run_file_path(new_path, DEVICE, "state.new");
	attachment = calloc(1, sizeof(*attachment));
	loaded = calloc(1, sizeof(*loaded));
	if (!attachment || !loaded)
		return -1;
	attachment->index = DEVICE;
	strcpy(attachment->backend, BACKEND);
	attachment->outage_since_ms = loaded->outage_since_ms = -1;
	attachment->link_count = 1;
	attachment->links[0].fd = -1;
	if (geteuid() != 0)
		return 0;
	mkdir(RUN_DIRECTORY, 0755);
	return mount("tmpfs", RUN_DIRECTORY, "tmpfs", 0, "size=16k,mode=755");
}

static int teardown(void **state)
{
	(void)state;
	free(attachment);
	free(loaded);
	return geteuid() == 0 ? umount(RUN_DIRECTORY) : 0;
}

static void need_root(void)
{
	if (geteuid() != 0)
		skip();
}

static void fill(void)
{
	char page[512] = "x";
	int fd = open(FILLER, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	while (write(fd, page, sizeof(page)) > 0)
		;
	assert_int_equal(errno, ENOSPC);
	close(fd);
}

static off_t size_of_state(void)
{
	struct stat st;

	return stat(path, &st) == 0 ? st.st_size : -1;
}

static void an_empty_file_says_that_the_device_is_ready(void **state)
{
	struct error err = {0};
	char reason[200];

	(void)state;
	need_root();
	fill();
	assert_int_equal(state_save(attachment, &err), -ENOSPC);
	snprintf(reason, sizeof(reason),
		"the state of /dev/nbd%d cannot be written to %s: No space left on device", DEVICE,
		path);
	assert_string_equal(err.text, reason);
	assert_non_null(strstr(err.hint, "make room"));
	assert_int_equal(size_of_state(), 0);
	assert_int_equal(access(new_path, F_OK), -1);
	/* of which nothing is known */
	assert_int_equal(state_load(loaded, DEVICE, BACKEND), -ENOENT);
	assert_int_equal(loaded->link_count, 0);
	unlink(FILLER);
	assert_int_equal(state_save(attachment, &err), 0);
	assert_int_equal(state_load(loaded, DEVICE, BACKEND), 0);
	assert_int_equal(loaded->link_count, 1);
}

static void the_former_state_stays_and_has_what_must_not_be_lost(void **state)
{
	(void)state;
	need_root();
	assert_int_equal(state_save(attachment, NULL), 0);
	fill();
	attachment->failed = true;
	attachment->flags = 3;
	assert_int_equal(state_save(attachment, NULL), -ENOSPC);
	assert_int_equal(access(new_path, F_OK), -1);
	assert_int_equal(state_load(loaded, DEVICE, BACKEND), 0);
	assert_int_equal(loaded->flags, 0);
	assert_true(loaded->failed);
}

static void a_folder_that_is_gone_is_a_reason(void **state)
{
	struct error err = {0};

	(void)state;
	need_root();
	/* as good as none: nothing can be made in it, by root either */
	assert_int_equal(mount(NULL, RUN_DIRECTORY, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
	assert_int_equal(state_save(attachment, &err), -EROFS);
	assert_non_null(strstr(err.text, "Read-only file system"));
}

static void it_is_tried_again_until_it_is_written(void **state)
{
	struct record record;
	struct loop loop;

	(void)state;
	need_root();
	loop_init(&loop);
	record_init(&record, attachment, &loop);
	record_save(&record);
	assert_int_equal(record.problem.kind, ERROR_NONE);
	assert_int_equal(record.retry.at_ms, LOOP_NEVER);
	fill();
	for (int i = 0; i < 2; i++) {
		record_save(&record);
		assert_int_equal(record.problem.kind, ERROR_OTHER);
		assert_in_range(record.retry.at_ms, 1, monotonic_now_ms() + 60000);
	}
	unlink(FILLER);
	attachment->flags = 3;
	loop_call_at(&record.retry, monotonic_now_ms()); /* its time has come */
	assert_int_equal(loop_round(&loop), 0);
	assert_int_equal(record.problem.kind, ERROR_NONE);
	assert_int_equal(record.retry.at_ms, LOOP_NEVER);
	assert_int_equal(state_load(loaded, DEVICE, BACKEND), 0);
	assert_int_equal(loaded->flags, 3);
	record_close(&record);
}

static int64_t loaded_since(const char *since)
{
	char text[500];
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	snprintf(text, sizeof(text),
		"{\"version\": 1, \"backend\": \"" BACKEND
		"\", %s\"block_size\": 512, \"flags\": 3, "
		"\"links\": [{\"address\": \"a\", %s\"tls\": null}]}",
		since, since);
	fputs(text, file);
	fclose(file);
	assert_int_equal(state_load(loaded, DEVICE, BACKEND), 0);
	assert_int_equal(loaded->since_ms, loaded->links[0].since_ms);
	return loaded->since_ms;
}

/* Setting the clock moves none of them. */
static void ages_are_by_the_clock_that_starts_with_the_machine(void **state)
{
	int64_t now_ms = boot_now_ms();
	char text[80];

	(void)state;
	need_root();
	attachment->since_ms = now_ms - 5000;
	attachment->links[0].since_ms = 7;
	assert_int_equal(state_save(attachment, NULL), 0);
	assert_int_equal(state_load(loaded, DEVICE, BACKEND), 0);
	assert_int_equal(loaded->since_ms, now_ms - 5000);
	assert_int_equal(loaded->links[0].since_ms, 7);
	/* what nobody knew is not known */
	attachment->since_ms = attachment->links[0].since_ms = -1;
	assert_int_equal(state_save(attachment, NULL), 0);
	assert_int_equal(state_load(loaded, DEVICE, BACKEND), 0);
	assert_int_equal(loaded->since_ms, -1);
	assert_int_equal(loaded->links[0].since_ms, -1);
	/* nor is what has not come yet */
	snprintf(text, sizeof(text), "\"since_boot_ms\": %" PRId64 ", ", now_ms + 3600000);
	assert_int_equal(loaded_since(text), -1);
	/* a former release's, by the wall clock: as far as it can be so */
	snprintf(text, sizeof(text), "\"since\": %" PRId64 ", ", (int64_t)time(NULL) - 1);
	assert_in_range(loaded_since(text), now_ms > 2000 ? now_ms - 2000 : 0, boot_now_ms());
	assert_int_equal(loaded_since("\"since\": 5, "), -1);
	snprintf(text, sizeof(text), "\"since\": %" PRId64 ", ", (int64_t)time(NULL) + 3600);
	assert_int_equal(loaded_since(text), -1);
}

/* For a child, whose clocks are as if the machine had slept in between. */
static bool sleep_an_hour(void)
{
	FILE *file;
	bool done;

	if (unshare(CLONE_NEWTIME) < 0)
		return false;
	file = fopen("/proc/self/timens_offsets", "we");
	if (!file)
		return false;
	done = fputs("boottime 3600 0\n", file) >= 0;
	return fclose(file) == 0 && done;
}

/* The age of things goes on; nothing runs out that waits: the driver's own timers stood still. */
static void a_machine_that_slept_has_had_no_outage_for_that_time(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	need_root();
	attachment->outage_since_ms = monotonic_now_ms() - 5000;
	attachment->since_ms = boot_now_ms();
	assert_int_equal(state_save(attachment, NULL), 0);
	if (!sleep_an_hour())
		skip(); /* a kernel without time namespaces */
	pid = fork();
	if (pid == 0) {
		bool good = state_load(loaded, DEVICE, BACKEND) == 0 &&
			loaded->outage_since_ms == attachment->outage_since_ms &&
			boot_now_ms() - loaded->since_ms >= 3600000;

		_exit(good ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void what_is_unknown_of_a_link_stays_unknown(void **state)
{
	(void)state;
	need_root();
	attachment->link_count = 2;
	attachment->links[1].fd = -1;
	attachment->links[1].is_tls_unknown = true;
	assert_int_equal(state_save(attachment, NULL), 0);
	assert_int_equal(state_load(loaded, DEVICE, BACKEND), 0);
	assert_false(loaded->links[0].is_tls_unknown);
	assert_true(loaded->links[1].is_tls_unknown);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(an_empty_file_says_that_the_device_is_ready),
		CASE(the_former_state_stays_and_has_what_must_not_be_lost),
		CASE(a_folder_that_is_gone_is_a_reason),
		CASE(it_is_tried_again_until_it_is_written),
		CASE(ages_are_by_the_clock_that_starts_with_the_machine),
		CASE(a_machine_that_slept_has_had_no_outage_for_that_time),
		CASE(what_is_unknown_of_a_link_stays_unknown),
	};

	if (geteuid() == 0 &&
		(unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0))
		perror("a mount namespace");
	return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}
