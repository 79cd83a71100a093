/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests of the transmission phase, one at a time, and by what kind of reply each is answered. */
#ifndef NBDA_AUDIT_REQUEST
#define NBDA_AUDIT_REQUEST
#include <stdint.h>
#include "audit/attacker.h"

/* What a probe reads of an export at once. */
#define REQUEST_READ_MAX_BYTES 65536

enum request_kind {
	READ_DATA,       /* a simple reply with the data */
	READ_ERROR,      /* a simple reply with an error */
	READ_STRUCTURED, /* a structured one: `chunk_type` */
	READ_EXTENDED,
	READ_CLOSED,
	READ_SILENT,
	READ_BROKEN,
};

struct request_result {
	enum request_kind kind;
	uint32_t nbd_errno;
	uint16_t chunk_type;
	char text[256];
};

#define REQUEST_BYTES 28
/* With a random cookie. 0 or -errno. */
int request_encode(uint8_t *out, uint16_t command, uint64_t offset, uint32_t length);
/* The reply to REQUEST. The data of a READ is dropped, unless there would be more than
 * REQUEST_READ_MAX_BYTES of it. */
void request_receive(
	struct attacker *attacker, const uint8_t *request, struct request_result *result);
/* Send a request and receive its reply. */
void request_run(struct attacker *attacker, uint16_t command, uint64_t offset, uint32_t length,
	struct request_result *result);

#endif
