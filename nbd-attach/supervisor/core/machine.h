/* SPDX-License-Identifier: GPL-2.0-or-later */
/* All that the supervisor decides: one pure function of its state and an event. No I/O, no clock,
 * no allocation, and nothing outside writes its fields. Events carry facts, actions say what to do.
 *
 * Each link goes round
 *
 *     ALIVE -> LOST -> NOTICED -> RECEIVING -> FREE -> UNPROVEN -> ALIVE
 *
 * since a new socket that comes before the driver has let go of the old one is dropped
 * (kernel fact slot-taken). Beside that, at most one piece of work for the whole device at a time:
 *
 *     NONE -> NEGOTIATE -> SPARE -> PROVE -> NONE        a FREE slot is filled, or a link renewed
 *               |  ^         |        |
 *               v  |         v        v
 *              PAUSE <------ (failed, given up, out of time)
 *
 * A renewal negotiates first and shuts the old link only when there is a spare socket.
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
#include <stddef.h>
#include <stdint.h>
#include "config/limits.h"

#define MACHINE_ACTIONS_MAX (3 * LINKS_MAX + 16)
/* how long an outage may last once the machine that we run on shuts down */
#define MACHINE_SHUTDOWN_MS 60000
/* how long a device whose outage is older than its supervisor is spared */
#define MACHINE_SPARED_MS 5000
/* how long before a device is failed it is read from once more */
#define MACHINE_LAST_PROBE_MS 2000

enum link_state {
	LINK_ALIVE,
	LINK_UNPROVEN, /* handed over, and not seen to carry data since */
	/* adopted without its socket: only the driver's notice tells that it ends */
	LINK_UNMONITORED,
	LINK_LOST,    /* it hung up or was shut; the driver has not said so */
	LINK_NOTICED, /* it has; its slot is free in a moment */
	/* the driver may still read from its former socket (kernel fact receiver-outlives-link) */
	LINK_RECEIVING,
	LINK_FREE, /* its slot can be given a socket */
};

enum link_renewal {
	RENEWAL_NONE,
	RENEWAL_WHEN_IDLE,  /* requested: in a moment with nothing in flight */
	RENEWAL_NOW,        /* at once, but not under a request that takes long */
	RENEWAL_DRAINING,   /* ... which is being found out */
	RENEWAL_DRAINED,    /* ... and is answered */
	RENEWAL_SHUT,       /* it was shut for it: the next proof completes it */
	RENEWAL_IMPOSSIBLE, /* adopted without its socket, and nothing here can end it */
};

enum link_silence { SILENCE_NONE, SILENCE_SUSPECTED, SILENCE_UNREACHABLE, SILENCE_SLOW };

struct machine_link {
	enum link_state state;
	enum link_renewal renewal;
	enum link_silence silence;
	/* No notice of the former socket's end has come: the slot was only taken to be free. */
	bool owes_notice;
	bool is_presumed_lost; /* nothing could tell whether it serves */
	/* UNMONITORED: nothing tells which of several of these serves, but at least one does */
	bool is_presumed_up;
	bool is_found;           /* UNMONITORED: looked up, and there */
	uint32_t host;           /* of the endpoint's hosts */
	uint64_t size_bytes;     /* of the export, as this connection was told; 0: not known */
	int64_t ask_again_at_ms; /* SLOW: when to ask the server again whether it lives */
	int64_t proven_at_ms;
	int64_t settle_until_ms; /* LOST, NOTICED: then the slot counts as free */
};

enum machine_work { WORK_NONE, WORK_PAUSE, WORK_NEGOTIATE, WORK_SPARE, WORK_PROVE };

enum machine_phase {
	PHASE_RUNNING,
	PHASE_FAILED, /* out of its dead-timeout: I/O fails, and nothing is tried any more */
	PHASE_LEFT,   /* told to end: the device goes on without us */
	PHASE_ENDED,  /* the device is gone */
};

enum machine_stop {
	STOP_NONE,
	STOP_WAITING, /* told to end, once the outage is over */
	STOP_DETACHING,
};

enum growth_refusal {
	GROWTH_CANNOT_RENEW,  /* a link of the former supervisor, which cannot be shut */
	GROWTH_TOLD_OLD_SIZE, /* a connection made for it was told the old size */
	GROWTH_SERVER_AWAY,   /* and I/O fails */
	GROWTH_NEVER_IDLE,
};

