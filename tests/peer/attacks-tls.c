// SPDX-License-Identifier: GPL-2.0-or-later
/* What a server can do within TLS, and what it can choose for less of it. */
#include "attack.h"
#include "tls-record.h"

#define ONLY_TLS12 "NORMAL:-VERS-ALL:+VERS-TLS1.2"

/* What nbd-attach says, and why: */
#define NOTHING_COMMON "the server ended TLS with the alert"
#define MISPLACED "unexpected TLS packet"
#define RFC_5746 "TLS 1.2 without RFC 5746"

#define CHOOSES(attack_name, reason, string)                                                       \
	{                                                                                          \
		.name = (attack_name), .says = (reason), .tls12 = true, .peer = {                  \
			.priority = (string)                                                       \
		}                                                                                  \
	}
/* Before the reply to the first read. */
#define SENDS(attack_name, reason, ...)                                                            \
	{                                                                                          \
		.name = (attack_name), .says = (reason), .peer = {                                 \
			.extra = EXTRA_RAW,                                                        \
			.extra_when = EXTRA_BEFORE_READ_REPLY,                                     \
			.extra_on_read = 1,                                                        \
			.raw = &(const struct raw_record){__VA_ARGS__}                             \
		}                                                                                  \
	}
#define SENDS_ENDLESSLY(attack_name, reason, ...)                                                  \
	{                                                                                          \
		.name = (attack_name), .says = (reason), .stalls = true, .peer = {                 \
			.extra = EXTRA_RAW,                                                        \
			.extra_when = EXTRA_BEFORE_READ_REPLY,                                     \
			.extra_on_read = 1,                                                        \
			.raw = &(const struct raw_record){__VA_ARGS__, .repeat = UINT32_MAX}       \
		}                                                                                  \
	}
#define BYTES(literal) .data = (literal), .size = sizeof(literal) - 1
#define REST(literal) .rest = (literal), .rest_size = sizeof(literal) - 1

const struct attack tls_attacks[] = {
	CHOOSES("server that has TLS 1.2, to a client that allows it", NULL, ONLY_TLS12),
	{.name = "server that has no more than TLS 1.2",
		.says = NOTHING_COMMON,
		.peer = {.priority = ONLY_TLS12}},
	CHOOSES("server that has no more than TLS 1.1", NOTHING_COMMON,
		"NORMAL:-VERS-ALL:+VERS-TLS1.1:%COMPAT"),
	CHOOSES("server that has no more than TLS 1.0", NOTHING_COMMON,
		"NORMAL:-VERS-ALL:+VERS-TLS1.0:%COMPAT"),
	{.name = "TLS 1.2 chosen with the DOWNGRD sentinel",
		.says = "An illegal parameter has been received",
		.tls12 = true,
		.peer = {.priority = ONLY_TLS12, .downgrade_sentinel = true}},
	CHOOSES("server that has only AES-CBC", NOTHING_COMMON,
		ONLY_TLS12 ":-CIPHER-ALL:+AES-128-CBC"),
	CHOOSES("server that has only 3DES", NOTHING_COMMON, ONLY_TLS12 ":-CIPHER-ALL:+3DES-CBC"),
	CHOOSES("server that encrypts nothing (NULL cipher)", NOTHING_COMMON,
		ONLY_TLS12 ":-CIPHER-ALL:+NULL"),
	{.name = "server that has only RSA key exchange",
		.says = NOTHING_COMMON,
		.tls12 = true,
		.server_certs = "rsa",
		.peer = {.priority = ONLY_TLS12 ":-KX-ALL:+RSA"}},
	{.name = "server without a certificate (anonymous)",
		.says = NOTHING_COMMON,
		.tls12 = true,
		.peer = {.priority = ONLY_TLS12 ":-KX-ALL:+ANON-ECDH:+ANON-DH", .anonymous = true}},
	CHOOSES("server that does not know RFC 5746", RFC_5746,
		ONLY_TLS12 ":%DISABLE_SAFE_RENEGOTIATION"),
	CHOOSES("server without extended master secret", "extended master secret \\(RFC 7627\\)",
		ONLY_TLS12 ":%NO_SESSION_HASH"),
	{.name = "renegotiation that puts an attacker's words first (CVE-2009-3555)",
		.says = RFC_5746,
		.tls12 = true,
		.on_path = true,
		.mitm = {.prefix = true},
		.peer = {.priority = ONLY_TLS12 ":%DISABLE_SAFE_RENEGOTIATION",
			.renegotiates = true}},
	{.name = "renegotiation wanted before the first read's reply",
		.says = "the server wants to renegotiate",
		.tls12 = true,
		.peer = {.priority = ONLY_TLS12,
			.extra = EXTRA_HELLO_REQUEST,
			.extra_when = EXTRA_BEFORE_READ_REPLY}},
	{.name = "renegotiation wanted behind the first read",
		.says = "bytes that nobody asked for",
		.tls12 = true,
		.peer = {.priority = ONLY_TLS12,
			.extra = EXTRA_HELLO_REQUEST,
			.extra_when = EXTRA_BEHIND_READ_REPLY}},

	/* Post-handshake messages of TLS 1.3: a ticket (lifetime, age, nonce, ticket, extensions)
	 * and a KeyUpdate. */
	SENDS("half a ticket, then data, then the rest", MISPLACED, TLS_HANDSHAKE,
		BYTES("\4\0\0\x12\0\0\x0e\x10\0\0"), REST("\0\0\1\0\0\4\1\2\3\4\0\0")),
	SENDS("half a KeyUpdate, then data, then the rest", MISPLACED, TLS_HANDSHAKE,
		BYTES("\x18\0\0"), REST("\1\0")),
	SENDS("KeyUpdate with a value that there is not", "An illegal parameter has been received",
		TLS_HANDSHAKE, BYTES("\x18\0\0\1\7")),
	SENDS("renegotiation wanted under TLS 1.3", MISPLACED, TLS_HANDSHAKE, BYTES("\0\0\0\0")),
	SENDS("certificate wanted after the handshake", MISPLACED, TLS_HANDSHAKE,
		BYTES("\x0d\0\0\x0b\0\0\x08\0\x0d\0\4\0\2\4\3")),
	SENDS("handshake message of an unknown type", MISPLACED, TLS_HANDSHAKE,
		BYTES("\x63\0\0\1\0")),
	SENDS("ChangeCipherSpec within the encryption", MISPLACED, TLS_CHANGE_CIPHER_SPEC,
		BYTES("\1")),
	SENDS("record of an unknown type", MISPLACED, 99, BYTES("what")),
	SENDS("record of nothing but padding", "Decryption has failed", 0, .padding = 32),
	SENDS("record longer than 16 KiB", "packet with invalid length", TLS_DATA, .size = 16385),
	SENDS("empty record before the first read's reply", NULL, TLS_DATA),
	SENDS_ENDLESSLY("endless empty records",
		"timed out waiting for the server's reply to a first read", TLS_DATA),
	SENDS_ENDLESSLY(
		"endless warning alerts", "alert \"User canceled\"", TLS_ALERT, BYTES("\1\x5a")),
	SENDS("data record in clear by the server", "Decryption has failed", TLS_DATA,
		.in_clear = true, BYTES("\x67\x44\x66\x98\0\0\0\0\0\0\0\0\0\0\0\0")),
};

const size_t tls_attack_count = sizeof(tls_attacks) / sizeof(tls_attacks[0]);
