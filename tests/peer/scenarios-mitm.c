// SPDX-License-Identifier: GPL-2.0-or-later
/* A man in the middle on the plaintext part: one scenario for each published hole (the NBD
 * specification's "TLS" section, CVE-2021-3716, and the STARTTLS injections of 2021). TLS is always
 * asked for. */
#include "nbd/nbd-protocol.h"
#include "scenarios.h"

#define REFUSED(error_name, number, words)                                                         \
	{                                                                                          \
		"STARTTLS answered with " error_name,                                              \
			{.swallow_starttls = true, .answer = {.type = number}}, false, FAILS_TLS,  \
			words                                                                      \
	}
#define CLEAN (SUCCEEDS | FAILS_TLS | FAILS_SERVER | FAILS_UNREACHABLE)
#define GO_DATA "\0\0\0\x13" TRIAL_EXPORT "\0\0"
#define META_DATA                                                                                  \
	"\0\0\0\x13" TRIAL_EXPORT "\0\0\0\1\0\0\0\x0f"                                             \
	"base:allocation"
#define FAKE_INFO                                                                                  \
	"\0\3\xe8\x89\4\x55\x65\xa9"                                                               \
	"\0\0\0\7"                                                                                 \
	"\0\0\0\3"                                                                                 \
	"\0\0\0\x0c"                                                                               \
	"\0\0"                                                                                     \
	"\0\0\0\0\0\x10\0\0"                                                                       \
	"\0\1"
#define FAKE_ACK                                                                                   \
	"\0\3\xe8\x89\4\x55\x65\xa9"                                                               \
	"\0\0\0\7"                                                                                 \
	"\0\0\0\1"                                                                                 \
	"\0\0\0\0"

/* TLS 1.2's user_canceled, as a record in clear. */
#define WARNING_ALERT "\x15\3\3\0\2\1\x5a"

