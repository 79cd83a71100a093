/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A scripted NBD server for tests: honest unless its configuration says otherwise. It serves one
 * connection in a process of its own, blocking; its parent kills it. What it saw and did is
 * in memory shared with the test. */
#ifndef PEER_H
#define PEER_H
#include <gnutls/gnutls.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tls_record_keys;

/* Numbers that the client has no use for. */
#define OPT_STRUCTURED_REPLY 8
#define OPT_SET_META_CONTEXT 10
#define OPT_EXTENDED_HEADERS 11
#define REP_META_CONTEXT 4

enum fault_kind { FAULT_NONE, FAULT_CUT, FAULT_STALL, FAULT_GARBLE, FAULT_DRIP };
/* The wire is what goes over TCP, TLS records included; NBD is what goes in when TLS is there, and
 * the same when not. */
enum fault_layer { LAYER_WIRE, LAYER_NBD };

/* At byte number AT (from 0) that the server sends. DRIP sends one byte each 50 ms from there
 * on. */
struct fault {
	enum fault_kind kind;
	enum fault_layer layer;
	uint64_t at;
	uint8_t mask; /* FAULT_GARBLE: xored */
};

/* What a byte means, which decides whether a client may get over its garbling without TLS. */
enum byte_tag {
	TAG_STRICT,    /* magic, length, type, handle: must be noticed */
	TAG_FLAG,      /* an advertised flag */
	TAG_VALUE,     /* a size: some other value can be as legal */
	TAG_TEXT,      /* a name or description for people */
	TAG_INFO_TYPE, /* of an optional information: unknown ones are ignored */
	/* top byte of the type of a reply to INFO: its first bit makes it a refusal */
	TAG_INFO_REFUSAL,
};

struct scripted_reply {
	uint32_t type; /* 0 ends the list */
	const void *data;
	uint32_t size;
	bool lie; /* claim claimed_size instead of size */
	uint32_t claimed_size;
	uint32_t option; /* 0: the one asked for */
	uint64_t magic;  /* 0: the right one */
	uint32_t repeat; /* 0: once; UINT32_MAX: without end */
};

enum script_then { THEN_NEXT, THEN_HONEST, THEN_TRANSMISSION, THEN_STALL, THEN_CLOSE };

/* What is sent instead of the honest replies to one option. */
struct script {
	uint32_t option;
	struct scripted_reply replies[8];
	const void *raw; /* sent behind the replies in one piece with them */
	size_t raw_size;
	enum script_then then;
};

enum read_mode {
	READ_HONEST,
	READ_WRONG_HANDLE,
	READ_WRONG_MAGIC,
	READ_STRUCTURED,
	READ_EXTENDED,
	READ_EIO,
	READ_SHUTDOWN,
	READ_UNKNOWN_ERROR,
	READ_EXTRA_BYTES,
	READ_SHORT,
	READ_SILENT,
	READ_CLOSE,
};

/* A TLS message that is not data, and when it is sent. */
enum tls_extra {
	EXTRA_NONE,
	EXTRA_TICKET,
	EXTRA_KEY_UPDATE,
	EXTRA_KEY_UPDATE_BOTH, /* and asks the client for one */
	EXTRA_CLOSE_NOTIFY,
	EXTRA_HELLO_REQUEST,
	EXTRA_WARNING_ALERT,
	EXTRA_RAW, /* peer_config.raw */
};
enum tls_extra_when { EXTRA_AFTER_HANDSHAKE, EXTRA_BEFORE_READ_REPLY, EXTRA_BEHIND_READ_REPLY };

/* A record that GnuTLS would not make. */
struct raw_record {
	uint8_t type; /* enum tls_content, or what there is not */
	bool in_clear;
	const void *data; /* NULL: zeroes */
	size_t size;
	size_t padding;
	uint32_t repeat; /* as in struct scripted_reply */
	/* a second record of this type, behind the reply that follows */
	const void *rest;
	size_t rest_size;
};

