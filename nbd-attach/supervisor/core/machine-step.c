/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One step: what an event means, what has become due, what follows from the state as a whole. */
#include "supervisor/core/machine.h"
#include "supervisor/core/machine-step.h"
#include <assert.h>
#include <string.h>

#define EVENT_TEXT(name, text) text,
#define ACTION_TEXT(name, text) text,

static const char *const event_names[] = {MACHINE_EVENTS(EVENT_TEXT)};
static const char *const action_names[] = {MACHINE_ACTIONS(ACTION_TEXT)};

const char *machine_event_name(enum machine_event_type type)
{
	return type < EVENT_COUNT ? event_names[type] : "?";
}

const char *machine_action_name(enum machine_action_type type)
{
	return type < ACTION_COUNT ? action_names[type] : "?";
}

bool machine_event_is_of_link(enum machine_event_type type)
{
	switch (type) {
	case EVENT_HANGUP:
	case EVENT_LOOKED_UP:
	case EVENT_SAMPLED:
	case EVENT_PROBED:
	case EVENT_MOVED:
	case EVENT_REKEY:
	case EVENT_REKEY_NOW:
	case EVENT_SILENT:
	case EVENT_ANSWERED:
	case EVENT_BROKEN:
	case EVENT_RECEIVER_ENDED:
	case EVENT_CANNOT_SHUT: return true;
	default: return false;
	}
}

bool machine_action_is_of_link(enum machine_action_type type)
{
	switch (type) {
	case ACTION_TELL_LOST:
	case ACTION_TELL_PROVEN:
	case ACTION_SHUT:
	case ACTION_AWAIT_RECEIVER:
	case ACTION_HAND_OVER:
	case ACTION_OFFER_AGAIN:
	case ACTION_SAMPLE:
	case ACTION_LOOK_UP:
	case ACTION_DROP_LINK: return true;
	default: return false;
	}
}

/* --- what the parts use */

void step_add(struct step *step, const struct machine_action *action)
{
	assert(step->actions->count < MACHINE_ACTIONS_MAX);
	step->actions->list[step->actions->count++] = *action;
}

void step_act(struct step *step, enum machine_action_type type, unsigned link)
{
	step_add(step, &(struct machine_action){.type = type, .link = link});
}

void step_earlier(int64_t *deadline_ms, int64_t other_ms)
{
	if (other_ms >= 0 && (*deadline_ms < 0 || other_ms < *deadline_ms))
		*deadline_ms = other_ms;
}

/* --- time */

static void on_time(struct step *step)
{
	struct machine *machine = step->machine;
	int64_t now_ms = step->event->now_ms;

	machine_link_on_time(step);
	if (machine->phase == PHASE_RUNNING && machine_outage_is_over_time(step)) {
		if (step->event->type != EVENT_SAMPLED)
			machine_outage_sample(step);
	} else if (machine->work == WORK_PROVE &&
		(now_ms >= machine->next_sample_ms || now_ms >= machine->work_until_ms)) {
		machine->next_sample_ms = now_ms + machine->config.sample_ms;
		step_act(step, ACTION_SAMPLE, machine->work_link);
	}
	if (now_ms < machine->work_until_ms)
		return;
	if (machine->work == WORK_PAUSE)
		machine->work = WORK_NONE;
	else if (machine->work == WORK_SPARE && machine_link_find_in_need(machine) < 0)
		machine_renewal_on_no_idle(step);
}

/* --- events */

static void on_broken(struct step *step)
{
	if (machine_link_is_up(&step->machine->links[step->event->link]))
		machine_link_shut_down(step, step->event->link, false);
}

static void on_drained(struct step *step)
{
	step->machine->is_draining = false;
	machine_growth_on_drained(step);
	machine_renewal_on_drained(step);
}

static void on_idle(struct step *step)
{
	machine_growth_on_idle(step);
	machine_renewal_on_idle(step);
}

