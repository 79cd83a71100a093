/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How long to wait before the next attempt. */
#ifndef NBDA_SUPERVISOR_CORE_BACKOFF
#define NBDA_SUPERVISOR_CORE_BACKOFF
#include <stdint.h>

#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 5000

/* An eighth of the time that has been tried already, within the limits above, and a quarter more or
 * less by RANDOM: a server that was away for a second is found again at once, one that was away for
 * an hour is not swamped, and a thousand clients do not come together. */
int64_t backoff_delay_ms(int64_t elapsed_ms, uint32_t random);

#endif
