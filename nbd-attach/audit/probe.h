/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is tried on a server: one table, one function a probe. */
#ifndef NBDA_AUDIT_PROBE
#define NBDA_AUDIT_PROBE
#include "audit/attacker.h"
#include "audit/facts.h"
#include "config/endpoint.h"
#include "tls/credentials.h"

struct audit_job {
	const struct endpoint *endpoint; /* one host, or a unix socket */
	const char *tls_host;            /* the name to expect, and for SNI; may be empty */
	/* what is shown to the server, and what its certificate is held against; NULL: nothing,
	 * because of NO_CREDS */
	const struct tls_credentials *creds;
	const struct error *no_creds;
	bool has_psk;   /* in CREDS */
	int timeout_ms; /* of one probe; all that do not wait on purpose have ten times that */
	int idle_ms;    /* for how long a silent connection is watched */
	bool verbose;   /* tell each probe on stderr */
};

/* One probe under way, in a process of its own: connected, the greeting read, nothing sent. */
struct probe_run {
	struct attacker attacker;
	const struct audit_job *job;
	struct audit_facts facts; /* kept if the probe is one that `learns` */
	struct audit_verdict verdict;
};

typedef void probe_function(struct probe_run *run);

/* What a server must have for a probe to say anything. */
enum probe_need {
	NEEDS_STARTTLS = 1 << 0, /* offered */
	NEEDS_TLS = 1 << 1,      /* and it comes about */
	NEEDS_TLS_1_3 = 1 << 2,
	NEEDS_CERTIFICATE = 1 << 3, /* no pre-shared key */
	NEEDS_EXPORT = 1 << 4,
	NEEDS_CLOSED_EXPORT = 1 << 5, /* it is not served without TLS */
	NEEDS_FORCED = 1 << 6,
	NEEDS_TLS_IF_OFFERED = 1 << 7,
};

struct probe {
	const char *name; /* stable, for JSON */
	unsigned needs;   /* enum probe_need */
	bool learns;      /* its facts are for all that follow */
	bool background;  /* it waits on purpose: all of these at once, and beside the others */
	probe_function *function;
	const char *what; /* it does: "asks for the export without TLS" */
	const char *reference;
	const char *remedy;
};

extern const struct probe probes[];
extern const size_t probe_count;

/* Why it says nothing of a server of which FACTS are known; NULL: it does. */
const char *probe_unmet_need(
	const struct probe *probe, const struct audit_facts *facts, bool has_psk);

/* After TRIED ("asked for TLS"), an answer that says nothing of what was tried: none in time is not
 * tried, what is no protocol fails. True: that is the verdict. */
bool probe_is_unanswered(struct probe_run *run, const char *tried);

/* probes-clear.c: before TLS */
void probe_greeting(struct probe_run *run);
void probe_starttls(struct probe_run *run);
void probe_export(struct probe_run *run);
void probe_forced_tls(struct probe_run *run);
void probe_clear_export_name(struct probe_run *run);
void probe_clear_old_client(struct probe_run *run);
void probe_clear_options(struct probe_run *run);
void probe_client_flags(struct probe_run *run);

/* probes-starttls.c: the upgrade itself, and what is carried across it */
void probe_fallback(struct probe_run *run);
void probe_starttls_data(struct probe_run *run);
void probe_starttls_twice(struct probe_run *run);
void probe_starttls_late(struct probe_run *run);
void probe_pipelined(struct probe_run *run);
void probe_structured_reply(struct probe_run *run);
void probe_meta_context(struct probe_run *run);
void probe_extended_headers(struct probe_run *run);

/* probes-tls.c: versions, ciphers, the certificate */
void probe_tls_version(struct probe_run *run);
void probe_tls_1_1(struct probe_run *run);
void probe_tls_1_0(struct probe_run *run);
void probe_ssl_3_0(struct probe_run *run);
void probe_tls_weak(struct probe_run *run);
void probe_forward_secrecy(struct probe_run *run);
void probe_tls_binding(struct probe_run *run);
void probe_tls_downgrade(struct probe_run *run);
void probe_renegotiation(struct probe_run *run);
void probe_certificate(struct probe_run *run);

/* probes-ktls.c: what the kernel's TLS will meet */
void probe_key_update(struct probe_run *run);
void probe_padding(struct probe_run *run);
void probe_record_size(struct probe_run *run);
void probe_unasked(struct probe_run *run);

/* probes-lengths.c: lengths that lie */
void probe_option_length(struct probe_run *run);
void probe_name_length(struct probe_run *run);
void probe_long_name(struct probe_run *run);
void probe_oversized_name(struct probe_run *run);
void probe_query_count(struct probe_run *run);
void probe_read_bounds(struct probe_run *run);

/* probes-idle.c: connections that say nothing */
void probe_idle_greeting(struct probe_run *run);
void probe_idle_option(struct probe_run *run);
void probe_idle_tls(struct probe_run *run);

#endif
