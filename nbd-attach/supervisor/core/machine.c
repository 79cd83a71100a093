/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor/core/machine.h"
#include "supervisor/core/backoff.h"
#include <string.h>

/* A server that falls over the very request that comes after each reconnect must not be asked in a
 * tight loop. */
#define SHORT_LIFE_MS 1000

struct step {
	struct fsm *fsm;
	const struct fsm_event *event;
	struct fsm_actions *actions;
};

static void act(struct step *step, enum fsm_action_type type, unsigned link)
{
	if (step->actions->count < FSM_ACTIONS_MAX)
		step->actions->list[step->actions->count++] = (struct fsm_action){type, link};
}

bool fsm_is_serving(const struct fsm *fsm)
{
	for (unsigned i = 0; i < fsm->link_count; i++)
		if (fsm->links[i].state == FSM_LINK_ALIVE &&
			(fsm->links[i].silence == FSM_SLOW ||
				(fsm->links[i].proven && fsm->links[i].silence != FSM_UNREACHABLE)))
			return true;
	return false;
}

int fsm_receiving_link(const struct fsm *fsm)
{
	for (unsigned i = 0; i < fsm->link_count; i++)
		if (fsm->links[i].state != FSM_LINK_ALIVE && fsm->links[i].receiving)
			return (int)i;
	return -1;
}

static int find_state(const struct fsm *fsm, enum fsm_link_state state)
{
	for (unsigned i = 0; i < fsm->link_count; i++)
		if (fsm->links[i].state == state)
			return (int)i;
	return -1;
}

/* Is there a link to bring back? */
static bool is_in_need(const struct fsm *fsm)
{
	return find_state(fsm, FSM_LINK_LOST) >= 0 || find_state(fsm, FSM_LINK_FREE) >= 0;
}

/* Links that were adopted unseen may be dead. */
static bool may_be_in_need(const struct fsm *fsm)
{
	for (unsigned i = 0; i < fsm->link_count; i++)
		if (fsm->links[i].unwatched && !fsm->links[i].tried)
			return true;
	return false;
}

/* A slot that can be given a socket; -1: none. */
static int find_vacant(const struct fsm *fsm)
{
	for (unsigned i = 0; i < fsm->link_count; i++)
		if (fsm->links[i].state == FSM_LINK_FREE && !fsm->links[i].receiving)
			return (int)i;
	return -1;
}

/* Is the server to be asked whether it lives? */
static int find_silent(const struct fsm *fsm)
{
	for (unsigned i = 0; i < fsm->link_count; i++)
		if (fsm->links[i].state == FSM_LINK_ALIVE &&
			(fsm->links[i].silence == FSM_SUSPECTED ||
				fsm->links[i].silence == FSM_UNREACHABLE))
			return (int)i;
	return -1;
}

/* A silent one is not shut for a new key: nothing moves over it, and what it owes may still be
 * executed. */
static bool wants_renewal(const struct fsm_link *link)
{
	return link->state == FSM_LINK_ALIVE && !link->unshuttable &&
		link->silence == FSM_ANSWERING &&
		(link->renew_now || link->renew || link->unwatched);
}

/* The most urgent; -1: none. */
static int find_renewal(const struct fsm *fsm)
{
	int found = -1;

	for (unsigned i = 0; i < fsm->link_count; i++) {
		if (!wants_renewal(&fsm->links[i]))
			continue;
		if (fsm->links[i].renew_now)
			return (int)i;
		if (found < 0)
			found = (int)i;
	}
	return found;
}

static void set_work(struct step *step, enum fsm_work work, int64_t duration_ms)
{
	step->fsm->work = work;
	step->fsm->work_until_ms = step->event->now_ms + duration_ms;
}

static void shut(struct step *step, unsigned at, bool for_renewal);

/* May a link be shut for its renewal, although requests are in flight? Not under one that takes
 * long: it would be sent again over the new link while the server still executes it, and end after
 * newer ones. What is in flight once the device was drained is fresh. */
static bool may_be_forced(struct step *step, unsigned at)
{
	struct fsm_link *link = &step->fsm->links[at];

	if (!step->fsm->config.drains || link->drained)
		return true;
	if (!link->drain_asked)
		act(step, FSM_DRAIN, 0);
	link->drain_asked = true;
	return false;
}

