/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A model of the driver, the server and the supervisor's loop, for the state machine to live in.
 * The driver lies as the real one does: it takes a socket and drops it, its notices are late, name
 * no link, or are lost. */
#ifndef NBDA_TESTS_MACHINE_DRIVER
#define NBDA_TESTS_MACHINE_DRIVER
#include "machine-script.h"

#define SOCKETS_MAX 4096
#define TRACE_STEPS 48
#define ATTEMPT_MS 30000
#define HAND_OVER_MS 4 /* what netlink may take */
#define NEGOTIATION_MS 20
#define DRIVER_MS 400     /* it may be slower than the settling time */
#define LETTING_GO_MS 800 /* from its notice until the slot is free; NOTICE_MS as a rule */
#define DRAINED_COUNTS_MS 1000
#define NONE (-1)

struct model_socket {
	bool is_hung, is_sent, is_moved; /* sent: something was sent over it */
	uint64_t size_bytes;             /* that it was told */
};

struct model_slot {
	int socket;
	bool has_ended;         /* its notice is queued */
	int64_t free_at_ms;     /* and from then on it takes another socket */
	int64_t sees_end_at_ms; /* at rest: when the driver sees the hang-up */
};

/* Sockets are numbers. A link of the machine and a slot of the driver have nothing to do with one
 * another but for the sockets in them, as in the kernel. */
struct model {
	struct machine machine;
	int64_t now_ms;
	uint64_t rng, seed, events, limit;
	struct model_socket sockets[SOCKETS_MAX];
	int socket_count;
	/* the driver */
	struct model_slot slots[LINKS_MAX];
	unsigned notices, slow_percent;
	bool loses_notices;
	/* the loop */
	int ours[LINKS_MAX]; /* NONE: unmonitored, or closed */
	int address
		[LINKS_MAX];  /* of the socket that is thought to be in the driver; NONE: unknown */
	int found[LINKS_MAX]; /* at its adoption: unmonitored, and can be looked up */
	int spare;
	uint64_t probed_losses; /* of links, when the read began */
	bool is_negotiating, is_probing, is_draining, is_detaching;
	uint32_t host;  /* of the attempt */
	bool is_pinned; /* ... to it */
	int64_t attempt_until_ms;
	struct machine_event queue[4 * LINKS_MAX];
	unsigned queue_first, queue_count;
	/* the weather */
	uint64_t export_bytes;
	unsigned server_percent, storm_percent, renew_percent, growth_percent;
	bool is_benign;
	bool counts_bytes; /* TCP */
	/* what happened */
	int64_t outage_since_ms, failed_at_ms, drained_at_ms;
	int64_t dead_timeout_ms; /* our own account of it */
	bool is_shutting_down, io_failed;
	unsigned failures_told, leaves;
	char trace[TRACE_STEPS][200];
	/* What must hold after each step, and when all is carried out. */
	void (*check_step)(struct model *model, const struct machine *before,
		const struct machine_event *event, const struct machine_actions *actions);
	void (*check_settled)(struct model *model);
};

/* How often each thing has happened. */
struct model_counts {
	uint64_t episodes, negotiations, cancels, dropped, shut, handed, dropped_links, renewals,
		reconnects, failed, ended, left, rests, drained, answered, in_vain, samples,
		taken_again, hang_ups, overdue, resized, refused[4], cannot_shut, unmonitored,
		detached, forced, looked_up, notices_lost, presumed;
	int64_t slowest_ms;
};
extern struct model_counts model_counts;

uint64_t model_draw(struct model *model);
unsigned model_below(struct model *model, unsigned limit);
bool model_chance(struct model *model, unsigned percent);
uint64_t model_number_from(const char *variable, uint64_t otherwise);

/* Prints the last steps. */
void model_fail(const struct model *model, const char *what, int line);
#define check(model, condition) ((condition) ? (void)0 : model_fail(model, #condition, __LINE__))
void model_trace(struct model *model, const struct machine_event *event,
	const struct machine_actions *actions);

/* A device at rest; the links and the weather are the caller's matter. */
void model_begin(struct model *model, const struct machine_config *config, unsigned link_count);
/* As a new supervisor finds it. */
void model_adopt(struct model *model, unsigned at, enum adopted_as how);
int model_new_socket(struct model *model);
/* Is any link of MACHINE in that state? */
bool model_has_link(const struct machine *machine, enum link_state state);

void model_tell(struct model *model, enum machine_event_type type, unsigned link);
void model_tell_event(struct model *model, const struct machine_event *event);
/* Time goes on, but not past what the loop wakes up for. */
void model_pass_time(struct model *model, int64_t ms);

/* What is under way comes to its end, if it is. */
void model_end_attempt(struct model *model, bool is_answered);
void model_end_receivers(struct model *model);
void model_end_drain(struct model *model);
void model_end_probe(struct model *model);
void model_end_detach(struct model *model);
void model_answer_all(struct model *model);

void model_hang_up_some(struct model *model);
void model_see_hangups(struct model *model);
void model_see_notices(struct model *model);
/* There were too many. */
void model_lose_notices(struct model *model);
/* The driver sees the end of the socket in slot AT. */
void model_driver_sees(struct model *model, unsigned at);
/* However late they are: all hang-ups and all notices. */
void model_see_all(struct model *model);
bool model_is_slot_hung(const struct model *model, unsigned at);

#endif
