/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/clock.h"
#include <time.h>

static int64_t now_ms(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t monotonic_now_ms(void)
{
	return now_ms(CLOCK_MONOTONIC);
}

int64_t boot_now_ms(void)
{
	return now_ms(CLOCK_BOOTTIME);
}
