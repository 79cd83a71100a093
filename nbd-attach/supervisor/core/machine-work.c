/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor/core/machine.h"
#include "supervisor/core/backoff.h"
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

void step_set_work(struct step *step, enum machine_work work, int64_t duration_ms)
{
	step->machine->work = work;
	step->machine->work_until_ms = step->event->now_ms + duration_ms;
}

void step_earlier(int64_t *deadline_ms, int64_t other_ms)
{
	if (other_ms >= 0 && (*deadline_ms < 0 || other_ms < *deadline_ms))
		*deadline_ms = other_ms;
}

/* The longer the outage, the longer the pauses; the first attempt of an outage never waits. */
void step_pause(struct step *step)
{
	struct machine *machine = step->machine;
	int64_t elapsed_ms;

	if (machine->trying_since_ms < 0)
		machine->trying_since_ms = step->event->now_ms;
	elapsed_ms = step->event->now_ms - machine->trying_since_ms;
	machine->attempts++;
	machine->for_renewal =
		machine_link_find_in_need(machine) < 0 && machine_link_find_silent(machine) < 0;
	if (machine->for_renewal && machine_renewal_make_room(step))
		machine->work = WORK_NONE;
	else if (machine->for_renewal)
		step_set_work(step, WORK_PAUSE, machine->config.renew_pause_ms);
	else
		step_set_work(step, WORK_PAUSE,
			machine->is_refused ? BACKOFF_MAX_MS :
					      backoff_delay_ms(elapsed_ms, step->event->random));
}

void step_release_work(struct step *step)
{
	if (step->machine->work == WORK_NEGOTIATE)
		step_act(step, ACTION_CANCEL, 0);
	if (step->machine->work == WORK_SPARE)
		step_act(step, ACTION_DROP_SPARE, 0);
	step->machine->work = WORK_NONE;
}

bool machine_is_serving(const struct machine *machine)
{
	for (unsigned i = 0; i < machine->link_count; i++) {
		const struct machine_link *link = &machine->links[i];

		if (machine_link_is_up(link) &&
			(link->silence == SILENCE_SLOW ||
				(link->state != LINK_UNPROVEN &&
					link->silence != SILENCE_UNREACHABLE)))
			return true;
	}
	return false;
}

/* --- negotiating */

/* While any link serves, another one must be to the same host: two hosts of which each holds a part
 * of the writes are no disk. A single unmonitored one may be dead, and so may its host. */
static void negotiate(struct step *step, unsigned at)
{
	struct machine *machine = step->machine;
	struct machine_action action = {
		.type = ACTION_NEGOTIATE, .link = at, .host = machine->attempts};

	for (unsigned i = 0; i < machine->link_count; i++) {
		if (!machine_link_is_up(&machine->links[i]))
			continue;
		action.host = machine->links[i].host;
		action.is_pinned =
			machine->link_count > 1 || machine->links[i].state != LINK_UNMONITORED;
	}
	machine->work = WORK_NEGOTIATE;
	machine->work_link = at;
	step_add(step, &action);
}

static void on_not_negotiated(struct step *step, bool is_refused)
{
	step->machine->is_refused = is_refused;
	if (step->machine->work != WORK_NEGOTIATE)
		return;
	/* an offer that is not acceptable is an answer, too */
	machine_link_on_second_connection(step, is_refused);
	step_pause(step);
}

static void on_negotiated(struct step *step)
{
	struct machine *machine = step->machine;

	machine->is_refused = false;
	if (machine->work != WORK_NEGOTIATE)
		return;
	machine->spare_host = step->event->host;
	machine->spare_size_bytes = step->event->size_bytes;
	machine_link_on_second_connection(step, true);
	step_set_work(step, WORK_SPARE, machine->config.spare_ms);
}

/* The driver puts it into the first slot that is dead, whichever we mean: none may be one whose
 * former socket is still read from (kernel fact receiver-outlives-link). */
