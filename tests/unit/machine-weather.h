/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What may happen to the state machine, drawn at random: an episode's settings, and one thing after
 * the other. What must never come of it: machine-invariants.h. */
#ifndef NBDA_TESTS_MACHINE_WEATHER
#define NBDA_TESTS_MACHINE_WEATHER
#include "machine-driver.h"

/* A device that is new, or adopted. */
void weather_begin(struct model *model);
/* Something that can happen, happens. */
void weather_turn(struct model *model);

#endif
