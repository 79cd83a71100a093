/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "device/queue.h"
#include "nbd/nbd-protocol.h"
#include "kernel/block-attr.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SENSIBLE_MAX_KIB 1280U /* the block layer's own default */
#define MIN_REQUESTS 4         /* the block layer's BLKDEV_MIN_RQ */
#define ROUNDING_MS 10         /* the kernel counts in jiffies */

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
	return block_attr_write(setting->index, setting->attribute, text);
}

static bool is_right(const struct setting *setting, uint64_t *now)
{
	return block_attr_read_u64(setting->index, setting->attribute, now) == 0 &&
		*now >= setting->at_least && *now <= setting->at_most;
}

static int set(const struct setting *setting, int timeout_ms, struct error *err)
{
	uint64_t now = 0;
	int rc;

	if (is_right(setting, &now))
		return 0;
	rc = job_run(write_setting, setting, timeout_ms, err);
	if (is_right(setting, &now)) /* what it came to is what counts */
		return 0;
	/* A server that is away is no fault of the kernel's, and waiting may cure it. */
	return error_set(err, rc == -ETIMEDOUT ? ERROR_SERVER : ERROR_KERNEL, EIO,
		"/sys/block/nbd%d/%s cannot be set to %" PRIu64 "%s (it is %" PRIu64 ")",
		setting->index, setting->attribute, setting->value,
		rc == -ETIMEDOUT ?
			", since the kernel waits for requests that the server does not answer" :
			"",
		now);
}

int queue_limit_requests(int index, uint32_t max_bytes, int timeout_ms, struct error *err)
{
	uint64_t max_kib = max_bytes / 1024,
		 value = max_kib < SENSIBLE_MAX_KIB ? max_kib : SENSIBLE_MAX_KIB;
	struct setting setting = {index, "queue/max_sectors_kb", value, 1, value};
	long page_bytes = sysconf(_SC_PAGESIZE);

	/* The block layer lets no queue have less (queue_max_sectors_store). */
	if (max_bytes >= page_bytes)
		return set(&setting, timeout_ms, err);
	error_set(err, ERROR_SERVER, EINVAL,
		"the server takes at most %u bytes at once, less than a page", max_bytes);
	return error_hint(
		err, -EINVAL, "raise the server's maximum block size to at least %ld", page_bytes);
}

static struct setting io_timeout(int index, int io_timeout_ms)
{
	return (struct setting){index, "queue/io_timeout", (uint64_t)io_timeout_ms,
		(uint64_t)io_timeout_ms, (uint64_t)io_timeout_ms + ROUNDING_MS};
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

struct choice {
	int index;
	const char *attribute, *value;
	bool (*is_made)(int index);
};

static int write_choice(const void *argument, struct error *err)
{
	const struct choice *choice = argument;

	(void)err;
	return block_attr_write(choice->index, choice->attribute, choice->value);
}

static int choose(const struct choice *choice, int timeout_ms, struct error *err)
{
	int rc;

	if (choice->is_made(choice->index))
		return 0;
	rc = job_run(write_choice, choice, timeout_ms, err);
	if (choice->is_made(choice->index))
		return 0;
	return error_set(err, rc == -ETIMEDOUT ? ERROR_SERVER : ERROR_KERNEL, EIO,
		"/sys/block/nbd%d/%s cannot be set to \"%s\"%s", choice->index, choice->attribute,
		choice->value,
		rc == -ETIMEDOUT ?
			", since the kernel waits for requests that the server does not answer" :
			"");
}

/* The one in use stands in brackets, but where there is no other: "[none] mq-deadline", or
 * "none". */
bool queue_has_scheduler_none(int index)
{
	char text[256];
	int rc = block_attr_read(index, "queue/scheduler", text, sizeof(text));

	return rc < 0 || strstr(text, "[none]") || strcmp(text, "none") == 0;
}

int queue_set_scheduler_none(int index, int timeout_ms, struct error *err)
{
	struct choice choice = {index, "queue/scheduler", "none", queue_has_scheduler_none};

	return choose(&choice, timeout_ms, err);
}

static struct setting iostats(int index)
{
	return (struct setting){index, "queue/iostats", 1, 1, 1};
}

int queue_set_iostats(int index, int timeout_ms, struct error *err)
{
	struct setting setting = iostats(index);

	return set(&setting, timeout_ms, err);
}

bool queue_has_iostats(int index)
{
	struct setting setting = iostats(index);
	uint64_t now = 0;

	return is_right(&setting, &now);
}

static bool has_write_cache(int index)
{
	char text[32];

	return block_attr_read(index, "queue/write_cache", text, sizeof(text)) < 0 ||
		strcmp(text, "write back") == 0;
}

static bool shows_some(int index, const char *attribute)
{
	uint64_t now = 0;

	return block_attr_read_u64(index, attribute, &now) == 0 && now > 0;
}

bool queue_has_stale_zeroes(int index, unsigned flags)
{
	return !(flags & NBD_TFLAG_SEND_WRITE_ZEROES) &&
		shows_some(index, "queue/write_zeroes_max_bytes");
}

static int refuse_stale(int index, const char *what, struct error *err)
{
	error_set(err, ERROR_KERNEL, ENOTSUP,
		"/dev/nbd%d would be sent %s, which this server does not offer: the driver keeps "
		"that of a former attachment",
		index, what);
	return error_hint(err, -ENOTSUP,
		"attach it as another device (\"auto\" finds one), or load the driver anew: "
		"modprobe -r nbd; modprobe nbd");
}

int queue_check_offer(int index, unsigned flags, int timeout_ms, struct error *err)
{
	struct choice cache = {index, "queue/write_cache", "write back", has_write_cache};
	struct setting rotational = {index, "queue/rotational", 0, 0, 0};
	int rc = 0;

	if (queue_has_stale_zeroes(index, flags))
		return refuse_stale(index, "requests to write zeroes", err);
	if (!(flags & NBD_TFLAG_SEND_TRIM) && shows_some(index, "queue/discard_max_bytes"))
		return refuse_stale(index, "discards", err);
	if ((flags & (NBD_TFLAG_SEND_FLUSH | NBD_TFLAG_SEND_FUA)) !=
			(NBD_TFLAG_SEND_FLUSH | NBD_TFLAG_SEND_FUA) &&
		shows_some(index, "queue/fua"))
		return refuse_stale(index, "writes with FUA", err);
	/* Without it nobody's flush comes to the server. */
	if (flags & NBD_TFLAG_SEND_FLUSH)
		rc = choose(&cache, timeout_ms, err);
	if (!rc && !(flags & NBD_TFLAG_ROTATIONAL) && shows_some(index, "queue/rotational"))
		rc = set(&rotational, timeout_ms, err);
	return rc;
}

/* Of all the settings it is the number of requests for which each kernel freezes the queue, if it
 * changes: from an even one to the odd one below, and from that back, so that one who is killed in
 * between leaves nothing that adds up. */
static int drain(const void *argument, struct error *err)
{
	const int *index = argument;
	struct setting setting = {.index = *index, .attribute = "queue/nr_requests"};
	int rc = 0;

	for (int i = 0; i < 2 && !rc; i++) {
		rc = block_attr_read_u64(*index, setting.attribute, &setting.value);
		if (rc)
			return rc;
		if (setting.value <= MIN_REQUESTS)
			return -ERANGE; /* no neighbour below */
		setting.value = setting.value % 2 ? setting.value + 1 : setting.value - 1;
		rc = write_setting(&setting, err);
	}
	return rc;
}

int queue_drain_start(struct job *job, int index, struct error *err)
{
	return job_start(job, drain, &index, -1, err);
}
