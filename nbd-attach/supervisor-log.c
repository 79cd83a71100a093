/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor-log.h"
#include <stdarg.h>
#include <stdio.h>

static bool to_stderr;

void supervisor_log_open(bool foreground)
{
	to_stderr = foreground;
	if (!foreground)
		openlog("nbd-attach", LOG_PID | LOG_NDELAY, LOG_DAEMON);
}

void supervisor_log(int priority, const char *fmt, ...)
{
	char line[1200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (to_stderr)
		fprintf(stderr, "nbd-attach: %s\n", line);
	else
		syslog(priority, "%s", line);
}
