/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A fake system below a temporary folder: what the program then takes for /sys, /proc, /dev, /run
 * and /etc. */
#ifndef NBDA_TESTS_FAKE_ROOT
#define NBDA_TESTS_FAKE_ROOT
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/system-root.h"

static char fake_root[32]; /* empty: none */

/* 0, or -1 for a setup function to return. */
static inline int fake_root_make(void)
{
	strcpy(fake_root, "/tmp/test-root.XXXXXX");
	if (!mkdtemp(fake_root))
		return -1;
	system_root_set(fake_root);
	return 0;
}

static inline int fake_root_remove(void)
{
	char command[64];

	system_root_set(NULL);
	snprintf(command, sizeof(command), "rm -rf '%s'", fake_root);
	return system(command);
}

/* Where the absolute NAME is, with the folders that it takes. */
static inline void fake_root_path(char path[PATH_MAX], const char *name)
{
	snprintf(path, PATH_MAX, "%s%s", fake_root, name);
	for (char *p = path + strlen(fake_root) + 1; (p = strchr(p, '/')); p++) {
		*p = 0;
		mkdir(path, 0755);
		*p = '/';
	}
}

/* A file. */
static inline void fake_root_put(const char *name, const char *text)
{
	char path[PATH_MAX];
	FILE *file;

	fake_root_path(path, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

#endif
