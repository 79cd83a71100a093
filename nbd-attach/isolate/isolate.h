/* SPDX-License-Identifier: GPL-2.0-or-later */
/* --root: a supervisor that needs nothing of any disk, since the disk it needed might be the one
 * that it is to bring back. */
#ifndef NBDA_ISOLATE_ISOLATE
#define NBDA_ISOLATE_ISOLATE
#include <stdbool.h>
#include "base/error.h"

/* Once the device INDEX is attached: leave every file system that may be on a disk
 * (private-root.h), lock all memory, and have the kernel's write-back and its OOM killer spare us.
 * In an initrd also ignore SIGTERM, SIGINT and SIGHUP, and bear the mark (argv[0][0] is '@') by
 * which systemd leaves storage daemons alone: all else is killed before the real system starts. */
int isolate_enter(int index, struct error *err);
/* Has this process, or the parent that forked it, done so? */
bool isolate_is_entered(void);
/* And does it ignore signals? */
bool isolate_ignores_signals(void);
/* In each forked child, before it gives up its privileges: fork(2) does not hand on memory
 * locks. */
void isolate_enter_child(void);
/* stdin, stdout and stderr are /dev/null from here on: nobody may be reading them, or a disk may be
 * behind them. */
void isolate_leave_terminal(void);

#endif
