/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where /sys, /proc, /dev, /run and /etc are looked for. Empty, unless a test has put a fake system
 * somewhere. */
#ifndef NBDA_BASE_SYSTEM_ROOT
#define NBDA_BASE_SYSTEM_ROOT
#include <stddef.h>

/* For tests, before anything else happens; NULL or "" is the real one. */
void system_root_set(const char *root);
const char *system_root(void);
/* A path below it: 0 or -ENAMETOOLONG. */
int system_path(char *path, size_t size, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* The file at PATH, which is not put below that root, as text, newlines at its end stripped; what
 * does not fit is left out. 0 or -errno. */
int system_read_file(const char *path, char *buf, size_t size);

#endif
