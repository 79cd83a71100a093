/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A ClientHello of SSL 3.0 to TLS 1.2 that offers what no library offers any more, and the
 * ServerHello or alert that comes back. Pure: no I/O. */
#ifndef NBDA_AUDIT_HELLO
#define NBDA_AUDIT_HELLO
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HELLO_SSL_3_0 0x0300
#define HELLO_TLS_1_0 0x0301
#define HELLO_TLS_1_1 0x0302
#define HELLO_TLS_1_2 0x0303

/* Cipher suites of TLS up to 1.2, by what is to be said of them. */
enum hello_suites {
	/* without encryption, authentication or enough of either: NULL, anonymous, export, RC4,
	 * RC2, DES, 3DES, IDEA */
	HELLO_SUITES_WEAK = 1 << 0,
	/* without forward secrecy: the server's key, got later, decrypts what was recorded */
	HELLO_SUITES_STATIC = 1 << 1,
	HELLO_SUITES_FORWARD_SECRET = 1 << 2,
};

struct hello_offer {
	uint16_t version;
	unsigned suites; /* enum hello_suites, or several */
	/* those with a pre-shared key or with nothing alone: a server that has keys may choose a
	 * certificate's cipher if it is offered, and then fail */
	bool without_certificate;
	const char *host; /* SNI; empty: none */
	uint8_t random[32];
};

#define HELLO_MAX_BYTES 1024
/* Records that a ServerHello may come in. */
#define HELLO_ANSWER_MAX_BYTES 20480

enum hello_kind { HELLO_SERVER, HELLO_ALERT, HELLO_NOT_TLS };

struct hello_answer {
	enum hello_kind kind;
	/* HELLO_SERVER */
	uint16_t version, suite;
	bool renegotiation_info;     /* RFC 5746 */
	bool extended_master_secret; /* RFC 7627 */
	bool downgrade_sentinel;     /* RFC 8446, 4.1.3 */
	uint8_t alert;               /* HELLO_ALERT: its description */
};

/* The record, its size returned; OUT has HELLO_MAX_BYTES. */
size_t hello_encode(uint8_t *out, const struct hello_offer *offer);
#define HELLO_RECORD_HEADER_BYTES 5
/* 1: ANSWER is filled; 0: more bytes are needed. */
int hello_decode(const uint8_t *bytes, size_t size, struct hello_answer *answer);
/* How many then: up to the end of a record's header, or of the record. */
size_t hello_bytes_needed(const uint8_t *bytes, size_t size);

/* "TLS 1.1" */
const char *hello_version_name(uint16_t version);
/* As in IANA's registry, without "TLS_"; NULL: not in our lists. */
const char *hello_suite_name(uint16_t suite);
/* 0: not in our lists. */
unsigned hello_suite_class(uint16_t suite);

#endif
