/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "machine-driver.h"
#include <stdlib.h>
#include <string.h>

struct model_counts model_counts;

uint64_t model_draw(struct model *model)
{
	uint64_t x = model->rng += 0x9e3779b97f4a7c15ULL;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

unsigned model_below(struct model *model, unsigned limit)
{
	return (unsigned)((model_draw(model) >> 32) * limit >> 32);
}

bool model_chance(struct model *model, unsigned percent)
{
	return model_below(model, 100) < percent;
}

uint64_t model_number_from(const char *variable, uint64_t otherwise)
{
	const char *text = getenv(variable);

	return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

/* --- what is shown of a failure */

bool model_is_slot_hung(const struct model *model, unsigned at)
{
	return model->sockets[model->slots[at].socket].is_hung;
}

static bool is_slot_free(const struct model *model, unsigned at)
{
	return model->slots[at].has_ended && model->now_ms >= model->slots[at].free_at_ms;
}

void model_fail(const struct model *model, const char *what, int line)
{
	const struct machine *machine = &model->machine;

	for (uint64_t i = model->events > TRACE_STEPS ? model->events - TRACE_STEPS : 0;
		i < model->events; i++)
		print_message("# %s\n", model->trace[i % TRACE_STEPS]);
	for (unsigned i = 0; i < machine->link_count; i++)
		print_message("# link %u: state %d, renewal %d, silence %d, owes notice %d, host "
			      "%u; socket %d; slot: socket %d%s\n",
			i, machine->links[i].state, machine->links[i].renewal,
			machine->links[i].silence, machine->links[i].owes_notice,
			machine->links[i].host, model->ours[i], model->slots[i].socket,
			is_slot_free(model, i)               ? " free" :
				model->slots[i].has_ended    ? " ended" :
				model_is_slot_hung(model, i) ? " hung" :
							       "");
	print_message("# MACHINE_SEED=%llu MACHINE_EVENTS=%llu, event %llu, time %lld\n",
		(unsigned long long)model->seed, (unsigned long long)model->limit,
		(unsigned long long)model->events, (long long)model->now_ms);
	fail_msg("line %d: %s", line, what);
}

void model_trace(struct model *model, const struct machine_event *event,
	const struct machine_actions *actions)
{
	char *line = model->trace[model->events % TRACE_STEPS];
	char text[96];

	format_actions(actions, true, text, sizeof(text));
	snprintf(line, sizeof(model->trace[0]), "%lld %s %u (%x): %s; work %d of %u, deadline %lld",
		(long long)event->now_ms, machine_event_name(event->type), event->link,
		event->facts, text, model->machine.work, model->machine.work_link,
		(long long)machine_deadline_ms(&model->machine));
}

/* --- events */

static void push(struct model *model, const struct machine_event *event, bool is_first)
{
	unsigned size = sizeof(model->queue) / sizeof(model->queue[0]);
	struct machine_event *place;

	check(model, model->queue_count < size);
	if (is_first)
		model->queue_first = (model->queue_first + size - 1) % size;
	place = &model->queue[is_first ? model->queue_first :
					 (model->queue_first + model->queue_count) % size];
	*place = *event;
	place->now_ms = model->now_ms;
	place->random = (uint32_t)model_draw(model);
	model->queue_count++;
}

/* What an action leads to at once. */
static void outcome(struct model *model, enum machine_event_type type, unsigned link)
{
	push(model, &(struct machine_event){.type = type, .link = link}, true);
}

bool model_has_link(const struct machine *machine, enum link_state state)
{
	for (unsigned i = 0; i < machine->link_count; i++)
		if (machine->links[i].state == state)
			return true;
	return false;
}

int model_new_socket(struct model *model)
{
	check(model, model->socket_count < SOCKETS_MAX);
	model->sockets[model->socket_count] =
		(struct model_socket){.size_bytes = model->export_bytes};
	return model->socket_count++;
}

/* Kernel fact slot-taken: into a free slot, or nowhere, and it does not say. */
static bool driver_takes(struct model *model, int socket)
{
	for (unsigned i = 0; i < model->machine.link_count; i++)
		if (is_slot_free(model, i)) {
			model->slots[i].socket = socket;
			model->slots[i].has_ended = false;
			/* I/O waits for it, or may come later */
			model->sockets[socket].is_sent =
				model->is_benign || model_chance(model, 70);
			return true;
		}
	return false;
}

/* --- actions */

static void negotiate(struct model *model, const struct machine_action *action)
{
	check(model, !model->is_negotiating);
	check(model, model->spare == NONE);
	model_counts.negotiations++;
	model->is_negotiating = true;
	model->host = action->host;
	model->is_pinned = action->is_pinned;
	model->attempt_until_ms = model->now_ms + ATTEMPT_MS;
	if (!model->is_benign && model_below(model, 5000) == 0)
		outcome(model, EVENT_GONE, 0);
	else if (!model->is_benign && model_chance(model, 1))
		outcome(model, EVENT_NOT_NEGOTIATED, 0);
}

static void shut(struct model *model, unsigned at)
{
	model_counts.shut++;
	if (model->ours[at] != NONE) {
		model->sockets[model->ours[at]].is_hung = true;
	} else if (model->address[at] == NONE) {
		model_counts.cannot_shut++;
		outcome(model, EVENT_CANNOT_SHUT, at);
	} else {
		/* and if it was another one, nobody notices */
		model->sockets[model->address[at]].is_hung = true;
	}
}

static void hand_over(struct model *model, unsigned at)
{
	int socket = model->spare;

	model->now_ms += model_below(model, HAND_OVER_MS);
	check(model, socket != NONE);
	check(model, model->machine.work_link == at);
	check(model, model->machine.links[at].state == LINK_FREE);
	model_counts.handed++;
	if (!model->is_benign && model_chance(model, 2)) {
		if (model_chance(model, 98))
			model->spare = NONE;
		outcome(model, model->spare == NONE ? EVENT_NOT_HANDED_OVER : EVENT_GONE, at);
		return;
	}
	model_counts.in_vain += !driver_takes(model, socket);
	model->spare = NONE;
	model->ours[at] = model->address[at] = socket;
	outcome(model, EVENT_HANDED_OVER, at);
}

static unsigned sample_link(struct model *model, unsigned at)
{
	const struct model_socket *socket =
		model->ours[at] == NONE ? NULL : &model->sockets[model->ours[at]];

	if (!socket)
		return 0;
	if (!model->counts_bytes)
		return FACT_USED;
	return FACT_COUNTED | (socket->is_sent ? FACT_USED : 0) |
		(socket->is_moved ? FACT_MOVED : 0);
}

static void sample(struct model *model, unsigned at)
{
	struct machine_event event = {.type = EVENT_SAMPLED, .link = at};
	int socket = model->ours[at];

	model_counts.samples++;
	if (!machine_link_is_up(&model->machine.links[at])) { /* at the device */
		event.facts = !model->is_benign && model_chance(model, 10) ? FACT_MOVED : 0;
		push(model, &event, true);
		return;
	}
	if (socket == NONE) { /* adopted without it */
		push(model, &event, true);
		return;
	}
	if (model->sockets[socket].is_sent && !model->sockets[socket].is_hung &&
		(model->is_benign || model_chance(model, 20)))
		model->sockets[socket].is_moved = true;
	event.facts = sample_link(model, at);
	if (!model->is_benign && model_below(model, 300) == 0)
		event.facts |= FACT_IN_CLEAR;
	push(model, &event, true);
}

/* Even if it has hung up meanwhile: the driver looks at it afterwards. */
static void offer_again(struct model *model, unsigned at)
{
	check(model, model->ours[at] != NONE && model->machine.link_count == 1);
	if (!model->is_benign && model_below(model, 1000) == 0)
		outcome(model, EVENT_GONE, at);
	else if (model->ours[at] != model->slots[0].socket || model->slots[0].has_ended)
		model_counts.taken_again += driver_takes(model, model->ours[at]);
}

static void drop_link(struct model *model, unsigned at)
{
	model_counts.dropped_links++;
	check(model, model->ours[at] != NONE);
	model->sockets[model->ours[at]].is_hung = true;
	model->ours[at] = NONE;
}

static void drain(struct model *model)
{
	check(model, !model->is_draining);
	model->is_draining = true;
	if (model->machine.config.is_isolated) { /* no process is started */
		model->is_draining = false;
		outcome(model, EVENT_DRAINED, 0);
	}
}

static void resize(struct model *model, const struct machine_action *action)
{
	const struct machine *machine = &model->machine;

	model_counts.resized++;
	check(model,
		!machine->config.size_waits_for_io || machine->config.is_isolated ||
			(model->drained_at_ms >= 0 &&
				model->now_ms < model->drained_at_ms + DRAINED_COUNTS_MS));
	for (unsigned i = 0; i < machine->link_count; i++)
		check(model, machine->links[i].size_bytes >= action->size_bytes);
	outcome(model, EVENT_RESIZED, 0);
}

static void await_receiver(struct model *model, unsigned at)
{
	check(model, model->machine.links[at].state == LINK_RECEIVING);
	if (model->is_benign || model_chance(model, 50))
		outcome(model, EVENT_RECEIVER_ENDED, at);
}

static void probe(struct model *model)
{
	if (!model->is_probing)
		model->probed_losses = model->machine.losses;
	model->is_probing = true;
}

static void look_up(struct model *model, unsigned at)
{
	struct machine_event event = {
		.type = EVENT_LOOKED_UP, .link = at, .found = ADOPTED_UNKNOWN};

	check(model, model->ours[at] == NONE);
	model_counts.looked_up++;
	if (model->found[at] != NONE)
		event.found =
			model->sockets[model->found[at]].is_hung ? ADOPTED_GONE : ADOPTED_FOUND;
	push(model, &event, true);
}

static void carry_out_for_spare(struct model *model, const struct machine_action *action)
{
	switch (action->type) {
	case ACTION_NEGOTIATE: negotiate(model, action); break;
	case ACTION_CANCEL:
		check(model, model->is_negotiating);
		model_counts.cancels++;
		model->is_negotiating = false;
		break;
	case ACTION_DROP_SPARE:
		check(model, model->spare != NONE);
		model_counts.dropped++;
		model->spare = NONE;
		break;
	default: break;
	}
}

static void carry_out(struct model *model, const struct machine_action *action)
{
	switch (action->type) {
	case ACTION_SHUT: shut(model, action->link); break;
	case ACTION_AWAIT_RECEIVER: await_receiver(model, action->link); break;
	case ACTION_HAND_OVER: hand_over(model, action->link); break;
	case ACTION_OFFER_AGAIN: offer_again(model, action->link); break;
	case ACTION_PROBE: probe(model); break;
	case ACTION_LOOK_UP: look_up(model, action->link); break;
	case ACTION_SAMPLE: sample(model, action->link); break;
	case ACTION_DRAIN: drain(model); break;
	case ACTION_DROP_LINK: drop_link(model, action->link); break;
	case ACTION_FAIL_DEVICE: model->failures_told++; break;
	case ACTION_RESIZE: resize(model, action); break;
	case ACTION_REFUSE_GROWTH: model_counts.refused[action->refusal]++; break;
	case ACTION_DETACH:
	case ACTION_DETACH_FORCED:
		check(model, !model->is_detaching);
		model->is_detaching = true;
		model_counts.detached += action->type == ACTION_DETACH;
		model_counts.forced += action->type == ACTION_DETACH_FORCED;
		break;
	case ACTION_LEAVE: model->leaves++; break;
	default: carry_out_for_spare(model, action); break;
	}
}

/* --- steps */

static void limit_dead_timeout(struct model *model, int64_t limit_ms)
{
	if (model->dead_timeout_ms < 0 || model->dead_timeout_ms > limit_ms)
		model->dead_timeout_ms = limit_ms;
}

/* A read was answered, or a link that was presumed lost has lived until now. */
static bool is_served_unseen(
	const struct model *model, const struct machine *before, const struct machine_event *event)
{
	if (event->type == EVENT_SERVED && before->phase == PHASE_RUNNING &&
		(event->facts & FACT_DONE || before->config.is_isolated))
		for (unsigned i = 0; i < before->link_count; i++)
			if (machine_link_may_serve(&before->links[i]))
				return true;
	if (event->type == EVENT_PROBED)
		return event->facts & FACT_DONE;
	if (event->type == EVENT_SAMPLED)
		return before->last_samples && event->facts & FACT_MOVED &&
			!machine_link_is_up(&before->links[event->link]);
	for (unsigned i = 0; i < before->link_count; i++)
		if (before->links[i].is_presumed_lost && !model->machine.links[i].is_presumed_lost)
			return true;
	return false;
}

/* Our own count of the outage, and of how long it may be. */
static void count_outage(
	struct model *model, const struct machine *before, const struct machine_event *event)
{
	bool is_served = is_served_unseen(model, before, event);

	if (event->type == EVENT_SHUTDOWN && !model->is_shutting_down) {
		model->is_shutting_down = true;
		limit_dead_timeout(model,
			MACHINE_SHUTDOWN_MS +
				(model->outage_since_ms < 0 ?
						0 :
						event->now_ms - model->outage_since_ms));
	}
	if (!machine_is_serving(&model->machine)) {
		if (model->outage_since_ms < 0 || is_served)
			model->outage_since_ms = event->now_ms;
		if (!is_served)
			return;
	} else {
		model->outage_since_ms = -1;
	}
	if (model->is_shutting_down)
		limit_dead_timeout(model, MACHINE_SHUTDOWN_MS);
}

static void one_step(struct model *model, const struct machine_event *event)
{
	struct machine before = model->machine;
	struct machine_actions actions;

	if (event->type == EVENT_NEGOTIATED || event->type == EVENT_REFUSED ||
		event->type == EVENT_NOT_NEGOTIATED)
		model->is_negotiating = false;
	if (event->type == EVENT_DRAINED && event->facts & FACT_DONE)
		model->drained_at_ms = event->now_ms;
	machine_step(&model->machine, event, &actions);
	model_trace(model, event, &actions);
	model->events++;
	model->check_step(model, &before, event, &actions);
	if (!machine_is_over(&model->machine))
		count_outage(model, &before, event);
	for (unsigned i = 0; i < actions.count; i++)
		carry_out(model, &actions.list[i]);
}

void model_tell_event(struct model *model, const struct machine_event *event)
{
	push(model, event, false);
	while (model->queue_count) {
		struct machine_event next = model->queue[model->queue_first];

		model->queue_first =
			(model->queue_first + 1) % (sizeof(model->queue) / sizeof(model->queue[0]));
		model->queue_count--;
		one_step(model, &next);
	}
	model->check_settled(model);
}

void model_tell(struct model *model, enum machine_event_type type, unsigned link)
{
	model_tell_event(model, &(struct machine_event){.type = type, .link = link});
}

void model_pass_time(struct model *model, int64_t ms)
{
	int64_t until_ms = model->now_ms + ms;

	for (;;) {
		int64_t wake_ms = machine_deadline_ms(&model->machine);

		if (model->is_negotiating && (wake_ms < 0 || model->attempt_until_ms < wake_ms))
			wake_ms = model->attempt_until_ms;
		if (wake_ms < 0 || wake_ms > until_ms)
			break;
		model->now_ms = wake_ms;
		if (model->is_negotiating && wake_ms >= model->attempt_until_ms)
			model_tell(model, EVENT_NOT_NEGOTIATED, 0);
		model_tell(model, EVENT_TICK, 0);
		if (machine_is_over(&model->machine))
			return;
	}
	if (until_ms > model->now_ms) /* a hand-over takes time too */
		model->now_ms = until_ms;
}

/* --- what comes to its end */

void model_end_attempt(struct model *model, bool is_answered)
{
	struct machine_event event = {.type = EVENT_NEGOTIATED};

	if (!model->is_negotiating)
		return;
	if (!is_answered) {
		model_tell(
			model, model_chance(model, 20) ? EVENT_REFUSED : EVENT_NOT_NEGOTIATED, 0);
		return;
	}
	model->spare = model_new_socket(model);
	if (!model->is_benign && model_chance(model, 10)) /* a server that was not told yet */
		model->sockets[model->spare].size_bytes /= 2;
	event.size_bytes = model->sockets[model->spare].size_bytes;
	event.host = model->is_pinned ? model->host : model_below(model, 3);
	model_tell_event(model, &event);
}

void model_end_receivers(struct model *model)
{
	for (unsigned i = 0; i < model->machine.link_count; i++)
		if (model->machine.links[i].state == LINK_RECEIVING)
			model_tell(model, EVENT_RECEIVER_ENDED, i);
}

void model_end_drain(struct model *model)
{
	bool is_quick = model->is_benign || model_chance(model, 70);

	if (!model->is_draining)
		return;
	model->is_draining = false;
	model_counts.drained++;
	model_tell_event(model,
		&(struct machine_event){.type = EVENT_DRAINED, .facts = is_quick ? FACT_DONE : 0});
}

/* A read through the device: over any slot whose socket lives, or it hangs. */
void model_end_probe(struct model *model)
{
	const struct machine *machine = &model->machine;
	unsigned count = machine->link_count, first = model_below(model, count);
	struct machine_event event = {
		.type = EVENT_PROBED, .link = machine->work == WORK_PROVE ? machine->work_link : 0};
	struct model_socket *used = NULL;

	if (!model->is_probing)
		return;
	for (unsigned i = 0; i < count && !used; i++)
		if (!model_is_slot_hung(model, (first + i) % count))
			used = &model->sockets[model->slots[(first + i) % count].socket];
	if (!used && (model->is_benign || model_chance(model, 80)))
		return;
	model->is_probing = false;
	if (used)
		used->is_sent = used->is_moved = true;
	event.facts = sample_link(model, event.link) | (used ? FACT_DONE : 0) |
		(model->probed_losses == model->machine.losses ? FACT_RECENT : 0);
	model_tell_event(model, &event);
}

void model_end_detach(struct model *model)
{
	struct machine_event event = {.type = EVENT_DETACHED, .detached = DETACHED_NOT};

	if (!model->is_detaching)
		return;
	model->is_detaching = false;
	if (model_chance(model, 50))
		event.type = EVENT_GONE;
	else if (model_chance(model, 20))
		event.detached = DETACHED_FOREIGN;
	model_tell_event(model, &event);
}

/* The server goes on, and answers what it owes. */
void model_answer_all(struct model *model)
{
	for (unsigned i = 0; i < model->machine.link_count; i++) {
		const struct machine_link *link = &model->machine.links[i];

		if (!machine_link_is_up(link) || link->silence == SILENCE_NONE ||
			model->ours[i] == NONE || model->sockets[model->ours[i]].is_hung)
			continue;
		model_counts.answered++;
		model_tell(model, EVENT_ANSWERED, i);
		if (link->state == LINK_UNPROVEN && model->ours[i] != NONE &&
			model->sockets[model->ours[i]].is_sent)
			model_tell_event(model,
				&(struct machine_event){.type = EVENT_MOVED,
					.link = i,
					.facts = model->counts_bytes ? FACT_COUNTED : 0});
	}
}

/* --- hang-ups and notices */

void model_hang_up_some(struct model *model)
{
	bool is_storm = model_chance(model, 20);

	for (unsigned i = 0; i < model->machine.link_count; i++)
		if (is_storm || model_below(model, model->machine.link_count) == 0)
			model->sockets[model->slots[i].socket].is_hung = true;
	if (model->spare != NONE && (is_storm || model_chance(model, 20)))
		model->sockets[model->spare].is_hung = true;
}

void model_see_hangups(struct model *model)
{
	for (unsigned i = 0; i < model->machine.link_count; i++)
		if (machine_link_is_up(&model->machine.links[i]) && model->ours[i] != NONE &&
			model->sockets[model->ours[i]].is_hung)
			model_tell(model, EVENT_HANGUP, i);
	if (model->spare != NONE && model->sockets[model->spare].is_hung) {
		model->spare = NONE;
		model_tell(model, EVENT_SPARE_LOST, 0);
	}
}

static bool is_any_unmonitored(const struct model *model)
{
	for (unsigned i = 0; i < model->machine.link_count; i++)
		if (model->machine.links[i].state == LINK_UNMONITORED)
			return true;
	return false;
}

/* It says so first, and lets go of the slot then. In good weather no notice is lost that alone
 * tells of a link. */
void model_driver_sees(struct model *model, unsigned at)
{
	struct model_slot *slot = &model->slots[at];

	if (slot->has_ended || !model_is_slot_hung(model, at))
		return;
	slot->has_ended = true;
	slot->free_at_ms = model->now_ms +
		model_below(model,
			model_chance(model, model->slow_percent) ? LETTING_GO_MS : NOTICE_MS);
	model->notices += !model->loses_notices ||
		(model->is_benign && is_any_unmonitored(model)) || model_chance(model, 90);
}

void model_see_notices(struct model *model)
{
	/* The loop looks for hang-ups first. */
	model_see_hangups(model);
	for (; model->notices; model->notices--)
		model_tell(model, EVENT_NOTICE, 0);
}

void model_lose_notices(struct model *model)
{
	model_see_hangups(model);
	model_counts.notices_lost++;
	model->notices = 0;
	model_tell(model, EVENT_NOTICES_LOST, 0);
}

void model_see_all(struct model *model)
{
	model_see_hangups(model);
	for (unsigned i = 0; i < model->machine.link_count; i++)
		model_driver_sees(model, i);
	model_see_notices(model);
}

/* --- how it begins */

void model_begin(struct model *model, const struct machine_config *config, unsigned link_count)
{
	machine_init(&model->machine, config, link_count);
	model->now_ms = (int64_t)(model_draw(model) % 1000000000000);
	model->socket_count = 0;
	model->notices = 0;
	model->spare = NONE;
	model->is_negotiating = model->is_probing = model->is_draining = model->is_detaching =
		model->is_benign = model->is_shutting_down = model->io_failed = false;
	model->queue_first = model->queue_count = 0;
	model->outage_since_ms = model->failed_at_ms = model->drained_at_ms = -1;
	model->dead_timeout_ms = config->dead_timeout_ms;
	model->failures_told = model->leaves = 0;
	model->export_bytes = 1 << 20;
	for (unsigned i = 0; i < link_count; i++) {
		int socket = model_new_socket(model);

		model->slots[i] = (struct model_slot){.socket = socket};
		model->ours[i] = model->address[i] = socket;
		model->found[i] = NONE;
		model->sockets[socket].is_sent = model->sockets[socket].is_moved = true;
		machine_set_link(&model->machine, i, 0, model->export_bytes);
	}
	model_counts.episodes++;
}

void model_adopt(struct model *model, unsigned at, enum adopted_as how)
{
	struct model_slot *slot = &model->slots[at];
	/* of several that are presumed to serve, one does */
	bool is_dead = how == ADOPTED_GONE ||
		(how == ADOPTED_ANSWERING && at > 0 && !model_is_slot_hung(model, 0) &&
			model_chance(model, 30)) ||
		(how == ADOPTED_UNKNOWN &&
			(model->machine.link_count > 1 || model_chance(model, 50)));

	model->ours[at] = NONE;
	/* or the kernel cannot end a connection by its address */
	if (how != ADOPTED_FOUND || model_chance(model, 30))
		model->address[at] = NONE;
	model->found[at] = how == ADOPTED_FOUND ? slot->socket : NONE;
	if (is_dead) {
		model->sockets[slot->socket].is_hung = true;
		/* its notice was for the former supervisor, or comes yet */
		slot->has_ended = how == ADOPTED_GONE || model_chance(model, 50);
		slot->free_at_ms = model->now_ms;
	}
	machine_adopt_link(&model->machine, at, how);
	model_counts.presumed += model->machine.links[at].is_presumed_up;
	model_counts.unmonitored += model->machine.links[at].state == LINK_UNMONITORED;
}