/* What was known of requests that take long is out of date. */
static void forget_drain(struct fsm *fsm)
{
	for (unsigned i = 0; i < fsm->link_count; i++)
		fsm->links[i].drain_asked = fsm->links[i].drained = false;
	fsm->room_wanted = false;
}

/* Some servers serve one connection at a time (qemu-nbd without --shared): a second one is not
 * answered while the first is there. A link that has to be renewed now gives way then. */
static bool make_room(struct step *step)
{
	int at = find_renewal(step->fsm);

	if (at < 0 || !step->fsm->links[at].renew_now)
		return false;
	step->fsm->room_wanted = !may_be_forced(step, (unsigned)at);
	if (step->fsm->room_wanted)
		return false;
	shut(step, (unsigned)at, true);
	return true;
}

/* An attempt came to nothing. The longer the outage, the longer the pauses; the first attempt of an
 * outage never waits. */
static void pause_after_failure(struct step *step)
{
	struct fsm *fsm = step->fsm;
	int64_t elapsed_ms;

	if (fsm->trying_since_ms < 0)
		fsm->trying_since_ms = step->event->now_ms;
	elapsed_ms = step->event->now_ms - fsm->trying_since_ms;
	fsm->attempts++;
	fsm->for_renewal = !is_in_need(fsm) && !may_be_in_need(fsm) && find_silent(fsm) < 0;
	if (fsm->for_renewal && make_room(step))
		fsm->work = FSM_WORK_NONE;
	else if (fsm->for_renewal)
		set_work(step, FSM_WORK_PAUSE, fsm->config.renew_pause_ms);
	else
		set_work(step, FSM_WORK_PAUSE,
			fsm->refused ? BACKOFF_MAX_MS :
				       backoff_delay_ms(elapsed_ms, step->event->random));
}

/* The link's socket is no good any more, or will not be: wait for the driver to let go of it. */
static void lose(struct step *step, unsigned at)
{
	struct fsm *fsm = step->fsm;
	struct fsm_link *link = &fsm->links[at];
	bool proving = fsm->work == FSM_WORK_PROVE && fsm->work_link == at;

	/* Renewals may have failed before: that was no outage. */
	if (!proving && !is_in_need(fsm)) {
		fsm->attempts = 0;
		fsm->trying_since_ms = -1;
		fsm->for_renewal = true; /* a pause that was begun before, after a trial too */
	}
	link->state = FSM_LINK_LOST;
	link->noticed = false;
	link->proven = link->unwatched = link->tried = link->unshuttable = link->renew =
		link->renew_now = false;
	link->drain_asked = link->drained = false;
	link->silence = FSM_ANSWERING;
	link->receiving = fsm->config.awaits_receivers;
	link->settle_until_ms = step->event->now_ms + fsm->config.settle_ms;
	if (proving)
		pause_after_failure(step);
}

static void shut(struct step *step, unsigned at, bool for_renewal)
{
	act(step, FSM_SHUT, at);
	step->fsm->links[at].renewing = for_renewal;
	lose(step, at);
}

static void pause_after_short_life(struct step *step)
{
	unsigned doublings = step->fsm->short_lives < 5 ? step->fsm->short_lives - 2 : 3;

	step->fsm->for_renewal = false;
	set_work(step, FSM_WORK_PAUSE, (int64_t)BACKOFF_MIN_MS << doublings);
}

static void on_hangup(struct step *step)
{
	struct fsm *fsm = step->fsm;
	struct fsm_link *link = &fsm->links[step->event->link];

	if (link->state != FSM_LINK_ALIVE)
		return;
	link->renewing = false;
	lose(step, step->event->link);
	if (step->event->now_ms - link->proven_at_ms >= SHORT_LIFE_MS)
		fsm->short_lives = 0;
	else if (fsm->short_lives++ > 0 && fsm->work == FSM_WORK_NONE)
		pause_after_short_life(step);
}

/* The notice names no link: it is for one that is seen to be lost, then for one whose slot was
 * taken to be free before it was (its new socket was not taken then), and otherwise for one that is
 * not watched. */
