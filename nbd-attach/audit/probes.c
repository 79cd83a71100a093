/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "audit/probe.h"
#include "tls/info.h"

#define PROTO "NBD protocol (doc/proto.md), "
#define UPDATE "update the server; if it is up to date, report this to its authors"
#define OLD_TLS "RFC 8996; " PROTO "\"TLS versions\""
#define SWITCH_OFF                                                                                 \
	"switch it off: tlsprio of nbd-server, priority= of tls-creds in QEMU, for nbdkit the "    \
	"system's policy for GnuTLS"
#define FORCE                                                                                      \
	"force TLS: nbdkit --tls=require, qemu-nbd --tls-creds, force_tls = true of nbd-server"
#define FORCE_AND_UPDATE                                                                           \
	"force TLS, and update the server (nbdkit: to 1.26.5 or newer); if it is up to date, "     \
	"report this to its authors"
#define LIMIT_IDLE                                                                                 \
	"limit time and number of connections before TLS: a newer QEMU, or a firewall before the " \
	"server"

/* In this order, so that each knows what those before have found; those that a server may not
 * survive come last. */
const struct probe probes[] = {
	{"greeting", .learns = true, .function = probe_greeting,
		.what = "reads the handshake flags", .reference = PROTO "\"Handshake flags\"",
		.remedy = UPDATE},
	{"starttls", .learns = true, .function = probe_starttls,
		.what = "sends STARTTLS, and negotiates TLS with the given credentials",
		.reference = PROTO "\"TLS support\"",
		.remedy = "let the server offer TLS; give it what it asks for by --tls-cert and "
			  "--tls-key, or --tls-psk"},
	{"export", NEEDS_TLS_IF_OFFERED, .learns = true, .function = probe_export,
		.what = "opens the export and reads its first block, as a client does",
		.reference = PROTO "\"NBD_OPT_GO\", \"Simple reply message\"",
		.remedy = "name an export that is there and can be read"},

	{"forced-tls", NEEDS_STARTTLS, .learns = true, .function = probe_forced_tls,
		.what = "asks for the export without TLS",
		.reference = PROTO "\"Protocol downgrade attacks\"; CVE-2019-14842",
		.remedy = FORCE},
	{"clear-export-name", NEEDS_STARTTLS | NEEDS_CLOSED_EXPORT,
		.function = probe_clear_export_name,
		.what = "asks for it without TLS by NBD_OPT_EXPORT_NAME",
		.reference = PROTO "\"FORCEDTLS mode\"", .remedy = UPDATE},
	{"clear-old-client", NEEDS_STARTTLS | NEEDS_CLOSED_EXPORT,
		.function = probe_clear_old_client,
		.what = "the same with the client flags cleared, as of a client before 2013",
		.reference = PROTO "\"Client flags\", \"FORCEDTLS mode\"", .remedy = UPDATE},
	{"clear-options", NEEDS_STARTTLS | NEEDS_FORCED, .function = probe_clear_options,
		.what = "asks every other option without TLS",
		.reference = PROTO "\"FORCEDTLS mode\"", .remedy = UPDATE},
	{"client-flags", .function = probe_client_flags,
		.what = "sends a client flag that does not exist",
		.reference = PROTO "\"Client flags\"", .remedy = UPDATE},

	{"fallback", NEEDS_STARTTLS, .function = probe_fallback,
		.what = "lets TLS fail, and goes on in clear",
		.reference = PROTO "\"FORCEDTLS mode\"", .remedy = UPDATE},
	{"starttls-data", NEEDS_STARTTLS, .function = probe_starttls_data,
		.what = "sends STARTTLS with data", .reference = PROTO "\"NBD_OPT_STARTTLS\"",
		.remedy = UPDATE},
	{"starttls-twice", NEEDS_TLS, .function = probe_starttls_twice,
		.what = "sends STARTTLS within TLS", .reference = PROTO "\"FORCEDTLS mode\"",
		.remedy = UPDATE},
	{"starttls-late", NEEDS_TLS | NEEDS_EXPORT, .function = probe_starttls_late,
		.what = "sends STARTTLS after other options",
		.reference = PROTO "\"Client-side requirements\"", .remedy = UPDATE},
	{"pipelined", NEEDS_TLS, .function = probe_pipelined,
		.what = "sends an option in clear behind STARTTLS, in one segment with it",
		.reference = "CVE-2011-0411 and https://nostarttls.secvuln.info/",
		.remedy = "the server must not read ahead of STARTTLS, or must drop what it "
			  "has: " UPDATE},
	{"structured-reply", NEEDS_TLS | NEEDS_EXPORT, .function = probe_structured_reply,
		.what = "sends NBD_OPT_STRUCTURED_REPLY before TLS, and reads within it",
		.reference = "CVE-2021-3716; " PROTO "\"NBD_OPT_STARTTLS\"",
		.remedy = FORCE_AND_UPDATE},
	{"meta-context", NEEDS_TLS | NEEDS_EXPORT, .function = probe_meta_context,
		.what = "sends NBD_OPT_SET_META_CONTEXT before TLS, and NBD_CMD_BLOCK_STATUS "
			"within it",
		.reference = PROTO "\"NBD_OPT_STARTTLS\"", .remedy = FORCE_AND_UPDATE},
	{"extended-headers", NEEDS_TLS | NEEDS_EXPORT, .function = probe_extended_headers,
		.what = "sends NBD_OPT_EXTENDED_HEADERS before TLS, and reads within it",
		.reference = "CVE-2021-3716; " PROTO "\"NBD_OPT_STARTTLS\"",
		.remedy = FORCE_AND_UPDATE},

	{"certificate", NEEDS_STARTTLS | NEEDS_CERTIFICATE, .function = probe_certificate,
		.what = "verifies the server as a client does",
		.reference = "RFC 5280, RFC 9525; CVE-2024-7383",
		.remedy = "renew the certificate; say what to trust by --tls-ca or --tls-pin, and "
			  "which name to expect by --tls-hostname"},
	{"tls-version", NEEDS_TLS, .function = probe_tls_version,
		.what = "checks which TLS is agreed on", .reference = "RFC 8446",
		.remedy = "update the server or its TLS library; nbd-attach asks for TLS 1.3 "
			  "unless given --tls-min 1.2"},
	{"tls-1.1", NEEDS_STARTTLS, .function = probe_tls_1_1, .what = "offers TLS 1.1 at the most",
		.reference = OLD_TLS, .remedy = SWITCH_OFF},
	{"tls-1.0", NEEDS_STARTTLS, .function = probe_tls_1_0, .what = "offers TLS 1.0 at the most",
		.reference = OLD_TLS, .remedy = SWITCH_OFF},
	{"ssl-3.0", NEEDS_STARTTLS, .function = probe_ssl_3_0, .what = "offers SSL 3.0 at the most",
		.reference = "RFC 7568; " OLD_TLS, .remedy = SWITCH_OFF},
	{"tls-weak", NEEDS_STARTTLS, .function = probe_tls_weak,
		.what = "offers ciphers that do not encrypt, do not authenticate, or are broken, "
			"alone",
		.reference = "RFC 9325, section 4.1; RFC 7465, RFC 8429", .remedy = SWITCH_OFF},
	{"forward-secrecy", NEEDS_STARTTLS, .function = probe_forward_secrecy,
		.what = "offers static RSA and plain pre-shared keys alone, under TLS 1.2",
		.reference = "RFC 9325, section 4.1",
		.remedy = "use an ECDSA certificate, or switch off RSA and PSK key exchange or TLS "
			  "1.2 in the server's priorities"},
	{"tls-binding", NEEDS_STARTTLS, .function = probe_tls_binding,
		.what = "checks for secure renegotiation and extended master secret under TLS 1.2",
		.reference = "RFC 5746 (CVE-2009-3555), RFC 7627",
		.remedy = "update the server's TLS library, or switch off TLS 1.2"},
	{"tls-downgrade", NEEDS_TLS | NEEDS_TLS_1_3, .function = probe_tls_downgrade,
		.what = "offers TLS 1.2, as an attacker who hides that both sides can do 1.3",
		.reference = "RFC 8446, section 4.1.3",
		.remedy = "update the server's TLS library, or switch off TLS 1.2"},
	{"renegotiation", NEEDS_TLS, .function = probe_renegotiation,
		.what = "begins a second handshake within TLS 1.2",
		.reference = "CVE-2009-3555, CVE-2011-1473; the kernel's TLS cannot take part",
		.remedy = "switch off renegotiation by clients, or TLS 1.2"},

	{"key-update", NEEDS_TLS | NEEDS_TLS_1_3 | NEEDS_EXPORT, .function = probe_key_update,
		.what = "asks for new keys", .reference = "RFC 8446, section 4.6.3",
		.remedy = "update the server's TLS library"},
	{"padding", NEEDS_TLS | NEEDS_TLS_1_3 | NEEDS_EXPORT, .function = probe_padding,
		.what = "sends a padded record", .reference = "RFC 8446, section 5.4",
		.remedy = "update the server's TLS library"},
	{"record-size", NEEDS_TLS | NEEDS_TLS_1_3, .function = probe_record_size,
		.what = "checks how large a record may be",
		.reference = "RFC 8449; the kernel's TLS fills records with 16384 bytes before "
			     "Linux 6.19",
		.remedy = "let the server take records of 16384 bytes, or attach with Linux 6.19 "
			  "or newer"},
	{"unasked", NEEDS_TLS | NEEDS_EXPORT, .function = probe_unasked,
		.what = "waits for what TLS has besides data",
		.reference = "RFC 8446, section 4.6; the kernel's nbd driver ends at such a record",
		.remedy = "let the server send no tickets, KeyUpdates or HelloRequests by itself"},

	{"option-length", .function = probe_option_length,
		.what = "announces an option of 4 GiB, before TLS",
		.reference = PROTO "\"Termination of the session during option haggling\"",
		.remedy = UPDATE},
	{"name-length", .function = probe_name_length,
		.what = "says that a name is longer than the option that it is in",
		.reference = PROTO "\"NBD_OPT_INFO and NBD_OPT_GO\"", .remedy = UPDATE},
	{"long-name", .function = probe_long_name,
		.what = "asks for an export with a name of 4096 bytes, the most there may be",
		.reference = "CVE-2017-15118, CVE-2020-10761", .remedy = UPDATE},
	{"oversized-name", .function = probe_oversized_name,
		.what = "asks for one with a name of 8192 bytes",
		.reference = PROTO "\"Conventions\" (a string has no more than 4096 bytes)",
		.remedy = UPDATE},
	{"query-count", .function = probe_query_count,
		.what = "says that there are 4294967295 metadata queries, and sends one",
		.reference = PROTO "\"NBD_OPT_SET_META_CONTEXT\"", .remedy = UPDATE},
	{"read-bounds", NEEDS_EXPORT, .function = probe_read_bounds,
		.what = "asks to read beyond the end of the export",
		.reference = PROTO "\"NBD_CMD_READ\"", .remedy = UPDATE},

	{"idle-greeting", .background = true, .function = probe_idle_greeting,
		.what = "sends nothing after the greeting", .reference = "CVE-2024-7409",
		.remedy = LIMIT_IDLE},
	{"idle-option", .background = true, .function = probe_idle_option,
		.what = "sends half an option", .reference = "CVE-2024-7409", .remedy = LIMIT_IDLE},
	{"idle-tls", NEEDS_STARTTLS, .background = true, .function = probe_idle_tls,
		.what = "sends the beginning of a TLS handshake", .reference = "CVE-2024-7409",
		.remedy = "limit the time of a TLS handshake, or update the server"},
};

