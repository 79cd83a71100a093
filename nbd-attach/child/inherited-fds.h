/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What our starter left open. A process that outlives the command would hold it for good: the
 * starter's lock (flock(1)), or the end of a pipe whose reader waits for it to be closed. */
#ifndef NBDA_CHILD_INHERITED_FDS
#define NBDA_CHILD_INHERITED_FDS

/* Remember which descriptors from 3 up are open: before any is opened, and none is closed, since a
 * file may be named by one ("--tls-psk <(COMMAND)" of a shell). */
void inherited_fds_note(void);
/* Close them; for a process that was forked off to stay. Ours, opened since, stay. */
void inherited_fds_close(void);

#endif