struct machine_growth {
	uint64_t size_bytes; /* to tell the driver; 0: no growth is under way */
	bool is_background;  /* for as long as it takes */
	bool is_told;        /* the driver is: RESIZED is the next event */
	int64_t begun_ms;
	int64_t drain_at_ms, drain_pause_ms;
	int64_t drained_until_ms;      /* no flush is in flight that is older than a moment; -1 */
	bool renewal_asked[LINKS_MAX]; /* for this growth */
};

struct machine_config {
	int64_t dead_timeout_ms; /* -1: infinite */
	int64_t settle_ms;       /* how long a notice of the driver may take */
	/* the driver says so first and frees the slot then: after its notice it gets so long */
	int64_t notice_ms;
	/* a new link over which nothing was sent for so long may not have been taken */
	int64_t sample_ms;
	int64_t prove_ms;       /* how long a new link has for its first data */
	int64_t spare_ms;       /* how long a negotiated socket waits for an idle moment */
	int64_t renew_pause_ms; /* between two attempts at a renewal */
	int64_t slow_ms;        /* how long an answer over a second connection counts */
	/* the driver's timer for a request (kernel fact io-timeout-resends) */
	int64_t io_timeout_ms;
	/* Under --root a new process may have to wait for memory that only the device's links can
	 * get back: none is started until nothing else helps. */
	bool is_isolated;
	bool is_unix; /* the links are Unix sockets, which count nothing and cannot be looked up */
	/* The driver waits for what is in flight, under its lock, when it is told a size
	 * (kernel fact size-freezes-queue). */
	bool size_waits_for_io;
};

struct machine {
	struct machine_config config;
	struct machine_link links[LINKS_MAX];
	unsigned link_count;
	enum machine_phase phase;
	enum machine_stop stop;
	enum machine_work work;
	unsigned work_link;     /* PROVE: which; else which one the work was begun for */
	int64_t work_until_ms;  /* PAUSE, SPARE, PROVE */
	int64_t next_sample_ms; /* PROVE */
	bool is_probed;         /* PROVE: a read was asked for */
	bool for_renewal;       /* PAUSE: no link is in need */
	uint32_t spare_host;    /* SPARE: of the socket that waits */
	uint64_t spare_size_bytes;
	int64_t outage_since_ms; /* no link is alive and proven since; -1: one is */
	int64_t trying_since_ms; /* since the first of a row of failed attempts; -1: none failed */
	int64_t spared_until_ms; /* a successor may not know yet that the device is served */
	int64_t failed_since_ms; /* FAILED */
	unsigned attempts;       /* failed in that row */
	unsigned short_lives;    /* links in a row that died right after their proof */
	uint64_t losses;         /* of links so far; those that may be count, too */
	bool is_seen_to_serve;   /* a read was done that was begun after the last loss */
	/* No link is up but those presumed so: is there any, if not seen to serve? -1: not asked */
	int64_t presumed_since_ms, ask_presumed_at_ms;
	bool is_shutting_down; /* the machine that we run on */
	bool is_draining;
	unsigned held_notices; /* whose hang-up may be seen in a moment */
	int64_t held_until_ms;
	unsigned lookups;      /* LOOKED_UP that are awaited, before a notice is taken for one */
	bool are_notices_lost; /* it was none that could be held: they are looked up for that */
	unsigned last_samples; /* SAMPLED that are awaited, before the device is failed */
	bool is_last_probed;   /* the device is asked whether it serves, before it is failed */
	bool is_refused;       /* the last offer was one that is not accepted */
	bool failure_told;
	struct machine_growth growth;
	uint64_t reconnects, renewals;
};

/* What a sample of a link has shown, or a read through the device. */
enum machine_fact {
	FACT_COUNTED = 1 << 0, /* its socket counts what it carries: TCP */
	FACT_USED = 1 << 1,    /* something was sent over it; always without COUNTED */
	FACT_MOVED = 1 << 2, /* data has gone both ways, encrypted if it should be. A link that was
				 * silent: it has answered; one that is lost: the device serves */
	FACT_IN_CLEAR = 1 << 3, /* data was sent unencrypted that should not be */
	/* PROBED: the read was done. SERVED: if the driver failed I/O, its log would tell. DRAINED:
	 * quickly, or it has to be believed. RESIZED: yes */
	FACT_DONE = 1 << 4,
	FACT_RECENT = 1 << 5, /* PROBED: the read was begun after the last loss of a link */
};

