/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One truth about a device: what its supervisor says, or, where it has none, what the kernel
 * knows. */
#include "cmd/commands.h"
#include "cmd/device-argument.h"
#include "supervisor/control.h"
#include "output/report.h"
#include "output/show.h"
#include "output/status-io.h"
#include "output/status-text.h"
#include "base/json-get.h"
#include "kernel/block-attr.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define WATCH_INTERVAL_MS 1000

/* "configured" is all that the kernel tells: not that the server is there
 * (kernel fact status-configured). */
static json_object *kernel_status(int index)
{
	json_object *object = json_object_new_object();
	char text[128];
	uint64_t value;

	snprintf(text, sizeof(text), "/dev/nbd%d", index);
	json_object_object_add(object, "device", json_object_new_string(text));
	json_object_object_add(object, "state", json_object_new_string("configured"));
	if (block_attr_read_u64(index, "size", &value) == 0)
		json_object_object_add(object, "size_bytes", json_object_new_uint64(value * 512));
	if (block_attr_read_u64(index, "queue/logical_block_size", &value) == 0)
		json_object_object_add(object, "block_size_bytes", json_object_new_uint64(value));
	if (block_attr_read_u64(index, "ro", &value) == 0)
		json_object_object_add(object, "read_only", json_object_new_boolean(value != 0));
	if (block_attr_read(index, "backend", text, sizeof(text)) == 0)
		json_object_object_add(object, "backend", json_object_new_string(text));
	json_object_object_add(object, "supervisor_pid", NULL);
	return object;
}

static json_object *detached_status(int index)
{
	json_object *object = json_object_new_object();
	char device[32];

	snprintf(device, sizeof(device), "/dev/nbd%d", index);
	json_object_object_add(object, "device", json_object_new_string(device));
	json_object_object_add(object, "state", json_object_new_string("detached"));
	return object;
}

static json_object *device_status(int index)
{
	json_object *object = control_ask(index);

	if (object)
		return object;
	if (block_is_configured(index))
		return kernel_status(index);
	return detached_status(index); /* while it is watched; it may be attached again */
}

static void print_text(json_object *devices)
{
	size_t count = json_object_array_length(devices);

	for (size_t i = 0; i < count; i++)
		status_text_print(
			stdout, json_object_array_get_idx(devices, i), time(NULL), geteuid() == 0);
	if (count == 0)
		show_line(stdout, "no device is attached");
}

/* ONLY: -1 for all. */
static json_object *ask_all(int only)
{
	json_object *devices = json_object_new_array();
	int *indices = NULL;
	size_t count = 0;

	if (only >= 0)
		json_object_array_add(devices, device_status(only));
	else
		block_list_devices(&indices, &count); /* without the driver there are none */
	for (size_t i = 0; i < count; i++)
		if (block_is_configured(indices[i]))
			json_object_array_add(devices, device_status(indices[i]));
	free(indices);
	return devices;
}

static json_object *top_of(json_object *devices)
{
	json_object *top = json_object_new_object();

	json_object_object_add(top, "devices", devices);
	return top;
}

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
	(void)number;
	interrupted = 1;
}

static void catch_interrupt(sigset_t *interrupt)
{
	struct sigaction action = {.sa_handler = on_interrupt};

	sigaction(SIGINT, &action, NULL);
	sigemptyset(interrupt);
	sigaddset(interrupt, SIGINT);
	signal(SIGPIPE, SIG_IGN);
}

static void print_picture(json_object *devices, bool json, bool clear, bool first)
{
	json_object *top;

	if (json) {
		top = top_of(json_object_get(devices));
		show_json(top, false);
		json_object_put(top);
		return;
	}
	if (clear)
		show_clear();
	else if (!first)
		show_line(stdout, "%s", "");
	print_text(devices);
}

/* Once a second, until Ctrl-C or until nobody reads any more: neither is a failure. */
static int watch(int only, bool json)
{
	/* no events: POLLERR and POLLHUP come unasked */
	struct pollfd reader = {.fd = STDOUT_FILENO};
	bool clear = !json && isatty(STDOUT_FILENO), ended = false;
	json_object *former = NULL;
	sigset_t interrupt;

	catch_interrupt(&interrupt);
	setvbuf(stdout, NULL, _IOFBF, 1 << 16); /* a picture at a time */
	while (!interrupted && !ended) {
		json_object *devices;

		/* half an answer would show the device as unsupervised */
		sigprocmask(SIG_BLOCK, &interrupt, NULL);
		devices = ask_all(only);
		if (former)
			status_io_add_intervals(devices, former);
		print_picture(devices, json, clear, !former);
		json_object_put(former);
		former = devices;
		sigprocmask(SIG_UNBLOCK, &interrupt, NULL);
		ended = fflush(stdout) != 0 && (errno == EPIPE || interrupted);
		if (!ended && ferror(stdout)) {
			json_object_put(former);
			return report_finish(0);
		}
		ended = ended || (!interrupted && poll(&reader, 1, WATCH_INTERVAL_MS) > 0);
	}
	json_object_put(former);
	return 0;
}

static int tell_by_exit_status(const struct options *options, int index)
{
	json_object *status;
	int rc;

	if (options->is_root) {
		status = control_ask(index);
		rc = json_get_true(status, "root") ? 0 : ERROR_OTHER;
	} else {
		status = block_is_configured(index) ? device_status(index) : detached_status(index);
		rc = status_text_exit_status(status);
	}
	json_object_put(status);
	return rc;
}

int command_status(struct options *options)
{
	bool silent = options->quiet || options->is_root;
	json_object *devices;
	int only = -1, rc = 0;
	struct error err = {0};

	if (options->argument_count)
		rc = device_argument(options->arguments[0], "status", &only, &err);
	if (!rc && silent && only < 0) {
		rc = error_set(&err, ERROR_USAGE, EINVAL,
			"an exit status says how one device is: name it");
		error_hint(&err, 0, "nbd-attach status /dev/nbdN %s",
			options->quiet ? "--quiet" : "--is-root");
	}
	if (!rc && silent)
		return tell_by_exit_status(options, only);
	if (!rc && only >= 0 && !block_is_configured(only))
		rc = error_set(&err, ERROR_BUSY, ENOTCONN, "/dev/nbd%d is not attached", only);
	if (rc)
		return report_error(&err);
	if (options->watch)
		return watch(only, options->json);
	devices = ask_all(only);
	if (options->json)
		return report_print_json(top_of(devices));
	print_text(devices);
	json_object_put(devices);
	return report_finish(0);
}