static void on_slot_freed(struct step *step)
{
	struct fsm *fsm = step->fsm;
	int at = -1;

	for (unsigned i = 0; at < 0 && i < fsm->link_count; i++)
		if (fsm->links[i].state == FSM_LINK_LOST && !fsm->links[i].noticed)
			at = (int)i;
	for (unsigned i = 0; at < 0 && i < fsm->link_count; i++)
		if (fsm->links[i].state == FSM_LINK_FREE && fsm->links[i].assumed_free)
			at = (int)i;
	for (unsigned i = 0; at < 0 && i < fsm->link_count; i++) {
		if (fsm->links[i].state == FSM_LINK_ALIVE && fsm->links[i].assumed_free) {
			shut(step, i, false);
			return;
		}
	}
	for (unsigned i = 0; at < 0 && i < fsm->link_count; i++)
		if (fsm->links[i].unwatched)
			at = (int)i;
	if (at < 0)
		return;
	if (fsm->links[at].state == FSM_LINK_ALIVE) {
		/* A socket on trial was not taken, or the slot would have been free before. */
		if (fsm->work == FSM_WORK_PROVE && fsm->work_link == (unsigned)at) {
			act(step, FSM_DROP_LINK, (unsigned)at);
			fsm->work = FSM_WORK_NONE;
		}
		lose(step, (unsigned)at);
	}
	/* The driver queues its notice, then shuts the socket, and only then is the slot free: a
	 * notice can be too early. */
	fsm->links[at].state = FSM_LINK_LOST;
	fsm->links[at].assumed_free = false;
	fsm->links[at].noticed = true;
	fsm->links[at].settle_until_ms = step->event->now_ms + fsm->config.notice_ms;
}

static void on_handed_over(struct step *step)
{
	struct fsm *fsm = step->fsm;
	struct fsm_link *link = &fsm->links[fsm->work_link];

	link->state = FSM_LINK_ALIVE;
	/* on trial the former socket counts as before until it is known to be dead */
	link->proven = link->proven && fsm->trial;
	link->renew = link->renew_now = false;
	if (!fsm->trial)
		link->unwatched = link->tried = link->unshuttable = false;
	set_work(step, FSM_WORK_PROVE, fsm->config.prove_ms);
	fsm->recheck_at_ms = step->event->now_ms + fsm->config.recheck_ms;
	act(step, FSM_PROVE, fsm->work_link);
}

static void count_proof(struct step *step, struct fsm_link *link)
{
	struct fsm *fsm = step->fsm;

	if (link->renewing)
		fsm->renewals++;
	else
		fsm->reconnects++;
	link->proven = true;
	link->proven_at_ms = step->event->now_ms;
	link->silence = FSM_ANSWERING;
	link->renewing = link->unwatched = link->tried = link->unshuttable = link->assumed_free =
		false;
	fsm->attempts = 0;
	fsm->trying_since_ms = -1;
}

static void on_proven(struct step *step)
{
	struct fsm *fsm = step->fsm;

	count_proof(step, &fsm->links[fsm->work_link]);
	fsm->work = FSM_WORK_NONE;
	/* The one that died while this one was worked on. */
	if (fsm->short_lives > 1 && is_in_need(fsm))
		pause_after_short_life(step);
}

/* The first answer of a link that was silent when its time for a proof was over. */
static void on_late_proof(struct step *step)
{
	struct fsm_link *link = &step->fsm->links[step->event->link];

	if (link->state == FSM_LINK_ALIVE && !link->proven && !link->unwatched)
		count_proof(step, link);
}

/* --- silence */

static void on_silent(struct step *step)
{
	struct fsm *fsm = step->fsm;
	struct fsm_link *link = &fsm->links[step->event->link];

	if (link->state != FSM_LINK_ALIVE || link->silence != FSM_ANSWERING)
		return;
	if (fsm->work == FSM_WORK_PROVE && fsm->work_link == step->event->link) {
		if (fsm->trial)
			return; /* which of the two sockets is silent is what the trial is about */
		fsm->work = FSM_WORK_NONE; /* on_late_proof() */
	}
	link->silence = FSM_SUSPECTED;
	if (fsm->work == FSM_WORK_PAUSE && fsm->for_renewal)
		fsm->work = FSM_WORK_NONE;
}

