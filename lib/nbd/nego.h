/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* NBD option haggling (doc/proto.md, "Fixed newstyle negotiation") as blocking code over a
 * transport. The order is the caller's: greeting, then STARTTLS when TLS is wanted (and nothing
 * learned before it counts after it), then one of info, list, go. */
#ifndef NBDA_NBD_NEGO
#define NBDA_NBD_NEGO
#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"
#include "nbd/export-info.h"
#include "base/transport.h"

/* No reply that we ask for is longer: two strings of 4096 bytes and a header fit. */
#define NEGO_REPLY_MAX_BYTES 16384
/* A server may send informational replies that nobody asked for, but not without end. */
#define NEGO_REPLY_MAX_COUNT 64
#define NEGO_LIST_MAX_COUNT 65536
#define NEGO_LIST_MAX_BYTES (8U << 20)

struct nego_reply {
	uint32_t type;
	uint32_t size;
	uint8_t payload[NEGO_REPLY_MAX_BYTES + 1];
};

struct nego {
	struct transport *transport;
	bool tls_wanted; /* set before the greeting */
	bool tls_active;
	bool fixed_newstyle;
	bool no_zeroes;
	/* the export was entered with OPT_EXPORT_NAME: nothing more may be haggled */
	bool silent;
	struct nego_reply reply; /* the last one */
};

void nego_init(struct nego *nego, struct transport *transport, bool tls_wanted);
/* Read the greeting and answer with the client flags. */
int nego_greeting(struct nego *nego, struct error *err);
/* Its first half: the handshake flags, as they are; nothing is answered. */
int nego_read_greeting(struct nego *nego, uint16_t *flags, struct error *err);
/* OPT_STARTTLS up to its ACK. Success means: start the handshake now, not a byte is waiting. */
int nego_starttls(struct nego *nego, struct error *err);
/* OPT_INFO: look only. -EOPNOTSUPP when the server does not know the option. */
int nego_info(struct nego *nego, const char *name, struct export_info *info, struct error *err);
/* OPT_GO; without TLS and only when the server does not know it, OPT_EXPORT_NAME. Success:
 * transmission phase. */
int nego_go(struct nego *nego, const char *name, struct export_info *info, struct error *err);
/* OPT_LIST. EMIT is called for each export (name and description only); non-zero from it ends the
 * listing with that. */
int nego_list(struct nego *nego, int (*emit)(const struct export_info *info, void *data),
	void *data, struct error *err);
/* OPT_ABORT, as a courtesy; no answer is waited for. */
void nego_abort(struct nego *nego);
/* One small read in the transmission phase, which has to come back as a simple reply: a structured
 * one means that somebody negotiated on our behalf before TLS began (CVE-2021-3716).
 * BLOCK_SIZE_BYTES bytes at offset 0 are read and dropped. NAME is what a message calls the reply:
 * "the server's reply to a first read". */
int nego_test_read(
	struct nego *nego, uint32_t block_size_bytes, const char *name, struct error *err);
/* 0 when neither the session nor the socket holds a byte that nobody asked for; -EPROTO
 * (ERROR_SERVER) otherwise, saying WHERE. A connection that has ended or broken fails as well. */
int nego_check_silence(struct nego *nego, const char *where, struct error *err);

/* Shared by the option files. */
int nego_send_option(
	struct nego *nego, uint32_t option, const void *data, uint32_t size, struct error *err);
int nego_read_reply(struct nego *nego, uint32_t option, struct error *err);
/* The sentence for an error reply; always fails. EXPORT_NAME may be NULL. */
int nego_reply_error(
	const struct nego *nego, uint32_t option, const char *export_name, struct error *err);
int nego_unexpected_reply(const struct nego *nego, uint32_t option, struct error *err);
const char *nego_option_name(uint32_t option);
/* "ERR_POLICY"; NULL when the protocol has no error reply of that type. */
const char *nego_error_name(uint32_t type);

#endif
