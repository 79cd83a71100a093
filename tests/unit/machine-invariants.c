/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "machine-invariants.h"

/* --- of a step */

/* Was it up before, or has it come up with this event? */
static bool was_up(const struct machine *before, const struct machine_event *event, unsigned at)
{
	return machine_link_is_up(&before->links[at]) ||
		(event->type == EVENT_HANDED_OVER && before->work == WORK_SPARE &&
			before->work_link == at && before->links[at].state == LINK_FREE);
}

static unsigned count_actions(
	const struct machine_actions *actions, enum machine_action_type type, unsigned link)
{
	unsigned count = 0;

	for (unsigned i = 0; i < actions->count; i++)
		count += actions->list[i].type == type && actions->list[i].link == link;
	return count;
}

/* No link is shut on suspicion: not one that is silent, and not for its renewal before what takes
 * long is answered. */
static void check_shut(struct model *model, const struct machine *before,
	const struct machine_event *event, unsigned at)
{
	const struct machine_link *link = &before->links[at];
	bool is_under_proof = before->work == WORK_PROVE && before->work_link == at;

	check(model, was_up(before, event, at));
	if (event->type == EVENT_BROKEN || event->type == EVENT_NOTICE ||
		event->type == EVENT_NOTICES_LOST || event->type == EVENT_LOOKED_UP ||
		event->type == EVENT_SERVER_ENDS || model->machine.phase == PHASE_FAILED ||
		before->held_notices > model->machine.held_notices)
		return;
	if (event->type == EVENT_SAMPLED && before->last_samples && event->facts & FACT_IN_CLEAR)
		return;
	check(model, link->silence == SILENCE_NONE);
	if (event->type == EVENT_SAMPLED || event->type == EVENT_PROBED) {
		check(model, is_under_proof);
		check(model, event->facts & FACT_IN_CLEAR || !(event->facts & FACT_USED));
		return;
	}
	check(model, model->machine.links[at].renewal == RENEWAL_SHUT);
	if (event->type == EVENT_IDLE)
		check(model, machine_awaits_idle(before) && link->renewal != RENEWAL_NONE);
	else
		check(model, event->type == EVENT_DRAINED && link->renewal == RENEWAL_DRAINING);
}

/* Each loss and each proof is told once, and counted. */
static void check_told(struct model *model, const struct machine *before,
	const struct machine_event *event, const struct machine_actions *actions)
{
	const struct machine *machine = &model->machine;
	uint64_t proven = 0, renewed = 0;

	for (unsigned i = 0; i < machine->link_count; i++) {
		const struct machine_link *was = &before->links[i], *is = &machine->links[i];
		bool is_lost = was_up(before, event, i) && !machine_link_is_up(is);

		check(model, count_actions(actions, ACTION_TELL_LOST, i) == is_lost);
		check(model,
			count_actions(actions, ACTION_TELL_PROVEN, i) ==
				(was->state == LINK_UNPROVEN && is->state == LINK_ALIVE));
		check(model,
			!machine_link_is_up(was) == !machine_link_is_up(is) || is_lost ||
				event->type == EVENT_HANDED_OVER ||
				event->type == EVENT_CANNOT_SHUT ||
				(was->is_presumed_lost && is->state == LINK_UNMONITORED));
	}
	for (unsigned i = 0; i < actions->count; i++) {
		const struct machine_action *action = &actions->list[i];
		const struct machine_link *link = &machine->links[action->link];

		if (action->type == ACTION_TELL_LOST)
			check(model, action->is_renewal == (link->renewal == RENEWAL_SHUT));
		proven += action->type == ACTION_TELL_PROVEN;
		renewed += action->type == ACTION_TELL_PROVEN && action->is_renewal;
	}
	check(model, machine->renewals - before->renewals == renewed);
	check(model, machine->reconnects - before->reconnects == proven - renewed);
}

