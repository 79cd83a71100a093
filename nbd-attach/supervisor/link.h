/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One socket between the kernel's driver and a server, as its supervisor holds a duplicate of
 * it. */
#ifndef NBDA_SUPERVISOR_LINK
#define NBDA_SUPERVISOR_LINK
#include <stdbool.h>
#include <sys/socket.h>
#include "child/negotiation.h"

/* How far a link had come when the driver took over. */
struct link_base {
	uint64_t sent_bytes, received_bytes;
	uint64_t transmitted, received; /* record numbers */
	uint64_t completed;             /* requests of the device that were answered then */
};

struct link {
	int fd; /* our duplicate; -1: none (lost, or adopted without it) */
	char address[64];
	uint32_t host_index; /* of the endpoint's hosts */
	struct tls_info tls;
	bool is_tls_unknown; /* a former supervisor made it, and left no word of it */
	/* the export's, as this connection was told; 0: not known. Its server may hold to it to the
	 * end */
	uint64_t size_bytes;
	/* by these another supervisor can find it; family 0: not TCP */
	struct sockaddr_storage local, peer;
	struct link_base base;
	/* seen to encrypt; always true without TLS: there is nothing to prove */
	bool proven;
	/* seen to carry data since the driver was given it: until then it may have dropped it */
	bool carries;
	int64_t since_ms; /* by the boot clock; -1: not known */
};

/* How far a link has come; zeros where the socket does not tell (Unix sockets). */
struct link_sample {
	uint64_t sent_bytes, received_bytes;
	uint64_t transmitted, received; /* record numbers */
	int lost_ms;                    /* the peer's TCP acknowledges nothing: see tcp-stats.h */
	/* something was sent that is not answered: any request, flushes too; false where the socket
	 * does not tell */
	bool owed;
};

/* Take over the socket of RESULT. */
void link_init(struct link *link, struct negotiation_result *result);
/* False: a Unix socket, which does not tell what it has carried. */
bool link_is_tcp(const struct link *link);
/* What has come and nobody has read; 0 where that cannot be told. */
int link_unread_bytes(const struct link *link);
/* Make it ready for the driver: blocking, and the counters remembered. */
int link_prepare(struct link *link, struct error *err);
int link_sample(const struct link *link, struct link_sample *sample);
/* Is it connected, as far as its socket tells? */
bool link_is_up(const struct link *link);
/* Has data gone both ways since the driver took over? Unknown is false. */
bool link_has_moved(const struct link *link);
/* Has the data path been seen to encrypt? Shuts the link and says -EPROTO when payload went out and
 * no record was made: encryption is proven, not assumed (kernel facts ktls-bypass and
 * record-number). Sets link->proven. */
int link_prove(struct link *link, struct error *err);
/* Records that its key may protect; 0: no limit. OVERRIDE lowers it, or sets one where the
 * cipher has none; 0: none given. */
uint64_t link_record_limit(const struct link *link, uint64_t override);
/* Both directions at once, and none first: a server that is told of the end while it can still
 * answer may answer with errors, and those are final (kernel fact half-close-errors). What has come
 * by now is still read; what comes from now on is refused (TCP: with a reset). */
void link_shut(const struct link *link);
void link_close(struct link *link);
/* Has anything been sent over it since the driver took over? Unknown is true. */
bool link_was_used(const struct link *link);

#endif
