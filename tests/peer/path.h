/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An attacker on the path once TLS has begun: it sees records, and can flip, repeat, drop, cut and
 * insert, but has no key. Which record is which follows from what is visible without one: types,
 * lengths, order. */
#ifndef PATH_H
#define PATH_H
#include "peer.h"

enum path_record {
	PATH_NOTHING,
	/* of the client */
	PATH_CLIENT_HELLO,
	PATH_CLIENT_CERTIFICATE,
	PATH_CLIENT_KEY_EXCHANGE, /* TLS 1.2 */
	PATH_CLIENT_VERIFY,
	PATH_CLIENT_CCS,
	PATH_CLIENT_FINISHED,
	PATH_FIRST_OPTION, /* of what is said within TLS */
	PATH_READ_REQUEST,
	/* of the server */
	PATH_SERVER_HELLO,
	PATH_ENCRYPTED_EXTENSIONS, /* TLS 1.3 */
	PATH_CERTIFICATE_REQUEST,
	PATH_CERTIFICATE,
	PATH_CERTIFICATE_VERIFY,  /* TLS 1.3 */
	PATH_SERVER_KEY_EXCHANGE, /* TLS 1.2 */
	PATH_SERVER_HELLO_DONE,   /* TLS 1.2 */
	PATH_SERVER_CCS,
	PATH_SERVER_FINISHED,
	PATH_OPTION_REPLY, /* the first record of the server behind the handshake */
	PATH_READ_REPLY,   /* its first record */
};

enum path_action {
	PATH_FLIP,       /* one bit, in the middle of its body */
	PATH_FLIP_AT,    /* one bit of its byte AT */
	PATH_TWICE,      /* sent once more */
	PATH_DROP,       /* not sent */
	PATH_SWAP,       /* sent behind the one that follows it */
	PATH_CUT_IN,     /* half of it, then the end of the connection */
	PATH_CUT_BEHIND, /* all of it, then the end */
	PATH_BEFORE,     /* INSERT is sent before it */
	PATH_BEHIND,     /* INSERT is sent behind it */
	PATH_HALVES,     /* as two records of its type, with INSERT between them */
	PATH_EDIT,       /* a client's hello, as EDIT says */
};

enum path_edit {
	EDIT_OUT_TLS13,           /* no supported_versions: TLS 1.2 at the most */
	EDIT_OUT_MASTER_SECRET,   /* the same, and no extended master secret */
	EDIT_IN_WEAK_CIPHERS,     /* the same as the first, and nothing but CBC and RSA */
	EDIT_OUT_OTHER_SIGNATURES /* SHA-1 is all that is left of signature_algorithms */
};

struct path_config {
	enum path_action action;
	enum path_record record; /* PATH_NOTHING: no path_config at all */
	unsigned on_read;        /* PATH_READ_REPLY: of that read of the connection; 0: the first */
	bool mutual;             /* the server asks for the client's certificate */
	size_t at;               /* PATH_FLIP_AT: from the beginning of its header */
	const void *insert;
	size_t insert_size;
	enum path_edit edit;
};

bool path_send(int fd, const void *bytes, size_t size);
/* Keep what the client sent in SHARED->heard, as far as there is room. */
void path_hear(struct peer_shared *shared, const uint8_t *bytes, size_t size);

struct mitm_config;
/* Between two connected sockets from the client's hello on, until one of them closes. What the
 * client sent goes to SHARED->heard; SHARED->fired is set when the record was seen. */
void path_run(
	int client_fd, int server_fd, const struct mitm_config *config, struct peer_shared *shared);

/* What the server sent on the first connection is sent on later ones in its place. */
#define TAPE_BYTES 65536
#define TAPE_PARTS 64
struct path_tape {
	bool is_recorded;
	size_t part_count;
	struct {
		size_t heard_before; /* bytes of the client */
		size_t size;
	} parts[TAPE_PARTS];
	size_t size;
	uint8_t bytes[TAPE_BYTES];
};

void path_record_or_play(
	int client_fd, int server_fd, struct path_tape *tape, struct peer_shared *shared);

/* From the client's STARTTLS (16 bytes, not passed on) until one of them closes: path-prefix.c. */
void path_prefix_run(
	int client_fd, int server_fd, const uint8_t *starttls, struct peer_shared *shared);

#endif