static void take_link_event(struct step *step)
{
	switch (step->event->type) {
	case EVENT_HANGUP: machine_link_on_hangup(step); break;
	case EVENT_LOOKED_UP: machine_link_on_looked_up(step); break;
	case EVENT_SAMPLED: machine_proof_on_sampled(step); break;
	case EVENT_PROBED: machine_proof_on_probed(step); break;
	case EVENT_MOVED: machine_proof_on_moved(step); break;
	case EVENT_REKEY: machine_renewal_on_rekey(step, false); break;
	case EVENT_REKEY_NOW: machine_renewal_on_rekey(step, true); break;
	case EVENT_SILENT: machine_link_on_silent(step, step->event->link); break;
	case EVENT_ANSWERED: machine_link_on_answered(step); break;
	case EVENT_BROKEN: on_broken(step); break;
	case EVENT_RECEIVER_ENDED: machine_link_on_settled(step); break;
	case EVENT_CANNOT_SHUT: machine_link_on_cannot_shut(step); break;
	default: break;
	}
}

/* What the event itself means; what follows from the state as a whole is in advance(). */
static void take_event(struct step *step)
{
	switch (step->event->type) {
	case EVENT_NOTICE: machine_link_on_notice(step); break;
	case EVENT_NOTICES_LOST: machine_link_on_notices_lost(step); break;
	case EVENT_NEGOTIATED: machine_work_on_negotiated(step); break;
	case EVENT_REFUSED: machine_work_on_not_negotiated(step, true); break;
	case EVENT_NOT_NEGOTIATED: machine_work_on_not_negotiated(step, false); break;
	case EVENT_SPARE_LOST:
	case EVENT_NOT_HANDED_OVER: machine_work_on_spare_gone(step); break;
	case EVENT_HANDED_OVER: machine_work_on_handed_over(step); break;
	case EVENT_SERVED: machine_outage_on_served(step); break;
	case EVENT_IDLE: on_idle(step); break;
	case EVENT_SERVER_ENDS: machine_link_shut_all(step); break;
	case EVENT_DRAINED: on_drained(step); break;
	case EVENT_GROW: machine_growth_on_grow(step, false); break;
	case EVENT_GROW_SOMETIME: machine_growth_on_grow(step, true); break;
	case EVENT_RESIZED: machine_growth_on_resized(step); break;
	case EVENT_SHUTDOWN: machine_stop_on_shutdown(step); break;
	case EVENT_STOP: machine_stop_on_stop(step); break;
	case EVENT_DETACHED: machine_stop_on_detached(step); break;
	default:
		if (step->event->link < step->machine->link_count)
			take_link_event(step);
		break;
	}
}

/* --- the step as a whole */

static void advance(struct step *step)
{
	machine_outage_ask_presumed(step);
	machine_outage_note(step);
	if (step->machine->phase == PHASE_FAILED || step->event->type == EVENT_IO_FAILED ||
		(machine_outage_is_over_time(step) && !step->machine->last_samples))
		machine_outage_fail(step);
	machine_growth_advance(step); /* it may request renewals */
	if (step->machine->phase == PHASE_RUNNING)
		machine_work_advance(step);
	machine_outage_note(step); /* a renewal may have shut the only link */
	machine_outage_probe(step);
	machine_stop_advance(step);
}

/* Before all else, so that a successor knows even if this is the last that we do. */
static void save_first(struct step *step, bool had_failed, int64_t outage_since_ms)
{
	struct machine_actions *actions = step->actions;

	if ((had_failed || step->machine->phase != PHASE_FAILED) &&
		step->machine->outage_since_ms == outage_since_ms)
		return;
	step_act(step, ACTION_SAVE, 0);
	memmove(&actions->list[1], &actions->list[0],
		(actions->count - 1) * sizeof(actions->list[0]));
	actions->list[0] = (struct machine_action){.type = ACTION_SAVE};
}

void machine_step(
	struct machine *machine, const struct machine_event *event, struct machine_actions *actions)
{
	struct step step = {machine, event, actions};
	bool had_failed = machine->phase == PHASE_FAILED;
	int64_t outage_since_ms = machine->outage_since_ms;

	actions->count = 0;
	if (machine_is_over(machine))
		return;
	if (event->type == EVENT_GONE) {
		step_release_work(&step);
		machine->phase = PHASE_ENDED;
		return;
	}
	take_event(&step);
	if (machine_is_over(machine))
		return;
	on_time(&step);
	advance(&step);
	/* It was so at this moment: what could not make use of it asks again. */
	if (event->type == EVENT_DRAINED)
		machine_renewal_forget_drained(machine);
	save_first(&step, had_failed, outage_since_ms);
}

