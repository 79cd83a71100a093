/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config/device-name.h"
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include "base/text.h"

#define INDEX_MAX ((1 << 20) - 1) /* the kernel's minor numbers have 20 bits */

/* The number of "nbd7" with LEN digits behind the prefix, or -1. Leading zeroes would make two
 * names of one device. */
static int parse_index(const char *digits, size_t len)
{
	long value = 0;
	size_t i;

	if (!len || len > 7 || (len > 1 && digits[0] == '0'))
		return -1;
	for (i = 0; i < len; i++) {
		if (!isdigit((unsigned char)digits[i]))
			return -1;
		value = value * 10 + (digits[i] - '0');
	}
	return value <= INDEX_MAX ? (int)value : -1;
}

static int refuse_device(const char *shown, struct error *err)
{
	error_set(err, ERROR_USAGE, EINVAL, "'%s' is not an NBD device", shown);
	return error_hint(
		err, -EINVAL, "name a device as /dev/nbdN or nbdN; auto picks a free one");
}

int device_name_parse(const char *text, int *index, struct error *err)
{
	const char *name = !strncmp(text, "/dev/", 5) ? text + 5 : text;
	char shown[80];
	size_t digits;

	if (!strcmp(text, "auto")) {
		*index = -1;
		return 0;
	}
	text_sanitise(shown, sizeof(shown), text, strlen(text));
	if (strncmp(name, "nbd", 3))
		return refuse_device(shown, err);
	name += 3;
	digits = strspn(name, "0123456789");
	*index = parse_index(name, digits);
	if (*index < 0)
		return refuse_device(shown, err);
	if (name[digits] == 'p' && name[digits + 1] &&
		!name[digits + 1 + strspn(name + digits + 1, "0123456789")]) {
		error_set(err, ERROR_USAGE, EINVAL, "'%s' is a partition; a whole device is needed",
			shown);
		return error_hint(err, -EINVAL, "use /dev/nbd%d", *index);
	}
	return name[digits] ? refuse_device(shown, err) : 0;
}

int device_name_index(const char *name)
{
	return strncmp(name, "nbd", 3) ? -1 : parse_index(name + 3, strlen(name + 3));
}
