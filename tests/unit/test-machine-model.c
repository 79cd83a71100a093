/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Random events for the supervisor's state machine, in a model of the driver, the server and the
 * loop, with what must hold after each of them. Then events that make no sense. */
#include "machine-driver.h"
#include <stdlib.h>

/* With a server that answers and a driver that has let go of the last slot, the device serves after
 * no more than this: a look comes at a socket that was dropped, and where there are several links,
 * another one is negotiated once that one's slot has settled. */
#define SERVES_AGAIN_MS (SETTLE_MS + NOTICE_MS + LOOK_MS + 2 * NEGOTIATION_MS)
#define LINGER_MS 3000

/* --- what must hold of each step */

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
		event->type == EVENT_SERVER_ENDS || model->machine.phase == PHASE_FAILED ||
		before->held_notices > model->machine.held_notices)
		return;
	if (event->type == EVENT_LOOKED && before->last_looks && event->facts & FACT_IN_CLEAR)
		return;
	check(model, link->silence == SILENCE_NONE);
	if (event->type == EVENT_LOOKED || event->type == EVENT_PROBED) {
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
				event->type == EVENT_CANNOT_SHUT);
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

static bool is_any(const struct machine *machine, enum link_state state)
{
	for (unsigned i = 0; i < machine->link_count; i++)
		if (machine->links[i].state == state)
			return true;
	return false;
}

