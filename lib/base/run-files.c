/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/run-files.h"
#include <stdio.h>
#include <unistd.h>

void run_file_path(char path[RUN_PATH_SIZE], int index, const char *suffix)
{
	snprintf(path, RUN_PATH_SIZE, RUN_DIRECTORY "/nbd%d.%s", index, suffix);
}

void run_file_remove(int index, const char *suffix)
{
	char path[RUN_PATH_SIZE];

	run_file_path(path, index, suffix);
	unlink(path);
}
