/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "queue.h"
#include "sysfs.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#define SENSIBLE_MAX_KIB 1280U /* the block layer's own default */
#define MIN_REQUESTS 4 /* the block layer's BLKDEV_MIN_RQ */
#define ROUNDING_MS 10 /* the kernel counts in jiffies */

struct setting {
	int index;
	const char *attribute;
	uint64_t value, at_least, at_most; /* what to write, and what it may come to */
};

static int write_setting(const void *argument, struct error *err)
{
	const struct setting *setting = argument;
	char text[24];

	(void)err;
	snprintf(text, sizeof(text), "%" PRIu64, setting->value);
	return sysfs_write(setting->index, setting->attribute, text);
}

static bool is_right(const struct setting *setting, uint64_t *now)
{
	return sysfs_read_u64(setting->index, setting->attribute, now) == 0 && *now >= setting->at_least && *now <= setting->at_most;
}

static int set(const struct setting *setting, int timeout_ms, struct error *err)
{
	uint64_t now = 0;
	int rc;

	if (is_right(setting, &now))
		return 0;
	rc = task_run(write_setting, setting, timeout_ms, err);
	if (is_right(setting, &now)) /* what it came to is what counts */
		return 0;
	/* A server that is away is no fault of the kernel's, and waiting may cure it. */
	return error_set(err, rc == -ETIMEDOUT ? ERROR_SERVER : ERROR_KERNEL, EIO, "/sys/block/nbd%d/%s cannot be set to %" PRIu64 "%s (it is %" PRIu64 ")",
		setting->index, setting->attribute, setting->value, rc == -ETIMEDOUT ? ", since the kernel waits for requests that the server does not answer" : "",
		now);
}

int queue_limit_requests(int index, uint32_t max_bytes, int timeout_ms, struct error *err)
{
	uint64_t max_kib = max_bytes / 1024, value = max_kib < SENSIBLE_MAX_KIB ? max_kib : SENSIBLE_MAX_KIB;
	struct setting setting = {index, "queue/max_sectors_kb", value, 1, value};
	long page_bytes = sysconf(_SC_PAGESIZE);

	/* The block layer lets no queue have less (queue_max_sectors_store). */
	if (max_bytes >= page_bytes)
		return set(&setting, timeout_ms, err);
	error_set(err, ERROR_SERVER, EINVAL, "the server takes at most %u bytes at once, less than a page", max_bytes);
	return error_hint(err, -EINVAL, "raise the server's maximum block size to at least %ld", page_bytes);
}

static struct setting io_timeout(int index, int io_timeout_ms)
{
	return (struct setting){index, "queue/io_timeout", (uint64_t)io_timeout_ms, (uint64_t)io_timeout_ms, (uint64_t)io_timeout_ms + ROUNDING_MS};
}

int queue_set_io_timeout(int index, int io_timeout_ms, int timeout_ms, struct error *err)
{
	struct setting setting = io_timeout(index, io_timeout_ms);

	return set(&setting, timeout_ms, err);
}

bool queue_has_io_timeout(int index, int io_timeout_ms)
{
	struct setting setting = io_timeout(index, io_timeout_ms);
	uint64_t now = 0;

	return is_right(&setting, &now);
}

/* Of all the settings it is the number of requests for which each kernel freezes the queue, if it changes: from an even one to
 * the odd one below, and from that back, so that one who is killed in between leaves nothing that adds up. */
static int drain(const void *argument, struct error *err)
{
	const int *index = argument;
	struct setting setting = {.index = *index, .attribute = "queue/nr_requests"};
	int rc = 0;

	for (int i = 0; i < 2 && !rc; i++) {
		rc = sysfs_read_u64(*index, setting.attribute, &setting.value);
		if (rc)
			return rc;
		if (setting.value <= MIN_REQUESTS)
			return -ERANGE; /* no neighbour below */
		setting.value = setting.value % 2 ? setting.value + 1 : setting.value - 1;
		rc = write_setting(&setting, err);
	}
	return rc;
}

int queue_drain_start(struct task *task, int index, struct error *err)
{
	return task_start(task, drain, &index, err);
}
