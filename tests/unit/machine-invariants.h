/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rules that no step of the supervisor's state machine may break, whatever it is told. */
#ifndef NBDA_TESTS_MACHINE_INVARIANTS
#define NBDA_TESTS_MACHINE_INVARIANTS
#include "machine-driver.h"

/* Of one step: model.check_step. */
void invariants_check_step(struct model *model, const struct machine *before,
	const struct machine_event *event, const struct machine_actions *actions);
/* Between two steps, even of a machine that was told nonsense. */
void invariants_check_state(struct model *model);
/* When the machine has been told of everything that its actions led to: model.check_settled. */
void invariants_check_settled(struct model *model);

#endif
