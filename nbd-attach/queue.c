/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "queue.h"
#include "sysfs.h"
#include "task.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#define SENSIBLE_MAX_KIB 1280U /* the block layer's own default */
#define ROUNDING_MS 10 /* the kernel counts in jiffies */

struct setting {
	int index;
	const char *attribute;
	uint64_t value;
};

static int write_setting(const void *argument, struct error *err)
{
	const struct setting *setting = argument;
	char text[24];

	(void)err;
	snprintf(text, sizeof(text), "%" PRIu64, setting->value);
	return sysfs_write(setting->index, setting->attribute, text);
}

/* At most VALUE + TOLERANCE is right. */
static int set(const struct setting *setting, uint64_t tolerance, int timeout_ms, struct error *err)
{
	uint64_t now = 0;
	int rc;

	if (sysfs_read_u64(setting->index, setting->attribute, &now) == 0 && now && now <= setting->value + tolerance)
		return 0;
	rc = task_run(write_setting, setting, timeout_ms, err);
	/* What it came to is what counts. */
	if (sysfs_read_u64(setting->index, setting->attribute, &now) == 0 && now && now <= setting->value + tolerance)
		return 0;
	return error_set(err, ERROR_KERNEL, EIO, "/sys/block/nbd%d/%s cannot be set to %" PRIu64 "%s (it is %" PRIu64 ")", setting->index, setting->attribute,
		setting->value, rc == -ETIMEDOUT ? ", since the kernel waits for requests that the server does not answer" : "", now);
}

int queue_limit_requests(int index, uint32_t max_bytes, int timeout_ms, struct error *err)
{
	uint64_t max_kib = max_bytes / 1024;
	struct setting setting = {index, "queue/max_sectors_kb", max_kib < SENSIBLE_MAX_KIB ? max_kib : SENSIBLE_MAX_KIB};

	if (max_kib >= 4)
		return set(&setting, 0, timeout_ms, err);
	error_set(err, ERROR_SERVER, EINVAL, "the server takes at most %u bytes at once, less than a page", max_bytes);
	return error_hint(err, -EINVAL, "raise the server's maximum block size to at least 4096");
}

int queue_set_io_timeout(int index, int io_timeout_ms, int timeout_ms, struct error *err)
{
	struct setting setting = {index, "queue/io_timeout", (uint64_t)io_timeout_ms};
	int now_ms = queue_io_timeout_ms(index);

	/* Lower than wished is wrong as well. */
	return now_ms >= io_timeout_ms && now_ms <= io_timeout_ms + ROUNDING_MS ? 0 : set(&setting, ROUNDING_MS, timeout_ms, err);
}

int queue_io_timeout_ms(int index)
{
	uint64_t now_ms = 0;

	return sysfs_read_u64(index, "queue/io_timeout", &now_ms) == 0 && now_ms <= INT32_MAX ? (int)now_ms : 0;
}
