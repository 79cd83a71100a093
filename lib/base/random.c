/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/random.h"
#include "base/clock.h"
#include <sys/random.h>

uint32_t random_for_jitter(void)
{
	uint32_t random;

	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random))
		random = (uint32_t)monotonic_now_ms() * 2654435761U; /* Knuth's multiplier */
	return random;
}
