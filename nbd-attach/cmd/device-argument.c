/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cmd/device-argument.h"
#include "base/text.h"
#include "config/device-name.h"
#include "kernel/block-attr.h"
#include <errno.h>
#include <string.h>

static int refuse_mount(
	const char *word, const char *source, const char *command, struct error *err)
{
	char place[256], from[256];
	struct error ignored;
	int index = -1;

	/* which sets it for a partition, too */
	device_name_parse(source, &index, &ignored);
	text_sanitise(place, sizeof(place), word, strlen(word));
	text_sanitise(from, sizeof(from), source, strlen(source));
	error_set(err, ERROR_USAGE, EINVAL, "%s is where %s is mounted, and no device", place,
		*from ? from : "something");
	if (index < 0)
		return error_hint(err, -EINVAL,
			"that is no NBD device; nbd-attach status has those that are attached");
	if (strcmp(command, "detach") == 0)
		return error_hint(
			err, -EINVAL, "umount %s && nbd-attach detach /dev/nbd%d", place, index);
	return error_hint(err, -EINVAL, "nbd-attach %s /dev/nbd%d", command, index);
}

int device_argument(const char *word, const char *command, int *index, struct error *err)
{
	char source[512];

	*index = -1;
	if (device_name_parse(word, index, err) < 0) {
		if (block_mounted_at(word, source, sizeof(source)) == 0)
			return refuse_mount(word, source, command, err);
		if (*index >= 0) /* a partition: that was said */
			return -EINVAL;
		return error_hint(err, -EINVAL,
			"name a device as /dev/nbdN or nbdN; nbd-attach status has those that are "
			"attached");
	}
	if (*index >= 0)
		return 0;
	error_set(err, ERROR_USAGE, EINVAL, "%s which device? \"auto\" is for attaching", command);
	return error_hint(err, -EINVAL, "see which are attached: nbd-attach status");
}