static void check_saved(
	struct model *model, const struct machine *before, const struct machine_actions *actions)
{
	const struct machine *machine = &model->machine;
	bool is_due = before->outage_since_ms != machine->outage_since_ms ||
		(machine->phase == PHASE_FAILED && before->phase != PHASE_FAILED);

	check(model, count_actions(actions, ACTION_SAVE, 0) == is_due);
	check(model, !is_due || actions->list[0].type == ACTION_SAVE);
}

static void check_action(struct model *model, const struct machine *before,
	const struct machine_event *event, const struct machine_actions *actions, unsigned at)
{
	const struct machine *machine = &model->machine;
	const struct machine_action *action = &actions->list[at];

	check(model, action->type < ACTION_COUNT && action->link < machine->link_count);
	check(model, count_actions(actions, action->type, action->link) == 1);
	switch (action->type) {
	case ACTION_PROBE: /* no process is started under swap until nothing else helps */
		check(model,
			before->phase == PHASE_RUNNING &&
				(!machine->config.is_isolated || machine->work == WORK_PROVE ||
					machine->presumed_since_ms >= 0 ||
					machine->stop == STOP_WAITING ||
					(machine->is_last_probed && !before->is_last_probed)));
		break;
	case ACTION_NEGOTIATE:
	case ACTION_SAMPLE:
	case ACTION_OFFER_AGAIN:
	case ACTION_RESIZE:
	case ACTION_DRAIN: check(model, before->phase == PHASE_RUNNING); break;
	case ACTION_HAND_OVER: /* its outcome is the next event; no other slot is being read from */
		check(model,
			!model_has_link(before, LINK_RECEIVING) ||
				(event->type == EVENT_RECEIVER_ENDED &&
					!model_has_link(machine, LINK_RECEIVING)));
		for (unsigned i = at + 1; i < actions->count; i++)
			check(model, actions->list[i].type == ACTION_DETACH);
		check(model, machine->phase == PHASE_RUNNING);
		break;
	case ACTION_SHUT: check_shut(model, before, event, action->link); break;
	case ACTION_DROP_LINK:
		check(model, before->work == WORK_PROVE && before->work_link == action->link);
		break;
	case ACTION_FAIL_DEVICE:
		check(model, machine->phase == PHASE_FAILED && !before->failure_told);
		break;
	case ACTION_DETACH:
		check(model, machine_is_serving(machine) && before->stop != STOP_DETACHING);
		break;
	case ACTION_DETACH_FORCED:
		check(model, machine->phase == PHASE_FAILED && machine->is_shutting_down);
		break;
	case ACTION_LEAVE: check(model, machine->phase == PHASE_LEFT); break;
	default: break;
	}
}

/* While a link is up, another one is to the same host. */
static void check_host(
	struct model *model, const struct machine *before, const struct machine_action *action)
{
	const struct machine *machine = &model->machine;
	bool is_any_up = false, is_of_one = false;

	(void)before;
	for (unsigned i = 0; i < machine->link_count; i++) {
		bool is_up = machine_link_is_up(&machine->links[i]) &&
			(machine->link_count > 1 || machine->links[i].state != LINK_UNMONITORED);

		is_any_up = is_any_up || is_up;
		is_of_one = is_of_one || (is_up && machine->links[i].host == action->host);
	}
	check(model, action->is_pinned == is_any_up);
	check(model, !is_any_up || is_of_one);
}

void invariants_check_step(struct model *model, const struct machine *before,
	const struct machine_event *event, const struct machine_actions *actions)
{
	check(model, actions->count <= MACHINE_ACTIONS_MAX);
	check(model, !machine_is_over(before) || actions->count == 0);
	for (unsigned i = 0; i < actions->count; i++) {
		check_action(model, before, event, actions, i);
		if (actions->list[i].type == ACTION_NEGOTIATE)
			check_host(model, before, &actions->list[i]);
	}
	check_told(model, before, event, actions);
	if (!machine_is_over(&model->machine))
		check_saved(model, before, actions);
}

