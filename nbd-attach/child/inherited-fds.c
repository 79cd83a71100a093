/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "child/inherited-fds.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIRST_FD 3
#define FDS_MAX 65536 /* no starter has one above that */

static uint64_t inherited[FDS_MAX / 64]; /* a bit for each */

static void note(int fd)
{
	if (fd >= FIRST_FD && fd < FDS_MAX)
		inherited[fd / 64] |= 1ULL << fd % 64;
}

/* Without /proc: all that could be open. */
static void search(void)
{
	long limit = sysconf(_SC_OPEN_MAX);

	for (int fd = FIRST_FD; fd < (limit > 0 && limit < FDS_MAX ? limit : FDS_MAX); fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			note(fd);
}

void inherited_fds_note(void)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;

	memset(inherited, 0, sizeof(inherited));
	if (!dir) {
		search();
		return;
	}
	while ((entry = readdir(dir)))
		if (atoi(entry->d_name) != dirfd(dir))
			note(atoi(entry->d_name));
	closedir(dir);
}

void inherited_fds_close(void)
{
	for (int at = 0; at < FDS_MAX / 64; at++)
		for (; inherited[at]; inherited[at] &= inherited[at] - 1)
			close(at * 64 + __builtin_ctzll(inherited[at]));
}
