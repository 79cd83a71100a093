/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One device with its links: negotiated, configured in the kernel, proven; or adopted from a
 * supervisor that is no more. Belongs to its supervisor. */
#ifndef NBDA_SUPERVISOR_ATTACHMENT
#define NBDA_SUPERVISOR_ATTACHMENT
#include <stdbool.h>
#include "child/negotiation.h"
#include "config/backend-id.h"
#include "config/limits.h"
#include "config/policy.h"
#include "supervisor/link.h"
#include "kernel/block-io.h"
#include "kernel/nbd-genl.h"
#include "child/probe.h"

struct attachment {
	struct endpoint endpoint;
	struct tls_credentials *creds; /* NULL: without TLS; replaced in place by a reload */
	struct device_policy policy;
	bool verbose; /* tell each stage of the first negotiations on stderr */
	/* issued CONNECT: lives as long as the device (kernel fact socket-owns-device) */
	struct nbd_genl genl;
	int index;
	bool configured;
	bool taken; /* the device is somebody else's now */
	bool adopted;
	int64_t outage_since_ms; /* monotonic; no link has served since; -1: one does */
	bool answers;            /* adopted: a read through it was answered */
	bool duplicate;          /* another device writes to the same export */
	/* the dead-timeout is over and I/O was lost: for a supervisor that would adopt it */
	bool failed;
	/* false after an adoption that found no record of it: the next offer counts */
	bool export_known;
	struct export_geometry export;
	struct export_names names;   /* of the first offer that counts */
	uint64_t offered_size_bytes; /* when the server has grown the export since, else 0 */
	uint32_t block_size_bytes;
	uint16_t flags; /* as given to the kernel: with READ_ONLY when asked for */
	char backend[BACKEND_ID_SIZE];
	struct link links[LINKS_MAX];
	size_t link_count;
	struct known_address known[ENDPOINT_HOSTS_MAX];
	int64_t since_ms; /* by the boot clock; -1: not known */
	/* what a former attachment has left in the device's counters */
	struct block_io io_before;
	bool io_known; /* false after an adoption that found no record of it */
};

/* Is the device configured, and by us? */
bool attachment_is_ours(struct attachment *attachment);
/* A job for an attempt of KIND at the attachment's server; pointers into ATTACHMENT. */
struct negotiation_job attachment_job(
	const struct attachment *attachment, enum negotiation_kind kind, bool short_timeout);
/* What negotiating and arming the links takes of the kernel: the nbd driver, and with credentials
 * kernel TLS and its ciphers. */
int attachment_load_modules(const struct attachment *attachment, struct error *err);
/* Where the host of LINK was last: for when its name cannot be resolved. */
void attachment_remember_address(struct attachment *attachment, const struct link *link);
/* The driver's timer for a request (kernel fact io-timeout-resends), and how long new ones wait for
 * a link. */
int attachment_io_timeout_ms(const struct attachment *attachment);
uint64_t attachment_dead_conn_timeout_sec(const struct attachment *attachment);
/* Take the connected socket of RESULT as LINK, and remember where its host was found. */
void attachment_take_link(
	struct attachment *attachment, struct link *link, struct negotiation_result *result);
/* Does the offer of another negotiation fit the device? 0, also when the server's export has only
 * grown (then *GROWN), or -ESTALE. */
int attachment_check_offer(const struct attachment *attachment, const struct export_geometry *offer,
	bool *grown, struct error *err);
/* A read that uses each link that can be used. */
struct probe attachment_probe(const struct attachment *attachment);
/* Make the driver fail what waits for a link, and what comes. *PEER_FD (-1: none) is to stay open
 * for some time. */
int attachment_fail_io(struct attachment *attachment, int *peer_fd, struct error *err);
/* One line for people: "/dev/nbd0 is attached to ...". */
void attachment_describe(const struct attachment *attachment, char *buf, size_t size);
/* Close our descriptors; the device goes on. */
void attachment_close(struct attachment *attachment);

#endif
