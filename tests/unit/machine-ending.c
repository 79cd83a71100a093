/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "machine-ending.h"
#include "machine-weather.h"

/* With a server that answers and a driver that has let go of the last slot, the device serves after
 * no more than this: a sample shows that a socket was dropped, and where there are several links,
 * another one is negotiated once that one's slot has settled. */
#define SERVES_AGAIN_MS (SETTLE_MS + NOTICE_MS + SAMPLE_MS + 2 * NEGOTIATION_MS)
#define LINGER_MS 3000

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

/* Under swap the read that proves a link comes with the first sample only. */
static int64_t serves_again_ms(const struct model *model)
{
	return SERVES_AGAIN_MS + (model->machine.config.is_isolated ? SAMPLE_MS : 0);
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
					(model->machine.config.is_isolated ? SAMPLE_MS : 0)) *
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
	if (model->machine.growth.is_background &&
		model_has_link(&model->machine, LINK_UNMONITORED))
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
			model_has_link(&model->machine, LINK_UNMONITORED));
	model->is_benign = false;
	for (unsigned i = 0; i < 20; i++)
		weather_turn(model);
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

void ending_run(struct model *model)
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