int64_t machine_deadline_ms(const struct machine *machine)
{
	int64_t deadline_ms = -1;

	if (machine_is_over(machine))
		return -1;
	for (unsigned i = 0; i < machine->link_count; i++) {
		const struct machine_link *link = &machine->links[i];

		if (link->state == LINK_LOST || link->state == LINK_NOTICED)
			step_earlier(&deadline_ms, link->settle_until_ms);
		if (link->silence == SILENCE_SLOW)
			step_earlier(&deadline_ms, link->ask_again_at_ms);
	}
	if (machine->held_notices && !machine->lookups)
		step_earlier(&deadline_ms, machine->held_until_ms);
	/* A spare socket for a lost link waits for as long as the link takes. */
	if (machine->work == WORK_PAUSE || machine->work == WORK_PROVE ||
		(machine->work == WORK_SPARE && machine_link_find_in_need(machine) < 0))
		step_earlier(&deadline_ms, machine->work_until_ms);
	if (machine->work == WORK_PROVE)
		step_earlier(&deadline_ms, machine->next_sample_ms);
	if (machine->phase == PHASE_RUNNING && !machine->last_samples) {
		step_earlier(&deadline_ms, machine_outage_fail_at_ms(machine));
		step_earlier(&deadline_ms, machine_outage_probe_at_ms(machine));
		step_earlier(&deadline_ms, machine_outage_ask_at_ms(machine));
	}
	step_earlier(&deadline_ms, machine_growth_deadline_ms(machine));
	step_earlier(&deadline_ms, machine_stop_deadline_ms(machine));
	return deadline_ms;
}

/* --- the beginning */

void machine_init(struct machine *machine, const struct machine_config *config, unsigned link_count)
{
	memset(machine, 0, sizeof(*machine));
	machine->config = *config;
	machine->link_count = link_count;
	machine->outage_since_ms = machine->trying_since_ms = -1;
	machine->presumed_since_ms = -1;
	for (unsigned i = 0; i < link_count; i++)
		machine->links[i].proven_at_ms = INT64_MIN / 2;
}

void machine_set_link(struct machine *machine, unsigned link, uint32_t host, uint64_t size_bytes)
{
	machine->links[link].host = host;
	machine->links[link].size_bytes = size_bytes;
}

/* Without its socket, by which its end would be seen. A socket that is handed over for one of which
 * nothing is known does no harm: the driver drops it if the slot is taken
 * (kernel fact slot-taken). */
void machine_adopt_link(struct machine *machine, unsigned at, enum adopted_as how)
{
	struct machine_link *link = &machine->links[at];

	switch (how) {
	case ADOPTED_UNPROVEN: link->state = LINK_UNPROVEN; break;
	case ADOPTED_FOUND:
		link->state = LINK_UNMONITORED;
		link->renewal = RENEWAL_WHEN_IDLE;
		break;
	case ADOPTED_ANSWERING:
		machine_link_leave_alone(link);
		link->is_presumed_up = machine->link_count > 1;
		machine->is_seen_to_serve = true;
		break;
	default:
		link->state = LINK_RECEIVING;
		link->owes_notice = link->is_presumed_lost = how == ADOPTED_UNKNOWN;
		break;
	}
}

void machine_renew_link(struct machine *machine, unsigned at)
{
	struct machine_link *link = &machine->links[at];

	if (machine_link_is_up(link) && link->renewal != RENEWAL_IMPOSSIBLE)
		link->renewal = RENEWAL_NOW;
}

void machine_set_outage(struct machine *machine, int64_t since_ms, int64_t now_ms)
{
	if (machine_is_serving(machine))
		return;
	machine->outage_since_ms = since_ms;
	/* An outage has one beginning over all supervisors: not where no link can serve. */
	for (unsigned i = 0; i < machine->link_count; i++)
		if (machine->links[i].state == LINK_UNPROVEN || machine->links[i].owes_notice)
			machine->spared_until_ms = now_ms + MACHINE_SPARED_MS;
}
