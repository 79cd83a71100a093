/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is known of a server after the first probes, and what a probe makes of it. Plain data
 * without pointers, since it crosses a socket. */
#ifndef NBDA_AUDIT_FACTS
#define NBDA_AUDIT_FACTS
#include <stdbool.h>
#include <stdint.h>
#include "nbd/nbd-protocol.h"

/* The specification's words for how a server treats TLS (doc/proto.md, "Server-side
 * requirements"), and the one that it warns of. */
enum audit_mode {
	AUDIT_MODE_UNKNOWN,
	AUDIT_MODE_NONE,          /* NOTLS */
	AUDIT_MODE_OPPORTUNISTIC, /* SELECTIVETLS, and the export is served without TLS, too */
	AUDIT_MODE_SELECTIVE,     /* SELECTIVETLS, and the export is TLS-only */
	AUDIT_MODE_FORCED,        /* FORCEDTLS */
};

struct audit_facts {
	char address[64]; /* as in struct connection; later probes are of this one */
	uint16_t handshake_flags;
	bool offers_tls; /* STARTTLS is answered with an ACK */
	bool has_tls;    /* and TLS comes about, with the credentials that there are */
	int tls_version; /* enum tls_version: the best; 0: none */
	char cipher[32]; /* "AES-256-GCM" */
	enum audit_mode mode;
	bool has_export; /* it opens (over TLS where there is TLS) and can be read */
	char export_name[EXPORT_NAME_MAX + 1];
	uint64_t size_bytes;
	uint32_t block_bytes; /* may be read at once, at offset 0 */
};

enum audit_result { AUDIT_PASS = 1, AUDIT_FAIL, AUDIT_NOT_APPLICABLE };

struct audit_verdict {
	enum audit_result result;
	/* not applicable only because something failed that has nothing to do with the probe */
	bool not_tried;
	char evidence[640]; /* one line, printable */
	int32_t elapsed_ms;
};

/* What a probe says at its end. */
void verdict_pass(struct audit_verdict *verdict, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void verdict_fail(struct audit_verdict *verdict, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void verdict_not_applicable(struct audit_verdict *verdict, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void verdict_not_tried(struct audit_verdict *verdict, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* "forced"; stable, for JSON. */
const char *audit_mode_name(enum audit_mode mode);
/* "pass", "fail", "not-applicable"; stable, for JSON. */
const char *audit_result_name(enum audit_result result);

#endif
