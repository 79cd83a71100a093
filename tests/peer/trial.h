/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One attempt of the real negotiator against a peer in a process of its own, and what came of
 * it. */
#ifndef TRIAL_H
#define TRIAL_H
#include "child/negotiation.h"
#include "mitm.h"
#include "peer.h"

#define TRIAL_EXPORT "confidential-export"
#define TRIAL_DESCRIPTION "a disk"
/* On a machine with other work to do, what a deadline may be late by; a negotiator that ignores it
 * is late by much more. */
#define TRIAL_MARGIN_MS 2500
/* No reply may cost a negotiator more memory than this (an honest handshake takes 12 MiB). A
 * sanitizer has its own needs. */
#ifdef __SANITIZE_ADDRESS__
#define TRIAL_MEMORY_KIB (512 << 10)
#else
#define TRIAL_MEMORY_KIB (40 << 10)
#endif

struct trial {
	struct peer_config peer;
	const struct mitm_config *mitm; /* NULL: nobody on the path */
	uint16_t backend_port;          /* not 0: a real server behind the man in the middle */
	enum negotiation_kind kind;
	bool tls;
	bool without_names; /* of the export, as in a reconnect */
	int timeout_ms;
	const struct tls_credentials *credentials;
	bool keeps_credentials;
};

struct outcome {
	int rc;
	struct error err;
	struct negotiation_result result;
	struct export_names names;
	int64_t elapsed_ms;
	int child_status; /* of the negotiator, as from wait() */
	long child_maxrss_kib;
	unsigned listed;
	struct export_info last_listed;
	bool name_in_clear; /* the export's name went over the wire readable */
	bool peer_crashed;
};

struct peer_shared *trial_shared_new(void);
void trial_run(const struct trial *trial, struct peer_shared *shared, struct outcome *outcome);
/* What is wrong with the outcome whatever the trial was: a crash, a deadline missed, memory, a kind
 * of error that no server can cause, text that a terminal would act on. NULL when nothing is. */
const char *trial_fault(const struct trial *trial, const struct outcome *outcome);
/* A socket that listens on an ephemeral port of 127.0.0.1. */
int trial_listen(uint16_t *port);
/* The same on that port. */
int trial_listen_at(uint16_t wanted, uint16_t *port);
/* To that port of 127.0.0.1; -1 when it is refused. */
int trial_connect(uint16_t port);
bool trial_matches(const char *pattern, const struct error *err);

#endif
