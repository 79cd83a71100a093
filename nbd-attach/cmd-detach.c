/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "commands.h"
#include "control.h"
#include "device.h"
#include "report.h"
#include "state-file.h"
#include "sysfs.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#define SUPERVISOR_END_MS 3000

/* The supervisor notices by itself; a new attach right after us should find it gone. */
static void wait_for_supervisor(int index)
{
	json_object_put(control_command(index, "check", 200));
	for (int waited_ms = 0; waited_ms < SUPERVISOR_END_MS && control_exists(index); waited_ms += 10)
		poll(NULL, 0, 10);
}

/* Nothing here may wait for a server that is away. */
static enum detach_how choose_how(int index, bool force)
{
	json_object *status = force ? NULL : control_ask(index), *value = NULL;
	const char *state = status && json_object_object_get_ex(status, "state", &value) ? json_object_get_string(value) : "alive";
	bool reachable = strcmp(state, "alive") == 0;

	json_object_put(status);
	return force ? DETACH_FORCED : reachable ? DETACH_IF_UNUSED : DETACH_UNREACHABLE;
}

static int detach(int index, bool force, char *warning, size_t warning_size, struct error *err)
{
	struct nbd_genl genl;
	int rc = nbd_genl_open(&genl, err);

	if (rc == -ENOENT)
		return error_set(err, ERROR_BUSY, ENOTCONN, "/dev/nbd%d is not attached: the nbd driver is not even loaded", index);
	if (rc)
		return rc;
	rc = device_detach(&genl, index, choose_how(index, force), warning, warning_size, err);
	nbd_genl_close(&genl);
	return rc;
}

int command_detach(struct options *options)
{
	char warning[256] = "", device[32];
	json_object *object;
	struct error err;
	int index, rc = sysfs_parse_device(options->words[0], &index, &err);

	if (!rc && index < 0)
		rc = error_set(&err, ERROR_USAGE, EINVAL, "detach which device? \"auto\" is for attaching");
	if (!rc)
		rc = device_check_permission("detaching", &err);
	if (!rc)
		rc = detach(index, options->force, warning, sizeof(warning), &err);
	if (rc)
		return report_error(&err);
	wait_for_supervisor(index);
	/* A supervisor that was killed has left its own: a lock without a state would be a disk that is not ready, whose ever it is next. */
	state_remove(index);
	control_forget(index);
	if (*warning)
		fprintf(stderr, "nbd-attach: warning: %s\n", warning);
	snprintf(device, sizeof(device), "/dev/nbd%d", index);
	if (!options->json) {
		printf("%s is detached\n", device);
		return report_finish(0);
	}
	object = json_object_new_object();
	json_object_object_add(object, "device", json_object_new_string(device));
	json_object_object_add(object, "state", json_object_new_string("detached"));
	return report_print_json(object);
}
