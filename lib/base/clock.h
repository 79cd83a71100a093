/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Time that no setting of the clock moves. */
#ifndef NBDA_CLOCK_H
#define NBDA_CLOCK_H
#include <stdint.h>

/* CLOCK_MONOTONIC: what every deadline here is measured by. */
int64_t monotonic_now_ms(void);

#endif
