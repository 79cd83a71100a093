/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One truth about a device: what its supervisor says, or, where nobody watches it, what the kernel knows. */
#include "commands.h"
#include "control.h"
#include "report.h"
#include "sysfs.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* "configured" is all that the kernel tells: not that the server is there (kernel fact 5). */
static json_object *kernel_status(int index)
{
	json_object *object = json_object_new_object();
	char text[128];
	uint64_t value;

	snprintf(text, sizeof(text), "/dev/nbd%d", index);
	json_object_object_add(object, "device", json_object_new_string(text));
	json_object_object_add(object, "state", json_object_new_string("configured"));
	if (sysfs_read_u64(index, "size", &value) == 0)
		json_object_object_add(object, "size_bytes", json_object_new_uint64(value * 512));
	if (sysfs_read_u64(index, "queue/logical_block_size", &value) == 0)
		json_object_object_add(object, "block_size_bytes", json_object_new_uint64(value));
	if (sysfs_read_u64(index, "ro", &value) == 0)
		json_object_object_add(object, "read_only", json_object_new_boolean(value != 0));
	if (sysfs_read(index, "backend", text, sizeof(text)) == 0)
		json_object_object_add(object, "backend", json_object_new_string(text));
	json_object_object_add(object, "supervisor_pid", NULL);
	return object;
}

static json_object *device_status(int index)
{
	json_object *object = control_ask(index);

	return object ? object : kernel_status(index);
}

static const char *string_at(json_object *object, const char *key)
{
	json_object *value = NULL;

	return json_object_object_get_ex(object, key, &value) && value ? json_object_get_string(value) : "";
}

static uint64_t number_at(json_object *object, const char *key)
{
	json_object *value = NULL;

	return json_object_object_get_ex(object, key, &value) && value ? json_object_get_uint64(value) : 0;
}

static void print_link(json_object *link, size_t number)
{
	json_object *tls = NULL;
	char date[32];

	printf("  link %zu:   %s, %s", number, string_at(link, "address"), string_at(link, "state"));
	json_object_object_get_ex(link, "tls", &tls);
	if (!tls) {
		printf(", not encrypted\n");
		return;
	}
	printf(", TLS %s %s %s\n", string_at(tls, "version"), string_at(tls, "cipher"), string_at(tls, "group"));
	printf("    server:  verified by %s", string_at(tls, "authentication"));
	if (number_at(tls, "peer_not_after_unix_sec")) {
		report_format_date((int64_t)number_at(tls, "peer_not_after_unix_sec"), date, sizeof(date));
		printf(": %s, until %s", string_at(tls, "peer_name"), date);
	}
	printf("\n    records: %" PRIu64 " sent, %" PRIu64 " received", number_at(link, "records_sent"), number_at(link, "records_received"));
	if (number_at(link, "record_limit"))
		printf(" of at most %" PRIu64, number_at(link, "record_limit"));
	printf("%s\n", strcmp(string_at(link, "encryption_proven"), "true") == 0 ? ", encrypted by the kernel" : ", no data yet");
}

static void print_device(json_object *status)
{
	char size[32], since[40] = "";
	json_object *links = NULL;
	time_t when = (time_t)number_at(status, "since_unix_sec");
	struct tm tm;

	report_format_size(number_at(status, "size_bytes"), size, sizeof(size));
	printf("%s: %s%s%s, %s%s\n", string_at(status, "device"), string_at(status, "uri"), *string_at(status, "uri") ? ", " : "", size,
		string_at(status, "state"), strcmp(string_at(status, "read_only"), "true") == 0 ? ", read-only" : "");
	if (!number_at(status, "supervisor_pid")) {
		printf("  nobody watches it: no supervisor answers (are you root?), so whether the server is there is not known\n");
		return;
	}
	if (localtime_r(&when, &tm))
		strftime(since, sizeof(since), "%Y-%m-%d %H:%M:%S", &tm);
	printf("  since %s, supervisor is process %" PRIu64 "\n", since, number_at(status, "supervisor_pid"));
	json_object_object_get_ex(status, "links", &links);
	for (size_t i = 0; links && i < json_object_array_length(links); i++)
		print_link(json_object_array_get_idx(links, i), i + 1);
}

static int print_all(json_object *devices, bool json)
{
	json_object *top;
	size_t count = json_object_array_length(devices);

	if (json) {
		top = json_object_new_object();
		json_object_object_add(top, "devices", devices);
		return report_print_json(top);
	}
	for (size_t i = 0; i < count; i++)
		print_device(json_object_array_get_idx(devices, i));
	if (count == 0)
		printf("no device is attached\n");
	json_object_put(devices);
	return report_finish(0);
}

int command_status(struct options *options)
{
	json_object *devices = json_object_new_array();
	int *indices = NULL, only = -1, rc = 0;
	struct error err = {0};
	size_t count = 0;

	if (options->word_count)
		rc = sysfs_parse_device(options->words[0], &only, &err);
	if (!rc && options->word_count && only < 0)
		rc = error_set(&err, ERROR_USAGE, EINVAL, "status of which device? \"auto\" is for attaching");
	if (!rc && only >= 0 && !sysfs_device_configured(only))
		rc = error_set(&err, ERROR_BUSY, ENOTCONN, "/dev/nbd%d is not attached", only);
	if (rc) {
		json_object_put(devices);
		return report_error(&err);
	}
	if (only < 0)
		sysfs_list_devices(&indices, &count); /* without the driver there are none */
	for (size_t i = 0; i < count; i++)
		if (sysfs_device_configured(indices[i]))
			json_object_array_add(devices, device_status(indices[i]));
	if (only >= 0)
		json_object_array_add(devices, device_status(only));
	free(indices);
	return print_all(devices, options->json);
}
