/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef NBDA_BASE_RANDOM
#define NBDA_BASE_RANDOM
#include <stdint.h>

/* For the jitter of a pause, and for nothing secret. Never waits: early in a boot there may be no
 * randomness yet, and the clock has to do then. */
uint32_t random_for_jitter(void);

#endif
