/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the supervisor does next: one pure function of its state and an event. No I/O, no clock, no
 * allocation; the loop in supervisor.c feeds it and carries out the actions.
 *
 * Each link is ALIVE, LOST (hung up, but the driver has not let go of it: a new socket would be
 * dropped, kernel fact 4) or FREE. Beside that there is at most one piece of work for the whole
 * device at a time:
 *
 *     NONE -> NEGOTIATE -> STANDBY -> PROVE -> NONE      a FREE slot is filled, or a link renewed
 *               |  ^          |         |
 *               v  |          v         v
 *              PAUSE <------ (failed, given up, out of time)
 *
 * A renewal negotiates first and shuts the old link only when the new one stands by.
 *
 * Silence is not death. A link that owes an answer and brings no byte is kept: a request that is
 * given up may still be executed by the server, after newer ones to the same place. The server is
 * asked over a second connection instead:
 *
 *     ANSWERING -> SUSPECTED -> SLOW      it answers that one, so the request takes long;
 *                      |  ^            asked again after a while
 *                      v  |
 *                  UNREACHABLE            it does not: that is an outage, but the old link stays
 *
 * and any byte over the old link leads back to ANSWERING. */
#ifndef NBDA_SUPERVISOR_CORE_MACHINE
#define NBDA_SUPERVISOR_CORE_MACHINE
#include <stdbool.h>
#include <stdint.h>
#include "config/limits.h"

#define FSM_ACTIONS_MAX (LINKS_MAX + 8)

enum fsm_link_state { FSM_LINK_ALIVE, FSM_LINK_LOST, FSM_LINK_FREE };
enum fsm_work {
	FSM_WORK_NONE,
	FSM_WORK_PAUSE,
	FSM_WORK_NEGOTIATE,
	FSM_WORK_STANDBY,
	FSM_WORK_PROVE
};
enum fsm_phase {
	FSM_RUNNING,
	FSM_FAILED, /* out of its dead-timeout: I/O fails, and nothing is tried any more */
	FSM_ENDED,  /* the device is gone */
};

enum fsm_silence { FSM_ANSWERING, FSM_SUSPECTED, FSM_UNREACHABLE, FSM_SLOW };

struct fsm_link {
	enum fsm_link_state state;
	enum fsm_silence silence;
	int64_t ask_again_at_ms; /* SLOW: when to ask the server again whether it lives */
	/* not ALIVE: the driver may still read from its former socket (kernel fact 29) */
	bool receiving;
	/* renew_now: is it known that no request of before takes long? */
	bool drain_asked, drained;
	bool proven;           /* seen to carry data since it was handed over */
	bool renew, renew_now; /* a renewal is wished: in a quiet moment; at once */
	bool renewing;         /* was shut for its renewal */
	/* adopted without its socket: its hang-up is not seen, and it cannot simply be shut */
	bool unwatched;
	bool tried; /* unwatched: a socket was offered, and the slot was not free */
	/* unwatched: there is no way to end it from here, so it is left until it dies */
	bool unshuttable;
	int64_t proven_at_ms;
	bool noticed; /* LOST: the driver has said so */
	/* its slot was taken to be free without a notice, and nothing has shown yet that it was */
	bool assumed_free;
	int64_t settle_until_ms; /* LOST: free by then even when no notice came */
};

struct fsm_config {
	int64_t dead_timeout_ms; /* -1: infinite */
	int64_t settle_ms;       /* how long a notice of the driver may take */
	/* the driver says so first and frees the slot then: after its notice it gets so long for
	 * it */
	int64_t notice_ms;
	/* a new link over which nothing was sent for so long may not have been taken; 0: do not
	 * look */
	int64_t recheck_ms;
	int64_t prove_ms;       /* how long a new link has for its first data */
	int64_t standby_ms;     /* how long a negotiated socket waits for a quiet moment */
	int64_t renew_pause_ms; /* between two attempts at a renewal */
	int64_t slow_ms;        /* how long an answer over a second connection counts */
	/* a slot is not given a socket before FSM_EV_RECEIVER_ENDED; false: its owner does not
	 * tell */
	bool awaits_receivers;
	/* FSM_DRAIN is understood: a link is not shut under a request that takes long */
	bool drains;
};

struct fsm {
	struct fsm_config config;
	struct fsm_link links[LINKS_MAX];
	unsigned link_count;
	enum fsm_phase phase;
	enum fsm_work work;
	unsigned work_link;    /* PROVE: which; else which one the work was begun for */
	int64_t work_until_ms; /* PAUSE, STANDBY, PROVE */
	bool for_renewal;      /* PAUSE: no link is in need */
	int64_t recheck_at_ms; /* PROVE */
	/* PROVE: whether an unwatched slot was free is what is being found out */
	bool trial;
	int64_t outage_since_ms; /* no link is alive and proven since; -1: one is */
	int64_t trying_since_ms; /* since the first of a row of failed attempts; -1: none failed */
	unsigned attempts;       /* failed in that row */
	unsigned short_lives;    /* links in a row that died right after their proof */
	bool refused;            /* the last offer was one that is not accepted */
	bool failure_told;
	/* PAUSE: a link is to be shut for its renewal as soon as the device is drained */
	bool room_wanted;
	uint64_t reconnects, renewals;
};

