/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor/core/backoff.h"

int64_t backoff_delay_ms(int64_t elapsed_ms, uint32_t random)
{
	int64_t delay_ms = elapsed_ms / 8;

	if (delay_ms < BACKOFF_MIN_MS)
		delay_ms = BACKOFF_MIN_MS;
	if (delay_ms > BACKOFF_MAX_MS)
		delay_ms = BACKOFF_MAX_MS;
	/* 3/4 to 5/4 */
	return delay_ms * 3 / 4 + (int64_t)((uint64_t)(delay_ms / 2) * random >> 32);
}