static void on_answered(struct step *step)
{
	struct fsm_link *link = &step->fsm->links[step->event->link];

	if (link->state != FSM_LINK_ALIVE || link->silence == FSM_ANSWERING)
		return;
	link->silence = FSM_ANSWERING;
	if (is_in_need(step->fsm) || find_silent(step->fsm) >= 0)
		return;
	step->fsm->attempts = 0;
	step->fsm->trying_since_ms = -1;
}

/* What a second connection came to, for all links that are silent: they are to the same server. */
static void note_second_connection(struct step *step, bool answered)
{
	struct fsm *fsm = step->fsm;

	for (unsigned i = 0; i < fsm->link_count; i++) {
		struct fsm_link *link = &fsm->links[i];

		if (link->state != FSM_LINK_ALIVE ||
			(link->silence != FSM_SUSPECTED && link->silence != FSM_UNREACHABLE))
			continue;
		link->silence = answered ? FSM_SLOW : FSM_UNREACHABLE;
		link->ask_again_at_ms = step->event->now_ms + fsm->config.slow_ms;
	}
}

static void on_attempt_ended(struct step *step)
{
	struct fsm *fsm = step->fsm;

	fsm->refused = step->event->type == FSM_EV_REFUSED;
	if (fsm->work != FSM_WORK_NEGOTIATE)
		return;
	/* an offer that is not acceptable is an answer, too */
	note_second_connection(step, fsm->refused);
	pause_after_failure(step);
}

static void on_negotiated(struct step *step)
{
	step->fsm->refused = false;
	if (step->fsm->work != FSM_WORK_NEGOTIATE)
		return;
	note_second_connection(step, true);
	set_work(step, FSM_WORK_STANDBY, step->fsm->config.standby_ms);
}

static void on_drained(struct step *step)
{
	struct fsm *fsm = step->fsm;

	for (unsigned i = 0; i < fsm->link_count; i++)
		fsm->links[i].drained = fsm->links[i].drain_asked;
	if (fsm->work == FSM_WORK_PAUSE && fsm->room_wanted && make_room(step))
		fsm->work = FSM_WORK_NONE;
}

static void on_not_taken(struct step *step)
{
	struct fsm *fsm = step->fsm;
	struct fsm_link *link = &fsm->links[fsm->work_link];

	act(step, FSM_DROP_LINK, fsm->work_link);
	/* I/O was done, so something serves that slot */
	link->unwatched = link->tried = link->proven = true;
	link->renewing = link->assumed_free = false;
	fsm->work = FSM_WORK_NONE;
	if (fsm->trial)
		return;
	/* It was thought to be free, and may be so again in a moment. */
	fsm->for_renewal = true;
	set_work(step, FSM_WORK_PAUSE, fsm->config.renew_pause_ms);
}

static void on_unused(struct step *step)
{
	struct fsm_link *link = &step->fsm->links[step->fsm->work_link];
	bool assumed_free = link->assumed_free;

	on_proven(step); /* its first use will tell: link_prove() is asked at each look */
	link->assumed_free = assumed_free;
}

static void on_quiet(struct step *step)
{
	int at = find_renewal(step->fsm);

	if (fsm_awaits_quiet(step->fsm) && at >= 0)
		shut(step, (unsigned)at, true);
}

static void on_cannot_shut(struct step *step)
{
	struct fsm_link *link = &step->fsm->links[step->event->link];

	if (link->state != FSM_LINK_LOST)
		return;
	link->state = FSM_LINK_ALIVE;
	link->unwatched = link->tried = link->unshuttable = link->proven = true;
	link->renewing = link->receiving = false;
}

static void release_work(struct step *step)
{
	if (step->fsm->work == FSM_WORK_NEGOTIATE)
		act(step, FSM_CANCEL, 0);
	if (step->fsm->work == FSM_WORK_STANDBY)
		act(step, FSM_DROP_STANDBY, 0);
	step->fsm->work = FSM_WORK_NONE;
}

static bool rechecks(const struct fsm *fsm)
{
	return fsm->work == FSM_WORK_PROVE && !fsm->trial && fsm->config.recheck_ms > 0;
}

