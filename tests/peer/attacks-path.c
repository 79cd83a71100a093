// SPDX-License-Identifier: GPL-2.0-or-later
/* What an attacker on the path can do to the records of TLS. */
#include "attack.h"
#include "tls-record.h"
#include "nbd/nbd-protocol.h"

#define ONLY_TLS12 "NORMAL:-VERS-ALL:+VERS-TLS1.2"

/* What nbd-attach says, and why: */
#define FORGED "Decryption has failed"            /* a record that is not authentic */
#define GARBLED "TLS failed in the TLS handshake" /* a message that cannot be */
#define MISPLACED "unexpected TLS (handshake )?packet"
#define TRUNCATED "connection closed|Error decoding the received TLS packet"
#define TIMED_OUT "timed out waiting for the TLS handshake"
/* The server noticed it. */
#define BY_SERVER "the server ended TLS|the server closed it|the connection broke"
#define DOWNGRADED "An illegal parameter has been received"

#define ON_PATH(attack_name, reason, ...)                                                          \
	{                                                                                          \
		.name = (attack_name), .says = (reason), .on_path = true, .mitm = {                \
			.path = {__VA_ARGS__}                                                      \
		}                                                                                  \
	}
#define ON_PATH12(attack_name, reason, ...)                                                        \
	{                                                                                          \
		.name = "TLS 1.2: " attack_name, .says = (reason), .on_path = true, .tls12 = true, \
		.peer = {.priority = ONLY_TLS12}, .mitm = {                                        \
			.path = {__VA_ARGS__}                                                      \
		}                                                                                  \
	}
/* For clients that allow TLS 1.2. */
#define EDITED(attack_name, reason, how)                                                           \
	{                                                                                          \
		.name = (attack_name), .says = (reason), .on_path = true, .tls12 = true, .mitm = { \
			.path = {PATH_EDIT, PATH_CLIENT_HELLO, .edit = (how)}                      \
		}                                                                                  \
	}
/* The server asks for the client's certificate. */
#define MUTUAL(attack_name, reason, ...)                                                           \
	{                                                                                          \
		.name = (attack_name), .says = (reason), .on_path = true,                          \
		.peer = {.wants_certificate = true}, .mitm = {                                     \
			.path = {__VA_ARGS__, .mutual = true}                                      \
		}                                                                                  \
	}
/* Of what the server sends first behind the handshake, before any reply. */
#define FLIPPED_EXTRA(attack_name, content, bytes)                                                 \
	{                                                                                          \
		.name = (attack_name), .says = FORGED, .on_path = true,                            \
		.mitm = {.path = {PATH_FLIP, PATH_OPTION_REPLY}}, .peer = {                        \
			.extra = EXTRA_RAW,                                                        \
			.raw = &(const struct raw_record){.type = (content),                       \
				.data = (bytes),                                                   \
				.size = sizeof(bytes) - 1}                                         \
		}                                                                                  \
	}
#define INSERT(literal) .insert = (literal), .insert_size = sizeof(literal) - 1
/* Of a hello: behind type, length and version. */
#define IN_RANDOM (TLS_RECORD_HEADER_BYTES + 20)

/* An option reply, bare and as a record without encryption. It is an error, so that a client that
 * takes it for the server's ends. */
#define FAKE_REPLY                                                                                 \
	"\0\3\xe8\x89\4\x55\x65\xa9"                                                               \
	"\0\0\0\7"                                                                                 \
	"\x80\0\0\6"                                                                               \
	"\0\0\0\0"
#define DATA_RECORD "\x17\3\3\0\x14" FAKE_REPLY
#define CLOSE_NOTIFY "\x15\3\3\0\2\1\0"
#define FATAL_ALERT "\x15\3\3\0\2\2\x28"
#define CCS_RECORD "\x14\3\3\0\1\1"
#define EMPTY_RECORD "\x17\3\3\0\0"

