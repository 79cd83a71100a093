/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One step of the machine, as its parts see it: machine-step.c, -work.c, -link.c, -proof.c,
 * -outage.c, -renewal.c, -growth.c, -stop.c. */
#ifndef NBDA_SUPERVISOR_CORE_MACHINE_STEP
#define NBDA_SUPERVISOR_CORE_MACHINE_STEP
#include "supervisor/core/machine.h"

struct step {
	struct machine *machine;
	const struct machine_event *event;
	struct machine_actions *actions;
};

void step_add(struct step *step, const struct machine_action *action);
void step_act(struct step *step, enum machine_action_type type, unsigned link);
/* The earlier of two times; -1 is never. */
void step_earlier(int64_t *deadline_ms, int64_t other_ms);

/* machine-work.c */
void step_set_work(struct step *step, enum machine_work work, int64_t duration_ms);
/* An attempt, or its socket, came to nothing. */
void step_pause(struct step *step);
/* The work is not needed any more. */
void step_release_work(struct step *step);
void machine_work_on_negotiated(struct step *step);
void machine_work_on_not_negotiated(struct step *step, bool is_refused);
void machine_work_on_spare_gone(struct step *step);
void machine_work_on_handed_over(struct step *step);
/* What to do next. */
void machine_work_advance(struct step *step);

/* machine-proof.c */
void machine_proof_probe(struct step *step);
void machine_proof_begin(struct step *step, unsigned at);
/* IS_SEEN: it has carried data, so its slot was free. */
void machine_proof_accept(struct step *step, unsigned at, bool is_seen);
void machine_proof_on_sampled(struct step *step);
void machine_proof_on_probed(struct step *step);
void machine_proof_on_moved(struct step *step);
/* A link that is to be proven; -1: none. */
int machine_proof_find(const struct machine *machine);

/* machine-outage.c */
/* Does the outage begin, or end, with what is known now? */
void machine_outage_note(struct step *step);
/* Something has served until now, whatever we know of it. */
void machine_outage_restart(struct step *step);
/* When the device is to be failed; -1: never. */
int64_t machine_outage_fail_at_ms(const struct machine *machine);
bool machine_outage_is_over_time(const struct step *step);
void machine_outage_on_served(struct step *step);
/* A read was done. */
void machine_outage_on_read(struct step *step);
/* Asks by a read whether a link serves of which that is not known; if there is none, nothing. */
void machine_outage_ask(struct step *step);
/* Where no link is up but those presumed to be: asks whether they serve, and if there is no answer,
 * presumes them lost. */
void machine_outage_ask_presumed(struct step *step);
int64_t machine_outage_ask_at_ms(const struct machine *machine);
/* Out of time: samples of what may serve unseen. */
void machine_outage_sample(struct step *step);
void machine_outage_on_last_sample(struct step *step, bool is_last);
/* When the device is read from before it is failed; -1: never. */
int64_t machine_outage_probe_at_ms(const struct machine *machine);
void machine_outage_probe(struct step *step);
void machine_outage_fail(struct step *step);

/* machine-link.c */
/* The link's socket is no good any more, or will not be: wait for the driver to let go of it. */
void machine_link_lose(struct step *step, unsigned at, bool is_renewal);
void machine_link_shut_down(struct step *step, unsigned at, bool is_renewal);
void machine_link_shut_all(struct step *step);
void machine_link_on_hangup(struct step *step);
void machine_link_on_notice(struct step *step);
void machine_link_on_notices_lost(struct step *step);
void machine_link_on_looked_up(struct step *step);
void machine_link_on_cannot_shut(struct step *step);
void machine_link_on_settled(struct step *step);
void machine_link_on_proven(struct step *step, unsigned at);
void machine_link_on_silent(struct step *step, unsigned at);
void machine_link_on_answered(struct step *step);
/* What a second connection came to, for all links that are silent: they are to the same server. */
void machine_link_on_second_connection(struct step *step, bool is_answered);
void machine_link_on_time(struct step *step);
/* Nothing here can end it: the driver's notice tells that it has. */
void machine_link_leave_alone(struct machine_link *link);
/* The only one: its slot is served by a connection of which nothing is known. */
void machine_link_leave_to_former(struct step *step, unsigned at);
/* The first one in that state; -1: none. */
int machine_link_find(const struct machine *machine, enum link_state state);
/* One to bring back: -1: none. */
int machine_link_find_in_need(const struct machine *machine);
/* One whose slot will be free in a moment, if it is not by now. */
int machine_link_find_settled(const struct machine *machine);
/* One whose server is to be asked whether it lives. */
int machine_link_find_silent(const struct machine *machine);

/* machine-renewal.c */
void machine_renewal_on_rekey(struct step *step, bool is_urgent);
void machine_renewal_on_idle(struct step *step);
void machine_renewal_on_drained(struct step *step);
/* There is a spare socket, and no slot is to be filled. */
void machine_renewal_use_spare(struct step *step);
/* It has been spare for long. */
void machine_renewal_on_no_idle(struct step *step);
/* Some servers serve one connection at a time (qemu-nbd without --shared): a second one is not
 * answered while the first is there. A link that is to be renewed now gives way then. */
bool machine_renewal_make_room(struct step *step);
/* What was known of requests that take long is out of date; a drain that was asked for since is
 * not. */
void machine_renewal_forget_drained(struct machine *machine);
/* The most urgent one that is requested; -1: none. */
int machine_renewal_find(const struct machine *machine);
bool machine_renewal_is_urgent(const struct machine_link *link);

/* machine-growth.c */
void machine_growth_on_grow(struct step *step, bool is_background);
void machine_growth_on_drained(struct step *step);
void machine_growth_on_idle(struct step *step);
void machine_growth_on_resized(struct step *step);
void machine_growth_advance(struct step *step);
int64_t machine_growth_deadline_ms(const struct machine *machine);

/* machine-stop.c */
void machine_stop_on_shutdown(struct step *step);
void machine_stop_on_stop(struct step *step);
void machine_stop_on_detached(struct step *step);
void machine_stop_advance(struct step *step);
int64_t machine_stop_deadline_ms(const struct machine *machine);
/* Of an outage that begins at shutdown, nothing has been waited for yet. */
void machine_stop_limit_next_outage(struct machine *machine);

#endif
