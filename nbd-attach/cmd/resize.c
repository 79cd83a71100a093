/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Only the supervisor can ask the server: it has the credentials, and the driver takes sizes from
 * the process that attached. */
#include "cmd/commands.h"
#include "cmd/device-argument.h"
#include "supervisor/control.h"
#include "device/detach.h"
#include "base/json-get.h"
#include "output/report.h"
#include "output/show.h"
#include "kernel/block-attr.h"
#include <errno.h>
#include <stdio.h>

/* A negotiation (--connect-timeout), and links that may have to be restored first. */
#define ANSWER_TIMEOUT_MS 120000

static int no_answer(int index, struct error *err)
{
	if (control_exists(index)) {
		error_set(err, ERROR_OTHER, ETIMEDOUT,
			"the supervisor of /dev/nbd%d has not answered for %d s", index,
			ANSWER_TIMEOUT_MS / 1000);
		return error_hint(
			err, -ETIMEDOUT, "it may still do it: nbd-attach status /dev/nbd%d", index);
	}
	error_set(err, ERROR_BUSY, ENOTCONN, "no supervisor has /dev/nbd%d", index);
	return error_hint(err, -ENOTCONN,
		"run the command again that attached it, which adopts it as it is; then resize");
}

static int resize(int index, int64_t *former, int64_t *size, struct error *err)
{
	json_object *answer = control_command(index, "resize", ANSWER_TIMEOUT_MS);
	int rc = 0;

	if (!answer)
		return no_answer(index, err);
	if (!json_get_true(answer, "ok"))
		rc = control_refusal(answer, err);
	else if (!json_get_number(answer, "former_size_bytes", former) ||
		!json_get_number(answer, "size_bytes", size))
		rc = error_set(err, ERROR_OTHER, EPROTO,
			"the supervisor's answer has no size: is it of another version?");
	json_object_put(answer);
	return rc;
}

static int say(int index, int64_t former, int64_t size, bool json)
{
	char device[32], former_text[32], size_text[32];
	json_object *object;

	snprintf(device, sizeof(device), "/dev/nbd%d", index);
	if (json) {
		object = json_object_new_object();
		json_object_object_add(object, "device", json_object_new_string(device));
		json_object_object_add(object, "size_bytes", json_object_new_int64(size));
		json_object_object_add(object, "former_size_bytes", json_object_new_int64(former));
		return report_print_json(object);
	}
	report_format_size((uint64_t)former, former_text, sizeof(former_text));
	report_format_size((uint64_t)size, size_text, sizeof(size_text));
	if (size == former)
		show_line(stdout, "%s is %s at the server too: nothing to do", device, size_text);
	else
		show_line(stdout, "%s has grown from %s to %s", device, former_text, size_text);
	return report_finish(0);
}

int command_resize(struct options *options)
{
	int64_t former = 0, size = 0;
	struct error err = {0};
	int index, rc = device_argument(options->arguments[0], "resize", &index, &err);

	if (!rc)
		rc = device_check_permission("resizing", &err);
	if (!rc && !block_is_configured(index))
		rc = error_set(&err, ERROR_BUSY, ENOTCONN, "/dev/nbd%d is not attached", index);
	if (!rc)
		rc = resize(index, &former, &size, &err);
	if (rc)
		return report_error(&err);
	return say(index, former, size, options->json);
}