/* What is known of an adopted link, whose socket we have not but for the first. */
enum adopted_as {
	ADOPTED_UNPROVEN,  /* we have its socket, and it was not seen to carry data */
	ADOPTED_GONE,      /* there is no such connection */
	ADOPTED_FOUND,     /* there is */
	ADOPTED_ANSWERING, /* that cannot be told; a read through the device was answered */
	ADOPTED_UNKNOWN,   /* ... was not */
};
enum detached_how { DETACHED_NOT, DETACHED_FOREIGN };

/* clang-format off */
#define MACHINE_EVENTS(X)                                                                          \
	X(TICK, "tick")                /* only time has passed */                                  \
	X(HANGUP, "hang-up")           /* link's socket is shut or reset; .facts: MOVED */         \
	X(NOTICE, "notice")            /* the driver's, that a link is dead; it names none */      \
	X(NOTICES_LOST, "notices lost") /* some of them, nobody knows how many */                  \
	X(LOOKED_UP, "looked up")      /* answer to LOOK_UP of link: .found */                     \
	X(NEGOTIATED, "negotiated")    /* .host, .size_bytes: a socket, an acceptable offer */     \
	X(REFUSED, "refused")          /* an offer that is not acceptable */                       \
	X(NOT_NEGOTIATED, "not negotiated")                                                        \
	X(SPARE_LOST, "spare lost")    /* the spare socket has hung up; it is closed */            \
	X(HANDED_OVER, "handed over")  /* the driver took the message with the socket */           \
	X(NOT_HANDED_OVER, "not handed over") /* ... or did not; the socket is closed */           \
	X(SAMPLED, "sampled")          /* .facts of link: answer to SAMPLE */                      \
	X(PROBED, "probed")            /* .facts of link: a read through the device is done */     \
	X(MOVED, "moved")              /* link, which was to be proven, carries data; .facts */    \
	X(SERVED, "served")            /* in an outage the device has ended requests; .facts */    \
	X(IDLE, "idle")                /* nothing is in flight */                                  \
	X(REKEY, "rekey")              /* link has used up half of what its key may do */          \
	X(REKEY_NOW, "rekey now")      /* link is near its limit, or is not to serve for long */   \
	X(SILENT, "silent")            /* link owes an answer and no byte comes */                 \
	X(ANSWERED, "answered")        /* it does, or nothing is owed any more */                  \
	X(BROKEN, "broken")            /* link is of no use: it must be shut, whatever it owes */  \
	X(SERVER_ENDS, "server ends")  /* ... and each link, since the server says that it ends */ \
	X(RECEIVER_ENDED, "receiver ended") /* nothing reads from link's former socket any more */ \
	X(DRAINED, "drained")          /* answer to DRAIN: what was in flight is answered, or */   \
				       /* that cannot be told; .facts */                           \
	X(IO_FAILED, "I/O failed")     /* the driver has begun to fail I/O by itself */            \
	X(CANNOT_SHUT, "cannot shut")  /* answer to SHUT for an unmonitored link */                \
	X(GROW, "grow")                /* to .size_bytes, in a limited time */                     \
	X(GROW_SOMETIME, "grow sometime")                                                          \
	X(RESIZED, "resized")          /* answer to RESIZE */                                      \
	X(SHUTDOWN, "shutdown")        /* of the machine that we run on: no outage may be long */  \
	X(STOP, "stop")                /* we are told to end */                                    \
	X(DETACHED, "detached")        /* answer to DETACH: .detached */                           \
	X(GONE, "gone")                /* the device is not configured any more */