static void check_action(struct model *model, const struct machine *before,
	const struct machine_event *event, const struct machine_actions *actions, unsigned at)
{
	const struct machine *machine = &model->machine;
	const struct machine_action *action = &actions->list[at];

	check(model, action->type < ACTION_COUNT && action->link < machine->link_count);
	check(model, count_actions(actions, action->type, action->link) == 1);
	switch (action->type) {
	case ACTION_NEGOTIATE:
	case ACTION_PROBE:
	case ACTION_LOOK:
	case ACTION_OFFER_AGAIN:
	case ACTION_RESIZE:
	case ACTION_DRAIN: check(model, before->phase == PHASE_RUNNING); break;
	case ACTION_HAND_OVER: /* its outcome is the next event; no other slot is being read from */
		check(model,
			!is_any(before, LINK_RECEIVING) ||
				(event->type == EVENT_RECEIVER_ENDED &&
					!is_any(machine, LINK_RECEIVING)));
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

static void check_step(struct model *model, const struct machine *before,
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

/* --- what must hold between two steps */

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
			is_any(machine, LINK_RECEIVING) ||
			(machine->work == WORK_SPARE && is_any(machine, LINK_FREE)));
	if (machine->work == WORK_PROVE)
		check(model,
			deadline_ms >= 0 && deadline_ms - model->now_ms <= machine->config.look_ms);
	if (machine->work == WORK_PAUSE)
		check(model,
			machine->work_until_ms - model->now_ms <= (PAUSE_LIMIT_MS > RENEW_PAUSE_MS ?
										  PAUSE_LIMIT_MS :
										  RENEW_PAUSE_MS));
	if (machine_is_growing(machine) && !machine->growth.is_told)
		check(model,
			machine->growth.is_patient ?
				machine->work != WORK_NONE || machine->is_draining ||
					machine_growth_awaits_idle(machine) || deadline_ms >= 0 ||
					is_any(machine, LINK_UNPROVEN) :
				deadline_ms >= 0 &&
					deadline_ms <= machine->growth.begun_ms +
							machine_growth_limit_ms(machine));
}

/* Even of a machine that was told nonsense. */
static void check_state(struct model *model)
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
	check(model, deadline_ms == -1 || deadline_ms > model->now_ms || machine->last_looks > 0);
	for (unsigned i = 0; i < machine->link_count; i++) {
		const struct machine_link *link = &machine->links[i];

		check_link(model, link, deadline_ms);
		is_serving = is_serving ||
			(machine_link_is_up(link) &&
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
			model->now_ms < machine->spared_until_ms || machine->last_looks ||
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
static void check_settled(struct model *model)
{
	struct machine *machine = &model->machine;
	bool is_free = is_any(machine, LINK_FREE);

	check_state(model);
	check_hosts(model);
	check(model, model->is_negotiating == (machine->work == WORK_NEGOTIATE));
	check(model, (model->spare != NONE) == (machine->work == WORK_SPARE));
	check(model,
		model->spare == NONE || !is_free || is_any(machine, LINK_LOST) ||
			is_any(machine, LINK_NOTICED) || is_any(machine, LINK_RECEIVING));
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

/* --- the weather */

static void grow(struct model *model)
{
	bool is_patient = model_chance(model, 50);
	struct machine_event event = {.type = is_patient ? EVENT_GROW_SOMETIME : EVENT_GROW};

	if (!model_chance(model, model->growth_percent))
		return;
	if (!is_patient && machine_is_growing(&model->machine) && !model->machine.growth.is_patient)
		return; /* it is busy with one */
	if (model->export_bytes < 1ULL << 60)
		model->export_bytes += 1 << 20;
	event.size_bytes = model->export_bytes;
	model_tell_event(model, &event);
}

static void trouble(struct model *model, unsigned at)
{
	const struct machine_link *link = &model->machine.links[at];
	int socket = model->ours[at];
	bool is_seen = machine_link_is_up(link) && socket != NONE;

	if (is_seen && model_chance(model, 3))
		model_tell(model, EVENT_BROKEN, at);
	else if (is_seen && model_chance(model, 30) && !model->sockets[socket].is_hung &&
		model->sockets[socket].is_sent)
		model_tell(model, EVENT_SILENT, at);
	else if (model_chance(model, 30))
		model_answer_all(model);
	else if (model_below(model, 20000) == 0)
		model_tell(model, EVENT_GONE, 0);
	else if (model_below(model, 50) == 0)
		model_tell(model, EVENT_SERVER_ENDS, 0);
	else if (model_below(model, 3000) == 0)
		model_tell(model, EVENT_SHUTDOWN, 0);
	else if (model_below(model, 3000) == 0)
		model_tell(model, EVENT_STOP, 0);
	else if (model_below(model, 20) == 0)
		model_tell(model, EVENT_SERVED, 0);
	else if (model_below(model, 20000) == 0) {
		model->io_failed = true;
		model_tell(model, EVENT_IO_FAILED, 0);
	}
}

static void idle(struct model *model)
{
	if ((machine_awaits_idle(&model->machine) || machine_growth_awaits_idle(&model->machine)) &&
		model_chance(model, 30))
		model_tell(model, EVENT_IDLE, 0);
}

static void rekey(struct model *model, unsigned at)
{
	if (machine_link_is_up(&model->machine.links[at]) && model->ours[at] != NONE &&
		model_chance(model, model->renew_percent))
		model_tell(model, model_below(model, 4) ? EVENT_REKEY : EVENT_REKEY_NOW, at);
}

/* Something that can happen, happens. */
static void random_turn(struct model *model)
{
	unsigned at = model_below(model, model->machine.link_count);

	switch (model_below(model, 18)) {
	case 0:
	case 1:
	case 2: model_end_attempt(model, model_chance(model, model->server_percent)); break;
	case 3:
		if (model_chance(model, model->storm_percent))
			model_hang_up_some(model);
		break;
	case 4: model_driver_sees(model, at); break;
	case 5: model_end_receivers(model); break;
	case 6: model_see_hangups(model); break;
	case 7: model_end_drain(model); break;
	case 8:
	case 9: model_see_notices(model); break;
	case 10:
	case 11: model_end_probe(model); break;
	case 12: idle(model); break;
	case 13: rekey(model, at); break;
	case 14: trouble(model, at); break;
	case 15: grow(model); break;
	case 16: model_end_detach(model); break;
	default: model_tell(model, EVENT_TICK, 0); break;
	}
	if (model_chance(model, 50))
		model_pass_time(model, model_below(model, DRIVER_MS));
	if (model_chance(model, 10)) {
		model_see_all(model);
		model_pass_time(model, model_below(model, 1 << model_below(model, 18)));
	}
}

/* --- how an episode ends */

static bool is_running(const struct model *model)
{
	return model->machine.phase == PHASE_RUNNING;
}

/* All that is under way comes to its end, and the server answers. */
static void benign_turn(struct model *model)
{
	model_see_all(model);
	model_answer_all(model);
	model_end_receivers(model);
	model_end_attempt(model, true);
	model_end_probe(model);
	model_end_drain(model);
	if (machine_awaits_idle(&model->machine) || machine_growth_awaits_idle(&model->machine))
		model_tell(model, EVENT_IDLE, 0);
	model_see_all(model);
	model_end_receivers(model);
	model_end_probe(model);
	model_end_detach(model);
}

static bool all_links_serve(const struct machine *machine)
{
	for (unsigned i = 0; i < machine->link_count; i++)
		if (!machine_link_is_up(&machine->links[i]) ||
			machine->links[i].state == LINK_UNPROVEN)
			return false;
	return true;
}

/* Does it, and does the machine know? */
static bool device_serves(const struct model *model)
{
	for (unsigned i = 0; i < model->machine.link_count; i++)
		if (!model_is_slot_hung(model, i))
			return machine_is_serving(&model->machine);
	return false;
}

static void sooner(int64_t *at_ms, int64_t other_ms)
{
	if (other_ms >= 0 && (*at_ms < 0 || other_ms < *at_ms))
		*at_ms = other_ms;
}

/* All that is due. When the next is: -1: never. */
static int64_t punctual_turn(struct model *model, int64_t *let_go_ms)
{
	int64_t next_ms = -1, answer_ms;

	for (unsigned i = 0; i < model->machine.link_count; i++) {
		const struct model_slot *slot = &model->slots[i];

		if (!model_is_slot_hung(model, i))
			continue;
		if (model->now_ms >= slot->sees_end_at_ms)
			model_driver_sees(model, i);
		else
			sooner(&next_ms, slot->sees_end_at_ms);
		if (slot->has_ended && slot->free_at_ms > *let_go_ms)
			*let_go_ms = slot->free_at_ms;
	}
	model_see_notices(model);
	model_end_receivers(model);
	answer_ms = model->attempt_until_ms - ATTEMPT_MS + NEGOTIATION_MS;
	if (model->is_negotiating && model->now_ms >= answer_ms)
		model_end_attempt(model, true);
	model_end_probe(model);
	model_end_drain(model);
	answer_ms = model->attempt_until_ms - ATTEMPT_MS + NEGOTIATION_MS;
	if (model->is_negotiating)
		sooner(&next_ms, answer_ms);
	sooner(&next_ms, machine_deadline_ms(&model->machine));
	return next_ms;
}

static void hang_up(struct model *model)
{
	bool is_storm = model_chance(model, 60);

	for (unsigned i = 0; i < model->machine.link_count; i++) {
		if (is_storm || model_chance(model, 50))
			model->sockets[model->slots[i].socket].is_hung = true;
		model->slots[i].sees_end_at_ms = model->now_ms +
			(model_chance(model, 50) ? 0 : model_below(model, DRIVER_MS));
	}
	model_see_hangups(model);
}

/* Under swap the read that proves a link comes with the first look only. */
static int64_t serves_again_ms(const struct model *model)
{
	return SERVES_AGAIN_MS + (model->machine.config.is_isolated ? LOOK_MS : 0);
}

/* Progress: a server that answers, links that hang up, and a driver that takes its time. */
static void hang_up_at_rest(struct model *model)
{
	int64_t let_go_ms, bound_ms = serves_again_ms(model) + HAND_OVER_MS;
	unsigned turns = 0, count = model->machine.link_count;
	bool serves = false;

	model_pass_time(model, 1000 + model_below(model, 10000)); /* no short lives */
	benign_turn(model);
	if (!is_running(model) || !all_links_serve(&model->machine) ||
		machine_is_growing(&model->machine))
		return;
	let_go_ms = model->now_ms;
	hang_up(model);
	for (; turns < 50 + 20 * count && is_running(model); turns++) {
		int64_t next_ms = punctual_turn(model, &let_go_ms);

		if (device_serves(model) && !serves) {
			serves = true;
			if (model->now_ms - let_go_ms > model_counts.slowest_ms)
				model_counts.slowest_ms = model->now_ms - let_go_ms;
		}
		if (all_links_serve(&model->machine) && serves)
			break;
		if (next_ms >= 0)
			model_pass_time(model, next_ms - model->now_ms);
		check(model, serves || !is_running(model) || model->now_ms <= let_go_ms + bound_ms);
	}
	if (!is_running(model)) {
		check(model, model->dead_timeout_ms <= DRIVER_MS + LETTING_GO_MS + bound_ms);
		return;
	}
	check(model, serves);
	check(model, all_links_serve(&model->machine));
	check(model,
		model->now_ms <= let_go_ms + bound_ms +
				(NEGOTIATION_MS + HAND_OVER_MS +
					(model->machine.config.is_isolated ? LOOK_MS : 0)) *
					count);
	model_counts.hang_ups++;
}

/* Progress: what is asked for is done, or refused. */
static void end_growth(struct model *model)
{
	int64_t began_ms = model->now_ms, limit_ms = machine_growth_limit_ms(&model->machine);
	unsigned turns = 0;

	for (; turns < 5000 && is_running(model) && machine_is_growing(&model->machine); turns++) {
		int64_t deadline_ms;

		benign_turn(model);
		deadline_ms = machine_deadline_ms(&model->machine);
		if (model->is_negotiating)
			model_pass_time(model, NEGOTIATION_MS);
		else
			model_pass_time(model,
				deadline_ms < 0 || deadline_ms - model->now_ms > 50 ?
					50 :
					deadline_ms - model->now_ms);
	}
	if (!is_running(model))
		return;
	/* A socket that the driver has from a former supervisor may not be known by its address. */
	if (model->machine.growth.is_patient && is_any(&model->machine, LINK_UNMONITORED))
		return;
	check(model, !machine_is_growing(&model->machine));
	check(model, model->now_ms - began_ms <= limit_ms);
}

/* Progress: with a server that answers, every link is back within a few turns. */
static void end_in_good_weather(struct model *model)
{
	int64_t began_ms = model->now_ms, left_ms = model->dead_timeout_ms;
	unsigned turns = 0, count = model->machine.link_count, limit = 20 + 6 * count;
	/* A pause that was begun in bad weather, and what comes after it. */
	int64_t bound_ms = PAUSE_LIMIT_MS + LETTING_GO_MS + 2 * serves_again_ms(model);

	if (model->outage_since_ms >= 0)
		left_ms = model->outage_since_ms + model->dead_timeout_ms - model->now_ms;
	model->is_benign = true;
	for (; turns < limit && is_running(model); turns++) {
		int64_t deadline_ms;

		benign_turn(model);
		deadline_ms = machine_deadline_ms(&model->machine);
		if (all_links_serve(&model->machine))
			break;
		if (model->is_negotiating) /* it is answered in the next turn */
			model_pass_time(model, NEGOTIATION_MS);
		else if (deadline_ms >= 0)
			model_pass_time(model, deadline_ms - model->now_ms);
	}
	if (model->machine.phase == PHASE_FAILED)
		check(model, left_ms <= bound_ms); /* it was too late already */
	if (!is_running(model))
		return;
	check(model, turns < limit);
	/* And what it believes is so. Of several links one may be wrongly believed in until its
	 * first use. */
	check(model, count > 1 || !model->slots[0].has_ended);
	check(model, model->now_ms - began_ms <= bound_ms + 1000 * count);
	model_counts.rests++;
	end_growth(model);
	for (unsigned rounds = model_below(model, 8); rounds && is_running(model); rounds--)
		hang_up_at_rest(model);
}

/* The server is gone for good: the device fails at its dead-timeout, neither before nor after. */
static void end_in_silence(struct model *model)
{
	model->is_benign = true;
	for (int i = 0; i < model->socket_count; i++)
		model->sockets[i].is_hung = true;
	for (unsigned turns = 0; turns < 2000 && is_running(model); turns++) {
		int64_t wake_ms;

		model_see_all(model);
		model_end_receivers(model);
		model_end_probe(model);
		model_end_drain(model);
		model_end_detach(model);
		if (model->is_negotiating && model_chance(model, 50))
			model_end_attempt(model, false);
		wake_ms = machine_deadline_ms(&model->machine);
		model_pass_time(model, wake_ms < 0 ? ATTEMPT_MS : wake_ms - model->now_ms);
	}
	if (!is_running(model))
		return;
	/* Of an unmonitored link whose notice was lost before nothing is known. */
	for (unsigned i = 0; i < model->machine.link_count; i++)
		check(model,
			model->dead_timeout_ms < 0 ||
				!machine_link_is_up(&model->machine.links[i]) ||
				model->machine.links[i].state == LINK_UNPROVEN ||
				model->machine.links[i].state == LINK_UNMONITORED);
}

/* Told to end, it ends: at once, or when the outage is over. */
static void end_by_order(struct model *model)
{
	int64_t limit_ms;

	model->is_benign = true;
	if (model_chance(model, 50))
		model_tell(model, EVENT_SHUTDOWN, 0);
	if (model_chance(model, 50))
		model_tell(model, EVENT_SERVER_ENDS, 0);
	model_tell(model, EVENT_STOP, 0);
	limit_ms = model->now_ms + model->dead_timeout_ms + LINGER_MS + HAND_OVER_MS;
	for (unsigned turns = 0; turns < 5000 && !machine_is_over(&model->machine); turns++) {
		int64_t wake_ms;

		model_see_all(model);
		model_end_receivers(model);
		model_end_detach(model);
		if (model->dead_timeout_ms < 0 || model_chance(model, 1))
			benign_turn(model);
		wake_ms = machine_deadline_ms(&model->machine);
		if (!machine_is_over(&model->machine))
			model_pass_time(model, wake_ms < 0 ? ATTEMPT_MS : wake_ms - model->now_ms);
	}
	check(model, machine_is_over(&model->machine));
	check(model, model->dead_timeout_ms < 0 || model->now_ms <= limit_ms + ATTEMPT_MS);
}

static void check_failed(struct model *model)
{
	model_counts.failed++;
	check(model,
		model->io_failed ||
			model->failed_at_ms - model->machine.spared_until_ms < HAND_OVER_MS ||
			model->failed_at_ms - model->outage_since_ms - model->dead_timeout_ms <
				HAND_OVER_MS);
	model->is_benign = true;
	while (machine_deadline_ms(&model->machine) >= 0)
		model_pass_time(model, machine_deadline_ms(&model->machine) - model->now_ms);
	model_end_receivers(model);
	check(model,
		model->failures_told == 1 || machine_is_over(&model->machine) ||
			machine_is_serving(&model->machine));
	model->is_benign = false;
	for (unsigned i = 0; i < 20; i++)
		random_turn(model);
	check(model, model->spare == NONE && !model->is_negotiating);
}

static void check_over(struct model *model)
{
	model_counts.ended += model->machine.phase == PHASE_ENDED;
	model_counts.left += model->machine.phase == PHASE_LEFT;
	check(model, model->spare == NONE && !model->is_negotiating);
	for (unsigned i = 0; i < 20; i++)
		model_tell(model, (enum machine_event_type)model_below(model, EVENT_COUNT),
			model_below(model, model->machine.link_count));
}

/* --- how it begins */

static void adopt_some(struct model *model)
{
	bool answers = model_chance(model, 50);
	unsigned count = model->machine.link_count;

	for (unsigned i = 0; i < count; i++) {
		if (model_chance(model, 50))
			continue;
		if (model_chance(model, 50))
			model_adopt(
				model, i, model_chance(model, 60) ? ADOPTED_FOUND : ADOPTED_GONE);
		else
			model_adopt(model, i, answers ? ADOPTED_ANSWERING : ADOPTED_UNKNOWN);
	}
	if (model_chance(model, 20))
		machine_renew_link(&model->machine, model_below(model, count));
	if (!machine_is_serving(&model->machine)) {
		model->outage_since_ms = model->now_ms - model_below(model, 500);
		machine_set_outage(&model->machine, model->outage_since_ms, model->now_ms);
	}
	model_tell(model, EVENT_TICK, 0);
}

static struct machine_config draw_config(struct model *model)
{
	static const int64_t dead_timeouts_ms[] = {-1, 1000, 1500, 5000, 60000, 600000, 600000};
	struct machine_config config = script_config;

	config.dead_timeout_ms = dead_timeouts_ms[model_below(
		model, sizeof(dead_timeouts_ms) / sizeof(dead_timeouts_ms[0]))];
	config.notice_ms = NOTICE_MS;
	config.look_ms = LOOK_MS;
	config.is_isolated = model_chance(model, 20);
	config.size_waits_for_io = model_chance(model, 70);
	return config;
}

static void begin_episode(struct model *model)
{
	static const unsigned link_counts[] = {1, 1, 1, 1, 2, 2, 3, 4, 8};
	unsigned count = model_below(model, 200) ?
		link_counts[model_below(model, sizeof(link_counts) / sizeof(link_counts[0]))] :
		LINKS_MAX;
	struct machine_config config = draw_config(model);
	bool is_adopted = model_chance(model, 30);

	model_begin(model, &config, count);
	model->slow_percent = model_below(model, 2) ? 5 : model_below(model, 101);
	model->loses_notices = !is_adopted && model_chance(model, 50);
	model->server_percent = model_below(model, 2) ? 95 : model_below(model, 101);
	model->storm_percent = 1 + model_below(model, 40);
	model->renew_percent = model_below(model, 60);
	model->growth_percent = model_chance(model, 50) ? 0 : model_below(model, 20);
	/* of several that count nothing it cannot be told which one was dropped */
	model->counts_bytes = count > 1 || model_chance(model, 80);
	if (is_adopted)
		adopt_some(model);
}

static void end_episode(struct model *model)
{
	if (is_running(model)) {
		if (model_chance(model, 60))
			end_in_good_weather(model);
		else if (model_chance(model, 60))
			end_in_silence(model);
		else if (model_chance(model, 60))
			end_by_order(model);
		else
			model_tell(model, EVENT_GONE, 0);
	}
	model_counts.reconnects += model->machine.reconnects;
	model_counts.renewals += model->machine.renewals;
	if (model->machine.phase == PHASE_FAILED)
		check_failed(model);
	if (machine_is_over(&model->machine))
		check_over(model);
}

static struct model *new_model(uint64_t seed)
{
	struct model *model = calloc(1, sizeof(*model));

	assert_non_null(model);
	model->seed = model_number_from("MACHINE_SEED", 20240229);
	model->rng = model->seed + seed;
	model->limit = model_number_from("MACHINE_EVENTS", 300000);
	model->check_step = check_step;
	model->check_settled = check_settled;
	return model;
}

#define print_count(name)                                                                          \
	print_message("# %8llu " #name "\n", (unsigned long long)model_counts.name)
/* Each part of it must have been seen. */
#define see_count(name)                                                                            \
	do {                                                                                       \
		if (getenv("MACHINE_EVENTS"))                                                      \
			print_count(name);                                                         \
		check(model, model->limit < 100000 || model_counts.name);                          \
	} while (0)

static void check_counts(const struct model *model)
{
	see_count(episodes);
	see_count(negotiations);
	see_count(cancels);
	see_count(handed);
	see_count(dropped);
	see_count(in_vain);
	see_count(looks);
	see_count(taken_again);
	see_count(dropped_links);
	see_count(reconnects);
	see_count(renewals);
	see_count(unmonitored);
	see_count(cannot_shut);
	see_count(drained);
	see_count(answered);
	see_count(resized);
	see_count(refused[GROWTH_CANNOT_RENEW]);
	see_count(refused[GROWTH_TOLD_OLD_SIZE]);
	see_count(refused[GROWTH_SERVER_AWAY]);
	see_count(refused[GROWTH_NEVER_IDLE]);
	see_count(detached);
	see_count(forced);
	see_count(failed);
	see_count(ended);
	see_count(left);
	see_count(rests);
	see_count(hang_ups);
	see_count(slowest_ms);
}

static void nothing_that_can_happen_leads_to_a_standstill(void **state)
{
	struct model *model = new_model(0);

	(void)state;
	while (model->events < model->limit) {
		unsigned turns;

		begin_episode(model);
		for (turns = 10 + model_below(model, 1500);
			turns && is_running(model) && model->socket_count < SOCKETS_MAX / 2;
			turns--)
			random_turn(model);
		end_episode(model);
	}
	check_counts(model);
	free(model);
}

/* --- nonsense */

struct nonsense {
	struct model *model;
	bool is_negotiating, has_spare;
};

static struct machine_event draw_event(struct model *model)
{
	struct machine_event event = {
		.type = (enum machine_event_type)model_below(model, EVENT_COUNT + 2),
		.link = model_below(model, model->machine.link_count + 3),
		.facts = model_below(model, 2 * FACT_DONE),
		.host = model_below(model, 3),
		.size_bytes = 1 + model_below(model, 5),
		.detached = model_below(model, 2) ? DETACHED_NOT : DETACHED_FOREIGN,
		.random = (uint32_t)model_draw(model),
	};
	bool is_an_end = event.type == EVENT_GONE || event.type == EVENT_STOP;

	if (is_an_end && model_chance(model, 95))
		event.type = EVENT_TICK;
	if (model_below(model, 10) == 0)
		event.link = (unsigned)model_draw(model);
	return event;
}

static void note_event(struct nonsense *nonsense, const struct machine_event *event)
{
	const struct machine *machine = &nonsense->model->machine;

	switch (event->type) {
	case EVENT_NEGOTIATED:
		nonsense->has_spare = nonsense->has_spare || machine->work == WORK_NEGOTIATE;
		nonsense->is_negotiating = false;
		break;
	case EVENT_REFUSED:
	case EVENT_NOT_NEGOTIATED: nonsense->is_negotiating = false; break;
	case EVENT_SPARE_LOST:
	case EVENT_NOT_HANDED_OVER: nonsense->has_spare = false; break;
	case EVENT_HANDED_OVER:
		if (machine->links[machine->work_link].state == LINK_FREE)
			nonsense->has_spare = false;
		break;
	default: break;
	}
}

static void note_action(struct nonsense *nonsense, const struct machine_action *action)
{
	struct model *model = nonsense->model;

	if (action->type == ACTION_NEGOTIATE) {
		check(model, !nonsense->is_negotiating && !nonsense->has_spare);
		nonsense->is_negotiating = true;
	} else if (action->type == ACTION_CANCEL) {
		check(model, nonsense->is_negotiating);
		nonsense->is_negotiating = false;
	} else if (action->type == ACTION_DROP_SPARE) {
		check(model, nonsense->has_spare);
		nonsense->has_spare = false;
	} else if (action->type == ACTION_HAND_OVER) {
		check(model, nonsense->has_spare);
	}
}

static void step_of_nonsense(struct nonsense *nonsense, struct machine_event event)
{
	struct model *model = nonsense->model;
	struct machine_actions actions;
	struct machine_event answer = {.type = EVENT_COUNT};

	event.now_ms = model->now_ms;
	note_event(nonsense, &event);
	machine_step(&model->machine, &event, &actions);
	model_trace(model, &event, &actions);
	model->events++;
	for (unsigned i = 0; i < actions.count; i++) {
		note_action(nonsense, &actions.list[i]);
		if (actions.list[i].type == ACTION_LOOK)
			answer.type = EVENT_LOOKED;
		else if (actions.list[i].type == ACTION_RESIZE)
			answer.type = EVENT_RESIZED;
	}
	if (answer.type != EVENT_COUNT) {
		answer.link = model->machine.work_link;
		answer.facts = model_below(model, 2 * FACT_DONE);
		step_of_nonsense(nonsense, answer);
		return;
	}
	check_state(model);
	check(model,
		nonsense->is_negotiating == (model->machine.work == WORK_NEGOTIATE) &&
			nonsense->has_spare == (model->machine.work == WORK_SPARE));
}

/* Events that make no sense, of links that do not exist: it may do foolish things then, but not
 * these. */
static void no_event_breaks_it(void **state)
{
	struct nonsense nonsense = {.model = new_model(1)};
	struct model *model = nonsense.model;

	(void)state;
	while (model->events < model->limit) {
		begin_episode(model);
		nonsense.is_negotiating = model->is_negotiating;
		nonsense.has_spare = false;
		for (unsigned i = 0; i < 500; i++) {
			model->now_ms += model_below(model, 1 << model_below(model, 16));
			step_of_nonsense(&nonsense, draw_event(model));
		}
	}
	free(model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_that_can_happen_leads_to_a_standstill),
		cmocka_unit_test(no_event_breaks_it),
	};

	return cmocka_run_group_tests_name("machine-model", tests, NULL, NULL);
}
