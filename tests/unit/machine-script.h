/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Scripts for the supervisor's state machine: an event, and the actions that must follow it. */
#ifndef NBDA_TESTS_MACHINE_SCRIPT
#define NBDA_TESTS_MACHINE_SCRIPT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include "supervisor/core/backoff.h"
#include "supervisor/core/machine.h"

#define SETTLE_MS 200
#define NOTICE_MS 5
#define SAMPLE_MS 500
#define PROVE_MS 30000
#define SPARE_MS 60000
#define RENEW_PAUSE_MS 10000
#define DEAD_MS 600000
#define SLOW_MS 60000
#define IO_TIMEOUT_MS 30000
#define PAUSE_LIMIT_MS (BACKOFF_MAX_MS * 5 / 4)

struct script {
	struct machine machine;
	int64_t now_ms;
	/* SAVE, TELL_LOST, TELL_PROVEN, AWAIT_RECEIVER and the hosts are compared too */
	bool compares_all;
	/* EVENT_RECEIVER_ENDED does not follow at once: the script tells it */
	bool keeps_receivers;
};

/* What a sample of a link says. */
#define IN_DRIVER (FACT_COUNTED | FACT_USED) /* something was sent over it, and nothing came */
#define NOT_IN_USE FACT_COUNTED
#define CARRIED (FACT_COUNTED | FACT_USED | FACT_MOVED)
#define UNCOUNTED FACT_USED /* a Unix socket */

/* The settings of begin(): a slot is free with its notice, and a link under proof is sampled when
 * its time is over only. */
extern const struct machine_config script_config;

struct script begin(unsigned link_count);
/* ... with a moment after each notice, and samples in between. */
struct script begin_sampling(unsigned link_count);

/* "shut 1, cancel". */
void format_actions(
	const struct machine_actions *actions, bool is_complete, char *text, size_t size);

/* AFTER_MS later comes EVENT, and these ACTIONS follow. */
void expect_event(struct script *script, int64_t after_ms, const struct machine_event *event,
	const char *actions, int line);
/* The deadline comes, so long after the last event, and nothing happens before. */
void expect_deadline_at(struct script *script, int64_t after_ms, const char *actions, int line);

#define expect_with(script, after_ms, name, actions, ...)                                          \
	expect_event(script, after_ms, &(struct machine_event){.type = EVENT_##name, __VA_ARGS__}, \
		actions, __LINE__)
#define expect(script, after_ms, name, at, actions)                                                \
	expect_with(script, after_ms, name, actions, .link = (at))
#define expect_facts(script, after_ms, name, at, what, actions)                                    \
	expect_with(script, after_ms, name, actions, .link = (at), .facts = (what))
#define expect_deadline(script, after_ms, actions)                                                 \
	expect_deadline_at(script, after_ms, actions, __LINE__)

/* From a slot that is free and an attempt that is under way to a link that is proven. */
void expect_reconnect(struct script *script, unsigned link);
/* ... as far as the hand-over. */
void expect_hand_over(struct script *script, unsigned link);
/* From a link that was shut for its renewal to one that is proven. */
void expect_renewed(struct script *script, unsigned link);
void assert_state(const struct script *script, unsigned link, enum link_state state);
void assert_at_rest(const struct script *script);
/* FAILED, and no event changes that. */
void assert_given_up(struct script *script);

/* From rest, with one link. */
void stay(struct script *script);
void go_to_lost(struct script *script);
void go_to_negotiate(struct script *script);
void go_to_pause(struct script *script);
void go_to_spare(struct script *script); /* for a renewal in an idle moment */
void go_to_prove(struct script *script);
void go_to_failed(struct script *script);
/* Its slot was taken to be free without a notice, and has a socket under proof. */
struct script begin_without_notice(unsigned link_count);
/* Link 0 is under proof, by samples. */
struct script begin_sampling_proof(unsigned link_count);
/* One link. */
struct script begin_adopted(enum adopted_as how);

#endif
