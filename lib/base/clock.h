/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Time that no setting of the clock moves. */
#ifndef NBDA_BASE_CLOCK
#define NBDA_BASE_CLOCK
#include <stdint.h>

/* CLOCK_MONOTONIC: what every deadline here is measured by. It stands still while the machine
 * sleeps: what waited for an answer before is not late when it wakes. */
int64_t monotonic_now_ms(void);
/* CLOCK_BOOTTIME: the same, and it goes on while the machine sleeps: for the age of things. */
int64_t boot_now_ms(void);

#endif
