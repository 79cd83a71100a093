/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A server that does all as the specification wants it, and gets one thing wrong on request: what
 * an audit has to find, and nothing else. It serves one connection in a process of its own. */
#ifndef AUDIT_SERVER_H
#define AUDIT_SERVER_H
#include <gnutls/gnutls.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum hole_kind {
	HOLE_NONE,
	HOLE_FLAGS,    /* a handshake flag that does not exist */
	HOLE_NO_TLS,   /* not offered */
	HOLE_NO_READ,  /* structured replies, unasked */
	HOLE_OPTIONAL, /* TLS is not required */
	HOLE_CLEAR_EXPORT_NAME,
	HOLE_CLEAR_OLD_CLIENT, /* the same, of clients that do not say "fixed newstyle" */
	HOLE_CLEAR_INFO,
	HOLE_CLEAR_LIST,
	HOLE_CLIENT_FLAGS,
	HOLE_FALLBACK, /* goes on without TLS when TLS fails */
	HOLE_STARTTLS_DATA,
	HOLE_STARTTLS_DATA_READ, /* refused, and its data taken for an option */
	HOLE_STARTTLS_TWICE,
	HOLE_STARTTLS_LATE, /* refused after other options */
	HOLE_READ_AHEAD,    /* what is behind STARTTLS counts as said within TLS */
	HOLE_ANSWER_AHEAD,  /* and that it is answered in clear */
	HOLE_KEEPS_STRUCTURED,
	HOLE_KEEPS_CONTEXT,
	HOLE_KEEPS_EXTENDED,
	HOLE_NO_SENTINEL, /* TLS 1.2 as if it knew no better */
	HOLE_RENEGOTIATES,
	HOLE_KEY_UPDATE, /* hangs up at one */
	HOLE_PADDING,    /* hangs up at a padded request */
	HOLE_RECORD_SIZE,
	HOLE_UNASKED_KEY_UPDATE,
	HOLE_UNASKED_DATA,
	HOLE_OPTION_LENGTH,
	HOLE_NAME_LENGTH,
	HOLE_NAME_LENGTH_TWICE, /* refused, twice */
	HOLE_LONG_NAME,         /* the whole server dies */
	HOLE_OVERSIZED_NAME,
	HOLE_QUERY_COUNT,
	HOLE_READ_BEHIND, /* reads behind the end */
	HOLE_READ_WRAP,   /* and where offset and length wrap around */
	HOLE_READ_ALL,    /* 4 GiB of whatever there is */
	HOLE_IDLE_GREETING,
	HOLE_IDLE_OPTION,
	HOLE_IDLE_TLS,
};

struct hole {
	const char *name;
	const char *probe; /* which finds it */
	enum hole_kind kind;
	const char *priority; /* NULL: TLS 1.3 and 1.2 */
	const char *certs;    /* a directory below that of the certificates; NULL: that itself */
};

extern const struct hole holes[];
extern const size_t hole_count;
const struct hole *hole_find(const char *name);

struct server {
	int fd;
	enum hole_kind hole;
	const char *priority;
	gnutls_certificate_credentials_t credentials;
	int idle_ms;
	int slow_read_ms;
	bool tired;           /* hangs up after the greeting */
	bool selective;       /* the export alone is for TLS only */
	bool optional;        /* nothing is */
	gnutls_session_t tls; /* NULL: not yet */
	bool structured, has_context, extended, transmitting;
	unsigned options; /* so far */
	uint32_t client_flags;
	uint8_t ahead[16];
	size_t ahead_size;
};

/* server-io.c; all return false when the connection is over. */
bool server_send(struct server *server, const void *bytes, size_t size);
bool server_receive(struct server *server, void *bytes, size_t size);
/* For how long the client may be silent from now on; 0: for ever. */
void server_limit_idle(struct server *server, int ms);
bool server_handshake(struct server *server);

/* server.c */
void server_run(struct server *server);

#endif