const struct mitm_scenario mitm_scenarios[] = {
	{"nobody changes anything", {0}, false, SUCCEEDS},
	{"FIXED_NEWSTYLE stripped", {.clear_flags = NBD_HANDSHAKE_FIXED_NEWSTYLE}, false, FAILS_TLS,
		"fixed newstyle.*cannot begin TLS"},
	{"all handshake flags stripped", {.clear_flags = 0xffff}, false, FAILS_TLS,
		"fixed newstyle.*cannot begin TLS"},
	{"NO_ZEROES stripped", {.clear_flags = NBD_HANDSHAKE_NO_ZEROES}, false, SUCCEEDS},
	{"unknown handshake flags set", {.set_flags = 0xfffc}, false, SUCCEEDS},
	{"old-style greeting", {.oldstyle = true}, false, FAILS_TLS, "oldstyle.*cannot begin TLS"},
	REFUSED("ERR_UNSUP", NBD_REP_ERR_UNSUP, "does not offer TLS.*TLS was asked for"),
	REFUSED("ERR_POLICY", NBD_REP_ERR_POLICY, "switched off.*TLS was asked for"),
	REFUSED("ERR_INVALID", NBD_REP_ERR_INVALID,
		"refused to start TLS.*ERR_INVALID.*TLS was asked for"),
	REFUSED("ERR_PLATFORM", NBD_REP_ERR_PLATFORM,
		"refused to start TLS.*ERR_PLATFORM.*TLS was asked for"),
	REFUSED("ERR_TLS_REQD", NBD_REP_ERR_TLS_REQD,
		"refused to start TLS.*ERR_TLS_REQD.*TLS was asked for"),
	REFUSED("ERR_UNKNOWN", NBD_REP_ERR_UNKNOWN,
		"refused to start TLS.*ERR_UNKNOWN.*TLS was asked for"),
	REFUSED("ERR_SHUTDOWN", NBD_REP_ERR_SHUTDOWN,
		"refused to start TLS.*ERR_SHUTDOWN.*TLS was asked for"),
	REFUSED("ERR_BLOCK_SIZE_REQD", NBD_REP_ERR_BLOCK_SIZE_REQD,
		"refused to start TLS.*ERR_BLOCK_SIZE_REQD.*TLS was asked for"),
	REFUSED("ERR_TOO_BIG", NBD_REP_ERR_TOO_BIG,
		"refused to start TLS.*ERR_TOO_BIG.*TLS was asked for"),
	REFUSED("ERR_EXT_HEADER_REQD", NBD_REP_ERR_EXT_HEADER_REQD,
		"refused to start TLS.*ERR_EXT_HEADER_REQD.*TLS was asked for"),
	REFUSED("an unknown error", 0x80abcdef,
		"refused to start TLS.*0x80abcdef.*TLS was asked for"),
	{"STARTTLS answered with silence", {.swallow_starttls = true}, false,
		FAILS_UNREACHABLE | FAILS_TLS,
		"timed out waiting for the answer to NBD_OPT_STARTTLS", 400},
	{"STARTTLS answered with an ACK for another option",
		{.swallow_starttls = true, .answer = {.type = NBD_REP_ACK, .option = NBD_OPT_LIST}},
		false, FAILS_TLS, "sent NBD_OPT_STARTTLS.*answered option 3"},
	{"STARTTLS answered with an ACK that carries data",
		{.answer = {.type = NBD_REP_ACK, .data = "inject", .size = 6}}, false, FAILS_TLS,
		"STARTTLS.*reply type 0x1 of 6 bytes"},
	{"STARTTLS answered with an information",
		{.answer = {.type = NBD_REP_INFO, .data = "\0\0", .size = 2}}, false, FAILS_TLS,
		"STARTTLS.*reply type 0x3"},
	{"option replies glued behind the ACK",
		{.glue = FAKE_INFO FAKE_ACK, .glue_size = sizeof(FAKE_INFO FAKE_ACK) - 1}, false,
		FAILS_TLS, "nobody asked for.*before TLS"},
	{"one byte glued behind the ACK", {.glue = "", .glue_size = 1}, false, FAILS_TLS,
		"nobody asked for.*before TLS"},
	/* the others TLS would refuse, too; this it passes over */
	{"warning alert glued behind the ACK",
		{.glue = WARNING_ALERT, .glue_size = sizeof(WARNING_ALERT) - 1}, false, FAILS_TLS,
		"nobody asked for.*before TLS"},
	{"option replies that follow the ACK a little later",
		{.glue = FAKE_INFO FAKE_ACK,
			.glue_size = sizeof(FAKE_INFO FAKE_ACK) - 1,
			.glue_delay_ms = 30},
		false, FAILS_TLS, "TLS"},
	{"ACK forged, then plaintext replies",
		{.swallow_starttls = true,
			.answer = {.type = NBD_REP_ACK},
			.glue = FAKE_INFO FAKE_ACK,
			.glue_size = sizeof(FAKE_INFO FAKE_ACK) - 1,
			.glue_delay_ms = 30},
		false, FAILS_TLS, "TLS"},
	{"STRUCTURED_REPLY injected before STARTTLS", {.inject_option = OPT_STRUCTURED_REPLY},
		false, CLEAN, "CVE-2021-3716|closed|TLS"},
	{"SET_META_CONTEXT injected before STARTTLS",
		{.inject_option = OPT_SET_META_CONTEXT,
			.inject_data = META_DATA,
			.inject_size = sizeof(META_DATA) - 1},
		false, CLEAN, "closed|TLS"},
	{"GO injected before STARTTLS",
		{.inject_option = NBD_OPT_GO,
			.inject_data = GO_DATA,
			.inject_size = sizeof(GO_DATA) - 1},
		false, CLEAN, "closed|TLS|timed out", 1000},
	{"STRUCTURED_REPLY glued behind STARTTLS",
		{.inject_option = OPT_STRUCTURED_REPLY, .glue_to_server = true}, false,
		FAILS_TLS | FAILS_UNREACHABLE | FAILS_SERVER, "closed|TLS|timed out", 1000},
	{"STRUCTURED_REPLY injected into a server that keeps it",
		{.inject_option = OPT_STRUCTURED_REPLY}, true, FAILS_TLS,
		"structured reply.*CVE-2021-3716"},
	{"EXTENDED_HEADERS injected before STARTTLS", {.inject_option = OPT_EXTENDED_HEADERS},
		false, CLEAN, "CVE-2021-3716|closed|TLS"},
	{"EXTENDED_HEADERS injected into a server that keeps it",
		{.inject_option = OPT_EXTENDED_HEADERS}, true, FAILS_TLS,
		"structured reply.*CVE-2021-3716"},
	/* The specification's own scenario: what the server says of a context then is said of
	 * another one. */
	{"SET_META_CONTEXT injected into a server that keeps it",
		{.inject_option = OPT_SET_META_CONTEXT,
			.inject_data = META_DATA,
			.inject_size = sizeof(META_DATA) - 1,
			.inject_structured = true},
		true, FAILS_TLS, "structured reply.*CVE-2021-3716"},
	{"client's FIXED_NEWSTYLE stripped", {.clear_client_flags = NBD_HANDSHAKE_FIXED_NEWSTYLE},
		false, CLEAN, "TLS was asked for|closed"},
	{"client's NO_ZEROES stripped", {.clear_client_flags = NBD_HANDSHAKE_NO_ZEROES}, false,
		SUCCEEDS},
};

const size_t mitm_scenario_count = sizeof(mitm_scenarios) / sizeof(mitm_scenarios[0]);
