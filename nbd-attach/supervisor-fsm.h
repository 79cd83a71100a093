/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the supervisor does next: one pure function of its state and an event. No I/O, no clock, no allocation; the loop in
 * supervisor.c feeds it and carries out the actions.
 *
 * Each link is ALIVE, LOST (hung up, but the driver has not let go of it: a new socket would be dropped, kernel fact 4) or FREE. Beside
 * that there is at most one piece of work for the whole device at a time:
 *
 *     NONE -> NEGOTIATE -> STANDBY -> PROVE -> NONE      a FREE slot is filled, or a link renewed
 *               |  ^          |         |
 *               v  |          v         v
 *              PAUSE <------ (failed, given up, out of time)
 *
 * A renewal negotiates first and shuts the old link only when the new one stands by. */
#ifndef NBDA_SUPERVISOR_FSM_H
#define NBDA_SUPERVISOR_FSM_H
#include <stdbool.h>
#include <stdint.h>

#define FSM_LINKS_MAX 64
#define FSM_ACTIONS_MAX (FSM_LINKS_MAX + 8)

enum fsm_link_state { FSM_LINK_ALIVE, FSM_LINK_LOST, FSM_LINK_FREE };
enum fsm_work { FSM_WORK_NONE, FSM_WORK_PAUSE, FSM_WORK_NEGOTIATE, FSM_WORK_STANDBY, FSM_WORK_PROVE };
enum fsm_phase {
	FSM_RUNNING,
	FSM_FAILED, /* out of its dead-timeout: I/O fails, and nothing is tried any more */
	FSM_ENDED,  /* the device is gone */
};

struct fsm_link {
	enum fsm_link_state state;
	bool proven;           /* seen to carry data since it was handed over */
	bool renew, renew_now; /* a renewal is wished: in a quiet moment; at once */
	bool renewing;         /* was shut for its renewal */
	bool unwatched;        /* adopted without its socket: its hang-up is not seen, and it cannot simply be shut */
	bool tried;            /* unwatched: a socket was offered, and the slot was not free */
	bool unshuttable;      /* unwatched: there is no way to end it from here, so it is left until it dies */
	int64_t proven_at_ms;
	bool noticed;          /* LOST: the driver has said so */
	bool assumed_free;     /* its slot was taken to be free without a notice, and nothing has shown yet that it was */
	int64_t settle_until_ms; /* LOST: free by then even when no notice came */
};

struct fsm_config {
	int64_t dead_timeout_ms;  /* -1: infinite */
	int64_t settle_ms;        /* how long a notice of the driver may take */
	int64_t notice_ms;        /* the driver says so first and frees the slot then: after its notice it gets so long for it */
	int64_t recheck_ms;       /* a new link over which nothing was sent for so long may not have been taken; 0: do not look */
	int64_t prove_ms;         /* how long a new link has for its first data */
	int64_t standby_ms;       /* how long a negotiated socket waits for a quiet moment */
	int64_t renew_pause_ms;   /* between two attempts at a renewal */
};

struct fsm {
	struct fsm_config config;
	struct fsm_link links[FSM_LINKS_MAX];
	unsigned link_count;
	enum fsm_phase phase;
	enum fsm_work work;
	unsigned work_link;       /* PROVE: which; else which one the work was begun for */
	int64_t work_until_ms;    /* PAUSE, STANDBY, PROVE */
	bool for_renewal;         /* PAUSE: no link is in need */
	int64_t recheck_at_ms;    /* PROVE */
	bool trial;               /* PROVE: whether an unwatched slot was free is what is being found out */
	int64_t outage_since_ms;  /* no link is alive and proven since; -1: one is */
	int64_t trying_since_ms;  /* since the first of a row of failed attempts; -1: none failed */
	unsigned attempts;        /* failed in that row */
	unsigned short_lives;     /* links in a row that died right after their proof */
	bool refused;             /* the last offer was one that is not accepted */
	bool failure_told;
	uint64_t reconnects, renewals;
};

enum fsm_event_type {
	FSM_EV_TICK,             /* only time has passed */
	FSM_EV_HANGUP,           /* link's socket is shut or reset */
	FSM_EV_SLOT_FREED,       /* the driver's notice that a link is dead; it does not say which */
	FSM_EV_NEGOTIATED,       /* the attempt brought a socket and an acceptable offer */
	FSM_EV_REFUSED,          /* ... an offer that is not acceptable; the socket is closed */
	FSM_EV_ATTEMPT_FAILED,
	FSM_EV_STANDBY_LOST,     /* the socket that stands by has hung up; it is closed */
	FSM_EV_HANDED_OVER,      /* the driver took the message with the socket */
	FSM_EV_HAND_OVER_FAILED, /* ... or did not; the socket is closed */
	FSM_EV_PROVEN,           /* the link under proof carries data */
	FSM_EV_NOT_TAKEN,        /* I/O was done, but not over it: the slot was not free */
	FSM_EV_UNUSED,           /* I/O was done over the device's other links: no saying */
	FSM_EV_NOT_SENT,         /* answer to FSM_RECHECK: the driver has not got this one of several links */
	FSM_EV_QUIET,            /* nothing is in flight */
	FSM_EV_RENEW,            /* link has used up half of what its key may do */
	FSM_EV_RENEW_NOW,        /* link is near its limit */
	FSM_EV_SILENT,           /* link has requests and no byte comes */
	FSM_EV_CANNOT_SHUT,      /* answer to FSM_SHUT for an unwatched link */
	FSM_EV_GONE,             /* the device is not configured any more */
	FSM_EV_COUNT
};

struct fsm_event {
	enum fsm_event_type type;
	unsigned link;   /* HANGUP, RENEW, RENEW_NOW, SILENT, CANNOT_SHUT */
	int64_t now_ms;  /* monotonic */
	uint32_t random; /* for the jitter of a pause */
};

enum fsm_action_type {
	FSM_NEGOTIATE,    /* start an attempt */
	FSM_CANCEL,       /* kill it */
	FSM_DROP_STANDBY, /* close the socket that stands by */
	FSM_SHUT,         /* shut link's socket: a hang-up and a notice follow */
	FSM_HAND_OVER,    /* give the socket that stands by to the driver for link; its outcome is the next event */
	FSM_PROVE,        /* have I/O done and look whether link carried it */
	FSM_RECHECK,      /* has nothing been sent over link yet? Then it may have to be handed over again */
	FSM_DROP_LINK,    /* shut and close our socket of link: the driver has not got it */
	FSM_FAIL_DEVICE,  /* make the driver fail what waits and what comes */
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
void fsm_step(struct fsm *fsm, const struct fsm_event *event, struct fsm_actions *actions);
/* When to send FSM_EV_TICK at the latest; -1: never. */
int64_t fsm_deadline_ms(const struct fsm *fsm);
/* The earlier of two deadlines; -1 is never. */
void fsm_earlier(int64_t *deadline_ms, int64_t other_ms);
/* Is a quiet moment of use now? */
bool fsm_awaits_quiet(const struct fsm *fsm);
/* Is any link alive and proven? */
bool fsm_is_serving(const struct fsm *fsm);

#endif
