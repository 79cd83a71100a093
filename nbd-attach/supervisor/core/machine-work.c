/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The one piece of work for the whole device: to negotiate, to keep a spare socket until a slot
 * takes it, to pause. What it is to be next, in the order of need. */
#include "supervisor/core/machine-step.h"
#include "supervisor/core/backoff.h"

void step_set_work(struct step *step, enum machine_work work, int64_t duration_ms)
{
	step->machine->work = work;
	step->machine->work_until_ms = step->event->now_ms + duration_ms;
}

/* The longer the outage, the longer the pauses; the first attempt of an outage never waits. */
void step_pause(struct step *step)
{
	struct machine *machine = step->machine;
	int64_t elapsed_ms;

	if (machine->trying_since_ms < 0)
		machine->trying_since_ms = step->event->now_ms;
	elapsed_ms = step->event->now_ms - machine->trying_since_ms;
	machine->attempts++;
	machine->for_renewal =
		machine_link_find_in_need(machine) < 0 && machine_link_find_silent(machine) < 0;
	if (machine->for_renewal && machine_renewal_make_room(step))
		machine->work = WORK_NONE;
	else if (machine->for_renewal)
		step_set_work(step, WORK_PAUSE, machine->config.renew_pause_ms);
	else
		step_set_work(step, WORK_PAUSE,
			machine->is_refused ? BACKOFF_MAX_MS :
					      backoff_delay_ms(elapsed_ms, step->event->random));
}

void step_release_work(struct step *step)
{
	if (step->machine->work == WORK_NEGOTIATE)
		step_act(step, ACTION_CANCEL, 0);
	if (step->machine->work == WORK_SPARE)
		step_act(step, ACTION_DROP_SPARE, 0);
	step->machine->work = WORK_NONE;
}

/* --- negotiating */

/* While any link serves, another one must be to the same host: two hosts of which each holds a part
 * of the writes are no disk. A single unmonitored one may be dead, and so may its host. */
static void negotiate(struct step *step, unsigned at)
{
	struct machine *machine = step->machine;
	struct machine_action action = {
		.type = ACTION_NEGOTIATE, .link = at, .host = machine->attempts};

	for (unsigned i = 0; i < machine->link_count; i++) {
		if (!machine_link_is_up(&machine->links[i]))
			continue;
		action.host = machine->links[i].host;
		action.is_pinned =
			machine->link_count > 1 || machine->links[i].state != LINK_UNMONITORED;
	}
	machine->work = WORK_NEGOTIATE;
	machine->work_link = at;
	step_add(step, &action);
}

void machine_work_on_not_negotiated(struct step *step, bool is_refused)
{
	step->machine->is_refused = is_refused;
	if (step->machine->work != WORK_NEGOTIATE)
		return;
	/* an offer that is not acceptable is an answer, too */
	machine_link_on_second_connection(step, is_refused);
	step_pause(step);
}

void machine_work_on_negotiated(struct step *step)
{
	struct machine *machine = step->machine;

	machine->is_refused = false;
	if (machine->work != WORK_NEGOTIATE)
		return;
	machine->spare_host = step->event->host;
	machine->spare_size_bytes = step->event->size_bytes;
	machine_link_on_second_connection(step, true);
	step_set_work(step, WORK_SPARE, machine->config.spare_ms);
}

void machine_work_on_spare_gone(struct step *step)
{
	if (step->machine->work == WORK_SPARE)
		step_pause(step);
}

/* The driver puts it into the first slot that is dead, whichever we mean: none may be one whose
 * former socket is still read from (kernel fact receiver-outlives-link). */
static bool is_any_slot_settling(const struct machine *machine)
{
	return machine_link_find(machine, LINK_LOST) >= 0 ||
		machine_link_find(machine, LINK_NOTICED) >= 0 ||
		machine_link_find(machine, LINK_RECEIVING) >= 0;
}

static void use_spare(struct step *step)
{
	struct machine *machine = step->machine;
	int at = machine_link_find(machine, LINK_FREE);

	if (at >= 0 && is_any_slot_settling(machine))
		return; /* for a moment */
	if (at >= 0) {
		machine->work_link = (unsigned)at;
		step_act(step, ACTION_HAND_OVER, (unsigned)at);
	} else if (machine_link_find_in_need(machine) < 0) {
		machine_renewal_use_spare(step);
	} /* else a slot is free in a moment */
}

void machine_work_on_handed_over(struct step *step)
{
	struct machine *machine = step->machine;
	struct machine_link *link = &machine->links[machine->work_link];

	if (machine->work != WORK_SPARE || link->state != LINK_FREE)
		return;
	link->state = LINK_UNPROVEN;
	link->is_presumed_up = false;
	link->host = machine->spare_host;
	link->size_bytes = machine->spare_size_bytes;
	machine_proof_begin(step, machine->work_link);
}

/* --- what is next */

static bool wants_connection(const struct machine *machine)
{
	return machine_link_find_in_need(machine) >= 0 || machine_link_find_silent(machine) >= 0 ||
		machine_renewal_find(machine) >= 0;
}

/* What to do next, in the order of need. */
static void begin_work(struct step *step)
{
	struct machine *machine = step->machine;
	int at = machine_link_find_settled(machine), unproven = machine_proof_find(machine);

	if (at < 0)
		at = machine_link_find_silent(machine);
	if (at < 0 && unproven >= 0) {
		machine_proof_begin(step, (unsigned)unproven);
		return;
	}
	if (at < 0)
		at = machine_renewal_find(machine);
	if (at >= 0)
		negotiate(step, (unsigned)at);
}

void machine_work_advance(struct step *step)
{
	struct machine *machine = step->machine;

	if (machine->work == WORK_PAUSE && machine->for_renewal &&
		machine_link_find_settled(machine) >= 0)
		machine->work = WORK_NONE; /* now it is no renewal any more */
	if (machine->work == WORK_SPARE)
		use_spare(step);
	if (!wants_connection(machine) &&
		(machine->work == WORK_NEGOTIATE || machine->work == WORK_PAUSE))
		step_release_work(step); /* the link that was silent has answered */
	if (machine->work == WORK_NONE)
		begin_work(step);
}