/* --- between two steps */

static bool is_requested(const struct machine_link *link)
{
	return link->renewal != RENEWAL_NONE && link->renewal != RENEWAL_IMPOSSIBLE &&
		link->renewal != RENEWAL_SHUT && link->silence == SILENCE_NONE;
}

static void check_link(struct model *model, const struct machine_link *link, int64_t deadline_ms)
{
	const struct machine *machine = &model->machine;
	bool is_up = machine_link_is_up(link), is_asked = false;

	check(model, link->state <= LINK_FREE && link->renewal <= RENEWAL_IMPOSSIBLE);
	check(model, link->silence == SILENCE_NONE || is_up);
	check(model, link->renewal != RENEWAL_DRAINED);
	check(model, link->renewal != RENEWAL_DRAINING || machine->is_draining);
	check(model, link->renewal != RENEWAL_IMPOSSIBLE || link->state == LINK_UNMONITORED);
	check(model, !link->is_presumed_up || link->state != LINK_ALIVE);
	check(model, !link->is_presumed_up || link->state != LINK_UNPROVEN);
	check(model, link->renewal != RENEWAL_SHUT || !is_up || link->state == LINK_UNPROVEN);
	check(model, is_up || link->renewal == RENEWAL_NONE || link->renewal == RENEWAL_SHUT);
	if (machine->phase != PHASE_RUNNING)
		return;
	if (link->state == LINK_LOST || link->state == LINK_NOTICED)
		check(model,
			deadline_ms >= 0 &&
				deadline_ms - model->now_ms <=
					(link->state == LINK_NOTICED ? machine->config.notice_ms :
								       machine->config.settle_ms));
	/* Whatever is to be done, something is under way for it. */
	is_asked = link->silence == SILENCE_SUSPECTED || link->silence == SILENCE_UNREACHABLE;
	if (is_asked || (is_up && is_requested(link)) || link->state == LINK_RECEIVING ||
		link->state == LINK_FREE ||
		(link->state == LINK_UNPROVEN && link->silence == SILENCE_NONE))
		check(model, machine->work != WORK_NONE);
	if (link->silence == SILENCE_SLOW)
		check(model,
			deadline_ms >= 0 && deadline_ms - model->now_ms <= machine->config.slow_ms);
}

/* Every wait has an end. */
static void check_waits(struct model *model, int64_t deadline_ms)
{
	const struct machine *machine = &model->machine;
	bool is_any_down = false;

	for (unsigned i = 0; i < machine->link_count; i++)
		is_any_down = is_any_down || !machine_link_is_up(&machine->links[i]);
	check(model,
		!is_any_down || deadline_ms >= 0 || machine->work == WORK_NEGOTIATE ||
			model_has_link(machine, LINK_RECEIVING) ||
			(machine->work == WORK_SPARE && model_has_link(machine, LINK_FREE)));
	if (machine->presumed_since_ms >= 0 && !machine->last_samples)
		check(model,
			deadline_ms >= 0 && machine->presumed_since_ms <= model->now_ms &&
				deadline_ms - model->now_ms <= machine->config.prove_ms / 2);
	if (machine->work == WORK_PROVE)
		check(model,
			deadline_ms >= 0 &&
				deadline_ms - model->now_ms <= machine->config.sample_ms);
	if (machine->work == WORK_PAUSE)
		check(model,
			machine->work_until_ms - model->now_ms <= (PAUSE_LIMIT_MS > RENEW_PAUSE_MS ?
										  PAUSE_LIMIT_MS :
										  RENEW_PAUSE_MS));
	if (machine_is_growing(machine) && !machine->growth.is_told)
		check(model,
			machine->growth.is_background ?
				machine->work != WORK_NONE || machine->is_draining ||
					machine_growth_awaits_idle(machine) || deadline_ms >= 0 ||
					model_has_link(machine, LINK_UNPROVEN) :
				deadline_ms >= 0 &&
					deadline_ms <= machine->growth.begun_ms +
							machine_growth_limit_ms(machine));
}

