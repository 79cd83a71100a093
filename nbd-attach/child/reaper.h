/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Children that nobody waits for. One that was killed may still hang in the kernel, beyond the
 * reach of signals, on the very device whose server we are to bring back: it is reaped when it has
 * ended, and not before. */
#ifndef NBDA_CHILD_REAPER
#define NBDA_CHILD_REAPER
#include <stdbool.h>
#include <sys/types.h>

#define REAPER_PAUSE_MS 100

/* Reap those that have ended. Never blocks. */
void reaper_collect(void);
/* Is any left to be collected? Then call reaper_collect() again after REAPER_PAUSE_MS. */
bool reaper_has_any(void);
/* Reap PID now if it has ended, otherwise in a later reaper_collect(). 0 for PID does nothing. */
void reaper_add(pid_t pid);
/* So many do not end that no more should be started. */
bool reaper_is_full(void);
/* Close FD, which somebody has given us who cannot be trusted, in a child that shares our
 * descriptors: close() may block, by SO_LINGER, or by a file system in user space. If there is no
 * child to be had, it stays open. */
void reaper_close(int fd);

#endif