static bool is_any_slot_settling(const struct machine *machine)
{
	return machine_link_find(machine, LINK_LOST) >= 0 ||
		machine_link_find(machine, LINK_NOTICED) >= 0 ||
		machine_link_find(machine, LINK_RECEIVING) >= 0;
}

static void use_spare(struct step *step)
{
	struct machine *machine = step->machine;
	int at = machine_link_find(machine, LINK_FREE);

	if (at >= 0 && is_any_slot_settling(machine))
		return; /* for a moment */
	if (at >= 0) {
		machine->work_link = (unsigned)at;
		step_act(step, ACTION_HAND_OVER, (unsigned)at);
	} else if (machine_link_find_in_need(machine) < 0) {
		machine_renewal_use_spare(step);
	} /* else a slot is free in a moment */
}

/* --- proving */

/* When the device is to be failed; -1: never. */
static int64_t fail_at_ms(const struct machine *machine)
{
	int64_t at_ms = machine->outage_since_ms + machine->config.dead_timeout_ms;

	if (machine->outage_since_ms < 0 || machine->config.dead_timeout_ms < 0)
		return -1;
	return at_ms > machine->spared_until_ms ? at_ms : machine->spared_until_ms;
}

static bool is_out_of_time(const struct step *step)
{
	int64_t at_ms = fail_at_ms(step->machine);

	return at_ms >= 0 && step->event->now_ms >= at_ms;
}

static void probe(struct step *step)
{
	for (unsigned i = 0; i < step->actions->count; i++)
		if (step->actions->list[i].type == ACTION_PROBE)
			return;
	step_act(step, ACTION_PROBE, 0);
}

static void begin_proof(struct step *step, unsigned at)
{
	struct machine *machine = step->machine;

	machine->work_link = at;
	step_set_work(step, WORK_PROVE, machine->config.prove_ms);
	machine->next_sample_ms = step->event->now_ms + machine->config.sample_ms;
	/* What waits will be sent again, and prove the link; under swap that has to do. */
	machine->is_probed = !machine->config.is_isolated;
	if (machine->is_probed)
		probe(step);
}

static void on_handed_over(struct step *step)
{
	struct machine *machine = step->machine;
	struct machine_link *link = &machine->links[machine->work_link];

	if (machine->work != WORK_SPARE || link->state != LINK_FREE)
		return;
	link->state = LINK_UNPROVEN;
	link->host = machine->spare_host;
	link->size_bytes = machine->spare_size_bytes;
	begin_proof(step, machine->work_link);
}

/* IS_SEEN: it has carried data, so its slot was free. */
static void prove(struct step *step, unsigned at, bool is_seen)
{
	struct machine_link *link = &step->machine->links[at];

	if (is_seen)
		link->owes_notice = link->is_presumed_lost = false;
	machine_link_on_proven(step, at);
}

/* It could have been used and was not: the slot was not free. No harm if the driver has it all the
 * same: shutting it frees its slot again. A renewal that it was for is one still: the server was
 * not away. */
static void drop_link(struct step *step)
{
	unsigned at = step->machine->work_link;

	step_act(step, ACTION_DROP_LINK, at);
	machine_link_lose(step, at, step->machine->links[at].renewal == RENEWAL_SHUT);
}

/* I/O was done, but not over the only link: another one serves that slot, of which we know nothing.
 * It is left alone until the driver says that it has ended. */
static void leave_to_former(struct step *step)
{
	struct machine *machine = step->machine;
	struct machine_link *link = &machine->links[machine->work_link];

	step_act(step, ACTION_DROP_LINK, machine->work_link);
	machine_link_leave_alone(link);
	link->size_bytes = 0;
	machine->work = WORK_NONE;
	machine->attempts = 0;
	machine->trying_since_ms = -1;
}

static bool is_under_proof(const struct step *step)
{
	return step->machine->work == WORK_PROVE && step->machine->work_link == step->event->link;
}

/* Something was sent, and it is not answered: the server may be about to. Nothing was: there is
 * nothing to lose. */
