/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Links: how they are lost, when their slots are free, what their silence means. */
#include "supervisor/core/machine-step.h"
#include "supervisor/core/backoff.h"

/* A server that falls over the very request that comes after each reconnect must not be asked in a
 * tight loop. */
#define SHORT_LIFE_MS 1000
#define SHORT_LIFE_DOUBLINGS_MAX 3

bool machine_link_is_up(const struct machine_link *link)
{
	return link->state == LINK_ALIVE || link->state == LINK_UNPROVEN ||
		link->state == LINK_UNMONITORED;
}

bool machine_link_may_serve(const struct machine_link *link)
{
	return machine_link_is_up(link) || link->owes_notice;
}

void machine_link_leave_alone(struct machine_link *link)
{
	link->state = LINK_UNMONITORED;
	link->renewal = RENEWAL_IMPOSSIBLE;
	link->owes_notice = link->is_presumed_lost = false;
}

void machine_link_leave_to_former(struct step *step, unsigned at)
{
	step_release_work(step);
	machine_link_leave_alone(&step->machine->links[at]);
	step->machine->attempts = 0;
	step->machine->trying_since_ms = -1;
}

int machine_link_find(const struct machine *machine, enum link_state state)
{
	for (unsigned i = 0; i < machine->link_count; i++)
		if (machine->links[i].state == state)
			return (int)i;
	return -1;
}

int machine_link_find_in_need(const struct machine *machine)
{
	for (unsigned i = 0; i < machine->link_count; i++)
		if (!machine_link_is_up(&machine->links[i]))
			return (int)i;
	return -1;
}

int machine_link_find_settled(const struct machine *machine)
{
	for (unsigned i = 0; i < machine->link_count; i++)
		if (machine->links[i].state == LINK_RECEIVING ||
			machine->links[i].state == LINK_FREE)
			return (int)i;
	return -1;
}

static bool is_suspected(const struct machine_link *link)
{
	return machine_link_is_up(link) &&
		(link->silence == SILENCE_SUSPECTED || link->silence == SILENCE_UNREACHABLE);
}

int machine_link_find_silent(const struct machine *machine)
{
	for (unsigned i = 0; i < machine->link_count; i++)
		if (is_suspected(&machine->links[i]))
			return (int)i;
	return -1;
}

void machine_link_lose(struct step *step, unsigned at, bool is_renewal)
{
	struct machine *machine = step->machine;
	struct machine_link *link = &machine->links[at];
	bool is_proving = machine->work == WORK_PROVE && machine->work_link == at;

	/* Renewals may have failed before: that was no outage. A pause that was begun for one is
	 * not for this. */
	if (!is_proving && machine_link_find_in_need(machine) < 0) {
		machine->attempts = 0;
		machine->trying_since_ms = -1;
		machine->for_renewal = true;
	}
	link->state = LINK_LOST;
	link->renewal = is_renewal ? RENEWAL_SHUT : RENEWAL_NONE;
	link->silence = SILENCE_NONE;
	link->owes_notice = true;
	machine->losses++;
	machine->is_seen_to_serve = false;
	link->settle_until_ms = step->event->now_ms + machine->config.settle_ms;
	step_add(step,
		&(struct machine_action){
			.type = ACTION_TELL_LOST, .link = at, .is_renewal = is_renewal});
	if (is_proving)
		step_pause(step);
}

void machine_link_shut_down(struct step *step, unsigned at, bool is_renewal)
{
	step_act(step, ACTION_SHUT, at);
	machine_link_lose(step, at, is_renewal);
}

void machine_link_shut_all(struct step *step)
{
	for (unsigned i = 0; i < step->machine->link_count; i++)
		if (machine_link_is_up(&step->machine->links[i]))
			machine_link_shut_down(step, i, false);
}

static void pause_after_short_life(struct step *step)
{
	unsigned lives = step->machine->short_lives, doublings = lives - 2;

	if (doublings > SHORT_LIFE_DOUBLINGS_MAX)
		doublings = SHORT_LIFE_DOUBLINGS_MAX;
	step->machine->for_renewal = false;
	step_set_work(step, WORK_PAUSE, (int64_t)BACKOFF_MIN_MS << doublings);
}

/* The notice names no link: it is for one that is seen to be lost, then for one whose slot was
 * taken to be free before it was (a new socket is dropped then), and otherwise for one whose
 * hang-up is not seen. -1: nobody's. */
