/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether a link that was handed over carries data: by samples of its socket, and a read through
 * the device. */
#include "supervisor/core/machine-step.h"

void machine_proof_probe(struct step *step)
{
	for (unsigned i = 0; i < step->actions->count; i++)
		if (step->actions->list[i].type == ACTION_PROBE)
			return;
	step_act(step, ACTION_PROBE, 0);
}

void machine_proof_begin(struct step *step, unsigned at)
{
	struct machine *machine = step->machine;

	machine->work_link = at;
	step_set_work(step, WORK_PROVE, machine->config.prove_ms);
	machine->next_sample_ms = step->event->now_ms + machine->config.sample_ms;
	/* What waits will be sent again, and prove the link; under swap that has to do. */
	machine->is_probed = !machine->config.is_isolated;
	if (machine->is_probed)
		machine_proof_probe(step);
}

void machine_proof_accept(struct step *step, unsigned at, bool is_seen)
{
	struct machine_link *link = &step->machine->links[at];

	if (is_seen)
		link->owes_notice = link->is_presumed_lost = false;
	machine_link_on_proven(step, at);
}

/* It could have been used and was not: the slot was not free. No harm if the driver has it all the
 * same: shutting it frees its slot again. A renewal that it was for is one still: the server was
 * not away. */
static void drop_link(struct step *step)
{
	unsigned at = step->machine->work_link;

	step_act(step, ACTION_DROP_LINK, at);
	machine_link_lose(step, at, step->machine->links[at].renewal == RENEWAL_SHUT);
}

/* I/O was done, but not over the only link: another one serves that slot, of which we know nothing.
 * It is left alone until the driver says that it has ended. */
static void leave_to_former(struct step *step)
{
	struct machine *machine = step->machine;

	step_act(step, ACTION_DROP_LINK, machine->work_link);
	machine_link_leave_to_former(step, machine->work_link);
	machine->links[machine->work_link].size_bytes = 0;
}

static bool is_under_proof(const struct step *step)
{
	return step->machine->work == WORK_PROVE && step->machine->work_link == step->event->link;
}

/* Something was sent, and it is not answered: the server may be about to. Nothing was: there is
 * nothing to lose. */
static void on_overdue(struct step *step)
{
	struct machine *machine = step->machine;

	if (step->event->facts & FACT_USED)
		machine_link_on_silent(step, machine->work_link);
	else if (machine->is_draining) /* what would use it is held back: from the beginning */
		machine->work = WORK_NONE;
	else
		machine_link_shut_down(step, machine->work_link, false);
}

/* Was the new link dropped by the driver (kernel fact slot-taken)? With one link the same socket
 * can simply be offered again. With several it might end up in two slots; and while new requests
 * are held back the read that would use it is, too. */
static void find_dropped(struct step *step)
{
	struct machine *machine = step->machine;
	bool is_counted = step->event->facts & FACT_COUNTED,
	     is_used = step->event->facts & FACT_USED;

	if (machine->link_count > 1 && !is_used && machine->is_probed && !machine->is_draining) {
		drop_link(step);
		return;
	}
	if (machine->config.is_isolated || !is_counted) {
		machine->is_probed = true;
		machine_proof_probe(step);
	}
	if (machine->link_count == 1 && (!is_counted || !is_used))
		step_act(step, ACTION_OFFER_AGAIN, machine->work_link);
}

void machine_proof_on_sampled(struct step *step)
{
	struct machine *machine = step->machine;
	bool is_last = machine->last_samples > 0;

	if (is_last)
		machine->last_samples--;
	if (!is_under_proof(step)) {
		machine_outage_on_last_sample(step, is_last);
		return;
	}
	if (step->event->facts & FACT_IN_CLEAR)
		machine_link_shut_down(step, machine->work_link, false);
	else if (step->event->facts & FACT_MOVED)
		machine_proof_accept(step, machine->work_link, step->event->facts & FACT_COUNTED);
	else if (step->event->now_ms >= machine->work_until_ms)
		on_overdue(step);
	else if (!machine_outage_is_over_time(step))
		find_dropped(step);
}

/* Another source says so, and a notice that it owes may still come: then it was never used. */
static void prove_unproven(struct step *step)
{
	for (unsigned i = 0; i < step->machine->link_count; i++)
		if (step->machine->links[i].state == LINK_UNPROVEN)
			machine_proof_accept(step, i, false);
}

/* A Unix socket counts nothing: a read that was done proves it as far as that can be told. Where a
 * notice is owed, it may have been done over the former one. */
void machine_proof_on_probed(struct step *step)
{
	struct machine *machine = step->machine;
	unsigned facts = step->event->facts;
	bool is_done = facts & FACT_DONE;

	if (is_done)
		machine_outage_on_read(step);
	if (is_done && !(facts & FACT_COUNTED)) {
		prove_unproven(step);
	} else if (!is_under_proof(step)) {
		return;
	} else if (facts & FACT_IN_CLEAR) {
		machine_link_shut_down(step, machine->work_link, false);
	} else if (facts & FACT_MOVED) {
		machine_proof_accept(step, machine->work_link, true);
	} else if (is_done && machine->link_count > 1) {
		/* over the others; its first use will tell */
		machine_proof_accept(step, machine->work_link, false);
	} else if (facts & FACT_USED) {
		return; /* the driver has it */
	} else if (is_done) {
		leave_to_former(step);
	} else {
		machine_link_shut_down(step, machine->work_link, false);
	}
}

/* One that was silent when its time for a proof was over, and has answered since, or owes nothing
 * any more: unproven, it would be an outage for ever. */
int machine_proof_find(const struct machine *machine)
{
	for (unsigned i = 0; i < machine->link_count; i++)
		if (machine->links[i].state == LINK_UNPROVEN &&
			machine->links[i].silence == SILENCE_NONE)
			return (int)i;
	return -1;
}

void machine_proof_on_moved(struct step *step)
{
	unsigned at = step->event->link;

	if (step->machine->links[at].state == LINK_UNPROVEN)
		machine_proof_accept(step, at, step->event->facts & FACT_COUNTED);
}
