/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The outage: since when no link serves, and what is asked before the device is failed for it. */
#include "supervisor/core/machine-step.h"

bool machine_is_serving(const struct machine *machine)
{
	for (unsigned i = 0; i < machine->link_count; i++) {
		const struct machine_link *link = &machine->links[i];

		if (machine_link_is_up(link) &&
			(link->silence == SILENCE_SLOW ||
				(link->state != LINK_UNPROVEN &&
					link->silence != SILENCE_UNREACHABLE)))
			return true;
	}
	return false;
}

void machine_outage_note(struct step *step)
{
	struct machine *machine = step->machine;

	if (!machine_is_serving(machine)) {
		if (machine->outage_since_ms < 0)
			machine->outage_since_ms = step->event->now_ms;
		return;
	}
	machine->outage_since_ms = -1;
	machine->is_last_probed = false;
	machine_stop_limit_next_outage(machine);
}

void machine_outage_restart(struct step *step)
{
	if (step->machine->outage_since_ms < 0)
		return;
	step->machine->outage_since_ms = step->event->now_ms;
	step->machine->is_last_probed = false;
	machine_stop_limit_next_outage(step->machine);
}

int64_t machine_outage_fail_at_ms(const struct machine *machine)
{
	int64_t at_ms = machine->outage_since_ms + machine->config.dead_timeout_ms;

	if (machine->outage_since_ms < 0 || machine->config.dead_timeout_ms < 0)
		return -1;
	return at_ms > machine->spared_until_ms ? at_ms : machine->spared_until_ms;
}

bool machine_outage_is_over_time(const struct step *step)
{
	int64_t at_ms = machine_outage_fail_at_ms(step->machine);

	return at_ms >= 0 && step->event->now_ms >= at_ms;
}

/* --- what is seen to serve */

static bool is_any_able_to_serve(const struct machine *machine)
{
	for (unsigned i = 0; i < machine->link_count; i++)
		if (machine_link_may_serve(&machine->links[i]))
			return true;
	return false;
}

/* By a link that was adopted unseen, say. It may have been an error instead: one that comes late
 * (kernel fact partial-send-eio), or those of a driver that has given up, which only its log tells.
 * Then a read tells (PROBED); but not under swap, where no process is started for it. */
void machine_outage_on_served(struct step *step)
{
	const struct machine *machine = step->machine;
	bool can_probe = !machine->config.is_isolated;

	if (machine->phase != PHASE_RUNNING)
		return;
	if (is_any_able_to_serve(machine) && (step->event->facts & FACT_DONE || !can_probe))
		machine_outage_restart(step);
	else if (can_probe)
		machine_proof_probe(step);
}

/* --- before it is failed */

/* Out of time: a link that was silent may have served again since it was sampled, and one whose
 * end was not seen for sure may never have ceased to. */
void machine_outage_sample(struct step *step)
{
	struct machine *machine = step->machine;

	machine->last_samples = 0;
	for (unsigned i = 0; i < machine->link_count; i++) {
		const struct machine_link *link = &machine->links[i];

		if (machine_link_is_up(link) ?
				link->state != LINK_UNPROVEN && link->silence == SILENCE_NONE :
				!link->owes_notice)
			continue;
		machine->last_samples++;
		step_act(step, ACTION_SAMPLE, i);
	}
}

/* A link that was silent, and is only sampled before the device is failed. */
void machine_outage_on_last_sample(struct step *step, bool is_last)
{
	unsigned at = step->event->link;
	const struct machine_link *link = &step->machine->links[at];

	if (!is_last)
		return;
	if (!machine_link_is_up(link) && step->event->facts & FACT_MOVED)
		machine_outage_restart(step);
	else if (machine_link_is_up(link) && step->event->facts & FACT_IN_CLEAR)
		machine_link_shut_down(step, at, false);
	else if (step->event->facts & FACT_MOVED && link->state == LINK_UNPROVEN)
		machine_proof_accept(step, at, step->event->facts & FACT_COUNTED);
	else if (step->event->facts & FACT_MOVED)
		machine_link_on_answered(step);
}

/* Does it serve, for all that is known, though it is not seen to? */
static bool may_serve_unseen(const struct machine *machine)
{
	for (unsigned i = 0; i < machine->link_count; i++)
		if (machine->links[i].owes_notice || machine->links[i].state == LINK_UNPROVEN)
			return true;
	return false;
}

/* A read tells more than a sample: of a device that nobody uses, and of one whose I/O may be
 * failing, for all that is known without a log. -1: there is nothing to ask. */
int64_t machine_outage_probe_at_ms(const struct machine *machine)
{
	int64_t at_ms = machine_outage_fail_at_ms(machine),
		before_ms = machine->config.dead_timeout_ms / 2;

	if (at_ms < 0 || machine->is_last_probed || machine->config.is_isolated ||
		!may_serve_unseen(machine))
		return -1;
	/* not at once: a read that is done begins the outage anew */
	return at_ms - (before_ms < MACHINE_LAST_PROBE_MS ? before_ms : MACHINE_LAST_PROBE_MS);
}

void machine_outage_probe(struct step *step)
{
	int64_t at_ms = machine_outage_probe_at_ms(step->machine);

	if (step->machine->phase != PHASE_RUNNING || at_ms < 0 || step->event->now_ms < at_ms)
		return;
	step->machine->is_last_probed = true;
	machine_proof_probe(step);
}

void machine_outage_fail(struct step *step)
{
	struct machine *machine = step->machine;

	if (machine->phase == PHASE_RUNNING) {
		if (machine->work == WORK_PROVE)
			machine->work = WORK_NONE; /* its link is shut below */
		step_release_work(step);
		machine->phase = PHASE_FAILED;
		machine->failed_since_ms = step->event->now_ms;
		machine_link_shut_all(step);
	}
	if (!machine->failure_told && machine_link_find(machine, LINK_FREE) >= 0) {
		machine->failure_told = true;
		step_act(step, ACTION_FAIL_DEVICE, 0);
	}
}
