/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One attempt to negotiate, in a child process of its own: the negotiator. It has no root, no capabilities and no new
 * privileges when it reads the first byte from the network, and the parent kills it at the deadline. */
#ifndef NBDA_ATTEMPT_H
#define NBDA_ATTEMPT_H
#include <stdint.h>
#include <sys/types.h>
#include "base/error.h"
#include "nbd/export-info.h"
#include "config/target.h"
#include "net/tcp-connect.h"
#include "tls/credentials.h"
#include "tls/session.h"

enum attempt_kind {
	ATTEMPT_ATTACH, /* OPT_GO, the canary read, kTLS armed; the socket comes back */
	ATTEMPT_INFO,   /* OPT_INFO */
	ATTEMPT_LIST,   /* OPT_LIST, and OPT_INFO for each export where the server can */
};

struct attempt_job {
	enum attempt_kind kind;
	const struct target *target;
	const struct tls_credentials *tls; /* NULL: no TLS */
	int timeout_ms;                    /* for everything, name resolution included */
	int liveness_timeout_ms;           /* ATTEMPT_ATTACH: TCP keepalive of the socket; 0: the system's */
	bool impatient;                    /* a reconnect: ask resolvers and try addresses briefly, since there is a next attempt */
	size_t first_host;                 /* where to begin, and whether that is the only one: see tcp-connect.h */
	bool only_first_host;
	const struct known_address *known; /* one for each of the target's hosts, for when no resolver answers; may be NULL */
	bool verbose;                      /* tell each stage on stderr */
	bool skip_ktls;                    /* tests only: return after the canary, without arming */
	/* ATTEMPT_LIST: called in the parent for each export. */
	void (*on_export)(const struct export_info *info, void *data);
	void *on_export_data;
};

/* What a negotiator hands over: fixed size, validated by the parent before use. */
struct attempt_result {
	struct export_info export;
	struct tls_info tls;     /* version 0: no TLS */
	char address[64];        /* "192.0.2.7:10809", "[2001:db8::1]:10809" or "unix:PATH" cut */
	uint32_t host_index;     /* which of the target's hosts answered; 0 for a unix socket */
	int fd;                  /* ATTEMPT_ATTACH: the socket, owned by the caller; else -1 */
};

/* A running attempt. Wait for poll_fd to be readable or for deadline_ms, then call attempt_step(): each step may change both. */
struct attempt {
	struct attempt_job job;
	pid_t pid;
	int pidfd;               /* until poll_fd is the same */
	int poll_fd;             /* the channel, and then the child itself, of which only its end is awaited */
	int64_t deadline_ms;
	char stage[64];
	unsigned stage_count;
	enum { ATTEMPT_TALKING, ATTEMPT_HAS_SPOKEN, ATTEMPT_HAS_HUNG_UP } state;
	int rc;                  /* its last word, for when it has ended: */
	struct error err;
	struct attempt_result result;
};

int attempt_start(struct attempt *attempt, const struct attempt_job *job, struct error *err);
/* Never blocks. 1: not finished; 0: RESULT is there; -errno: failed, ERR says why. After 0 or -errno the child has ended or was killed. */
int attempt_step(struct attempt *attempt, struct attempt_result *result, struct error *err);
/* Kill, without waiting for what cannot die now. */
void attempt_cancel(struct attempt *attempt);
/* start, wait, step: for a caller with nothing else to wait for. */
int attempt_run(const struct attempt_job *job, struct attempt_result *result, struct error *err);

#endif
