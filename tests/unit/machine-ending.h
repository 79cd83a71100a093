/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How an episode ends, and what must have come of it by then: service, failure at the dead-timeout,
 * or an end. */
#ifndef NBDA_TESTS_MACHINE_ENDING
#define NBDA_TESTS_MACHINE_ENDING
#include "machine-driver.h"

/* In good weather, in silence, by order, or because the device is gone. */
void ending_run(struct model *model);

#endif
