/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Renewing a link that serves: for a new key, for a new size, to have its socket. */
#include "supervisor/core/machine-step.h"

bool machine_renewal_is_urgent(const struct machine_link *link)
{
	return link->renewal == RENEWAL_NOW || link->renewal == RENEWAL_DRAINING ||
		link->renewal == RENEWAL_DRAINED;
}

/* A silent one is not shut for a new key: nothing moves over it, and what it owes may still be
 * executed. */
static bool is_requested(const struct machine_link *link)
{
	return machine_link_is_up(link) && link->silence == SILENCE_NONE &&
		(link->renewal == RENEWAL_WHEN_IDLE || machine_renewal_is_urgent(link));
}

int machine_renewal_find(const struct machine *machine)
{
	int found = -1;

	for (unsigned i = 0; i < machine->link_count; i++) {
		if (!is_requested(&machine->links[i]))
			continue;
		if (machine_renewal_is_urgent(&machine->links[i]))
			return (int)i;
		if (found < 0)
			found = (int)i;
	}
	return found;
}

void machine_renewal_on_rekey(struct step *step, bool is_urgent)
{
	struct machine_link *link = &step->machine->links[step->event->link];

	if (!machine_link_is_up(link) || link->renewal == RENEWAL_IMPOSSIBLE ||
		link->renewal == RENEWAL_SHUT)
		return;
	if (is_urgent && !machine_renewal_is_urgent(link))
		link->renewal = RENEWAL_NOW;
	else if (link->renewal == RENEWAL_NONE)
		link->renewal = RENEWAL_WHEN_IDLE;
}

/* May it be shut for its renewal, although requests are in flight? Not under one that takes long:
 * it would be sent again over the new link while the server still executes it, and end after newer
 * ones. What is in flight once the device was drained is fresh. */
static bool may_be_forced(struct step *step, unsigned at)
{
	struct machine_link *link = &step->machine->links[at];

	if (link->renewal == RENEWAL_DRAINED)
		return true;
	if (link->renewal == RENEWAL_NOW && !step->machine->is_draining)
		step_act(step, ACTION_DRAIN, 0);
	step->machine->is_draining = true;
	link->renewal = RENEWAL_DRAINING;
	return false;
}

void machine_renewal_forget_drained(struct machine *machine)
{
	for (unsigned i = 0; i < machine->link_count; i++)
		if (machine->links[i].renewal == RENEWAL_DRAINED)
			machine->links[i].renewal = RENEWAL_NOW;
}

static void forget_drain(struct machine *machine)
{
	for (unsigned i = 0; i < machine->link_count; i++)
		if (machine_renewal_is_urgent(&machine->links[i]))
			machine->links[i].renewal = RENEWAL_NOW;
}

bool machine_renewal_make_room(struct step *step)
{
	int at = machine_renewal_find(step->machine);

	if (at < 0 || !machine_renewal_is_urgent(&step->machine->links[at]) ||
		!may_be_forced(step, (unsigned)at))
		return false;
	machine_link_shut_down(step, (unsigned)at, true);
	return true;
}

void machine_renewal_on_drained(struct step *step)
{
	struct machine *machine = step->machine;
	int at;

	for (unsigned i = 0; i < machine->link_count; i++)
		if (machine->links[i].renewal == RENEWAL_DRAINING)
			machine->links[i].renewal = RENEWAL_DRAINED;
	at = machine_renewal_find(machine);
	/* one for which the attempt has failed that is paused after */
	if (machine->work == WORK_PAUSE && machine->for_renewal && at >= 0 &&
		machine->links[at].renewal == RENEWAL_DRAINED && machine_renewal_make_room(step))
		machine->work = WORK_NONE;
}

void machine_renewal_on_idle(struct step *step)
{
	if (machine_awaits_idle(step->machine))
		machine_link_shut_down(step, (unsigned)machine_renewal_find(step->machine), true);
}

void machine_renewal_use_spare(struct step *step)
{
	int at = machine_renewal_find(step->machine);

	if (at < 0) {
		step_release_work(step);
		return;
	}
	if (machine_renewal_is_urgent(&step->machine->links[at]) &&
		may_be_forced(step, (unsigned)at))
		machine_link_shut_down(step, (unsigned)at, true);
}

/* The records of a link whose socket we have are counted; one without is not left so for as long as
 * its users are busy. */
void machine_renewal_on_no_idle(struct step *step)
{
	struct machine *machine = step->machine;
	int at = machine_renewal_find(machine);

	if (at >= 0 && machine->links[at].state == LINK_UNMONITORED &&
		machine->links[at].renewal == RENEWAL_WHEN_IDLE) {
		machine->links[at].renewal = RENEWAL_NOW;
		step_set_work(step, WORK_SPARE, machine->config.spare_ms);
		return;
	}
	forget_drain(machine);
	step_release_work(step);
	machine->for_renewal = true;
	step_set_work(step, WORK_PAUSE, machine->config.renew_pause_ms);
}

bool machine_awaits_idle(const struct machine *machine)
{
	return machine->phase == PHASE_RUNNING && machine->work == WORK_SPARE &&
		machine_renewal_find(machine) >= 0 && machine_link_find_in_need(machine) < 0;
}