#define MACHINE_ACTIONS(X)                                                                         \
	X(SAVE, "save")                /* what a successor has to know is another now */           \
	X(TELL_LOST, "tell lost")      /* link; .is_renewal: we shut it for that */                \
	X(TELL_PROVEN, "tell proven")  /* link; .is_renewal */                                     \
	X(NEGOTIATE, "negotiate")      /* .host first, and with .is_pinned no other */             \
	X(CANCEL, "cancel")            /* ... no more */                                           \
	X(DROP_SPARE, "drop spare")    /* close the spare socket */                                \
	X(SHUT, "shut")                /* link's socket: a hang-up and a notice follow */          \
	X(AWAIT_RECEIVER, "await receiver") /* RECEIVER_ENDED for link, at once if it has */       \
	X(HAND_OVER, "hand over")      /* the spare socket to the driver, for link */              \
	X(OFFER_AGAIN, "offer again")  /* link's socket; of no effect where its slot is taken */   \
	X(PROBE, "probe")              /* read through the device: PROBED */                       \
	X(SAMPLE, "sample")            /* of link under proof, silent or lost: SAMPLED is next */  \
	X(LOOK_UP, "look up")          /* is link's connection there? LOOKED_UP is next */         \
	X(DRAIN, "drain")              /* wait until what is in flight is answered: DRAINED */     \
	X(DROP_LINK, "drop link")      /* shut and close our socket: the driver has it not */      \
	X(FAIL_DEVICE, "fail device")  /* make the driver fail what waits and what comes */        \
	X(RESIZE, "resize")            /* tell the driver .size_bytes: RESIZED is next */          \
	X(REFUSE_GROWTH, "refuse growth") /* .refusal, because of link */                          \
	X(DETACH, "detach")            /* if nobody uses it: DETACHED, or GONE */                  \
	X(DETACH_FORCED, "detach forced")                                                          \
	X(LEAVE, "leave")              /* the device to the kernel */
/* clang-format on */

#define MACHINE_EVENT_ID(name, text) EVENT_##name,
enum machine_event_type { MACHINE_EVENTS(MACHINE_EVENT_ID) EVENT_COUNT };
#define MACHINE_ACTION_ID(name, text) ACTION_##name,
enum machine_action_type { MACHINE_ACTIONS(MACHINE_ACTION_ID) ACTION_COUNT };

struct machine_event {
	enum machine_event_type type;
	unsigned link;
	unsigned facts; /* enum machine_fact */
	uint32_t host;
	uint64_t size_bytes;
	enum detached_how detached;
	enum adopted_as found; /* FOUND, GONE, or UNKNOWN */
	int64_t now_ms;        /* monotonic */
	uint32_t random;       /* for the jitter of a pause */
};

struct machine_action {
	enum machine_action_type type;
	unsigned link;
	bool is_renewal, is_pinned;
	uint32_t host;
	uint64_t size_bytes;
	enum growth_refusal refusal;
};

struct machine_actions {
	unsigned count;
	struct machine_action list[MACHINE_ACTIONS_MAX];
};

/* All links alive and proven, to the first host. */
void machine_init(
	struct machine *machine, const struct machine_config *config, unsigned link_count);
/* Before the first step. What is known of a link from its connection. */
void machine_set_link(struct machine *machine, unsigned link, uint32_t host, uint64_t size_bytes);
void machine_adopt_link(struct machine *machine, unsigned link, enum adopted_as how);
/* It is not to serve for long. */
void machine_renew_link(struct machine *machine, unsigned link);
/* When all links are known: none has been seen to serve since then. Before it is failed for that,
 * it is sampled for some time from NOW_MS on whether one does. */
void machine_set_outage(struct machine *machine, int64_t since_ms, int64_t now_ms);
void machine_step(struct machine *machine, const struct machine_event *event,
	struct machine_actions *actions);
/* When to send EVENT_TICK at the latest; -1: never. */
int64_t machine_deadline_ms(const struct machine *machine);

/* "hang-up"; "?" for what is none. */
const char *machine_event_name(enum machine_event_type type);
const char *machine_action_name(enum machine_action_type type);
/* Does an event, or an action, of this type concern one link? */
bool machine_event_is_of_link(enum machine_event_type type);
bool machine_action_is_of_link(enum machine_action_type type);

/* Does the driver have a socket for it, as far as we know? */
bool machine_link_is_up(const struct machine_link *link);
/* Is it up, its server not known to be out of reach, and has it been seen to serve, or one of those
 * that are presumed to? */
bool machine_link_is_serving(const struct machine *machine, unsigned link);
/* Up, or lost without the driver having said so: then it may never have ceased to serve. */
bool machine_link_may_serve(const struct machine_link *link);
/* Is an idle moment of use now, for a renewal? */
bool machine_awaits_idle(const struct machine *machine);
/* ... for a growth? */
bool machine_growth_awaits_idle(const struct machine *machine);
/* Does a growth wait for anything? */
bool machine_is_growing(const struct machine *machine);
/* How long it may take, unless it goes on in the background. */
int machine_growth_limit_ms(const struct machine *machine);
bool machine_is_serving(const struct machine *machine);
/* Nothing is left to supervise. */
bool machine_is_over(const struct machine *machine);

#endif
