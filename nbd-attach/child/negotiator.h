/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The child's side of a negotiation: what it is asked to do, and the messages that it sends. */
#ifndef NBDA_CHILD_NEGOTIATOR
#define NBDA_CHILD_NEGOTIATOR
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/error.h"
#include "config/endpoint.h"
#include "nbd/export-info.h"
#include "net/tcp-connect.h"
#include "tls/credentials.h"
#include "tls/info.h"

enum negotiation_kind {
	NEGOTIATION_ATTACH, /* OPT_GO, the test read, kTLS armed; the socket comes back */
	NEGOTIATION_INFO,   /* OPT_INFO */
	NEGOTIATION_LIST,   /* OPT_LIST, and OPT_INFO for each export where the server can */
};

struct negotiation_job {
	enum negotiation_kind kind;
	const struct endpoint *endpoint;
	const struct tls_credentials *tls; /* NULL: no TLS */
	/* not to be looked for in their files, where a former negotiation hung */
	bool keeps_credentials;
	int timeout_ms; /* for everything, name resolution included */
	/* NEGOTIATION_ATTACH: TCP keepalive of the socket; 0: the system's */
	int liveness_timeout_ms;
	/* a reconnect: ask resolvers and try addresses briefly, since there is a next attempt */
	bool short_timeout;
	/* where to begin, and whether that is the only one: see tcp-connect.h */
	size_t first_host;
	bool only_first_host;
	/* one for each of the endpoint's hosts, for when no resolver answers; may be NULL */
	const struct known_address *known;
	bool verbose; /* tell each stage on stderr */
	/* tests only: return after the test read, without arming */
	bool skip_ktls;
	/* not NEGOTIATION_LIST: filled before the result; NULL: not asked for */
	struct export_names *names;
	/* NEGOTIATION_LIST: called in the parent for each export. */
	void (*on_export)(const struct export_info *info, void *data);
	void *on_export_data;
};

/* What a negotiator hands over: fixed size, validated by the parent before use. Small: each
 * reconnect has one on the stack. */
struct negotiation_result {
	struct export_geometry export;
	struct tls_info tls; /* version 0: no TLS */
	char address[64];    /* "192.0.2.7:10809", "[2001:db8::1]:10809" or "unix:PATH" cut */
	uint32_t host_index; /* which of the endpoint's hosts answered; 0 for a unix socket */
	int fd;              /* NEGOTIATION_ATTACH: the socket, owned by the caller; else -1 */
};

enum negotiation_message_type {
	/* what the child is about to do, for the message when it is killed in it */
	NEGOTIATION_MESSAGE_STAGE = 1,
	NEGOTIATION_MESSAGE_EXPORT, /* one entry of a list */
	NEGOTIATION_MESSAGE_NAMES,  /* once, before the result, when they were asked for */
	/* success; the socket is attached when the job was NEGOTIATION_ATTACH */
	NEGOTIATION_MESSAGE_RESULT,
	NEGOTIATION_MESSAGE_ERROR,
};

/* One datagram of fixed size for each type; the parent checks every field. */
struct negotiation_message {
	uint32_t type; /* any but those of the two below */
	union {
		char stage[64];
		struct negotiation_result result;
		struct error error;
	};
};

struct negotiation_export_message {
	uint32_t type;
	struct export_info export;
};

struct negotiation_names_message {
	uint32_t type;
	struct export_names names;
};

_Static_assert(sizeof(struct negotiation_result) <= 1024, "a result is no small one any more");

/* The child_function of a struct negotiation_job. */
void negotiator_main(int channel, const void *job);

#endif