static void recheck(struct step *step)
{
	struct fsm *fsm = step->fsm;

	if (!rechecks(fsm) || step->event->now_ms < fsm->recheck_at_ms)
		return;
	act(step, FSM_RECHECK, fsm->work_link);
	fsm->recheck_at_ms = step->event->now_ms + fsm->config.recheck_ms;
}

/* No harm if the driver has it all the same: shutting it frees its slot again. */
static void on_not_sent(struct step *step)
{
	act(step, FSM_DROP_LINK, step->fsm->work_link);
	lose(step, step->fsm->work_link);
}

/* What its key may do is watched of a link whose socket we have; one that nobody watches is not
 * left so for as long as its users are busy. */
static void on_no_quiet(struct step *step)
{
	struct fsm *fsm = step->fsm;
	int at = find_renewal(fsm);

	if (at >= 0 && fsm->links[at].unwatched && fsm->links[at].tried) {
		fsm->links[at].renew_now = true;
		set_work(step, FSM_WORK_STANDBY, fsm->config.standby_ms);
		return;
	}
	forget_drain(fsm);
	act(step, FSM_DROP_STANDBY, 0);
	fsm->for_renewal = true;
	set_work(step, FSM_WORK_PAUSE, fsm->config.renew_pause_ms);
}

static void on_timeouts(struct step *step)
{
	struct fsm *fsm = step->fsm;
	int64_t now_ms = step->event->now_ms;

	for (unsigned i = 0; i < fsm->link_count; i++) {
		if (fsm->links[i].state == FSM_LINK_LOST &&
			now_ms >= fsm->links[i].settle_until_ms) {
			fsm->links[i].state = FSM_LINK_FREE;
			fsm->links[i].assumed_free = !fsm->links[i].noticed;
		}
	}
	for (unsigned i = 0; i < fsm->link_count; i++)
		if (fsm->links[i].silence == FSM_SLOW && now_ms >= fsm->links[i].ask_again_at_ms)
			fsm->links[i].silence = FSM_SUSPECTED;
	recheck(step);
	if (now_ms < fsm->work_until_ms)
		return;
	if (fsm->work == FSM_WORK_PAUSE) {
		fsm->work = FSM_WORK_NONE;
	} else if (fsm->work == FSM_WORK_STANDBY && !is_in_need(fsm)) {
		on_no_quiet(step);
	} else if (fsm->work == FSM_WORK_PROVE && fsm->trial) {
		/* Neither this nor the former one answers: that one may still do what it owes. */
		bool proven = fsm->links[fsm->work_link].proven;

		on_not_taken(step);
		fsm->links[fsm->work_link].proven = proven;
	} else if (fsm->work == FSM_WORK_PROVE) {
		act(step, FSM_OVERDUE, fsm->work_link);
		set_work(step, FSM_WORK_PROVE, fsm->config.prove_ms);
	}
}

static bool is_about_link(enum fsm_event_type type)
{
	return type == FSM_EV_HANGUP || type == FSM_EV_PROVEN || type == FSM_EV_RENEW ||
		type == FSM_EV_RENEW_NOW || type == FSM_EV_SILENT || type == FSM_EV_ANSWERED ||
		type == FSM_EV_BROKEN || type == FSM_EV_RECEIVER_ENDED ||
		type == FSM_EV_CANNOT_SHUT;
}

