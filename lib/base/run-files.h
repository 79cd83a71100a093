/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where a supervisor has its lock, socket and state: /run/nbd-attach/nbdN.SUFFIX. In memory. */
#ifndef NBDA_BASE_RUN_FILES
#define NBDA_BASE_RUN_FILES

#define RUN_DIRECTORY "/run/nbd-attach"
#define RUN_PATH_SIZE 64

/* SUFFIX: "lock", "sock", "state" or, while it is being written, "state.new". */
void run_file_path(char path[RUN_PATH_SIZE], int index, const char *suffix);
void run_file_remove(int index, const char *suffix);

#endif