struct peer_config {
	gnutls_certificate_credentials_t credentials; /* NULL: no TLS */
	const char *priority;                         /* NULL: TLS 1.3 */
	const char *psk_file; /* pre-shared keys, in place of a certificate; NULL: none */
	bool tls_required;
	bool keeps_state;     /* options agreed on before STARTTLS stay (CVE-2021-3716) */
	bool no_go;           /* knows neither INFO nor GO */
	const void *greeting; /* sent instead of the greeting, then silence */
	size_t greeting_size;
	uint16_t handshake_flags; /* 0: FIXED_NEWSTYLE and NO_ZEROES */
	const char *export_name, *description;
	uint64_t size_bytes; /* 0: 1 MiB */
	struct script script;
	enum read_mode read_mode;
	enum tls_extra extra;
	enum tls_extra_when extra_when;
	unsigned extra_on_read; /* of a connection, from 1; 0: on each */
	/* behind the reply: so much later; 0: in one segment with it */
	unsigned extra_delay_us;
	const struct raw_record *raw;
	bool first_only;         /* nothing of all this on later connections */
	bool downgrade_sentinel; /* TLS 1.2, and its random says that both sides know better */
	bool renegotiates;       /* when the client begins it */
	bool anonymous;          /* no certificate, TLS 1.2 */
	bool wants_certificate;  /* of the client, and takes any */
	uint8_t *disk;           /* SIZE_BYTES, shared by all connections; NULL: zeroes */
	struct fault fault;
};

#define PEER_MAP_BYTES 16384

struct peer_shared {
	bool fired; /* the fault's byte was reached */
	unsigned connections;
	bool extra_sent;
	bool reached_read; /* the client began its first read: it accepted everything before */
	unsigned reads;    /* of the last connection */
	uint64_t sent_wire, sent_nbd;
	uint64_t tls_start_wire, tls_start_nbd; /* counters when TLS began; 0: it did not */
	uint64_t data_start_nbd;                /* first byte of the block that was read */
	uint64_t data_start_wire;
	uint64_t abort_start_nbd; /* first byte of the answer to OPT_ABORT; 0: none */
	uint8_t tags[PEER_MAP_BYTES];
	uint8_t wire[PEER_MAP_BYTES]; /* as sent */
	size_t heard_size;
	uint8_t heard[PEER_MAP_BYTES]; /* raw bytes from the client */
};

struct peer {
	int fd;
	const struct peer_config *config;
	struct peer_shared *shared;
	gnutls_session_t tls;
	bool structured, extended;
	bool has_foreign_context; /* agreed on before TLS, and kept */
	unsigned reads;
	struct tls_record_keys *raw; /* what is sent goes through these; NULL: through GnuTLS */
	bool owes_rest;
	uint32_t client_flags;
	bool hold; /* gather what goes to the wire, so that it leaves in one segment */
	size_t held_size;
	uint8_t held[PEER_MAP_BYTES];
};

/* peer-io.c; all return false when the connection is over. */
bool peer_send(struct peer *peer, const void *buf, size_t size, enum byte_tag tag);
bool peer_receive(struct peer *peer, void *buf, size_t size);
bool peer_flush(struct peer *peer);
bool peer_wire_send(struct peer *peer, const void *buf, size_t size);
long peer_wire_receive(struct peer *peer, void *buf, size_t size);
_Noreturn void peer_stall(void);

/* peer-tls.c */
gnutls_certificate_credentials_t peer_load_credentials(const char *dir);
bool peer_handshake(struct peer *peer);
bool peer_tls_extra(struct peer *peer);
/* What a raw record left for behind the reply. */
bool peer_tls_rest(struct peer *peer);
/* Data, past GnuTLS. */
bool peer_send_past_gnutls(struct peer *peer, const uint8_t *data, size_t size);

/* peer-server.c */
bool peer_option_reply(
	struct peer *peer, uint32_t option, uint32_t type, const void *data, uint32_t size);
void peer_serve(int fd, const struct peer_config *config, struct peer_shared *shared);

#endif