/* What the event itself means; what follows from the state as a whole is in advance(). */
static void take_event(struct step *step)
{
	struct fsm *fsm = step->fsm;
	struct fsm_link *link =
		&fsm->links[step->event->link < fsm->link_count ? step->event->link : 0];
	bool proving = fsm->work == FSM_WORK_PROVE, standby = fsm->work == FSM_WORK_STANDBY;

	if (is_about_link(step->event->type) && step->event->link >= fsm->link_count)
		return;
	switch (step->event->type) {
	case FSM_EV_HANGUP: on_hangup(step); break;
	case FSM_EV_SLOT_FREED: on_slot_freed(step); break;
	case FSM_EV_QUIET: on_quiet(step); break;
	case FSM_EV_CANNOT_SHUT: on_cannot_shut(step); break;
	case FSM_EV_NEGOTIATED: on_negotiated(step); break;
	case FSM_EV_REFUSED:
	case FSM_EV_ATTEMPT_FAILED: on_attempt_ended(step); break;
	case FSM_EV_STANDBY_LOST:
	case FSM_EV_HAND_OVER_FAILED:
		if (standby)
			pause_after_failure(step);
		break;
	case FSM_EV_HANDED_OVER:
		if (standby)
			on_handed_over(step);
		break;
	case FSM_EV_PROVEN:
		if (proving && step->event->link == fsm->work_link)
			on_proven(step);
		else
			on_late_proof(step);
		break;
	case FSM_EV_NOT_TAKEN:
		if (proving)
			on_not_taken(step);
		break;
	case FSM_EV_UNUSED:
		if (proving)
			on_unused(step);
		break;
	case FSM_EV_NOT_SENT:
		if (proving && !fsm->trial)
			on_not_sent(step);
		break;
	case FSM_EV_RENEW: link->renew = true; break;
	case FSM_EV_RENEW_NOW: link->renew_now = true; break;
	case FSM_EV_SILENT: on_silent(step); break;
	case FSM_EV_ANSWERED: on_answered(step); break;
	case FSM_EV_BROKEN:
		if (link->state == FSM_LINK_ALIVE)
			shut(step, step->event->link, false);
		break;
	case FSM_EV_RECEIVER_ENDED: link->receiving = false; break;
	case FSM_EV_DRAINED: on_drained(step); break;
	default: break;
	}
}

/* A socket stands by. */
static void use_standby(struct step *step)
{
	struct fsm *fsm = step->fsm;
	int at = find_vacant(fsm);

	fsm->trial = false;
	if (at < 0 && is_in_need(fsm))
		return; /* vacant in a moment */
	if (at < 0) {
		at = find_renewal(fsm);
		if (at < 0) {
			act(step, FSM_DROP_STANDBY, 0);
			fsm->work = FSM_WORK_NONE;
			return;
		}
		if (fsm->links[at].renew_now) {
			if (may_be_forced(step, (unsigned)at))
				shut(step, (unsigned)at, true);
			return;
		}
		if (!fsm->links[at].unwatched || fsm->links[at].tried)
			return; /* for a quiet moment */
		fsm->trial = true;
	}
	fsm->work_link = (unsigned)at;
	act(step, FSM_HAND_OVER, (unsigned)at);
}

static void fail(struct step *step)
{
	struct fsm *fsm = step->fsm;

	if (fsm->phase == FSM_RUNNING) {
		if (fsm->work == FSM_WORK_PROVE)
			fsm->work = FSM_WORK_NONE; /* its link is shut below */
		release_work(step);
		fsm->phase = FSM_FAILED;
		for (unsigned i = 0; i < fsm->link_count; i++)
			if (fsm->links[i].state == FSM_LINK_ALIVE)
				shut(step, i, false);
	}
	if (!fsm->failure_told && find_vacant(fsm) >= 0) {
		fsm->failure_told = true;
		act(step, FSM_FAIL_DEVICE, 0);
	}
}

static void note_outage(struct step *step)
{
	if (fsm_is_serving(step->fsm))
		step->fsm->outage_since_ms = -1;
	else if (step->fsm->outage_since_ms < 0)
		step->fsm->outage_since_ms = step->event->now_ms;
}

static bool wants_connection(const struct fsm *fsm)
{
	return is_in_need(fsm) || may_be_in_need(fsm) || find_silent(fsm) >= 0 ||
		find_renewal(fsm) >= 0;
}