const struct attack path_attacks[] = {
	/* The specification says why GO is better: "the handshake flag NBD_FLAG_C_NO_ZEROES can be
	 * altered by a MitM downgrade attack". */
	{.name = "client's NO_ZEROES stripped, and the server has no GO",
		.says = "only NBD_OPT_GO is used",
		.on_path = true,
		.mitm = {.clear_client_flags = NBD_HANDSHAKE_NO_ZEROES},
		.peer = {.no_go = true}},

	ON_PATH("bit flipped in the client's hello", FORGED, PATH_FLIP_AT, PATH_CLIENT_HELLO,
		.at = IN_RANDOM),
	ON_PATH("bit flipped in the server's hello", GARBLED, PATH_FLIP_AT, PATH_SERVER_HELLO,
		.at = IN_RANDOM),
	ON_PATH("bit flipped in the client's ChangeCipherSpec", BY_SERVER, PATH_FLIP,
		PATH_CLIENT_CCS),
	ON_PATH("bit flipped in the server's ChangeCipherSpec", MISPLACED, PATH_FLIP,
		PATH_SERVER_CCS),
	ON_PATH("bit flipped in the type of a record", MISPLACED, PATH_FLIP_AT, PATH_OPTION_REPLY,
		.at = 0),
	ON_PATH("bit flipped in the version of a record", NULL, PATH_FLIP_AT, PATH_OPTION_REPLY,
		.at = 2),
	ON_PATH("bit flipped in the length of a record", FORGED, PATH_FLIP_AT, PATH_OPTION_REPLY,
		.at = 4),
	ON_PATH("bit flipped in the encrypted extensions", FORGED, PATH_FLIP,
		PATH_ENCRYPTED_EXTENSIONS),
	ON_PATH("bit flipped in the certificate", FORGED, PATH_FLIP, PATH_CERTIFICATE),
	ON_PATH("bit flipped in the certificate's signature", FORGED, PATH_FLIP,
		PATH_CERTIFICATE_VERIFY),
	ON_PATH("bit flipped in the server's Finished", FORGED, PATH_FLIP, PATH_SERVER_FINISHED),
	ON_PATH("bit flipped in the client's Finished", BY_SERVER, PATH_FLIP, PATH_CLIENT_FINISHED),
	ON_PATH("bit flipped in the client's first option", BY_SERVER, PATH_FLIP,
		PATH_FIRST_OPTION),
	ON_PATH("bit flipped in an option reply", FORGED, PATH_FLIP, PATH_OPTION_REPLY),
	ON_PATH("bit flipped in a read request", BY_SERVER, PATH_FLIP, PATH_READ_REQUEST),
	ON_PATH("bit flipped in a read's reply", FORGED, PATH_FLIP, PATH_READ_REPLY),
	FLIPPED_EXTRA("bit flipped in a session ticket", TLS_HANDSHAKE,
		"\4\0\0\x12\0\0\x0e\x10\0\0\0\0\1\0\0\4\1\2\3\4\0\0"),
	FLIPPED_EXTRA("bit flipped in a KeyUpdate", TLS_HANDSHAKE, "\x18\0\0\1\0"),
	FLIPPED_EXTRA("bit flipped in a close_notify", TLS_ALERT, "\1\0"),
	{.name = "server that asks for the client's certificate",
		.peer = {.wants_certificate = true}},
	MUTUAL("bit flipped in the request for a certificate", FORGED, PATH_FLIP,
		PATH_CERTIFICATE_REQUEST),
	MUTUAL("bit flipped in the client's certificate", BY_SERVER, PATH_FLIP,
		PATH_CLIENT_CERTIFICATE),
	MUTUAL("bit flipped in the client's signature", BY_SERVER, PATH_FLIP, PATH_CLIENT_VERIFY),
	ON_PATH12("bit flipped in the client's hello", GARBLED, PATH_FLIP_AT, PATH_CLIENT_HELLO,
		.at = IN_RANDOM),
	ON_PATH12("bit flipped in the server's hello", GARBLED, PATH_FLIP_AT, PATH_SERVER_HELLO,
		.at = IN_RANDOM),
	ON_PATH12("bit flipped in the certificate", GARBLED, PATH_FLIP, PATH_CERTIFICATE),
	ON_PATH12("bit flipped in the server's key exchange", GARBLED, PATH_FLIP,
		PATH_SERVER_KEY_EXCHANGE),
	/* In its type; all else of it is its length. */
	ON_PATH12("bit flipped in the end of the server's hello", MISPLACED, PATH_FLIP_AT,
		PATH_SERVER_HELLO_DONE, .at = TLS_RECORD_HEADER_BYTES),
	ON_PATH12("bit flipped in the client's key exchange", BY_SERVER, PATH_FLIP,
		PATH_CLIENT_KEY_EXCHANGE),
	ON_PATH12("bit flipped in the client's ChangeCipherSpec", NULL, PATH_FLIP, PATH_CLIENT_CCS),
	ON_PATH12("bit flipped in the server's ChangeCipherSpec", NULL, PATH_FLIP, PATH_SERVER_CCS),
	ON_PATH12("bit flipped in the server's Finished", FORGED, PATH_FLIP, PATH_SERVER_FINISHED),
	ON_PATH12(
		"bit flipped in the client's Finished", BY_SERVER, PATH_FLIP, PATH_CLIENT_FINISHED),
	ON_PATH12("bit flipped in the client's first option", BY_SERVER, PATH_FLIP,
		PATH_FIRST_OPTION),
	ON_PATH12("bit flipped in an option reply", FORGED, PATH_FLIP, PATH_OPTION_REPLY),
	ON_PATH12("bit flipped in a read request", BY_SERVER, PATH_FLIP, PATH_READ_REQUEST),
	ON_PATH12("bit flipped in a read's reply", FORGED, PATH_FLIP, PATH_READ_REPLY),

	ON_PATH("server's Finished played twice", FORGED, PATH_TWICE, PATH_SERVER_FINISHED),
	ON_PATH("option reply played twice", FORGED, PATH_TWICE, PATH_OPTION_REPLY),
	ON_PATH("client's option played twice", BY_SERVER, PATH_TWICE, PATH_FIRST_OPTION),
	ON_PATH("read's reply played twice", FORGED, PATH_TWICE, PATH_READ_REPLY),
	ON_PATH12("option reply played twice", FORGED, PATH_TWICE, PATH_OPTION_REPLY),
	{.name = "a whole connection played back", .says = FORGED, .on_path = true, .tape = true},
	ON_PATH("two records of the handshake swapped", FORGED, PATH_SWAP, PATH_CERTIFICATE),
	ON_PATH("certificate's signature left out", FORGED, PATH_DROP, PATH_CERTIFICATE_VERIFY),
	ON_PATH("server's Finished left out", TIMED_OUT, PATH_DROP, PATH_SERVER_FINISHED),
	ON_PATH("first record of an option reply left out", FORGED, PATH_DROP, PATH_OPTION_REPLY),
	ON_PATH("first record of a read's reply left out", FORGED, PATH_DROP, PATH_READ_REPLY),
	ON_PATH12("server's ChangeCipherSpec left out", MISPLACED, PATH_DROP, PATH_SERVER_CCS),

	ON_PATH("cut in the server's hello", TRUNCATED, PATH_CUT_IN, PATH_SERVER_HELLO),
	ON_PATH("cut behind the server's hello", TRUNCATED, PATH_CUT_BEHIND, PATH_SERVER_HELLO),
	ON_PATH("cut in the certificate", TRUNCATED, PATH_CUT_IN, PATH_CERTIFICATE),
	ON_PATH("cut behind the server's Finished", TRUNCATED, PATH_CUT_BEHIND,
		PATH_SERVER_FINISHED),
	ON_PATH("cut in an option reply", TRUNCATED, PATH_CUT_IN, PATH_OPTION_REPLY),
	ON_PATH("cut between two records of the option replies", TRUNCATED, PATH_CUT_BEHIND,
		PATH_OPTION_REPLY),
	ON_PATH("cut in a read's reply", TRUNCATED, PATH_CUT_IN, PATH_READ_REPLY),
	ON_PATH("cut between two records of a read's reply", TRUNCATED, PATH_CUT_BEHIND,
		PATH_READ_REPLY),
	{.name = "list cut between two records",
		.says = TRUNCATED,
		.on_path = true,
		.ask = ASK_LIST,
		.mitm = {.path = {PATH_CUT_BEHIND, PATH_OPTION_REPLY}}},

	ON_PATH("server's hello in two halves", NULL, PATH_HALVES, PATH_SERVER_HELLO),
	ON_PATH("half the server's hello, then data, then the rest", MISPLACED, PATH_HALVES,
		PATH_SERVER_HELLO, INSERT(DATA_RECORD)),
	ON_PATH("half the server's hello, then an alert, then the rest", NULL, PATH_HALVES,
		PATH_SERVER_HELLO, INSERT("\x15\3\3\0\2\1\x5a")),
	ON_PATH("half the server's hello, then ChangeCipherSpec, then the rest", MISPLACED,
		PATH_HALVES, PATH_SERVER_HELLO, INSERT(CCS_RECORD)),
	ON_PATH("half the server's hello, then NBD in clear, then the rest", MISPLACED, PATH_HALVES,
		PATH_SERVER_HELLO, INSERT(FAKE_REPLY)),
	ON_PATH("half the client's hello, then data, then the rest", BY_SERVER, PATH_HALVES,
		PATH_CLIENT_HELLO, INSERT(DATA_RECORD)),
	ON_PATH12("half the certificate, then data, then the rest", MISPLACED, PATH_HALVES,
		PATH_CERTIFICATE, INSERT(DATA_RECORD)),

	ON_PATH("NBD in clear in place of a record", MISPLACED, PATH_BEFORE, PATH_OPTION_REPLY,
		INSERT(FAKE_REPLY)),
	ON_PATH("data record in clear before the option replies", FORGED, PATH_BEFORE,
		PATH_OPTION_REPLY, INSERT(DATA_RECORD)),
	ON_PATH("data record in clear before the server's Finished", FORGED, PATH_BEFORE,
		PATH_SERVER_FINISHED, INSERT(DATA_RECORD)),
	ON_PATH("data record in clear before a read's reply", FORGED, PATH_BEFORE, PATH_READ_REPLY,
		INSERT(DATA_RECORD)),
	ON_PATH12("data record in clear before the option replies", FORGED, PATH_BEFORE,
		PATH_OPTION_REPLY, INSERT(DATA_RECORD)),
	ON_PATH("close_notify in clear before the option replies", FORGED, PATH_BEFORE,
		PATH_OPTION_REPLY, INSERT(CLOSE_NOTIFY)),
	ON_PATH("fatal alert in clear before the server's hello", BY_SERVER, PATH_BEFORE,
		PATH_SERVER_HELLO, INSERT(FATAL_ALERT)),
	ON_PATH("ChangeCipherSpec behind the handshake", MISPLACED, PATH_BEFORE, PATH_OPTION_REPLY,
		INSERT(CCS_RECORD)),
	ON_PATH12("ChangeCipherSpec before the server's hello", MISPLACED, PATH_BEFORE,
		PATH_SERVER_HELLO, INSERT(CCS_RECORD)),
	ON_PATH12("ChangeCipherSpec before the server's key exchange", MISPLACED, PATH_BEFORE,
		PATH_SERVER_KEY_EXCHANGE, INSERT(CCS_RECORD)),
	ON_PATH("empty data record in clear before the option replies", FORGED, PATH_BEFORE,
		PATH_OPTION_REPLY, INSERT(EMPTY_RECORD)),

	EDITED("TLS 1.3 taken out of the client's hello", DOWNGRADED, EDIT_OUT_TLS13),
	ON_PATH("TLS 1.3 taken out of a hello that has nothing else", BY_SERVER, PATH_EDIT,
		PATH_CLIENT_HELLO, .edit = EDIT_OUT_TLS13),
	EDITED("strong ciphers taken out of the client's hello", DOWNGRADED, EDIT_IN_WEAK_CIPHERS),
	EDITED("extended master secret taken out of the client's hello", DOWNGRADED,
		EDIT_OUT_MASTER_SECRET),
	EDITED("SHA-2 signatures taken out of the client's hello", BY_SERVER,
		EDIT_OUT_OTHER_SIGNATURES),
};

const size_t path_attack_count = sizeof(path_attacks) / sizeof(path_attacks[0]);