static void on_overdue(struct step *step)
{
	struct machine *machine = step->machine;

	if (step->event->facts & FACT_USED)
		machine_link_on_silent(step, machine->work_link);
	else if (machine->is_draining) /* what would use it is held back: from the beginning */
		machine->work = WORK_NONE;
	else
		machine_link_shut_down(step, machine->work_link, false);
}

/* Was the new link dropped by the driver (kernel fact slot-taken)? With one link the same socket
 * can simply be offered again. With several it might end up in two slots; and while new requests
 * are held back the read that would use it is, too. */
static void find_dropped(struct step *step)
{
	struct machine *machine = step->machine;
	bool is_counted = step->event->facts & FACT_COUNTED,
	     is_used = step->event->facts & FACT_USED;

	if (machine->link_count > 1 && !is_used && machine->is_probed && !machine->is_draining) {
		drop_link(step);
		return;
	}
	if (machine->config.is_isolated || !is_counted) {
		machine->is_probed = true;
		probe(step);
	}
	if (machine->link_count == 1 && (!is_counted || !is_used))
		step_act(step, ACTION_OFFER_AGAIN, machine->work_link);
}

/* A link that was silent, and is only sampled before the device is failed. */
static void on_last_sample(struct step *step, bool is_last)
{
	unsigned at = step->event->link;
	const struct machine_link *link = &step->machine->links[at];

	if (!is_last)
		return;
	if (!machine_link_is_up(link) && step->event->facts & FACT_MOVED)
		machine_link_restart_outage(step);
	else if (machine_link_is_up(link) && step->event->facts & FACT_IN_CLEAR)
		machine_link_shut_down(step, at, false);
	else if (step->event->facts & FACT_MOVED && link->state == LINK_UNPROVEN)
		prove(step, at, step->event->facts & FACT_COUNTED);
	else if (step->event->facts & FACT_MOVED)
		machine_link_on_answered(step);
}

static void on_sampled(struct step *step)
{
	struct machine *machine = step->machine;
	bool is_last = machine->last_samples > 0;

	if (is_last)
		machine->last_samples--;
	if (!is_under_proof(step)) {
		on_last_sample(step, is_last);
		return;
	}
	if (step->event->facts & FACT_IN_CLEAR)
		machine_link_shut_down(step, machine->work_link, false);
	else if (step->event->facts & FACT_MOVED)
		prove(step, machine->work_link, step->event->facts & FACT_COUNTED);
	else if (step->event->now_ms >= machine->work_until_ms)
		on_overdue(step);
	else if (!is_out_of_time(step))
		find_dropped(step);
}

/* Another source says so, and a notice that it owes may still come: then it was never used. */
static void prove_unproven(struct step *step)
{
	for (unsigned i = 0; i < step->machine->link_count; i++)
		if (step->machine->links[i].state == LINK_UNPROVEN)
			prove(step, i, false);
}

/* A Unix socket counts nothing: a read that was done proves it as far as that can be told. Where a
 * notice is owed, it may have been done over the former one. */
static void on_probed(struct step *step)
{
	struct machine *machine = step->machine;
	unsigned facts = step->event->facts;
	bool is_done = facts & FACT_DONE;

	if (is_done)
		machine_link_restart_outage(step);
	if (is_done && !(facts & FACT_COUNTED)) {
		prove_unproven(step);
	} else if (!is_under_proof(step)) {
		return;
	} else if (facts & FACT_IN_CLEAR) {
		machine_link_shut_down(step, machine->work_link, false);
	} else if (facts & FACT_MOVED) {
		prove(step, machine->work_link, true);
	} else if (is_done && machine->link_count > 1) {
		/* over the others; its first use will tell */
		prove(step, machine->work_link, false);
	} else if (facts & FACT_USED) {
		return; /* the driver has it */
	} else if (is_done) {
		leave_to_former(step);
	} else {
		machine_link_shut_down(step, machine->work_link, false);
	}
}

/* One that was silent when its time for a proof was over, and has answered since, or owes nothing
 * any more: unproven, it would be an outage for ever. */
