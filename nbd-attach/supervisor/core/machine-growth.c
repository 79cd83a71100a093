/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Growing the device while it is in use: first each connection is renewed that was told the old
 * size, then the driver is told the new one, in a moment with nothing in flight. */
#include "supervisor/core/machine-step.h"
#include <string.h>

#define PAUSE_MS 7500 /* for a moment in which a link can be renewed at no cost */
#define IDLE_MS 15000
#define DRAINED_MS 1000 /* no flush is expected to take longer, or the next drain waits for it */
#define DRAIN_PAUSE_MIN_MS 50
#define DRAIN_PAUSE_MAX_MS 2000

bool machine_is_growing(const struct machine *machine)
{
	return machine->growth.size_bytes > 0;
}

static bool knows_size(const struct machine *machine, unsigned at)
{
	return machine->links[at].size_bytes >= machine->growth.size_bytes;
}

static void end(struct machine *machine)
{
	machine->growth.size_bytes = 0;
}

static void refuse(struct step *step, enum growth_refusal refusal, unsigned at)
{
	end(step->machine);
	step_add(step,
		&(struct machine_action){
			.type = ACTION_REFUSE_GROWTH, .link = at, .refusal = refusal});
}

void machine_growth_on_grow(struct step *step, bool is_background)
{
	struct machine *machine = step->machine;

	if (is_background && machine_is_growing(machine))
		return;
	/* negotiated before: its link would be one that was told the old size */
	if (machine->work == WORK_SPARE && machine_link_find_in_need(machine) < 0 &&
		machine->spare_size_bytes < step->event->size_bytes)
		step_release_work(step);
	machine->growth = (struct machine_growth){
		.size_bytes = step->event->size_bytes,
		.is_background = is_background,
		.begun_ms = step->event->now_ms,
		.drain_pause_ms = DRAIN_PAUSE_MIN_MS,
		.drained_until_ms = -1,
	};
}

/* Without a moment of nothing in flight, a link is shut under requests that then wait for its
 * timer, which is long with several (kernel fact io-timeout-resends). */
int machine_growth_limit_ms(const struct machine *machine)
{
	return (int)(PAUSE_MS + machine->config.io_timeout_ms + IDLE_MS);
}

static int64_t until_ms(const struct machine *machine)
{
	return machine->growth.is_background ?
		-1 :
		machine->growth.begun_ms + machine_growth_limit_ms(machine);
}

/* In a moment without requests in flight, as for a new key; by force if there is none. False: it
 * was refused. */
static bool renew_link(struct step *step, unsigned at, bool is_forced)
{
	struct machine *machine = step->machine;
	struct machine_link *link = &machine->links[at];
	bool is_asked = machine->growth.renewal_asked[at];

	if (!machine_link_is_up(link) || knows_size(machine, at) ||
		machine_renewal_is_urgent(link) || link->renewal == RENEWAL_SHUT)
		return true;
	if (link->renewal == RENEWAL_IMPOSSIBLE) {
		refuse(step, GROWTH_CANNOT_RENEW, at);
		return false;
	}
	if (link->renewal == RENEWAL_WHEN_IDLE && !is_forced)
		return true;
	if (is_asked && link->renewal != RENEWAL_WHEN_IDLE) {
		refuse(step, GROWTH_TOLD_OLD_SIZE, at);
		return false;
	}
	machine->growth.renewal_asked[at] = true;
	link->renewal = is_forced ? RENEWAL_NOW : RENEWAL_WHEN_IDLE;
	return true;
}

static bool renew_links(struct step *step)
{
	struct machine *machine = step->machine;
	bool is_forced = !machine->growth.is_background &&
		step->event->now_ms >= machine->growth.begun_ms + PAUSE_MS;

	for (unsigned i = 0; i < machine->link_count; i++)
		if (!renew_link(step, i, is_forced))
			return false;
	return true;
}

/* Every link is proven, and one whose server knows of the new size. */
static bool are_links_ready(const struct machine *machine)
{
	for (unsigned i = 0; i < machine->link_count; i++)
		if (!machine_link_is_up(&machine->links[i]) ||
			machine->links[i].state == LINK_UNPROVEN || !knows_size(machine, i))
			return false;
	return machine->work != WORK_PROVE;
}

