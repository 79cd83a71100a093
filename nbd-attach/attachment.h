/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One device with its links: negotiated, configured in the kernel, proven. Belongs to the supervisor. */
#ifndef NBDA_ATTACHMENT_H
#define NBDA_ATTACHMENT_H
#include <stdbool.h>
#include <time.h>
#include "attempt.h"
#include "backend-id.h"
#include "nbd-genl.h"
#include "options.h"
#include "tcp-stats.h"

struct link {
	int fd;                   /* our duplicate of the driver's socket */
	char address[64];
	struct tls_info tls;
	uint64_t base_sent_bytes; /* when the driver took over */
	uint64_t base_transmitted, base_received; /* record numbers then */
	bool proven;              /* always true without TLS: there is nothing to prove */
	bool dead;
};

struct attachment {
	struct target target;
	const struct tls_credentials *creds;
	struct options options;
	struct nbd_genl genl;     /* issued CONNECT: lives as long as the device (kernel fact 11) */
	int index;
	bool configured;
	struct export_info export;
	uint32_t block_size_bytes;
	uint16_t flags;           /* as given to the kernel: with READ_ONLY when wished */
	char backend[BACKEND_ID_SIZE];
	struct link links[CONNECTIONS_MAX];
	size_t link_count;
	time_t since;
};

/* Negotiate every link, CONNECT, read once through the device, and prove that what the driver sends is encrypted. On failure the
 * device is disconnected again. INDEX -1: any free device. */
int attachment_open(struct attachment *attachment, int index, struct error *err);
/* Has the data path of this link been seen to encrypt? Shuts the link and says -EPROTO when payload went out and no record was
 * made (design: encryption is proven, not assumed). Sets link->proven. */
int attachment_prove_link(struct link *link, struct error *err);
bool attachment_is_proven(const struct attachment *attachment);
/* One line for people: "/dev/nbd0 is attached to ...". */
void attachment_describe(const struct attachment *attachment, char *buf, size_t size);
/* Close our descriptors; the device goes on. */
void attachment_close(struct attachment *attachment);

#endif
