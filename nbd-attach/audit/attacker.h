/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One connection to the server, spoken as an attacker does: any option at any time, lengths that
 * lie, bytes in one segment or in two, TLS without verifying the peer. Blocking, each step under
 * a deadline, and every length that comes from the server has its bound.
 *
 * What fails returns -errno, with the reason in `err`. */
#ifndef NBDA_AUDIT_ATTACKER
#define NBDA_AUDIT_ATTACKER
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "audit/facts.h"
#include "base/error.h"
#include "base/transport.h"
#include "config/endpoint.h"
#include "nbd/nego.h"
#include "tls/credentials.h"

/* An option, and client flags, that no version of the protocol knows. */
#define OPTION_UNKNOWN 0x6e626461U
#define CLIENT_FLAG_UNKNOWN (1U << 30)
#define CLIENT_FLAGS_HONEST (NBD_HANDSHAKE_FIXED_NEWSTYLE | NBD_HANDSHAKE_NO_ZEROES)
/* Replies to one option; a server of many exports may well list a thousand. */
#define ATTACKER_REPLIES_MAX 4096

enum answer_kind {
	ANSWER_ACK,
	ANSWER_ERROR,  /* NBD_REP_ERR_*: `type` */
	ANSWER_OTHER,  /* another reply */
	ANSWER_CLOSED, /* hung up, or TLS ended */
	ANSWER_SILENT, /* none in time */
	ANSWER_BROKEN, /* what no protocol has there */
};

/* To one option: of its last reply, and what the ones before told. */
struct answer {
	enum answer_kind kind;
	uint32_t option, type;
	char text[256]; /* for people: "ERR_POLICY", "it hung up" */
	bool has_size;
	uint64_t size_bytes;
	uint32_t block_min_bytes; /* 0: not told */
	bool has_name;            /* of the first export listed */
	char name[EXPORT_NAME_MAX + 1];
};

struct attacker_tls;

struct attacker {
	const struct endpoint *endpoint;
	const char *tls_host; /* for SNI; empty: none */
	const struct tls_credentials *creds;
	int64_t deadline_ms; /* of all, monotonic */
	int answer_ms;       /* for one answer */
	int slowest_ms;      /* of the answers so far: how long to wait for one that may not come */
	int fd;
	char address[64];
	uint16_t handshake_flags;
	struct transport transport;
	struct nego nego;
	struct attacker_tls *tls; /* NULL: not yet */
	enum { ATTACKER_SILENT, ATTACKER_HAGGLING, ATTACKER_TRANSMITTING, ATTACKER_LOST } phase;
	struct answer answer;
	struct error err;
};

/* Connect, give up all privileges, read the greeting. */
int attacker_connect(struct attacker *self);
/* Say that it is over where the protocol has a message for it, and close. */
void attacker_close(struct attacker *self);

int attacker_send(struct attacker *self, const void *bytes, size_t size);
int attacker_send_flags(struct attacker *self, uint32_t client_flags);
/* Flags as the server offers them. */
int attacker_send_honest_flags(struct attacker *self);
/* One reply, to any option, into `answer`. */
void attacker_receive(struct attacker *self);
/* Send an option and receive its replies up to the last. */
void attacker_ask(struct attacker *self, uint32_t option, const void *data, size_t size);
void attacker_ask_go(struct attacker *self, uint32_t option, const char *export_name);
/* The rest of the replies to OPTION, which was sent. */
void attacker_receive_rest(struct attacker *self, uint32_t option);
/* STARTTLS up to its ACK; -EPROTO: another answer, -ETIMEDOUT: none. */
int attacker_starttls(struct attacker *self);
/* TLS on the connection, see attacker_tls_start(). */
int attacker_handshake(struct attacker *self, const char *priority);
/* Both. */
int attacker_secure(struct attacker *self);
/* Flags, TLS if there is TLS, as an honest client. */
int attacker_begin(struct attacker *self, const struct audit_facts *facts);
/* GO into the export that is known to open; errors as above. */
int attacker_enter(struct attacker *self, const struct audit_facts *facts);
/* The protocol still knows where it is: an unknown option has one error as its answer. */
bool attacker_is_in_step(struct attacker *self);
/* What comes within the time, and stays to be read: the number of bytes; 0: it hung up;
 * -ETIMEDOUT: nothing. Not within TLS. */
long attacker_peek(struct attacker *self, void *buf, size_t size, int within_ms);

/* The deadline of what is done next. */
void attacker_renew_deadline(struct attacker *self, int within_ms);

#endif