static void resize(struct step *step)
{
	step->machine->growth.is_told = true;
	step_add(step,
		&(struct machine_action){
			.type = ACTION_RESIZE, .size_bytes = step->machine->growth.size_bytes});
}

/* A device under load has hardly an idle moment by itself: a drain gives it one. Under swap there
 * is none of these. That it fails is no matter: the moment may come without it. */
static void drain_if_due(struct step *step)
{
	struct machine *machine = step->machine;
	struct machine_growth *growth = &machine->growth;

	if (machine->is_draining || machine->config.is_isolated ||
		step->event->now_ms < growth->drain_at_ms ||
		step->event->now_ms < growth->drained_until_ms)
		return;
	machine->is_draining = true;
	step_act(step, ACTION_DRAIN, 0);
	growth->drain_at_ms = step->event->now_ms + growth->drain_pause_ms;
	growth->drain_pause_ms *= 2;
	if (growth->drain_pause_ms > DRAIN_PAUSE_MAX_MS)
		growth->drain_pause_ms = DRAIN_PAUSE_MAX_MS;
}

/* Where requests take long, so would those that come between the sample and the message; and were
 * the link to die then, nothing could be put right. */
void machine_growth_on_drained(struct step *step)
{
	if (step->event->facts & FACT_DONE)
		step->machine->growth.drained_until_ms = step->event->now_ms + DRAINED_MS;
}

/* A flush in flight is told by TCP only as long as nothing that was sent later is answered
 * (kernel fact unseen-requests): so there must have been an empty queue a moment ago. */
void machine_growth_on_idle(struct step *step)
{
	const struct machine *machine = step->machine;

	if (machine_growth_awaits_idle(machine) &&
		(machine->config.is_isolated ||
			step->event->now_ms < machine->growth.drained_until_ms))
		resize(step);
}

void machine_growth_on_resized(struct step *step)
{
	end(step->machine);
}

void machine_growth_advance(struct step *step)
{
	struct machine *machine = step->machine;
	struct machine_growth *growth = &machine->growth;

	if (!machine_is_growing(machine) || growth->is_told)
		return;
	if (machine->phase == PHASE_FAILED) {
		refuse(step, GROWTH_SERVER_AWAY, 0);
		return;
	}
	if (!renew_links(step))
		return;
	if (until_ms(machine) >= 0 && step->event->now_ms >= until_ms(machine)) {
		refuse(step, GROWTH_NEVER_IDLE, 0);
		return;
	}
	if (!are_links_ready(machine)) {
		/* what is new need not wait with what a former link has lost
		 * (kernel fact io-timeout-resends) */
		if (machine->link_count > 1)
			growth->drain_at_ms = step->event->now_ms + machine->config.io_timeout_ms +
				DRAIN_PAUSE_MAX_MS;
		return;
	}
	if (machine->config.size_waits_for_io)
		drain_if_due(step);
	else
		resize(step);
}

bool machine_growth_awaits_idle(const struct machine *machine)
{
	return machine_is_growing(machine) && !machine->growth.is_told && are_links_ready(machine);
}

/* Does a link wait for an idle moment, before it is renewed by force? */
static bool is_link_waiting(const struct machine *machine)
{
	for (unsigned i = 0; i < machine->link_count; i++)
		if (machine_link_is_up(&machine->links[i]) && !knows_size(machine, i) &&
			machine->links[i].renewal == RENEWAL_WHEN_IDLE)
			return true;
	return false;
}

int64_t machine_growth_deadline_ms(const struct machine *machine)
{
	const struct machine_growth *growth = &machine->growth;
	int64_t deadline_ms = -1;

	if (!machine_is_growing(machine) || growth->is_told)
		return -1;
	step_earlier(&deadline_ms, until_ms(machine));
	if (!growth->is_background && is_link_waiting(machine))
		step_earlier(&deadline_ms, growth->begun_ms + PAUSE_MS);
	if (machine_growth_awaits_idle(machine) && !machine->is_draining &&
		!machine->config.is_isolated)
		step_earlier(&deadline_ms,
			growth->drain_at_ms > growth->drained_until_ms ? growth->drain_at_ms :
									 growth->drained_until_ms);
	return deadline_ms;
}
