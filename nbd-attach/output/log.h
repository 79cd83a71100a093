/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where a supervisor speaks: stderr in the foreground (systemd takes it), syslog otherwise. Under
 * --root it is the kernel's log, which is in memory, never makes a writer wait for a reader, and is
 * there in an initrd. Nor is the reader of one of the others waited for: what finds no room is
 * lost, and how many lines were is said as soon as there is some. */
#ifndef NBDA_OUTPUT_LOG
#define NBDA_OUTPUT_LOG
#include <stdbool.h>
#include <syslog.h>

void log_open(bool foreground, bool root);
/* Instead of /dev/log; for tests. */
void log_set_socket(const char *path);
void log_message(int priority, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
