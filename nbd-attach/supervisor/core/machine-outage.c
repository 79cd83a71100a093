/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The outage: since when no link serves, and what is asked before the device is failed for it. */
#include "supervisor/core/machine-step.h"

bool machine_link_is_serving(const struct machine *machine, unsigned at)
{
	const struct machine_link *link = &machine->links[at];

	if (!machine_link_is_up(link) || (link->is_presumed_up && !machine->is_seen_to_serve))
		return false;
	return link->silence == SILENCE_SLOW ||
		(link->state != LINK_UNPROVEN && link->silence != SILENCE_UNREACHABLE);
}

bool machine_is_serving(const struct machine *machine)
{
	for (unsigned i = 0; i < machine->link_count; i++)
		if (machine_link_is_serving(machine, i))
			return true;
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

/* Was the only link just presumed to be lost? */
static bool is_former_presumed_lost(const struct machine *machine)
{
	const struct machine_link *link = &machine->links[0];

	return machine->link_count == 1 && !machine_link_is_up(link) && link->is_presumed_lost;
}

void machine_outage_on_read(struct step *step)
{
	machine_outage_restart(step);
	if (!(step->event->facts & FACT_RECENT))
		return;
	step->machine->is_seen_to_serve = true;
	if (is_former_presumed_lost(step->machine)) /* no other connection is sought */
		machine_link_leave_to_former(step, 0);
}

/* By a link that was adopted unseen, say. It may have been an error instead: one that comes late
 * (kernel fact partial-send-eio), or those of a driver that has given up, which only its log tells.
 * Then a read tells (PROBED), and also whether it serves still; but not under swap, where no
 * process is started for it. */
void machine_outage_on_served(struct step *step)
{
	const struct machine *machine = step->machine;
	bool can_probe = !machine->config.is_isolated, is_sure;

	if (machine->phase != PHASE_RUNNING)
		return;
	is_sure = is_any_able_to_serve(machine) && (step->event->facts & FACT_DONE || !can_probe);
	if (is_sure)
		machine_outage_restart(step);
	if (can_probe && (!is_sure || is_former_presumed_lost(machine)))
		machine_proof_probe(step);
}

/* --- presumed to serve */

static bool is_presumed_up(const struct machine_link *link)
{
	return link->state == LINK_UNMONITORED && link->is_presumed_up;
}

static bool is_any_presumed_up(const struct machine *machine)
{
	for (unsigned i = 0; i < machine->link_count; i++)
		if (is_presumed_up(&machine->links[i]))
			return true;
	return false;
}

/* As an adoption has it that gets no answer: a socket that is offered for one that serves does no
 * harm, and what the device gets done is still asked about. */
static void presume_lost(struct step *step)
{
	struct machine *machine = step->machine;

	machine->presumed_since_ms = -1;
	for (unsigned i = 0; i < machine->link_count; i++) {
		if (!is_presumed_up(&machine->links[i]))
			continue;
		machine->links[i].is_presumed_up = false;
		machine_link_lose(step, i, false);
		machine->links[i].is_presumed_lost = true;
	}
}

/* Before the device is failed, and long enough before to find out about their receivers. */
static int64_t presumed_until_ms(const struct machine *machine)
{
	int64_t limit_ms = machine->config.prove_ms, dead_ms = machine->config.dead_timeout_ms;

	if (dead_ms >= 0 && dead_ms / 2 < limit_ms)
		limit_ms = dead_ms / 2;
	return machine->presumed_since_ms + limit_ms;
}

/* The one that served may be the one that was lost: a read tells. Under swap, where no process is
 * begun until nothing else helps, what its users get done may tell before. */
void machine_outage_ask_presumed(struct step *step)
{
	struct machine *machine = step->machine;
	int64_t now_ms = step->event->now_ms;

	if (machine->phase != PHASE_RUNNING || !is_any_presumed_up(machine) ||
		machine_is_serving(machine)) {
		machine->presumed_since_ms = -1;
		return;
	}
	if (machine->presumed_since_ms < 0) {
		machine->presumed_since_ms = now_ms;
		machine->ask_presumed_at_ms = now_ms;
		if (machine->config.is_isolated)
			machine->ask_presumed_at_ms += (presumed_until_ms(machine) - now_ms) / 2;
	}
	if (now_ms >= presumed_until_ms(machine)) {
		presume_lost(step);
	} else if (now_ms >= machine->ask_presumed_at_ms) {
		machine->ask_presumed_at_ms = now_ms + machine->config.sample_ms;
		machine_proof_probe(step);
	}
}

int64_t machine_outage_ask_at_ms(const struct machine *machine)
{
	int64_t at_ms = machine->presumed_since_ms < 0 ? -1 : presumed_until_ms(machine);

	if (at_ms >= 0)
		step_earlier(&at_ms, machine->ask_presumed_at_ms);
	return at_ms;
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
		if (machine->links[i].owes_notice || is_presumed_up(&machine->links[i]) ||
			machine->links[i].state == LINK_UNPROVEN)
			return true;
	return false;
}

void machine_outage_ask(struct step *step)
{
	if (step->machine->outage_since_ms >= 0 && may_serve_unseen(step->machine))
		machine_proof_probe(step);
}

/* A read tells more than a sample: of a device that nobody uses, and of one whose I/O may be
 * failing, for all that is known without a log. -1: there is nothing to ask. */
int64_t machine_outage_probe_at_ms(const struct machine *machine)
{
	int64_t at_ms = machine_outage_fail_at_ms(machine),
		before_ms = machine->config.dead_timeout_ms / 2;

	if (at_ms < 0 || machine->is_last_probed || !may_serve_unseen(machine))
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
