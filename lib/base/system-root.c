/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/system-root.h"
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/text.h"

static char root[PATH_MAX / 2];

void system_root_set(const char *new_root)
{
	text_copy(root, sizeof(root), new_root ? new_root : "");
}

const char *system_root(void)
{
	return root;
}

int system_path(char *path, size_t size, const char *fmt, ...)
{
	size_t used = strlen(root);
	va_list ap;
	int len;

	if (used >= size)
		return -ENAMETOOLONG;
	memcpy(path, root, used);
	va_start(ap, fmt);
	len = vsnprintf(path + used, size - used, fmt, ap);
	va_end(ap);
	return len < 0 || (size_t)len >= size - used ? -ENAMETOOLONG : 0;
}
