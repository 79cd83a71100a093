/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/system-root.h"
#include "base/cleanup.h"
#include <errno.h>
#include <fcntl.h>
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

int system_read_file(const char *path, char *buf, size_t size)
{
	_cleanup_fd_ int fd = -1;
	size_t used = 0;
	ssize_t len;

	if (!size)
		return -EINVAL;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	/* /proc gives a page at a time. */
	while (used < size - 1 && (len = read(fd, buf + used, size - 1 - used)) != 0) {
		if (len < 0)
			return -errno;
		used += (size_t)len;
	}
	while (used && buf[used - 1] == '\n')
		used--;
	buf[used] = 0;
	return 0;
}
