/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include "supervisor/loop.h"

int loop_poll(struct pollfd *fds, unsigned count, int timeout_ms)
{
	return poll(fds, count, timeout_ms) < 0 ? -errno : 0;
}
