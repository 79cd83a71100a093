/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor/announce.h"
#include "base/clock.h"
#include "base/run-files.h"
#include "isolate/isolate.h"
#include "output/log.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>

#define UDEV_TIMEOUT_MS 10000 /* a busy machine at boot; on an idle one it takes some tens of ms */

/* The device is configured: from here on a failure takes it down again, unless it was there before
 * us. */
static void take_down(struct announce *announce)
{
	struct attachment *attachment = announce->attachment;
	struct error ignored;

	if (!attachment->configured || attachment->adopted)
		return;
	nbd_genl_disconnect_own(
		&attachment->genl, attachment->index, attachment->backend, &ignored);
	if (announce->control->lock_fd < 0)
		return;
	run_file_remove(attachment->index, "state");
	manager_forget_all(announce->manager);
}

static void build_report(struct announce *announce)
{
	struct supervisor_report *report = announce->report;
	json_object *status = announce->status(announce->owner);

	attachment_describe(announce->attachment, report->line, sizeof(report->line));
	snprintf(report->json, sizeof(report->json), "%s",
		json_object_to_json_string_ext(status,
			JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
				JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(status);
}

static void deliver(struct announce *announce)
{
	struct supervisor_report *report = announce->report;

	if (!report->rc) {
		build_report(announce);
		/* Before the front end is told, since it ends as soon as it is. */
		prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);
	}
	announce->rc = report->rc ? (int)report->error.kind : 0;
	if (report->rc) { /* a process that is told of it finds nothing left */
		take_down(announce);
		control_close(announce->control);
	}
	/* Who asked may be gone: a device that nobody knows of is of no use. */
	if (!announce->deliver(report, announce->deliver_data) && !announce->rc) {
		announce->rc = ERROR_OTHER;
		take_down(announce);
	}
	if (announce->attachment->policy.root)
		isolate_leave_terminal();
	if (!announce->rc) {
		manager_ready(announce->manager, report->line);
		log_message(LOG_NOTICE, "%s", report->line);
	}
	loop_watch(&announce->waiting, -1, 0);
	loop_call_at(&announce->waiting, LOOP_NEVER);
	udev_wait_end(&announce->udev);
	free(report);
	announce->report = NULL;
}

static void on_waiting(void *owner, short revents)
{
	struct announce *announce = owner;

	(void)revents;
	if (announce->is_over(announce->owner))
		return;
	if (udev_has_noted(&announce->udev)) {
		deliver(announce);
	} else if (monotonic_now_ms() >= announce->until_ms) {
		log_message(LOG_WARNING, "/dev/nbd%d: udev has not noted it within %d s",
			announce->attachment->index, UDEV_TIMEOUT_MS / 1000);
		deliver(announce);
	}
}

int announce_init(struct announce *announce, struct attachment *attachment, struct control *control,
	struct manager *manager, struct loop *loop)
{
	*announce = (struct announce){.attachment = attachment,
		.control = control,
		.manager = manager,
		.report = calloc(1, sizeof(*announce->report))};
	loop_add(loop, &announce->waiting, LOOP_TIME, on_waiting, announce);
	return announce->report ? 0 : -ENOMEM;
}

/* From here on the device counts as ready. With an adopted one mostly nothing is new, and to have
 * udev read it now would only hang udev if its server is away. */
void announce_begin(struct announce *announce)
{
	const struct attachment *attachment = announce->attachment;
	struct error err;

	if ((!attachment->adopted || !udev_knows(attachment->index, attachment->backend)) &&
		udev_announce(&announce->udev, attachment->index, &err) < 0)
		log_message(LOG_WARNING, "/dev/nbd%d: udev is told of it, and not waited for: %s",
			attachment->index, err.text);
	announce->until_ms = monotonic_now_ms() + UDEV_TIMEOUT_MS;
	loop_watch(&announce->waiting, udev_wait_fd(&announce->udev), POLLIN);
	loop_call_at(&announce->waiting, announce->until_ms);
	on_waiting(announce, 0);
}

void announce_failure(struct announce *announce, int rc)
{
	announce->report->rc = rc;
	deliver(announce);
}

void announce_now(struct announce *announce, bool is_gone)
{
	if (!announce->report)
		return;
	if (is_gone)
		announce->report->rc = error_set(&announce->report->error, ERROR_OTHER, ENODEV,
			"/dev/nbd%d was detached before it was ready", announce->attachment->index);
	deliver(announce);
}

void announce_close(struct announce *announce)
{
	loop_remove(&announce->waiting);
	udev_wait_end(&announce->udev);
	free(announce->report);
	announce->report = NULL;
}