/* Even of a machine that was told nonsense. */
void invariants_check_state(struct model *model)
{
	const struct machine *machine = &model->machine;
	int64_t deadline_ms = machine_deadline_ms(machine);
	bool is_serving = false;

	check(model, machine->work_link < machine->link_count && machine->work <= WORK_PROVE);
	check(model,
		machine->phase == PHASE_RUNNING || machine->work == WORK_NONE ||
			machine->work == WORK_PAUSE);
	if (machine_is_over(machine)) {
		check(model, deadline_ms == -1);
		return;
	}
	/* or the loop would be busy */
	check(model, deadline_ms == -1 || deadline_ms > model->now_ms || machine->last_samples > 0);
	for (unsigned i = 0; i < machine->link_count; i++) {
		const struct machine_link *link = &machine->links[i];

		check_link(model, link, deadline_ms);
		is_serving = is_serving ||
			(machine_link_is_up(link) &&
				(!link->is_presumed_up || machine->is_seen_to_serve) &&
				(link->silence == SILENCE_SLOW ||
					(link->state != LINK_UNPROVEN &&
						link->silence != SILENCE_UNREACHABLE)));
	}
	check(model, machine_is_serving(machine) == is_serving);
	check(model, (machine->outage_since_ms < 0) == is_serving);
	check(model, machine->stop != STOP_WAITING || !is_serving);
	if (machine->phase != PHASE_RUNNING) {
		check(model, !machine_is_growing(machine) || machine->growth.is_told);
		return;
	}
	check_waits(model, deadline_ms);
	check(model,
		is_serving || machine->config.dead_timeout_ms < 0 ||
			model->now_ms < machine->spared_until_ms || machine->last_samples ||
			model->now_ms - machine->outage_since_ms < machine->config.dead_timeout_ms);
}

/* Two hosts of which each holds a part of the writes are no disk. */
static void check_hosts(struct model *model)
{
	const struct machine *machine = &model->machine;
	const struct machine_link *first = NULL;

	for (unsigned i = 0; i < machine->link_count; i++) {
		const struct machine_link *link = &machine->links[i];

		if (!machine_link_is_up(link))
			continue;
		check(model, !first || first->host == link->host);
		first = link;
	}
}

/* What must hold when the machine has been told of everything that its actions led to. */
void invariants_check_settled(struct model *model)
{
	struct machine *machine = &model->machine;
	bool is_free = model_has_link(machine, LINK_FREE);

	invariants_check_state(model);
	check_hosts(model);
	check(model, model->is_negotiating == (machine->work == WORK_NEGOTIATE));
	check(model, (model->spare != NONE) == (machine->work == WORK_SPARE));
	check(model,
		model->spare == NONE || !is_free || model_has_link(machine, LINK_LOST) ||
			model_has_link(machine, LINK_NOTICED) ||
			model_has_link(machine, LINK_RECEIVING));
	check(model, model->failures_told <= 1);
	check(model, !model->failures_told || machine->phase != PHASE_RUNNING);
	check(model, model->leaves <= (machine->phase == PHASE_LEFT));
	if (machine_is_over(machine))
		return;
	check(model, !machine_is_growing(machine) || !machine->growth.is_told);
	check(model, model->is_draining == machine->is_draining);
	check(model, model->is_detaching == (machine->stop == STOP_DETACHING));
	check(model, model->dead_timeout_ms == machine->config.dead_timeout_ms);
	if (machine->phase == PHASE_FAILED && model->failed_at_ms < 0) {
		model->failed_at_ms = model->now_ms;
		check(model,
			model->io_failed ||
				(model->dead_timeout_ms >= 0 &&
					model->now_ms - model->outage_since_ms >=
						model->dead_timeout_ms));
	}
}
