// SPDX-License-Identifier: GPL-2.0-or-later
#include "scenarios.h"
#include "nbd/nbd-protocol.h"
#include <string.h>

#define BYTES(literal) .data = (literal), .size = sizeof(literal) - 1
#define EXPORT_1M                                                                                  \
	{                                                                                          \
		NBD_REP_INFO,                                                                      \
			BYTES("\0\0"                                                               \
			      "\0\0\0\0\0\x10\0\0"                                                 \
			      "\0\1")                                                              \
	}
#define EXPORT_2M                                                                                  \
	{                                                                                          \
		NBD_REP_INFO,                                                                      \
			BYTES("\0\0"                                                               \
			      "\0\0\0\0\0\x20\0\0"                                                 \
			      "\0\1")                                                              \
	}
#define EXPORT_OF(size)                                                                            \
	{                                                                                          \
		NBD_REP_INFO, BYTES("\0\0" size "\0\1")                                            \
	}
#define BLOCKS(sizes)                                                                              \
	{                                                                                          \
		NBD_REP_INFO, BYTES("\0\3" sizes)                                                  \
	}
#define DESCRIPTION(text)                                                                          \
	{                                                                                          \
		NBD_REP_INFO, BYTES("\0\2" text)                                                   \
	}
#define ACK                                                                                        \
	{                                                                                          \
		NBD_REP_ACK                                                                        \
	}
#define B512 "\0\0\2\0"
#define B4096 "\0\0\x10\0"
#define B32M "\2\0\0\0"
#define ESCAPES "evil\x1b[2J\x1b]0;owned\x07\r\nok\xe2\x80\xae\xff\xc3"
static const char endless_name[4 + 4096] = "\0\0\x10\0";
/* All that an oldstyle server says: magics, size, flags, zeroes. */
static const char oldstyle[8 + 8 + 8 + 4 + 124] = "NBDMAGIC\0\0\x42\2\x81\x86\x12\x53"
						  "\0\0\0\0\0\x10\0\0"
						  "\0\0\0\1";
static const char long_text[2 + 4097] = "\0\2";

/* Replies to GO, and what then. */
#define GO(...) .script = {.option = NBD_OPT_GO, .replies = {__VA_ARGS__}, .then = THEN_STALL}
#define GO_ON(...)                                                                                 \
	.script = {.option = NBD_OPT_GO, .replies = {__VA_ARGS__}, .then = THEN_TRANSMISSION}
#define LIST(...) .script = {.option = NBD_OPT_LIST, .replies = {__VA_ARGS__}, .then = THEN_NEXT}
#define CLAIM(rep_type, bytes_claimed)                                                             \
	{                                                                                          \
		.type = rep_type, .lie = true, .claimed_size = bytes_claimed                       \
	}
#define TWO_ENTRIES LIST({NBD_REP_SERVER, BYTES("\0\0\0\1x"), .repeat = 2}, ACK)
#define ATTACH NEGOTIATION_ATTACH
#define RAW(literal) .raw = (literal), .raw_size = sizeof(literal) - 1
#define REFUSED(error_name, number, kinds, words)                                                  \
	{"GO refused with " error_name, NULL, BOTH, ATTACH, {GO({number})}, kinds, words},         \
	{                                                                                          \
		"GO refused with " error_name " and text", NULL, BOTH, ATTACH,                     \
			{GO({number, BYTES("because \x1b[31mno")})}, kinds,                        \
			words ".*because \\?\\[31mno"                                              \
	}
#define LENGTHS(what, bytes_claimed, kinds, words)                                                 \
	{"reply to GO that claims " what, NULL, BOTH, ATTACH,                                      \
		{GO(CLAIM(NBD_REP_INFO, bytes_claimed))}, kinds, words, .timeout_ms = 400},        \
		{"reply to LIST that claims " what, NULL, BOTH, NEGOTIATION_LIST,                  \
			{LIST(CLAIM(NBD_REP_SERVER, bytes_claimed))}, kinds, words,                \
			.timeout_ms = 400},                                                        \
	{                                                                                          \
		"refusal of GO that claims " what, NULL, BOTH, ATTACH,                             \
			{GO(CLAIM(NBD_REP_ERR_POLICY, bytes_claimed))}, kinds,                     \
			bytes_claimed == 0 ? "policy" : words, .timeout_ms = 400                   \
	}

