/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Random events for the supervisor's state machine, in a model of the driver, the server and the
 * loop, with what must hold after each of them. Then events that make no sense. */
#include "machine-ending.h"
#include "machine-invariants.h"
#include "machine-weather.h"
#include <stdlib.h>

static struct model *new_model(uint64_t seed)
{
	struct model *model = calloc(1, sizeof(*model));

	assert_non_null(model);
	model->seed = model_number_from("MACHINE_SEED", 20240229);
	model->rng = model->seed + seed;
	model->limit = model_number_from("MACHINE_EVENTS", 300000);
	model->check_step = invariants_check_step;
	model->check_settled = invariants_check_settled;
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
	see_count(samples);
	see_count(taken_again);
	see_count(dropped_links);
	see_count(reconnects);
	see_count(renewals);
	see_count(unmonitored);
	see_count(cannot_shut);
	see_count(presumed);
	see_count(looked_up);
	see_count(notices_lost);
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

		weather_begin(model);
		for (turns = 10 + model_below(model, 1500);
			turns && model->machine.phase == PHASE_RUNNING &&
			model->socket_count < SOCKETS_MAX / 2;
			turns--)
			weather_turn(model);
		ending_run(model);
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
		.facts = model_below(model, 2 * FACT_RECENT),
		.host = model_below(model, 3),
		.size_bytes = 1 + model_below(model, 5),
		.detached = model_below(model, 2) ? DETACHED_NOT : DETACHED_FOREIGN,
		.found = (enum adopted_as)model_below(model, ADOPTED_UNKNOWN + 1),
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
		if (actions.list[i].type == ACTION_SAMPLE)
			answer.type = EVENT_SAMPLED;
		else if (actions.list[i].type == ACTION_RESIZE)
			answer.type = EVENT_RESIZED;
		else if (actions.list[i].type == ACTION_LOOK_UP)
			answer.type = EVENT_LOOKED_UP;
	}
	if (answer.type != EVENT_COUNT) {
		answer.link = model->machine.work_link;
		answer.facts = model_below(model, 2 * FACT_DONE);
		step_of_nonsense(nonsense, answer);
		return;
	}
	invariants_check_state(model);
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
		weather_begin(model);
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
