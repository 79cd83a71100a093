/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "output/status-io.h"
#include "base/json-get.h"
#include <stddef.h>
#include <string.h>

static const struct {
	const char *key;
	size_t offset;
} numbers[] = {
	{"reads", offsetof(struct block_io, reads.requests)},
	{"read_bytes", offsetof(struct block_io, reads.bytes)},
	{"read_ms", offsetof(struct block_io, reads.time_ms)},
	{"writes", offsetof(struct block_io, writes.requests)},
	{"written_bytes", offsetof(struct block_io, writes.bytes)},
	{"write_ms", offsetof(struct block_io, writes.time_ms)},
	{"discards", offsetof(struct block_io, discards.requests)},
	{"discarded_bytes", offsetof(struct block_io, discards.bytes)},
	{"discard_ms", offsetof(struct block_io, discards.time_ms)},
	{"flushes", offsetof(struct block_io, flushes.requests)},
	{"flush_ms", offsetof(struct block_io, flushes.time_ms)},
	{"busy_ms", offsetof(struct block_io, busy_ms)},
	{"in_flight", offsetof(struct block_io, in_flight)},
};

#define NUMBER_COUNT (sizeof(numbers) / sizeof(numbers[0]))

json_object *status_io_json(const struct block_io *io)
{
	json_object *object = json_object_new_object();

	for (size_t i = 0; i < NUMBER_COUNT; i++) {
		uint64_t number;

		memcpy(&number, (const char *)io + numbers[i].offset, sizeof(number));
		json_object_object_add(object, numbers[i].key, json_object_new_uint64(number));
	}
	return object;
}

bool status_io_parse(json_object *object, struct block_io *io)
{
	memset(io, 0, sizeof(*io));
	for (size_t i = 0; i < NUMBER_COUNT; i++) {
		uint64_t number = (uint64_t)json_get_number_or_0(object, numbers[i].key);

		memcpy((char *)io + numbers[i].offset, &number, sizeof(number));
	}
	return json_object_is_type(object, json_type_object);
}

static json_object *find_device(json_object *devices, const char *name)
{
	size_t count = json_object_array_length(devices);

	for (size_t i = 0; i < count; i++) {
		json_object *device = json_object_array_get_idx(devices, i);

		if (strcmp(json_get_text(device, "device").s, name) == 0)
			return device;
	}
	return NULL;
}

/* The time of each stands with its counters, so that a slow answer makes no rate wrong. */
static void add_interval(json_object *device, json_object *former)
{
	struct block_io io, before;
	int64_t at_ms, before_ms;
	json_object *interval;

	if (!status_io_parse(json_get(device, "io"), &io) ||
		!status_io_parse(json_get(former, "io"), &before) ||
		!json_get_number(device, "io_at_ms", &at_ms) ||
		!json_get_number(former, "io_at_ms", &before_ms) || at_ms <= before_ms ||
		io.reads.requests < before.reads.requests ||
		io.writes.requests < before.writes.requests)
		return;
	block_io_subtract(&io, &before);
	interval = status_io_json(&io);
	json_object_object_add(interval, "ms", json_object_new_int64(at_ms - before_ms));
	json_object_object_add(device, "io_interval", interval);
}

void status_io_add_intervals(json_object *devices, json_object *former)
{
	size_t count = json_object_array_length(devices);

	for (size_t i = 0; i < count; i++) {
		json_object *device = json_object_array_get_idx(devices, i);

		add_interval(device, find_device(former, json_get_text(device, "device").s));
	}
}
