/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Is this server's STARTTLS sound? Tries on it what an attacker on the path could do, a fresh
 * connection and a process of its own each, and judges by what comes back. Reads at the most; never
 * a write, trim or zero. */
#ifndef NBDA_AUDIT_AUDIT
#define NBDA_AUDIT_AUDIT
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "audit/facts.h"
#include "audit/probe.h"
#include "base/error.h"

struct audit_report {
	struct audit_facts facts;
	size_t count; /* of probes, and verdicts */
	struct audit_verdict *verdicts;
	/* false: a probe that applies could not be tried, or the server went away */
	bool complete;
	int64_t elapsed_ms;
};

/* -errno only if nothing could be asked at all: no connection, no NBD server. REPORT is to be
 * freed in any case. */
int audit_run(const struct audit_job *job, struct audit_report *report, struct error *err);
void audit_report_free(struct audit_report *report);
size_t audit_count(const struct audit_report *report, enum audit_result result);
/* Has all that applies been tried, and passed? */
bool audit_is_sound(const struct audit_report *report);

#endif