static int find_noticed(const struct machine *machine)
{
	int at = machine_link_find(machine, LINK_LOST);

	for (unsigned i = 0; at < 0 && i < machine->link_count; i++)
		if (!machine_link_is_up(&machine->links[i]) && machine->links[i].owes_notice)
			at = (int)i;
	for (unsigned i = 0; at < 0 && i < machine->link_count; i++)
		if (machine->links[i].owes_notice)
			at = (int)i;
	for (unsigned i = 0; at < 0 && i < machine->link_count; i++)
		if (machine->links[i].state == LINK_UNMONITORED && !machine->links[i].is_found)
			at = (int)i;
	return at;
}

/* The driver queues its notice, then shuts the socket, and only then is the slot free: a notice can
 * be too early. */
static void take_notice(struct step *step, unsigned at)
{
	struct machine *machine = step->machine;
	struct machine_link *link = &machine->links[at];

	if (machine_link_is_up(link) && link->owes_notice) {
		/* Its socket was handed over too early, and is of no use. */
		machine_link_shut_down(step, at, false);
		return;
	}
	if (machine_link_is_up(link))
		machine_link_lose(step, at, false);
	if (link->is_presumed_lost)
		machine_outage_restart(step); /* it was not */
	link->state = LINK_NOTICED;
	link->owes_notice = link->is_presumed_lost = false;
	link->settle_until_ms = step->event->now_ms + machine->config.notice_ms;
}

/* Of several links another one may be meant, whose hang-up is seen in a moment
 * (kernel fact early-notice). */
void machine_link_on_notice(struct step *step)
{
	struct machine *machine = step->machine;
	int at = find_noticed(machine);

	if (at < 0)
		return;
	if (machine->link_count == 1 || !machine_link_is_up(&machine->links[at])) {
		take_notice(step, (unsigned)at);
		return;
	}
	machine->held_notices++;
	machine->held_until_ms = step->event->now_ms + machine->config.settle_ms;
}

/* A link without its socket must not be taken for lost by the notice of another: one that is there
 * binds each new one to its host. */
static bool look_up_unmonitored(struct step *step)
{
	struct machine *machine = step->machine;

	for (unsigned i = 0; i < machine->link_count; i++) {
		const struct machine_link *link = &machine->links[i];

		if (link->state != LINK_UNMONITORED || link->is_presumed_up)
			continue;
		machine->lookups++;
		step_act(step, ACTION_LOOK_UP, i);
	}
	return machine->lookups > 0;
}

static void take_held_notices(struct step *step)
{
	struct machine *machine = step->machine;

	for (; machine->held_notices; machine->held_notices--) {
		int at = find_noticed(machine);

		if (at >= 0)
			take_notice(step, (unsigned)at);
	}
}

static void release_held_notices(struct step *step)
{
	struct machine *machine = step->machine;
	int at;

	if (!machine->held_notices || machine->lookups ||
		step->event->now_ms < machine->held_until_ms)
		return;
	at = find_noticed(machine);
	if (at < 0 || machine->links[at].state != LINK_UNMONITORED || !look_up_unmonitored(step))
		take_held_notices(step);
}

/* Of those that only a notice tells of: a Unix socket that was handed over before the former one's
 * notice, of which nobody knows whether the driver has it, and one whose socket we have not. */
void machine_link_on_notices_lost(struct step *step)
{
	struct machine *machine = step->machine;

	for (unsigned i = 0; i < machine->link_count; i++)
		if (machine->config.is_unix && machine_link_is_up(&machine->links[i]) &&
			machine->links[i].owes_notice)
			take_notice(step, i);
	machine->losses++; /* it may be */
	machine->is_seen_to_serve = false;
	if (!machine->lookups)
		machine->are_notices_lost = look_up_unmonitored(step);
}

/* With one link a socket that is offered in vain tells; with several that would leave the host
 * free. */
static void on_not_known(struct step *step, unsigned at)
{
	if (step->machine->link_count == 1)
		take_notice(step, at);
	else
		step->machine->links[at].is_presumed_up = true;
}

static void take_finding(struct step *step, unsigned at)
{
	struct machine *machine = step->machine;

	if (machine->links[at].state != LINK_UNMONITORED)
		return;
	if (step->event->found == ADOPTED_FOUND) {
		machine->links[at].is_found = true;
	} else if (step->event->found == ADOPTED_GONE) {
		take_notice(step, at);
		machine->held_notices -= machine->held_notices > 0;
	} else if (machine->are_notices_lost) {
		on_not_known(step, at);
	}
}

void machine_link_on_looked_up(struct step *step)
{
	struct machine *machine = step->machine;

	if (!machine->lookups)
		return;
	take_finding(step, step->event->link);
	if (--machine->lookups)
		return;
	if (!machine->are_notices_lost)
		take_held_notices(step);
	machine->are_notices_lost = false;
	for (unsigned i = 0; i < machine->link_count; i++)
		machine->links[i].is_found = false;
}