static int find_to_prove(const struct machine *machine)
{
	for (unsigned i = 0; i < machine->link_count; i++)
		if (machine->links[i].state == LINK_UNPROVEN &&
			machine->links[i].silence == SILENCE_NONE)
			return (int)i;
	return -1;
}

static void on_moved(struct step *step)
{
	unsigned at = step->event->link;

	if (step->machine->links[at].state == LINK_UNPROVEN)
		prove(step, at, step->event->facts & FACT_COUNTED);
}

static bool is_any_able_to_serve(const struct machine *machine)
{
	for (unsigned i = 0; i < machine->link_count; i++)
		if (machine_link_may_serve(&machine->links[i]))
			return true;
	return false;
}

/* By a link that was adopted unseen, say. It may have been an error instead: one that comes late
 * (kernel fact partial-send-eio), or those of a driver that has given up, which only its log tells.
 * Then a read tells (PROBED); but not under swap, where no process is started for it. */
static void on_served(struct step *step)
{
	const struct machine *machine = step->machine;
	bool can_probe = !machine->config.is_isolated;

	if (machine->phase != PHASE_RUNNING)
		return;
	if (is_any_able_to_serve(machine) && (step->event->facts & FACT_DONE || !can_probe))
		machine_link_restart_outage(step);
	else if (can_probe)
		probe(step);
}

/* --- time */

/* Out of time: a link that was silent may have served again since it was sampled, and one whose
 * end was not seen for sure may never have ceased to. */
static void sample_before_failing(struct step *step)
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

/* Does it serve, for all that is known, though it is not seen to? */
static bool may_serve_unseen(const struct machine *machine)
{
	for (unsigned i = 0; i < machine->link_count; i++)
		if (machine->links[i].owes_notice || machine->links[i].state == LINK_UNPROVEN)
			return true;
	return false;
}

/* A read tells more than a sample: of a device that nobody uses, and of one whose I/O may be
 * failing, for all that is known without a log. -1: there is nothing to ask. */
static int64_t last_probe_at_ms(const struct machine *machine)
{
	int64_t at_ms = fail_at_ms(machine), before_ms = machine->config.dead_timeout_ms / 2;

	if (at_ms < 0 || machine->is_last_probed || machine->config.is_isolated ||
		!may_serve_unseen(machine))
		return -1;
	/* not at once: a read that is done begins the outage anew */
	return at_ms - (before_ms < MACHINE_LAST_PROBE_MS ? before_ms : MACHINE_LAST_PROBE_MS);
}

static void probe_before_failing(struct step *step)
{
	int64_t at_ms = last_probe_at_ms(step->machine);

	if (step->machine->phase != PHASE_RUNNING || at_ms < 0 || step->event->now_ms < at_ms)
		return;
	step->machine->is_last_probed = true;
	probe(step);
}

