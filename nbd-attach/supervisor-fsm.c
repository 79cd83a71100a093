/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor-fsm.h"
#include "backoff.h"
#include <string.h>

/* A server that falls over the very request that comes after each reconnect must not be asked in a tight loop. */
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
		if (fsm->links[i].state == FSM_LINK_ALIVE && fsm->links[i].proven)
			return true;
	return false;
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

static bool wants_renewal(const struct fsm_link *link)
{
	return link->state == FSM_LINK_ALIVE && !link->unshuttable && (link->renew_now || link->renew || link->unwatched);
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

/* Some servers serve one connection at a time (qemu-nbd without --shared): a second one is not answered while the first is there. A link
 * that has to be renewed now gives way then. */
static bool make_room(struct step *step)
{
	int at = find_renewal(step->fsm);

	if (at < 0 || !step->fsm->links[at].renew_now)
		return false;
	shut(step, (unsigned)at, true);
	return true;
}

/* An attempt came to nothing. The longer the outage, the longer the pauses; the first attempt of an outage never waits. */
static void pause_after_failure(struct step *step)
{
	struct fsm *fsm = step->fsm;
	int64_t elapsed_ms;

	if (fsm->trying_since_ms < 0)
		fsm->trying_since_ms = step->event->now_ms;
	elapsed_ms = step->event->now_ms - fsm->trying_since_ms;
	fsm->attempts++;
	fsm->for_renewal = !is_in_need(fsm) && !may_be_in_need(fsm);
	if (fsm->for_renewal && make_room(step))
		fsm->work = FSM_WORK_NONE;
	else if (fsm->for_renewal)
		set_work(step, FSM_WORK_PAUSE, fsm->config.renew_pause_ms);
	else
		set_work(step, FSM_WORK_PAUSE, fsm->refused ? BACKOFF_MAX_MS : backoff_delay_ms(elapsed_ms, step->event->random));
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
	link->proven = link->unwatched = link->tried = link->unshuttable = link->renew = link->renew_now = false;
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

/* The notice names no link: it is for one that is seen to be lost, then for one whose slot was taken to be free before it was (its new
 * socket was not taken then), and otherwise for one that is not watched. */
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
	/* The driver queues its notice, then shuts the socket, and only then is the slot free: a notice can be too early. */
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
	link->proven = fsm->trial; /* on trial the former socket counts until it is known to be dead */
	link->renew = link->renew_now = false;
	set_work(step, FSM_WORK_PROVE, fsm->config.prove_ms);
	fsm->recheck_at_ms = step->event->now_ms + fsm->config.recheck_ms;
	act(step, FSM_PROVE, fsm->work_link);
}

static void on_proven(struct step *step)
{
	struct fsm *fsm = step->fsm;
	struct fsm_link *link = &fsm->links[fsm->work_link];

	if (link->renewing)
		fsm->renewals++;
	else
		fsm->reconnects++;
	link->proven = true;
	link->proven_at_ms = step->event->now_ms;
	link->renewing = link->unwatched = link->tried = link->unshuttable = link->assumed_free = false;
	fsm->attempts = 0;
	fsm->trying_since_ms = -1;
	fsm->work = FSM_WORK_NONE;
	/* The one that died while this one was worked on. */
	if (fsm->short_lives > 1 && is_in_need(fsm))
		pause_after_short_life(step);
}

static void on_not_taken(struct step *step)
{
	struct fsm *fsm = step->fsm;
	struct fsm_link *link = &fsm->links[fsm->work_link];

	act(step, FSM_DROP_LINK, fsm->work_link);
	link->unwatched = link->tried = link->proven = true; /* I/O was done, so something serves that slot */
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
	link->renewing = false;
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

/* What its key may do is watched of a link whose socket we have; one that nobody watches is not left so for as long as its users are busy. */
static void on_no_quiet(struct step *step)
{
	struct fsm *fsm = step->fsm;
	int at = find_renewal(fsm);

	if (at >= 0 && fsm->links[at].unwatched && fsm->links[at].tried) {
		shut(step, (unsigned)at, true);
		return;
	}
	act(step, FSM_DROP_STANDBY, 0);
	fsm->for_renewal = true;
	set_work(step, FSM_WORK_PAUSE, fsm->config.renew_pause_ms);
}

static void on_timeouts(struct step *step)
{
	struct fsm *fsm = step->fsm;
	int64_t now_ms = step->event->now_ms;

	for (unsigned i = 0; i < fsm->link_count; i++) {
		if (fsm->links[i].state == FSM_LINK_LOST && now_ms >= fsm->links[i].settle_until_ms) {
			fsm->links[i].state = FSM_LINK_FREE;
			fsm->links[i].assumed_free = !fsm->links[i].noticed;
		}
	}
	recheck(step);
	if (now_ms < fsm->work_until_ms)
		return;
	if (fsm->work == FSM_WORK_PAUSE) {
		fsm->work = FSM_WORK_NONE;
	} else if (fsm->work == FSM_WORK_STANDBY && !is_in_need(fsm)) {
		on_no_quiet(step);
	} else if (fsm->work == FSM_WORK_PROVE && fsm->trial) {
		/* Neither this nor the former one answers. */
		on_not_taken(step);
		shut(step, fsm->work_link, false);
	} else if (fsm->work == FSM_WORK_PROVE) {
		shut(step, fsm->work_link, false);
	}
}

static bool is_about_link(enum fsm_event_type type)
{
	return type == FSM_EV_HANGUP || type == FSM_EV_RENEW || type == FSM_EV_RENEW_NOW || type == FSM_EV_SILENT || type == FSM_EV_CANNOT_SHUT;
}

/* What the event itself means; what follows from the state as a whole is in advance(). */
static void take_event(struct step *step)
{
	struct fsm *fsm = step->fsm;
	struct fsm_link *link = &fsm->links[step->event->link < fsm->link_count ? step->event->link : 0];
	bool negotiating = fsm->work == FSM_WORK_NEGOTIATE, proving = fsm->work == FSM_WORK_PROVE, standby = fsm->work == FSM_WORK_STANDBY;

	if (is_about_link(step->event->type) && step->event->link >= fsm->link_count)
		return;
	switch (step->event->type) {
	case FSM_EV_HANGUP:           on_hangup(step); break;
	case FSM_EV_SLOT_FREED:       on_slot_freed(step); break;
	case FSM_EV_QUIET:            on_quiet(step); break;
	case FSM_EV_CANNOT_SHUT:      on_cannot_shut(step); break;
	case FSM_EV_NEGOTIATED:
		fsm->refused = false;
		if (negotiating)
			set_work(step, FSM_WORK_STANDBY, fsm->config.standby_ms);
		break;
	case FSM_EV_REFUSED:
	case FSM_EV_ATTEMPT_FAILED:
		fsm->refused = step->event->type == FSM_EV_REFUSED;
		if (negotiating)
			pause_after_failure(step);
		break;
	case FSM_EV_STANDBY_LOST:
	case FSM_EV_HAND_OVER_FAILED:
		if (standby)
			pause_after_failure(step);
		break;
	case FSM_EV_HANDED_OVER:      if (standby) on_handed_over(step); break;
	case FSM_EV_PROVEN:           if (proving) on_proven(step); break;
	case FSM_EV_NOT_TAKEN:        if (proving) on_not_taken(step); break;
	case FSM_EV_UNUSED:           if (proving) on_unused(step); break;
	case FSM_EV_NOT_SENT:         if (proving && !fsm->trial) on_not_sent(step); break;
	case FSM_EV_RENEW:            link->renew = true; break;
	case FSM_EV_RENEW_NOW:        link->renew_now = true; break;
	case FSM_EV_SILENT:
		if (link->state == FSM_LINK_ALIVE)
			shut(step, step->event->link, false);
		break;
	default:
		break;
	}
}

/* A socket stands by. */
static void use_standby(struct step *step)
{
	struct fsm *fsm = step->fsm;
	int at = find_state(fsm, FSM_LINK_FREE);

	fsm->trial = false;
	if (at < 0 && find_state(fsm, FSM_LINK_LOST) >= 0)
		return; /* free in a moment */
	if (at < 0) {
		at = find_renewal(fsm);
		if (at < 0) {
			act(step, FSM_DROP_STANDBY, 0);
			fsm->work = FSM_WORK_NONE;
			return;
		}
		if (fsm->links[at].renew_now) {
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
	if (!fsm->failure_told && find_state(fsm, FSM_LINK_FREE) >= 0) {
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

static void advance(struct step *step)
{
	struct fsm *fsm = step->fsm;
	int64_t now_ms = step->event->now_ms;
	int at;

	note_outage(step);
	if (fsm->phase == FSM_FAILED || (fsm->outage_since_ms >= 0 && fsm->config.dead_timeout_ms >= 0 &&
		now_ms - fsm->outage_since_ms >= fsm->config.dead_timeout_ms)) {
		fail(step);
		return;
	}
	at = find_state(fsm, FSM_LINK_FREE);
	if (fsm->work == FSM_WORK_PROVE && fsm->trial && at >= 0) {
		act(step, FSM_DROP_LINK, fsm->work_link); /* no answer may come before that one is back */
		fsm->work = FSM_WORK_NONE;
	}
	if (fsm->work == FSM_WORK_PAUSE && fsm->for_renewal && at >= 0)
		fsm->work = FSM_WORK_NONE; /* now it is no renewal any more */
	if (fsm->work == FSM_WORK_NONE && at < 0)
		at = find_renewal(fsm);
	if (fsm->work == FSM_WORK_NONE && at >= 0) {
		fsm->work = FSM_WORK_NEGOTIATE;
		fsm->work_link = (unsigned)at;
		act(step, FSM_NEGOTIATE, (unsigned)at);
	}
	if (fsm->work == FSM_WORK_STANDBY)
		use_standby(step);
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
}

bool fsm_awaits_quiet(const struct fsm *fsm)
{
	int at = find_renewal(fsm);

	return fsm->phase == FSM_RUNNING && fsm->work == FSM_WORK_STANDBY && at >= 0 && (!fsm->links[at].unwatched || fsm->links[at].tried) &&
		!is_in_need(fsm);
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
	for (unsigned i = 0; i < fsm->link_count; i++)
		if (fsm->links[i].state == FSM_LINK_LOST)
			fsm_earlier(&deadline_ms, fsm->links[i].settle_until_ms);
	/* A socket that stands by for a lost link does so for as long as the link takes to settle. */
	if (fsm->work == FSM_WORK_PAUSE || (fsm->work == FSM_WORK_STANDBY && !is_in_need(fsm)) || fsm->work == FSM_WORK_PROVE)
		fsm_earlier(&deadline_ms, fsm->work_until_ms);
	if (rechecks(fsm))
		fsm_earlier(&deadline_ms, fsm->recheck_at_ms);
	if (fsm->phase == FSM_RUNNING && fsm->outage_since_ms >= 0 && fsm->config.dead_timeout_ms >= 0)
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