static void advance(struct step *step)
{
	struct fsm *fsm = step->fsm;
	int64_t now_ms = step->event->now_ms;
	int at;

	note_outage(step);
	if (fsm->phase == FSM_FAILED || step->event->type == FSM_EV_IO_FAILED ||
		(fsm->outage_since_ms >= 0 && fsm->config.dead_timeout_ms >= 0 &&
			now_ms - fsm->outage_since_ms >= fsm->config.dead_timeout_ms)) {
		fail(step);
		note_outage(step);
		return;
	}
	at = find_state(fsm, FSM_LINK_FREE);
	if (fsm->work == FSM_WORK_PROVE && fsm->trial && at >= 0) {
		/* no answer may come before that one is back */
		act(step, FSM_DROP_LINK, fsm->work_link);
		fsm->work = FSM_WORK_NONE;
	}
	if (fsm->work == FSM_WORK_PAUSE && fsm->for_renewal && at >= 0)
		fsm->work = FSM_WORK_NONE; /* now it is no renewal any more */
	if (fsm->work == FSM_WORK_STANDBY)
		use_standby(step);
	if (!wants_connection(fsm) &&
		(fsm->work == FSM_WORK_NEGOTIATE || fsm->work == FSM_WORK_PAUSE))
		release_work(step); /* the link that was silent has answered */
	if (at < 0)
		at = find_silent(fsm);
	if (at < 0)
		at = find_renewal(fsm);
	if (fsm->work == FSM_WORK_NONE && at >= 0) {
		fsm->work = FSM_WORK_NEGOTIATE;
		fsm->work_link = (unsigned)at;
		act(step, FSM_NEGOTIATE, (unsigned)at);
	}
	note_outage(step); /* a renewal has shut the only link */
}

void fsm_step(struct fsm *fsm, const struct fsm_event *event, struct fsm_actions *actions)
{
	struct step step = {fsm, event, actions};

	actions->count = 0;
	if (fsm->phase == FSM_ENDED)
		return;
	if (event->type == FSM_EV_GONE) {
		release_work(&step);
		fsm->phase = FSM_ENDED;
		act(&step, FSM_END, 0);
		return;
	}
	take_event(&step);
	on_timeouts(&step);
	advance(&step);
	if (event->type == FSM_EV_DRAINED)
		/* it was so at this moment: who could not make use of it asks again */
		forget_drain(fsm);
}

bool fsm_awaits_quiet(const struct fsm *fsm)
{
	int at = find_renewal(fsm);

	return fsm->phase == FSM_RUNNING && fsm->work == FSM_WORK_STANDBY && at >= 0 &&
		(!fsm->links[at].unwatched || fsm->links[at].tried) && !is_in_need(fsm);
}

void fsm_earlier(int64_t *deadline_ms, int64_t other_ms)
{
	if (other_ms >= 0 && (*deadline_ms < 0 || other_ms < *deadline_ms))
		*deadline_ms = other_ms;
}

int64_t fsm_deadline_ms(const struct fsm *fsm)
{
	int64_t deadline_ms = -1;

	if (fsm->phase == FSM_ENDED)
		return -1;
	for (unsigned i = 0; i < fsm->link_count; i++) {
		if (fsm->links[i].state == FSM_LINK_LOST)
			fsm_earlier(&deadline_ms, fsm->links[i].settle_until_ms);
		if (fsm->links[i].silence == FSM_SLOW)
			fsm_earlier(&deadline_ms, fsm->links[i].ask_again_at_ms);
	}
	/* A socket that stands by for a lost link does so for as long as the link takes to
	 * settle. */
	if (fsm->work == FSM_WORK_PAUSE || (fsm->work == FSM_WORK_STANDBY && !is_in_need(fsm)) ||
		fsm->work == FSM_WORK_PROVE)
		fsm_earlier(&deadline_ms, fsm->work_until_ms);
	if (rechecks(fsm))
		fsm_earlier(&deadline_ms, fsm->recheck_at_ms);
	if (fsm->phase == FSM_RUNNING && fsm->outage_since_ms >= 0 &&
		fsm->config.dead_timeout_ms >= 0)
		fsm_earlier(&deadline_ms, fsm->outage_since_ms + fsm->config.dead_timeout_ms);
	return deadline_ms;
}

void fsm_init(struct fsm *fsm, const struct fsm_config *config, unsigned link_count)
{
	memset(fsm, 0, sizeof(*fsm));
	fsm->config = *config;
	fsm->link_count = link_count;
	fsm->outage_since_ms = fsm->trying_since_ms = -1;
	for (unsigned i = 0; i < link_count; i++)
		fsm->links[i] = (struct fsm_link){.proven = true, .proven_at_ms = INT64_MIN / 2};
}

void fsm_set_outage(struct fsm *fsm, int64_t since_ms)
{
	if (!fsm_is_serving(fsm))
		fsm->outage_since_ms = since_ms;
}