static void on_time(struct step *step)
{
	struct machine *machine = step->machine;
	int64_t now_ms = step->event->now_ms;

	machine_link_on_time(step);
	if (machine->phase == PHASE_RUNNING && is_out_of_time(step)) {
		if (step->event->type != EVENT_SAMPLED)
			sample_before_failing(step);
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

static void shut_all(struct step *step)
{
	for (unsigned i = 0; i < step->machine->link_count; i++)
		if (machine_link_is_up(&step->machine->links[i]))
			machine_link_shut_down(step, i, false);
}

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

static void on_spare_gone(struct step *step)
{
	if (step->machine->work == WORK_SPARE)
		step_pause(step);
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
	case EVENT_SAMPLED: on_sampled(step); break;
	case EVENT_PROBED: on_probed(step); break;
	case EVENT_MOVED: on_moved(step); break;
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
	case EVENT_NEGOTIATED: on_negotiated(step); break;
	case EVENT_REFUSED: on_not_negotiated(step, true); break;
	case EVENT_NOT_NEGOTIATED: on_not_negotiated(step, false); break;
	case EVENT_SPARE_LOST:
	case EVENT_NOT_HANDED_OVER: on_spare_gone(step); break;
	case EVENT_HANDED_OVER: on_handed_over(step); break;
	case EVENT_SERVED: on_served(step); break;
	case EVENT_IDLE: on_idle(step); break;
	case EVENT_SERVER_ENDS: shut_all(step); break;
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

/* --- what follows */

static void note_outage(struct step *step)
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

static void fail(struct step *step)
{
	struct machine *machine = step->machine;

	if (machine->phase == PHASE_RUNNING) {
		if (machine->work == WORK_PROVE)
			machine->work = WORK_NONE; /* its link is shut below */
		step_release_work(step);
		machine->phase = PHASE_FAILED;
		machine->failed_since_ms = step->event->now_ms;
		shut_all(step);
	}
	if (!machine->failure_told && machine_link_find(machine, LINK_FREE) >= 0) {
		machine->failure_told = true;
		step_act(step, ACTION_FAIL_DEVICE, 0);
	}
}

static bool wants_connection(const struct machine *machine)
{
	return machine_link_find_in_need(machine) >= 0 || machine_link_find_silent(machine) >= 0 ||
		machine_renewal_find(machine) >= 0;
}

/* What to do next, in the order of need. */
static void begin_work(struct step *step)
{
	struct machine *machine = step->machine;
	int at = machine_link_find_settled(machine), unproven = find_to_prove(machine);

	if (at < 0)
		at = machine_link_find_silent(machine);
	if (at < 0 && unproven >= 0) {
		begin_proof(step, (unsigned)unproven);
		return;
	}
	if (at < 0)
		at = machine_renewal_find(machine);
	if (at >= 0)
		negotiate(step, (unsigned)at);
}

static void advance_work(struct step *step)
{
	struct machine *machine = step->machine;

	if (machine->work == WORK_PAUSE && machine->for_renewal &&
		machine_link_find_settled(machine) >= 0)
		machine->work = WORK_NONE; /* now it is no renewal any more */
	if (machine->work == WORK_SPARE)
		use_spare(step);
	if (!wants_connection(machine) &&
		(machine->work == WORK_NEGOTIATE || machine->work == WORK_PAUSE))
		step_release_work(step); /* the link that was silent has answered */
	if (machine->work == WORK_NONE)
		begin_work(step);
}

static void advance(struct step *step)
{
	note_outage(step);
	if (step->machine->phase == PHASE_FAILED || step->event->type == EVENT_IO_FAILED ||
		(is_out_of_time(step) && !step->machine->last_samples))
		fail(step);
	machine_growth_advance(step); /* it may request renewals */
	if (step->machine->phase == PHASE_RUNNING)
		advance_work(step);
	note_outage(step); /* a renewal may have shut the only link */
	probe_before_failing(step);
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
	if (machine->held_notices)
		step_earlier(&deadline_ms, machine->held_until_ms);
	/* A spare socket for a lost link waits for as long as the link takes. */
	if (machine->work == WORK_PAUSE || machine->work == WORK_PROVE ||
		(machine->work == WORK_SPARE && machine_link_find_in_need(machine) < 0))
		step_earlier(&deadline_ms, machine->work_until_ms);
	if (machine->work == WORK_PROVE)
		step_earlier(&deadline_ms, machine->next_sample_ms);
	if (machine->phase == PHASE_RUNNING && !machine->last_samples) {
		step_earlier(&deadline_ms, fail_at_ms(machine));
		step_earlier(&deadline_ms, last_probe_at_ms(machine));
	}
	step_earlier(&deadline_ms, machine_growth_deadline_ms(machine));
	step_earlier(&deadline_ms, machine_stop_deadline_ms(machine));
	return deadline_ms;
}

void machine_init(struct machine *machine, const struct machine_config *config, unsigned link_count)
{
	memset(machine, 0, sizeof(*machine));
	machine->config = *config;
	machine->link_count = link_count;
	machine->outage_since_ms = machine->trying_since_ms = -1;
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
	case ADOPTED_ANSWERING: machine_link_leave_alone(link); break;
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
