/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "machine-weather.h"

/* --- how an episode begins */

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
	config.sample_ms = SAMPLE_MS;
	config.is_isolated = model_chance(model, 20);
	config.size_waits_for_io = model_chance(model, 70);
	return config;
}

void weather_begin(struct model *model)
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

/* --- what happens in it */

static void grow(struct model *model)
{
	bool is_background = model_chance(model, 50);
	struct machine_event event = {.type = is_background ? EVENT_GROW_SOMETIME : EVENT_GROW};

	if (!model_chance(model, model->growth_percent))
		return;
	if (!is_background && machine_is_growing(&model->machine) &&
		!model->machine.growth.is_background)
		return; /* it is busy with one */
	if (model->export_bytes < 1ULL << 60)
		model->export_bytes += 1 << 20;
	event.size_bytes = model->export_bytes;
	model_tell_event(model, &event);
}

/* Does the driver have a socket that lives? */
static bool does_any_serve(const struct model *model)
{
	for (unsigned i = 0; i < model->machine.link_count; i++)
		if (!model_is_slot_hung(model, i))
			return true;
	return false;
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
		model_tell_event(model,
			&(struct machine_event){.type = EVENT_SERVED,
				.facts = does_any_serve(model) && model_chance(model, 50) ?
					FACT_DONE :
					0});
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

void weather_turn(struct model *model)
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
		if (model_chance(model, 2))
			model_lose_notices(model);
		break;
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
