/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the supervisor's parts share: the loop (supervisor.c), what it does (effects.c), what it
 * looks at (sampler.c), what it says (status.c), growing a device (growth.c), and how it ends
 * (ending.c). */
#ifndef NBDA_SUPERVISOR_INTERNAL
#define NBDA_SUPERVISOR_INTERNAL
#include "supervisor/attachment.h"
#include "supervisor/control.h"
#include "kernel/kmsg.h"
#include "child/probe.h"
#include "supervisor/core/receiver.h"
#include "supervisor/outcome.h"
#include "supervisor/core/machine.h"
#include "supervisor/core/sampling.h"
#include "kernel/udev.h"

enum resize_state {
	RESIZE_NONE,
	RESIZE_ASKING, /* an attempt asks the server */
	/* its answer waits for the links, and for a moment with nothing in flight (kernel fact
	 * 9) */
	RESIZE_AGREED,
};

struct resize {
	enum resize_state state;
	struct negotiation attempt;
	int client; /* slot in control; -1: nobody waits for an answer */
	uint64_t size_bytes;
	struct job drain;
	int64_t drain_begun_ms;
	/* AGREED: no flush is in flight that is older than a moment; -1: not known */
	int64_t drained_until_ms;
	int64_t ready_since_ms, drain_at_ms; /* AGREED: the links are; -1: not yet */
	int drain_pause_ms;
	int64_t until_ms; /* AGREED; -1: for as long as it takes */
	bool renewal_asked[LINKS_MAX];
};

#define RETIRED_MAX (2 * LINKS_MAX)

struct supervisor {
	struct attachment *attachment;
	struct fsm fsm;
	struct fsm_event events[2 * LINKS_MAX]; /* a ring */
	unsigned event_first, event_count;
	struct sampling sampling;
	int64_t next_sample_ms;
	struct nbd_genl listener;
	struct kernel_log log;
	int64_t log_muted_until_ms; /* what it said last was not about this device */
	uint64_t error_replies_told, stuck_seen, receivers_seen;
	uint64_t error_replies_before;              /* the newest link was handed over */
	uint64_t receivers_ended_before[LINKS_MAX]; /* each link was */
	/* links that were lost, in all and when each was handed over */
	uint64_t losses, losses_before[LINKS_MAX];
	struct receiver receivers[LINKS_MAX];
	/* former sockets, the oldest first: a receiver that is late still reads from one */
	struct retired {
		int fd;
		int64_t until_ms;
	} retired[RETIRED_MAX];
	unsigned retired_count;
	struct control control;
	int signal_fd;

	bool attempting;
	struct negotiation attempt;
	struct link standby;      /* fd -1: none */
	struct link trial_former; /* the unwatched link that is on trial */
	struct job probe;
	struct job queue_check;
	/* empties the queue before a link is shut for its renewal */
	struct job renewal_drain;
	struct resize resize;
	/* told to end: a child sees whether the device can be taken along */
	struct job detacher;
	int64_t detacher_until_ms;
	bool shutting_down;    /* the machine does */
	bool end_after_outage; /* told to end in an outage at shutdown */

	const char *state; /* as told last */
	time_t state_since;
	int64_t lost_at_ms; /* for "after N s" */
	/* the last error; empty: none since the last proof */
	char reason[sizeof(((struct error *)0)->text)];
	char lost_address[64];
	/* failed: when to look at the device again, and to end the wait of its I/O again */
	int64_t fail_again_at_ms;
	int fail_peer_fd, fail_count;
	/* how often a service manager wants to hear of us, 0: it does not, and when next */
	int64_t watchdog_ms, watchdog_at_ms;
	bool taken;                  /* the device is somebody else's now */
	int unread_bytes[LINKS_MAX]; /* at the last look, of a silent link; 0: none */
	bool iostats_told, scheduler_told, silence_told[LINKS_MAX];
	int64_t queue_check_at_ms;
	int64_t longest_round_ms; /* of the loop: nothing in it is to block */
	/* a service manager does not read what it is told; -1: it does */
	int64_t manager_waits_since_ms;
	bool manager_waits_told;
	struct supervisor_report *report; /* what to tell whoever started us; NULL: told */
	supervisor_report_function *deliver;
	void *deliver_data;
	/* before that, it is to note the device, for some time */
	struct udev_wait udev;
	int64_t udev_until_ms;
	int rc; /* of supervisor_run() */
	bool done;
};

/* effects.c */
/* Feed the state function, and do what it says until it says nothing more. */
void supervisor_event(struct supervisor *self, enum fsm_event_type type, unsigned link);
void supervisor_step_attempt(struct supervisor *self);
void supervisor_step_probe(struct supervisor *self);
void supervisor_step_renewal_drain(struct supervisor *self);
/* Has a receiver ended that is waited for? */
void supervisor_step_receivers(struct supervisor *self);
/* Close the former sockets whose time is over; FORCED: all. */
void supervisor_close_retired(struct supervisor *self, bool forced);
/* Is the device configured, and ours? If not, that is the end. Asked before anything is done to
 * it. */
bool supervisor_check_ours(struct supervisor *self);
/* What waits for a link fails, and what comes too. */
void supervisor_fail_device(struct supervisor *self);
/* Remember and log an error, once. */
void supervisor_note(
	struct supervisor *self, int priority, const char *what, const struct error *err);

/* sampler.c */
/* A look at every link; sets next_sample_ms, when the next one is due. */
void supervisor_sample(struct supervisor *self);
void supervisor_step_queue_check(struct supervisor *self);
void supervisor_read_kernel_log(struct supervisor *self);
/* Has the driver begun to fail I/O, by what was read of the log last, wherever that was? */
void supervisor_check_failure(struct supervisor *self);
/* A device that has failed: is it gone, does any I/O still hang? */
void supervisor_look_at_failed(struct supervisor *self);

/* status.c */
const char *supervisor_state(const struct supervisor *self);
/* Documented in nbd-attach(8), JSON. */
json_object *supervisor_status(struct supervisor *self);
/* Log, and tell the service manager, when the state is another than it was. */
void supervisor_tell_state(struct supervisor *self);

/* ending.c */
int supervisor_end_open_signals(struct supervisor *self, struct error *err);
void supervisor_end_on_signal(struct supervisor *self);
/* In each round of the loop, when all else is done. */
void supervisor_end_step(struct supervisor *self);

/* growth.c */
void supervisor_resize_init(struct supervisor *self);
/* A client asks for it; it is answered now or later. */
void supervisor_resize_ask(struct supervisor *self, size_t client);
/* A reconnect found the export grown. */
void supervisor_resize_to(struct supervisor *self, uint64_t size_bytes);
void supervisor_resize_step(struct supervisor *self);
int64_t supervisor_resize_deadline_ms(const struct supervisor *self);
void supervisor_resize_cancel(struct supervisor *self);

/* The loop's clock, that of everything absolute here. */
int64_t supervisor_now_ms(void);

#endif