const size_t probe_count = sizeof(probes) / sizeof(probes[0]);

bool probe_is_unanswered(struct probe_run *run, const char *tried)
{
	const struct answer *answer = &run->attacker.answer;

	if (answer->kind == ANSWER_SILENT)
		verdict_not_tried(&run->verdict, "%s, it did not answer in time", tried);
	else if (answer->kind == ANSWER_BROKEN)
		verdict_fail(&run->verdict, "%s, %s", tried, answer->text);
	return answer->kind == ANSWER_SILENT || answer->kind == ANSWER_BROKEN;
}

const char *probe_unmet_need(
	const struct probe *probe, const struct audit_facts *facts, bool has_psk)
{
	const struct {
		unsigned need;
		bool met;
		const char *why_not;
	} needs[] = {
		{NEEDS_STARTTLS, facts->offers_tls, "the server offers no TLS"},
		{NEEDS_TLS, facts->has_tls,
			facts->offers_tls ? "TLS does not come about" : "the server offers no TLS"},
		{NEEDS_TLS_IF_OFFERED, facts->has_tls || !facts->offers_tls,
			"TLS does not come about"},
		{NEEDS_TLS_1_3, facts->tls_version == TLS_VERSION_1_3,
			"the server does not speak TLS 1.3"},
		{NEEDS_CERTIFICATE, !has_psk, "a pre-shared key stands in for the certificate"},
		{NEEDS_CLOSED_EXPORT, facts->mode != AUDIT_MODE_OPPORTUNISTIC,
			"the export is open to all without TLS"},
		{NEEDS_FORCED, facts->mode == AUDIT_MODE_FORCED, "TLS is not forced"},
		{NEEDS_EXPORT, facts->has_export, "the export does not open"},
	};

	for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++)
		if (probe->needs & needs[i].need && !needs[i].met)
			return needs[i].why_not;
	return NULL;
}
