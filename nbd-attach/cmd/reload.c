/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Keys and certificates that were renewed: read and checked here, where there is a disk, and handed
 * to the supervisor, which may have none. */
#include "base/cleanup.h"
#include "base/json-get.h"
#include "cmd/commands.h"
#include "cmd/device-argument.h"
#include "device/detach.h"
#include "kernel/block-attr.h"
#include "output/report.h"
#include "output/show.h"
#include "supervisor/control.h"
#include "supervisor/reload.h"
#include <errno.h>
#include <string.h>

#define ANSWER_TIMEOUT_MS 20000

static int reload_no_answer(int index, struct error *err)
{
	if (control_exists(index))
		return error_set(err, ERROR_OTHER, ETIMEDOUT,
			"the supervisor of /dev/nbd%d does not answer, or is of another version",
			index);
	error_set(err, ERROR_BUSY, ENOTCONN, "nobody watches /dev/nbd%d", index);
	return error_hint(
		err, -ENOTCONN, "run the command again that attached it, which adopts it as it is");
}

static int reload_hand_over(int index, int fd, struct error *err)
{
	json_object *answer = control_command_fd(index, "reload", fd, ANSWER_TIMEOUT_MS);
	int rc = !answer                    ? reload_no_answer(index, err) :
		json_get_true(answer, "ok") ? 0 :
					      control_refusal(answer, err);

	json_object_put(answer);
	return rc;
}

static int reload_device(int index, const struct tls_config *config, struct error *err)
{
	unsigned char *bytes = NULL;
	struct tls_credentials *creds = NULL;
	_cleanup_fd_ int fd = -1;
	size_t size = 0;
	int rc = tls_credentials_can_be_read_again(config, err);

	if (!rc) /* for what is to be said of them */
		rc = tls_credentials_load(&creds, config, err);
	report_warnings(creds);
	tls_credentials_free(creds);
	if (!rc)
		rc = tls_credentials_pack(config, &bytes, &size, err);
	if (!rc) {
		fd = reload_seal(bytes, size);
		rc = fd < 0 ? error_set(err, ERROR_OTHER, -fd, "memfd: %s", strerror(-fd)) : 0;
	}
	tls_credentials_free_packed(bytes, size);
	return rc ? rc : reload_hand_over(index, fd, err);
}

static int reload_say(int index, const char *what, bool json)
{
	json_object *object;
	char device[32];

	snprintf(device, sizeof(device), "/dev/nbd%d", index);
	if (!json) {
		show_line(stdout, "%s: %s", device, what);
		return report_finish(0);
	}
	object = json_object_new_object();
	json_object_object_add(object, "device", json_object_new_string(device));
	return report_print_json(object);
}

int command_reload(struct options *options)
{
	struct tls_config config;
	json_object *files = NULL;
	struct error err = {0};
	bool has_tls;
	int index, rc = device_argument(options->arguments[0], "reload", &index, &err);

	if (!rc)
		rc = device_check_permission("reloading", &err);
	if (!rc && !block_is_configured(index))
		rc = error_set(&err, ERROR_BUSY, ENOTCONN, "/dev/nbd%d is not attached", index);
	if (!rc) {
		files = control_command(index, "files", ANSWER_TIMEOUT_MS);
		rc = files && json_object_object_get_ex(files, "tls", NULL) ?
			0 :
			reload_no_answer(index, &err);
	}
	has_tls = !rc && json_get(files, "tls");
	if (has_tls && !reload_parse_files(files, &config))
		rc = reload_no_answer(index, &err);
	json_object_put(files);
	if (!rc && has_tls)
		rc = reload_device(index, &config, &err);
	if (rc)
		return report_error(&err);
	return reload_say(index,
		has_tls ? "the next connection takes the keys and certificates as they are now" :
			  "it is attached without TLS: there is nothing to reload",
		options->json);
}