void machine_link_on_hangup(struct step *step)
{
	struct machine *machine = step->machine;
	struct machine_link *link = &machine->links[step->event->link];

	if (!machine_link_is_up(link))
		return;
	if (link->state == LINK_UNPROVEN && step->event->facts & FACT_MOVED)
		machine_link_on_proven(step, step->event->link); /* it did serve */
	machine_link_lose(step, step->event->link, false);
	if (machine->held_notices) {
		machine->held_notices--;
		take_notice(step, step->event->link);
	}
	if (step->event->now_ms - link->proven_at_ms >= SHORT_LIFE_MS)
		machine->short_lives = 0;
	else if (machine->short_lives++ > 0 && machine->work == WORK_NONE)
		pause_after_short_life(step);
}

void machine_link_on_cannot_shut(struct step *step)
{
	struct machine *machine = step->machine;
	struct machine_link *link = &machine->links[step->event->link];

	if (link->state != LINK_LOST)
		return;
	/* It may have begun since then, at any host, when no link seemed to be up. */
	if (machine->work == WORK_NEGOTIATE)
		step_release_work(step);
	machine_link_leave_alone(link);
}

void machine_link_on_settled(struct step *step)
{
	struct machine_link *link = &step->machine->links[step->event->link];

	if (link->state == LINK_RECEIVING)
		link->state = LINK_FREE;
}

void machine_link_on_proven(struct step *step, unsigned at)
{
	struct machine *machine = step->machine;
	struct machine_link *link = &machine->links[at];
	bool is_renewal = link->renewal == RENEWAL_SHUT;

	if (is_renewal)
		machine->renewals++;
	else
		machine->reconnects++;
	link->state = LINK_ALIVE;
	link->silence = SILENCE_NONE;
	link->proven_at_ms = step->event->now_ms;
	if (is_renewal)
		link->renewal = RENEWAL_NONE;
	machine->attempts = 0;
	machine->trying_since_ms = machine->outage_since_ms = -1;
	step_add(step,
		&(struct machine_action){
			.type = ACTION_TELL_PROVEN, .link = at, .is_renewal = is_renewal});
	if (machine->work != WORK_PROVE || machine->work_link != at)
		return;
	machine->work = WORK_NONE;
	/* The one that died while this one was worked on. */
	if (machine->short_lives > 1 && machine_link_find_in_need(machine) >= 0)
		pause_after_short_life(step);
}

void machine_link_on_silent(struct step *step, unsigned at)
{
	struct machine *machine = step->machine;
	struct machine_link *link = &machine->links[at];

	if (!machine_link_is_up(link) || link->silence != SILENCE_NONE)
		return;
	if (machine->work == WORK_PROVE && machine->work_link == at)
		machine->work = WORK_NONE; /* its first answer will prove it: EVENT_MOVED */
	link->silence = SILENCE_SUSPECTED;
	if (machine->work == WORK_PAUSE && machine->for_renewal)
		machine->work = WORK_NONE;
}

void machine_link_on_answered(struct step *step)
{
	struct machine *machine = step->machine;
	struct machine_link *link = &machine->links[step->event->link];

	if (!machine_link_is_up(link) || link->silence == SILENCE_NONE)
		return;
	link->silence = SILENCE_NONE;
	if (machine_link_find_in_need(machine) >= 0 || machine_link_find_silent(machine) >= 0)
		return;
	machine->attempts = 0;
	machine->trying_since_ms = -1;
}

void machine_link_on_second_connection(struct step *step, bool is_answered)
{
	struct machine *machine = step->machine;

	for (unsigned i = 0; i < machine->link_count; i++) {
		struct machine_link *link = &machine->links[i];

		if (!is_suspected(link))
			continue;
		link->silence = is_answered ? SILENCE_SLOW : SILENCE_UNREACHABLE;
		link->ask_again_at_ms = step->event->now_ms + machine->config.slow_ms;
	}
}

void machine_link_on_time(struct step *step)
{
	struct machine *machine = step->machine;

	release_held_notices(step);
	for (unsigned i = 0; i < machine->link_count; i++) {
		struct machine_link *link = &machine->links[i];

		if ((link->state == LINK_LOST || link->state == LINK_NOTICED) &&
			step->event->now_ms >= link->settle_until_ms) {
			link->state = LINK_RECEIVING;
			step_act(step, ACTION_AWAIT_RECEIVER, i);
		}
		if (link->silence == SILENCE_SLOW && step->event->now_ms >= link->ask_again_at_ms)
			link->silence = SILENCE_SUSPECTED;
	}
}