enum fsm_event_type {
	FSM_EV_TICK,   /* only time has passed */
	FSM_EV_HANGUP, /* link's socket is shut or reset */
	/* the driver's notice that a link is dead; it does not say which */
	FSM_EV_SLOT_FREED,
	FSM_EV_NEGOTIATED, /* the attempt brought a socket and an acceptable offer */
	FSM_EV_REFUSED,    /* ... an offer that is not acceptable; the socket is closed */
	FSM_EV_ATTEMPT_FAILED,
	FSM_EV_STANDBY_LOST,     /* the socket that stands by has hung up; it is closed */
	FSM_EV_HANDED_OVER,      /* the driver took the message with the socket */
	FSM_EV_HAND_OVER_FAILED, /* ... or did not; the socket is closed */
	/* the link under proof, or link, which was to be proven and silent, carries data */
	FSM_EV_PROVEN,
	FSM_EV_NOT_TAKEN, /* I/O was done, but not over it: the slot was not free */
	FSM_EV_UNUSED,    /* I/O was done over the device's other links: no saying */
	/* answer to FSM_RECHECK: the driver has not got this one of several links */
	FSM_EV_NOT_SENT,
	FSM_EV_QUIET,          /* nothing is in flight */
	FSM_EV_RENEW,          /* link has used up half of what its key may do */
	FSM_EV_RENEW_NOW,      /* link is near its limit */
	FSM_EV_SILENT,         /* link owes an answer and no byte comes */
	FSM_EV_ANSWERED,       /* it does, or nothing is owed any more */
	FSM_EV_BROKEN,         /* link is of no use: it must be shut, whatever it owes */
	FSM_EV_RECEIVER_ENDED, /* the driver has ceased to read from link's former socket */
	/* answer to FSM_DRAIN: what was asked of the device before it is answered, or that cannot
	 * be told */
	FSM_EV_DRAINED,
	FSM_EV_IO_FAILED,   /* the driver has begun to fail the device's I/O by itself */
	FSM_EV_CANNOT_SHUT, /* answer to FSM_SHUT for an unwatched link */
	FSM_EV_GONE,        /* the device is not configured any more */
	FSM_EV_COUNT
};

struct fsm_event {
	enum fsm_event_type type;
	/* HANGUP, PROVEN, RENEW, RENEW_NOW, SILENT, ANSWERED, BROKEN, RECEIVER_ENDED,
	 * CANNOT_SHUT */
	unsigned link;
	int64_t now_ms;  /* monotonic */
	uint32_t random; /* for the jitter of a pause */
};

enum fsm_action_type {
	FSM_NEGOTIATE,    /* start an attempt */
	FSM_CANCEL,       /* kill it */
	FSM_DROP_STANDBY, /* close the socket that stands by */
	FSM_SHUT,         /* shut link's socket: a hang-up and a notice follow */
	/* give the socket that stands by to the driver for link; its outcome is the next event */
	FSM_HAND_OVER,
	FSM_PROVE, /* have I/O done and look whether link carried it */
	/* has nothing been sent over link yet? Then it may have to be handed over again */
	FSM_RECHECK,
	/* link has had its time for a proof: FSM_EV_SILENT if anything was sent over it, else
	 * FSM_EV_BROKEN */
	FSM_OVERDUE,
	FSM_DRAIN,       /* wait until all that is asked of the device by now is answered */
	FSM_DROP_LINK,   /* shut and close our socket of link: the driver has not got it */
	FSM_FAIL_DEVICE, /* make the driver fail what waits and what comes */
	FSM_END,
};

struct fsm_action {
	enum fsm_action_type type;
	unsigned link;
};

struct fsm_actions {
	unsigned count;
	struct fsm_action list[FSM_ACTIONS_MAX];
};

/* All links alive and proven, or (adoption) unwatched: set the flags afterwards. */
void fsm_init(struct fsm *fsm, const struct fsm_config *config, unsigned link_count);
/* After an adoption, and once the links' flags are set: no link has served since then. */
void fsm_set_outage(struct fsm *fsm, int64_t since_ms);
void fsm_step(struct fsm *fsm, const struct fsm_event *event, struct fsm_actions *actions);
/* When to send FSM_EV_TICK at the latest; -1: never. */
int64_t fsm_deadline_ms(const struct fsm *fsm);
/* The earlier of two deadlines; -1 is never. */
void fsm_earlier(int64_t *deadline_ms, int64_t other_ms);
/* Is a quiet moment of use now? */
bool fsm_awaits_quiet(const struct fsm *fsm);
/* Is any link alive, and either proven and its server not out of reach, or its server known to
 * live? */
bool fsm_is_serving(const struct fsm *fsm);
/* A link whose driver's receiver has to be looked at; -1: none. */
int fsm_receiving_link(const struct fsm *fsm);

#endif
