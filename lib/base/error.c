/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/error.h"
#include "base/text.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int error_set(struct error *err, enum error_kind kind, int errno_value, const char *fmt, ...)
{
	va_list ap;

	if (err) {
		memset(err, 0, sizeof(*err));
		err->kind = kind;
		va_start(ap, fmt);
		vsnprintf(err->text, sizeof(err->text), fmt, ap);
		va_end(ap);
		text_make_printable(err->text);
	}
	return -errno_value;
}

int error_hint(struct error *err, int rc, const char *fmt, ...)
{
	va_list ap;

	if (err) {
		va_start(ap, fmt);
		vsnprintf(err->hint, sizeof(err->hint), fmt, ap);
		va_end(ap);
		text_make_printable(err->hint);
	}
	return rc;
}

int error_attached(struct error *err, int index)
{
	error_set(err, ERROR_ATTACHED, EBUSY, "/dev/nbd%d is attached already", index);
	return error_hint(err, -EBUSY,
		"see to what: nbd-attach status nbd%d; or let \"auto\" choose a free device",
		index);
}

bool error_kind_is_lasting(enum error_kind kind)
{
	return kind == ERROR_USAGE || kind == ERROR_KERNEL || kind == ERROR_PERMISSION ||
		kind == ERROR_BUSY || kind == ERROR_ATTACHED;
}

int error_retry(struct error *err, int rc)
{
	if (err)
		err->retry = true;
	return rc;
}

void error_prefix(struct error *err, const char *fmt, ...)
{
	char old[sizeof(err->text)];
	va_list ap;
	int used;

	if (!err)
		return;
	memcpy(old, err->text, sizeof(old));
	va_start(ap, fmt);
	used = vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	if (used >= 0 && (size_t)used < sizeof(err->text))
		snprintf(err->text + used, sizeof(err->text) - used, ": %s", old);
	text_make_printable(err->text);
}
