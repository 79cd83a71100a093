/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cmd/commands.h"
#include "cmd/device-argument.h"
#include "base/json-get.h"
#include "base/run-files.h"
#include "config/backend-id.h"
#include "supervisor/control.h"
#include "device/detach.h"
#include "output/report.h"
#include "output/show.h"
#include "supervisor/state-file.h"
#include "kernel/block-attr.h"
#include "options/nbdtab-options.h"
#include "base/text.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#define SUPERVISOR_END_MS 3000

/* The supervisor notices by itself; a new attach right after us should find it gone. */
static void wait_for_supervisor(int index)
{
	json_object_put(control_command(index, "check", 200));
	for (int waited_ms = 0; waited_ms < SUPERVISOR_END_MS && control_exists(index);
		waited_ms += 10)
		poll(NULL, 0, 10);
}

/* Nothing here may wait for a server that is away; that one is there, only its supervisor can say.
 * Silence says nothing. */
static enum detach_how choose_how(int index, bool force)
{
	json_object *status = force ? NULL : control_ask(index);
	struct text state = json_get_text(status, "state");
	enum detach_how how = force           ? DETACH_FORCED :
		!*state.s                     ? DETACH_UNSURE :
		strcmp(state.s, "alive") == 0 ? DETACH_IF_UNUSED :
						DETACH_UNREACHABLE;

	json_object_put(status);
	return how;
}

/* With --own: what the supervisor has written down, or else what nbdtab says, is ours. */
static int find_own(int index, char backend[BACKEND_ID_SIZE])
{
	struct settings none;
	struct config config;
	int rc;

	if (state_read_backend(index, backend) == 0)
		return 0;
	settings_init(&none);
	rc = nbdtab_options_lookup(index, &none, &config, NULL);
	if (!rc)
		backend_id_format(&config.endpoint, backend);
	return rc;
}

/* What is attached there by another program, for people; "" when it may be ours. */
static void describe_foreign(int index, char *text, size_t size)
{
	char backend[128], shown[128];
	bool known = block_attr_read(index, "backend", backend, sizeof(backend)) == 0;

	*text = 0;
	if (known && strlen(backend) == BACKEND_ID_SIZE - 1 &&
		strspn(backend, "0123456789abcdef") == BACKEND_ID_SIZE - 1)
		return;
	if (known)
		text_sanitise(shown, sizeof(shown), backend, strlen(backend));
	snprintf(text, size, "; another program had attached it%s%s", known ? ", as " : "",
		known ? shown : "");
}

static int left_alone(int index, const char *why)
{
	show_note("/dev/nbd%d is left alone: %s", index, why);
	return 0;
}

/* What stays behind of a supervisor that was killed, or stopped. */
static void clear_up(int index)
{
	wait_for_supervisor(index);
	if (control_exists(index))
		show_note("warning: the supervisor of /dev/nbd%d does not end by itself "
			  "(fuser " RUN_DIRECTORY "/nbd%d.lock)",
			index, index);
	/* A lock without a state would be a disk that is not ready, whose ever it is next. */
	control_forget(index);
}

static int print_detached(const struct options *options, int index, const char *foreign)
{
	json_object *object;
	char device[32];

	snprintf(device, sizeof(device), "/dev/nbd%d", index);
	if (!options->json) {
		show_line(stdout, "%s is detached%s", device, foreign);
		return report_finish(0);
	}
	object = json_object_new_object();
	json_object_object_add(object, "device", json_object_new_string(device));
	json_object_object_add(object, "state", json_object_new_string("detached"));
	return report_print_json(object);
}

int command_detach(struct options *options)
{
	char warning[256] = "", foreign[300] = "", own[BACKEND_ID_SIZE];
	struct device_detach what = {.index = -1};
	struct error err;
	int rc = device_argument(options->arguments[0], "detach", &what.index, &err);

	if (!rc)
		rc = device_check_permission("detaching", &err);
	if (rc)
		return report_error(&err);
	if (options->own && !block_is_configured(what.index))
		return left_alone(what.index, "it is not attached");
	if (options->own && find_own(what.index, own) != 0)
		return left_alone(what.index, "nothing says that it is ours");
	what.backend = options->own ? own : NULL;
	what.how = choose_how(what.index, options->force);
	describe_foreign(what.index, foreign, sizeof(foreign));
	rc = device_detach(&what, warning, sizeof(warning), &err);
	if (rc == -ESTALE && options->own)
		return left_alone(what.index, "it is somebody else's now");
	if (rc)
		return report_error(&err);
	clear_up(what.index);
	if (*warning)
		show_note("warning: %s", warning);
	return print_detached(options, what.index, foreign);
}