#define TIMED_OUT FAILS_UNREACHABLE, "timed out waiting for"
#define BROKEN FAILS_SERVER

const struct scenario scenarios[] = {
	{"honest server", "honest", BOTH, ATTACH, {0}, SUCCEEDS},
	{"honest server, info", NULL, BOTH, NEGOTIATION_INFO, {0}, SUCCEEDS},
	{"honest server, list", NULL, BOTH, NEGOTIATION_LIST, {0}, SUCCEEDS},
	{"server without GO", NULL, PLAIN, ATTACH, {.no_go = true}, SUCCEEDS},
	{"server without GO under TLS", NULL, TLS, ATTACH, {.no_go = true}, BROKEN,
		"ERR_UNSUP.*only NBD_OPT_GO"},
	{"server without GO and NO_ZEROES", NULL, PLAIN, ATTACH,
		{.no_go = true, .handshake_flags = 1}, SUCCEEDS},
	{"server without fixed newstyle", NULL, PLAIN, ATTACH,
		{.no_go = true, .handshake_flags = 2}, SUCCEEDS},

	/* The greeting */
	{"greeting of an SSH server", NULL, PLAIN, ATTACH,
		{.greeting = "SSH-2.0-OpenSSH_9.2\r\n", .greeting_size = 21}, BROKEN,
		"not an NBD server.*SSH-2\\.0"},
	{"greeting with terminal escapes", NULL, PLAIN, ATTACH,
		{.greeting = "\x1b[2J\x1b[1;1Hhello", .greeting_size = 15}, BROKEN,
		"not an NBD server.*\\?\\[2J"},
	{"oldstyle greeting", "oldstyle", PLAIN, ATTACH,
		{.greeting = oldstyle, .greeting_size = sizeof(oldstyle)}, BROKEN, "oldstyle"},
	{"oldstyle greeting under TLS", NULL, TLS, ATTACH,
		{.greeting = oldstyle, .greeting_size = sizeof(oldstyle)}, FAILS_TLS,
		"oldstyle.*cannot begin TLS"},
	{"unknown second magic", NULL, BOTH, ATTACH,
		{.greeting = "NBDMAGICNBDMAGIC\0\3", .greeting_size = 18}, BROKEN, "second magic"},
	{"no greeting", "silent", BOTH, ATTACH, {.greeting = "", .greeting_size = 0},
		FAILS_UNREACHABLE, "timed out waiting for the server's greeting",
		.timeout_ms = 400},
	{"unknown handshake flags", NULL, BOTH, ATTACH, {.handshake_flags = 0xfff3}, SUCCEEDS},
	{"no NO_ZEROES", NULL, BOTH, ATTACH, {.handshake_flags = 1}, SUCCEEDS},
	{"handshake at one byte in 50 ms", NULL, BOTH, ATTACH, {.fault = {FAULT_DRIP}}, TIMED_OUT,
		.timeout_ms = 800},

	/* Lengths */
	LENGTHS("0 bytes", 0, BROKEN, "length|content"),
	LENGTHS("1 byte and sends none", 1, FAILS_UNREACHABLE, "timed out"),
	LENGTHS("2^31 bytes", 0x80000000, BROKEN, "more than any reply"),
	LENGTHS("2^32-1 bytes", 0xffffffff, BROKEN, "more than any reply"),
	LENGTHS("100000 bytes", 100000, BROKEN, "more than any reply"),
	{"description of 4097 bytes", NULL, BOTH, ATTACH,
		{GO_ON(EXPORT_1M, {NBD_REP_INFO, long_text, sizeof(long_text)}, ACK)}, BROKEN,
		"DESCRIPTION"},
	{"description of 4096 bytes", NULL, BOTH, ATTACH,
		{GO_ON(EXPORT_1M, {NBD_REP_INFO, long_text, sizeof(long_text) - 1}, ACK)},
		SUCCEEDS},
	{"short NBD_INFO_EXPORT", NULL, BOTH, ATTACH,
		{GO_ON({NBD_REP_INFO,
			       BYTES("\0\0"
				     "\0\0\0\0\0\x10\0\0\0")},
			ACK)},
		BROKEN, "INFO_EXPORT"},
	{"long NBD_INFO_EXPORT", NULL, BOTH, ATTACH,
		{GO_ON({NBD_REP_INFO,
			       BYTES("\0\0"
				     "\0\0\0\0\0\x10\0\0\0\1\0")},
			ACK)},
		BROKEN, "INFO_EXPORT"},
	{"NBD_REP_INFO of one byte", NULL, BOTH, ATTACH,
		{GO_ON({NBD_REP_INFO, BYTES("\0")}, EXPORT_1M, ACK)}, BROKEN, "NBD_REP_INFO"},
	{"short NBD_INFO_BLOCK_SIZE", NULL, BOTH, ATTACH,
		{GO_ON(EXPORT_1M, BLOCKS(B512 B512 "\0\0"), ACK)}, BROKEN, "BLOCK_SIZE"},
	{"long NBD_INFO_BLOCK_SIZE", NULL, BOTH, ATTACH,
		{GO_ON(EXPORT_1M, BLOCKS(B512 B512 B32M "\0"), ACK)}, BROKEN, "BLOCK_SIZE"},
	{"GO acknowledged with data", NULL, BOTH, ATTACH,
		{GO_ON(EXPORT_1M, {NBD_REP_ACK, BYTES("data")})}, BROKEN, "GO.*reply type 0x1"},
	{"list entry longer than its reply", NULL, BOTH, NEGOTIATION_LIST,
		{LIST({NBD_REP_SERVER,
			      BYTES("\0\0\0\x63"
				    "abc")},
			ACK)},
		BROKEN, "list has an entry"},
	{"list entry with a name of 2^32-1", NULL, BOTH, NEGOTIATION_LIST,
		{LIST({NBD_REP_SERVER,
			      BYTES("\xff\xff\xff\xff"
				    "abc")},
			ACK)},
		BROKEN, "list has an entry"},
	{"list entry of 3 bytes", NULL, BOTH, NEGOTIATION_LIST,
		{LIST({NBD_REP_SERVER, BYTES("abc")}, ACK)}, BROKEN, "list has an entry"},
	{"list entry with NUL in its name", NULL, BOTH, NEGOTIATION_LIST,
		{LIST({NBD_REP_SERVER,
			      BYTES("\0\0\0\3"
				    "a\0b")},
			ACK)},
		BROKEN, "list has an entry"},
	{"LIST acknowledged with data", NULL, BOTH, NEGOTIATION_LIST,
		{LIST({NBD_REP_ACK, BYTES("data")})}, BROKEN, "LIST.*reply type 0x1"},

	/* Types, options, magics */
	{"unknown reply type to GO", NULL, BOTH, ATTACH,
		{GO_ON({99, BYTES("what")}, EXPORT_1M, ACK)}, BROKEN, "reply type 0x63"},
	{"unknown reply type to LIST", NULL, BOTH, NEGOTIATION_LIST,
		{LIST({99, BYTES("what")}, ACK)}, BROKEN, "reply type 0x63"},
	{"NBD_REP_SERVER to GO", NULL, BOTH, ATTACH,
		{GO_ON({NBD_REP_SERVER, BYTES("\0\0\0\1x")}, EXPORT_1M, ACK)}, BROKEN,
		"reply type 0x2"},
	{"NBD_REP_INFO to LIST", NULL, BOTH, NEGOTIATION_LIST, {LIST(EXPORT_1M, ACK)}, BROKEN,
		"reply type 0x3"},
	{"unknown information types", NULL, BOTH, ATTACH,
		{GO_ON({NBD_REP_INFO,
			       BYTES("\x12\x34"
				     "what")},
			{NBD_REP_INFO, BYTES("\xff\xff")}, EXPORT_1M, ACK)},
		SUCCEEDS},
	{"reply to another option", NULL, BOTH, ATTACH,
		{GO_ON(EXPORT_1M, {NBD_REP_ACK, .option = NBD_OPT_LIST})}, BROKEN,
		"sent NBD_OPT_GO.*answered option 3"},
	{"reply to an unknown option", NULL, BOTH, ATTACH,
		{GO_ON(EXPORT_1M, {NBD_REP_ACK, .option = 0xdeadbeef})}, BROKEN,
		"answered option 3735928559"},
	{"reply with a bad magic", NULL, BOTH, ATTACH,
		{GO_ON(EXPORT_1M, {NBD_REP_ACK, .magic = 0x1234567890abcdef})}, BROKEN,
		"wrong magic.*1234567890abcdef"},
	{"STARTTLS acknowledged with a bad magic", NULL, TLS, ATTACH,
		{.script = {NBD_OPT_STARTTLS, {{NBD_REP_ACK, .magic = 0x1234567890abcdef}},
			 .then = THEN_STALL}},
		FAILS_TLS, "wrong magic"},
	{"plaintext behind the acknowledged STARTTLS", NULL, TLS, ATTACH,
		{.script = {NBD_OPT_STARTTLS, {ACK}, RAW("\0\3\xe8\x89\4\x55\x65\xa9"),
			 THEN_STALL}},
		FAILS_TLS, "nobody asked for"},
	{"no TLS behind the acknowledged STARTTLS", NULL, TLS, ATTACH,
		{.script = {NBD_OPT_STARTTLS, {ACK}, .then = THEN_NEXT}},
		FAILS_TLS | FAILS_UNREACHABLE, "TLS|handshake|closed"},

	/* Endless */
	{"endless information", NULL, BOTH, ATTACH,
		{GO({NBD_REP_INFO, BYTES("\x12\x34"), .repeat = UINT32_MAX})}, BROKEN,
		"64 replies.*no end"},
	{"endless list", NULL, BOTH, NEGOTIATION_LIST,
		{LIST({NBD_REP_SERVER, BYTES("\0\0\0\1x"), .repeat = UINT32_MAX})}, BROKEN,
		"no end", .timeout_ms = 20000},
	{"endless list of big names", NULL, BOTH, NEGOTIATION_LIST,
		{LIST({NBD_REP_SERVER, endless_name, sizeof(endless_name), .repeat = UINT32_MAX})},
		BROKEN, "list has an entry|no end", .timeout_ms = 20000},
	{"endless list of long descriptions", NULL, BOTH, NEGOTIATION_LIST,
		{LIST({NBD_REP_SERVER, "\0\0\0\1xyz", 8, .repeat = UINT32_MAX})}, BROKEN, "no end",
		.timeout_ms = 20000},
	{"information that never ends but slowly", NULL, BOTH, ATTACH,
		{GO({NBD_REP_INFO, BYTES("\x12\x34"), .repeat = UINT32_MAX}),
			.fault = {FAULT_DRIP, LAYER_WIRE, 60}},
		TIMED_OUT, .timeout_ms = 800},
	{"no answer to GO", NULL, BOTH, ATTACH, {.script = {NBD_OPT_GO, .then = THEN_STALL}},
		FAILS_UNREACHABLE, "timed out waiting for the answer to NBD_OPT_GO",
		.timeout_ms = 400},
	{"no answer to LIST", NULL, BOTH, NEGOTIATION_LIST,
		{.script = {NBD_OPT_LIST, .then = THEN_STALL}}, FAILS_UNREACHABLE,
		"timed out waiting for the answer to NBD_OPT_LIST", .timeout_ms = 400},
	{"connection closed instead of an answer to GO", NULL, BOTH, ATTACH,
		{.script = {NBD_OPT_GO, .then = THEN_CLOSE}}, FAILS_UNREACHABLE | FAILS_SERVER,
		"closed|GO"},

	/* What GO tells */
	{"early data behind the acknowledged GO", NULL, BOTH, ATTACH,
		{.script = {NBD_OPT_GO, {EXPORT_1M, ACK},
			 RAW("\x67\x44\x66\x98\0\0\0\0\0\0\0\0\0\0\0\0"), THEN_TRANSMISSION}},
		BROKEN, "nobody asked for"},
	{"GO acknowledged without NBD_INFO_EXPORT", NULL, BOTH, ATTACH, {GO_ON(ACK)}, BROKEN,
		"without telling the export's size"},
	{"NBD_INFO_EXPORT twice, the same", NULL, BOTH, ATTACH, {GO_ON(EXPORT_1M, EXPORT_1M, ACK)},
		SUCCEEDS | BROKEN, "twice"},
	{"NBD_INFO_EXPORT twice, another size", NULL, BOTH, ATTACH,
		{GO_ON(EXPORT_1M, EXPORT_2M, ACK)}, BROKEN, "twice"},
	{"NBD_INFO_BLOCK_SIZE twice, the same", NULL, BOTH, ATTACH,
		{GO_ON(EXPORT_1M, BLOCKS(B512 B4096 B32M), BLOCKS(B512 B4096 B32M), ACK)},
		SUCCEEDS},
	{"NBD_INFO_BLOCK_SIZE twice, another minimum", NULL, BOTH, ATTACH,
		{GO_ON(EXPORT_1M, BLOCKS(B512 B4096 B32M), BLOCKS(B4096 B4096 B32M), ACK)}, BROKEN,
		"block sizes twice"},
	{"size 0", NULL, BOTH, ATTACH, {GO_ON(EXPORT_OF("\0\0\0\0\0\0\0\0"), ACK)}, BROKEN,
		"size|empty"},
	{"size of 2^63", NULL, BOTH, ATTACH, {GO_ON(EXPORT_OF("\x80\0\0\0\0\0\0\0"), ACK)}, BROKEN,
		"size|large|big"},
	{"size of 2^64-1", NULL, BOTH, ATTACH,
		{GO_ON(EXPORT_OF("\xff\xff\xff\xff\xff\xff\xff\xff"), ACK)}, BROKEN,
		"size|large|big"},
	{"minimum block size that is no power of two", NULL, BOTH, ATTACH,
		{GO_ON(EXPORT_1M, BLOCKS("\0\0\2\1" B4096 B32M), ACK)}, BROKEN,
		"block size|minimum"},
	{"minimum block size 0", NULL, BOTH, ATTACH,
		{GO_ON(EXPORT_1M, BLOCKS("\0\0\0\0" B4096 B32M), ACK)}, BROKEN,
		"block size|minimum"},
	{"preferred block size below the minimum", NULL, BOTH, ATTACH,
		{GO_ON(EXPORT_1M, BLOCKS(B4096 B512 B32M), ACK)}, BROKEN, "block size|preferred"},
	{"preferred block size that is no power of two", NULL, BOTH, ATTACH,
		{GO_ON(EXPORT_1M, BLOCKS(B512 "\0\0\x11\0" B32M), ACK)}, BROKEN,
		"block size|preferred"},
	{"maximum block size below the preferred", NULL, BOTH, ATTACH,
		{GO_ON(EXPORT_1M, BLOCKS(B512 B4096 B512), ACK)}, BROKEN, "block size|maximum"},
	{"minimum block size of 128 KiB", NULL, BOTH, ATTACH,
		{GO_ON(EXPORT_1M,
			BLOCKS("\0\2\0\0"
			       "\0\2\0\0" B32M),
			ACK)},
		BROKEN, "block size|minimum"},
	{"description with terminal escapes", "escapes", BOTH, ATTACH,
		{GO_ON(EXPORT_1M, DESCRIPTION(ESCAPES), ACK)}, SUCCEEDS,
		"^evil\\?+\\[2J\\?+\\]0;owned\\?+ok\\?+$"},

	/* Refusals */
	{"GO refused with ERR_UNSUP and text (plain)", NULL, PLAIN, ATTACH,
		{.script = {NBD_OPT_GO, {{NBD_REP_ERR_UNSUP, BYTES("because \x1b[31mno")}},
			 .then = THEN_NEXT}},
		SUCCEEDS},
	{"GO refused with ERR_UNSUP and text (TLS)", NULL, TLS, ATTACH,
		{.script = {NBD_OPT_GO, {{NBD_REP_ERR_UNSUP, BYTES("because \x1b[31mno")}},
			 .then = THEN_NEXT}},
		BROKEN, "ERR_UNSUP.*because \\?\\[31mno.*only NBD_OPT_GO"},
	REFUSED("ERR_POLICY", NBD_REP_ERR_POLICY, BROKEN, "policy"),
	REFUSED("ERR_INVALID", NBD_REP_ERR_INVALID, BROKEN, "invalid"),
	REFUSED("ERR_PLATFORM", NBD_REP_ERR_PLATFORM, BROKEN, "platform"),
	REFUSED("ERR_UNKNOWN", NBD_REP_ERR_UNKNOWN, BROKEN, "no such export"),
	REFUSED("ERR_SHUTDOWN", NBD_REP_ERR_SHUTDOWN, BROKEN, "shutting down"),
	REFUSED("ERR_BLOCK_SIZE_REQD", NBD_REP_ERR_BLOCK_SIZE_REQD, BROKEN, "block sizes"),
	REFUSED("ERR_TOO_BIG", NBD_REP_ERR_TOO_BIG, BROKEN, "too big"),
	REFUSED("ERR_EXT_HEADER_REQD", NBD_REP_ERR_EXT_HEADER_REQD, BROKEN, "extended headers"),
	REFUSED("ERR_TLS_REQD", NBD_REP_ERR_TLS_REQD, FAILS_TLS, "only over TLS|ERR_TLS_REQD"),
	REFUSED("an unknown error", 0x80001234, BROKEN, "do not know.*0x80001234"),
	{"server that requires TLS asked without", "tls-required", PLAIN, ATTACH,
		{.tls_required = true}, FAILS_TLS, "add --tls"},

	/* The first read */
	{"first read answered with a wrong handle", NULL, BOTH, ATTACH,
		{.read_mode = READ_WRONG_HANDLE}, BROKEN, "wrong handle"},
	{"first read answered with a wrong magic", NULL, BOTH, ATTACH,
		{.read_mode = READ_WRONG_MAGIC}, BROKEN, "wrong magic.*12345678"},
	{"first read answered with a structured reply", NULL, PLAIN, ATTACH,
		{.read_mode = READ_STRUCTURED}, BROKEN, "structured reply"},
	{"first read answered with a structured reply under TLS", NULL, TLS, ATTACH,
		{.read_mode = READ_STRUCTURED}, FAILS_TLS, "CVE-2021-3716"},
	{"first read answered with an extended reply under TLS", NULL, TLS, ATTACH,
		{.read_mode = READ_EXTENDED}, FAILS_TLS, "CVE-2021-3716"},
	{"first read fails", NULL, BOTH, ATTACH, {.read_mode = READ_EIO}, BROKEN,
		"first block.*Input/output error"},
	{"first read fails with an unknown error", NULL, BOTH, ATTACH,
		{.read_mode = READ_UNKNOWN_ERROR}, BROKEN, "first block.*4294967285"},
	{"first read: server shuts down", NULL, BOTH, ATTACH, {.read_mode = READ_SHUTDOWN}, BROKEN,
		"shutting down"},
	{"bytes behind the first read", NULL, BOTH, ATTACH, {.read_mode = READ_EXTRA_BYTES}, BROKEN,
		"nobody asked for"},
	{"first read a byte short", NULL, BOTH, ATTACH, {.read_mode = READ_SHORT}, TIMED_OUT,
		.timeout_ms = 400},
	{"first read never answered", NULL, BOTH, ATTACH, {.read_mode = READ_SILENT},
		FAILS_UNREACHABLE, "timed out waiting for.*first read", .timeout_ms = 400},
	{"first read: server hangs up", NULL, BOTH, ATTACH, {.read_mode = READ_CLOSE},
		FAILS_UNREACHABLE | BROKEN, "closed|first read"},

	/* TLS messages that are not data */
	{"session ticket after the handshake", NULL, TLS, ATTACH, {.extra = EXTRA_TICKET},
		SUCCEEDS},
	{"session ticket behind the first read", NULL, TLS, ATTACH,
		{.extra = EXTRA_TICKET, .extra_when = EXTRA_BEHIND_READ_REPLY}, BROKEN | FAILS_TLS,
		"nobody asked for", .only_if_sent = true},
	{"KeyUpdate after the handshake", NULL, TLS, ATTACH, {.extra = EXTRA_KEY_UPDATE},
		SUCCEEDS | FAILS_TLS | BROKEN, "key"},
	{"KeyUpdate before the first read's reply", NULL, TLS, ATTACH,
		{.extra = EXTRA_KEY_UPDATE, .extra_when = EXTRA_BEFORE_READ_REPLY},
		SUCCEEDS | FAILS_TLS | BROKEN, "key"},
	{"KeyUpdate behind the first read", NULL, TLS, ATTACH,
		{.extra = EXTRA_KEY_UPDATE, .extra_when = EXTRA_BEHIND_READ_REPLY},
		BROKEN | FAILS_TLS, "nobody asked for|key"},
	{"close_notify after the handshake", NULL, TLS, ATTACH, {.extra = EXTRA_CLOSE_NOTIFY},
		FAILS_UNREACHABLE | BROKEN | FAILS_TLS, "closed"},
	{"close_notify before the first read's reply", NULL, TLS, ATTACH,
		{.extra = EXTRA_CLOSE_NOTIFY, .extra_when = EXTRA_BEFORE_READ_REPLY},
		FAILS_UNREACHABLE | BROKEN | FAILS_TLS, "closed"},
	{"close_notify behind the first read", NULL, TLS, ATTACH,
		{.extra = EXTRA_CLOSE_NOTIFY, .extra_when = EXTRA_BEHIND_READ_REPLY},
		FAILS_UNREACHABLE | BROKEN | FAILS_TLS, "nobody asked for|closed"},
	{"warning alert before the first read's reply", NULL, TLS, ATTACH,
		{.extra = EXTRA_WARNING_ALERT, .extra_when = EXTRA_BEFORE_READ_REPLY},
		SUCCEEDS | BROKEN | FAILS_TLS | FAILS_UNREACHABLE, "alert|TLS"},

	/* Lists */
	{"list with terminal escapes", "list-escapes", BOTH, NEGOTIATION_LIST,
		{LIST({NBD_REP_SERVER,
			      BYTES("\0\0\0\x8"
				    "a\x1b[2Jb\x07\n" ESCAPES)},
			ACK)},
		SUCCEEDS, "^evil\\?+\\[2J\\?+\\]0;owned\\?+ok\\?+$"},
	/* The connection ends in the reply to the second INFO, behind an orderly refusal of the
	 * first. */
	{"list cut behind a refused INFO (plain)", NULL, PLAIN, NEGOTIATION_LIST,
		{TWO_ENTRIES, .fault = {FAULT_CUT, LAYER_NBD, 130}}, FAILS_UNREACHABLE | BROKEN,
		"closed"},
	{"list cut behind a refused INFO (TLS)", NULL, TLS, NEGOTIATION_LIST,
		{TWO_ENTRIES, .fault = {FAULT_CUT, LAYER_NBD, 150}},
		FAILS_UNREACHABLE | BROKEN | FAILS_TLS, "closed|TLS"},
	{"list stalled behind a refused INFO", NULL, PLAIN, NEGOTIATION_LIST,
		{TWO_ENTRIES, .fault = {FAULT_STALL, LAYER_NBD, 130}}, TIMED_OUT,
		.timeout_ms = 400},
	{"empty list", "list-empty", BOTH, NEGOTIATION_LIST, {LIST(ACK)}, SUCCEEDS},
	{"list refused", NULL, BOTH, NEGOTIATION_LIST,
		{LIST({NBD_REP_ERR_POLICY, BYTES("not for you")})}, BROKEN, "policy.*not for you"},
	{"list of 2000 entries", NULL, BOTH, NEGOTIATION_LIST,
		{LIST({NBD_REP_SERVER, BYTES("\0\0\0\1xdisk"), .repeat = 1000},
			{NBD_REP_SERVER, BYTES("\0\0\0\1ydisk"), .repeat = 1000}, ACK)},
		SUCCEEDS, .timeout_ms = 20000},
};

const size_t scenario_count = sizeof(scenarios) / sizeof(scenarios[0]);

const struct scenario *scenario_find(const char *word)
{
	for (size_t i = 0; i < scenario_count; i++)
		if (scenarios[i].word && strcmp(scenarios[i].word, word) == 0)
			return &scenarios[i];
	return NULL;
}
