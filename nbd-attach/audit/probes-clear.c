/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a server does before TLS, or without it. */
#include "audit/attacker-tls.h"
#include "audit/probe.h"
#include "audit/request.h"
#include "audit/segment.h"
#include "base/text.h"
#include "base/wire.h"
#include "tls/info.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void probe_greeting(struct probe_run *run)
{
	uint16_t flags = run->attacker.handshake_flags;

	text_copy(run->facts.address, sizeof(run->facts.address), run->attacker.address);
	run->facts.handshake_flags = flags;
	if (!(flags & NBD_HANDSHAKE_FIXED_NEWSTYLE))
		verdict_fail(&run->verdict,
			"no fixed newstyle (handshake flags 0x%x): TLS cannot begin", flags);
	else if (flags & ~CLIENT_FLAGS_HONEST)
		verdict_fail(&run->verdict, "handshake flags 0x%x, of which 0x%x mean nothing",
			flags, flags & ~CLIENT_FLAGS_HONEST);
	else
		verdict_pass(&run->verdict, "fixed newstyle, handshake flags 0x%x", flags);
	attacker_send_honest_flags(&run->attacker);
}

void probe_starttls(struct probe_run *run)
{
	struct attacker *attacker = &run->attacker;
	int rc = attacker_send_honest_flags(attacker);

	if (!rc)
		rc = attacker_starttls(attacker);
	if (rc) {
		if (attacker->answer.kind == ANSWER_ERROR)
			run->facts.mode = AUDIT_MODE_NONE;
		verdict_fail(&run->verdict, "%s; all is sent in clear", attacker->err.text);
		return;
	}
	run->facts.offers_tls = true;
	rc = attacker_handshake(attacker, NULL);
	if (rc) {
		verdict_fail(&run->verdict, "TLS is offered, and does not come about: %s",
			attacker->err.text);
		return;
	}
	/* Under TLS 1.3 a server refuses our credentials only when all is over for us. */
	if (!attacker_is_in_step(attacker)) {
		verdict_fail(&run->verdict, "TLS is offered, and what is asked within it fails: %s",
			attacker->answer.text);
		return;
	}
	run->facts.has_tls = true;
	run->facts.tls_version = attacker_tls_version(attacker->tls);
	text_copy(run->facts.cipher, sizeof(run->facts.cipher), attacker_tls_cipher(attacker->tls));
	verdict_pass(&run->verdict, "TLS %s with %s", tls_version_name(run->facts.tls_version),
		run->facts.cipher);
}

/* GO for the export that was named, else for the first one listed. */
static bool find_export(struct probe_run *run)
{
	struct attacker *attacker = &run->attacker;
	char name[EXPORT_NAME_MAX + 1];

	text_copy(name, sizeof(name), run->job->endpoint->export_name);
	attacker_ask_go(attacker, NBD_OPT_GO, name);
	if (attacker->answer.kind == ANSWER_ERROR && !*name) {
		attacker_ask(attacker, NBD_OPT_LIST, NULL, 0);
		if (attacker->answer.kind != ANSWER_ACK || !attacker->answer.has_name)
			return false;
		text_copy(name, sizeof(name), attacker->answer.name);
		attacker_ask_go(attacker, NBD_OPT_GO, name);
	}
	text_copy(run->facts.export_name, sizeof(run->facts.export_name), name);
	return attacker->answer.kind == ANSWER_ACK;
}

static void choose_block(struct audit_facts *facts, const struct answer *answer)
{
	uint32_t block_bytes = answer->block_min_bytes > 512 ? answer->block_min_bytes : 512;

	facts->size_bytes = answer->size_bytes;
	if (block_bytes > answer->size_bytes)
		block_bytes = (uint32_t)answer->size_bytes;
	facts->block_bytes = block_bytes;
}

void probe_export(struct probe_run *run)
{
	struct attacker *attacker = &run->attacker;
	struct request_result result;
	int rc = attacker_begin(attacker, &run->facts);

	if (rc) {
		verdict_not_tried(&run->verdict, "%s", attacker->err.text);
		return;
	}
	if (!find_export(run) || !attacker->answer.has_size) {
		verdict_fail(&run->verdict, "the export does not open: %s", attacker->answer.text);
		return;
	}
	choose_block(&run->facts, &attacker->answer);
	if (!run->facts.block_bytes || run->facts.block_bytes > REQUEST_READ_MAX_BYTES) {
		verdict_not_tried(&run->verdict,
			"the export has %" PRIu64 " bytes in blocks of %u at least: not read",
			run->facts.size_bytes, attacker->answer.block_min_bytes);
		return;
	}
	request_run(attacker, NBD_COMMAND_READ, 0, run->facts.block_bytes, &result);
	run->facts.has_export = result.kind == READ_DATA || result.kind == READ_ERROR;
	if (result.kind != READ_DATA)
		verdict_fail(&run->verdict, "asked to read the first block: %s", result.text);
	else
		verdict_pass(&run->verdict,
			"\"%.200s\", %" PRIu64 " bytes, read%s: simple replies where nothing else "
			"was negotiated",
			run->facts.export_name, run->facts.size_bytes,
			run->facts.has_tls ? " over TLS" : "");
}

static void judge_forced(struct probe_run *run, bool unknown_needs_tls)
{
	const struct answer *answer = &run->attacker.answer;

	if (answer->kind == ANSWER_ACK) {
		run->facts.mode = AUDIT_MODE_OPPORTUNISTIC;
		/* nbdkit's filter tls-fallback has another one for clients without TLS */
		verdict_fail(&run->verdict,
			"the export (%" PRIu64 " bytes) was opened without TLS%s",
			answer->size_bytes,
			run->facts.has_export && answer->size_bytes != run->facts.size_bytes ?
				"; over TLS it has another size" :
				"");
		return;
	}
	if (probe_is_unanswered(run, "asked for the export without TLS"))
		return;
	run->facts.mode = unknown_needs_tls ? AUDIT_MODE_FORCED : AUDIT_MODE_SELECTIVE;
	if (answer->kind == ANSWER_ERROR && answer->type != NBD_REP_ERR_TLS_REQD &&
		!run->facts.has_export) {
		run->facts.mode = AUDIT_MODE_UNKNOWN;
		verdict_not_tried(&run->verdict,
			"no export is known to be there, and without TLS %s", answer->text);
		return;
	}
	verdict_pass(&run->verdict, "asked for the export without TLS, %s", answer->text);
}

void probe_forced_tls(struct probe_run *run)
{
	struct attacker *attacker = &run->attacker;
	bool unknown_needs_tls;
	int rc = attacker_send_honest_flags(attacker);

	if (rc) {
		verdict_not_tried(&run->verdict, "%s", attacker->err.text);
		return;
	}
	/* Only where TLS is forced may an option that has nothing to do with an export be refused
	 * for want of it ("SELECTIVETLS mode"). */
	attacker_ask(attacker, OPTION_UNKNOWN, NULL, 0);
	unknown_needs_tls = attacker->answer.kind == ANSWER_CLOSED ||
		attacker->answer.type == NBD_REP_ERR_TLS_REQD;
	if (attacker->phase == ATTACKER_HAGGLING)
		attacker_ask_go(attacker, NBD_OPT_GO, run->facts.export_name);
	judge_forced(run, unknown_needs_tls);
}

/* OPT_EXPORT_NAME, the one option that has no error as an answer. */
static void ask_export_name(struct probe_run *run, uint32_t client_flags)
{
	struct attacker *attacker = &run->attacker;
	struct segment segment = {.size = 0};
	uint8_t answer[10];
	int rc = attacker_send_flags(attacker, client_flags);

	segment_add_option(&segment, NBD_OPT_EXPORT_NAME, run->facts.export_name,
		strlen(run->facts.export_name));
	attacker->phase = ATTACKER_LOST;
	if (!rc)
		rc = attacker_send(attacker, segment.bytes, segment.size);
	attacker_renew_deadline(attacker, attacker->answer_ms);
	if (!rc)
		rc = transport_read(&attacker->transport, answer, sizeof(answer), &attacker->err);
	if (rc == -ETIMEDOUT)
		verdict_not_tried(
			&run->verdict, "asked for the export by its name alone, it did not answer");
	else if (rc)
		verdict_pass(&run->verdict, "asked for the export by its name alone, it hung up");
	else if (wire_get_u64(answer) == NBD_OPTION_REPLY_MAGIC)
		verdict_pass(&run->verdict, "asked for the export by its name alone, it refused");
	else
		verdict_fail(&run->verdict,
			"NBD_OPT_EXPORT_NAME opened the export (%" PRIu64
			" bytes) without TLS, which NBD_OPT_GO does not",
			wire_get_u64(answer));
}

void probe_clear_export_name(struct probe_run *run)
{
	ask_export_name(run, run->attacker.handshake_flags & CLIENT_FLAGS_HONEST);
}

void probe_clear_old_client(struct probe_run *run)
{
	ask_export_name(run, 0);
}

struct clear_option {
	uint32_t option;
	bool has_meta_data, has_go_data;
};

static void ask_clear_option(struct probe_run *run, const struct clear_option *option)
{
	uint8_t data[EXPORT_NAME_MAX + 64];
	size_t size = 0;

	if (option->has_meta_data)
		size = segment_meta_data(data, run->facts.export_name, 1);
	if (option->has_go_data)
		size = segment_go_data(data, run->facts.export_name, strlen(run->facts.export_name),
			(uint32_t)strlen(run->facts.export_name));
	attacker_ask(&run->attacker, option->option, data, size);
}

void probe_clear_options(struct probe_run *run)
{
	static const struct clear_option options[] = {
		{NBD_OPT_LIST},
		{NBD_OPT_INFO, .has_go_data = true},
		{NBD_OPT_STRUCTURED_REPLY},
		{NBD_OPT_LIST_META_CONTEXT, .has_meta_data = true},
		{NBD_OPT_SET_META_CONTEXT, .has_meta_data = true},
		{NBD_OPT_EXTENDED_HEADERS},
		{OPTION_UNKNOWN},
	};
	struct attacker *attacker = &run->attacker;

	attacker_send_honest_flags(attacker);
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		const struct answer *answer = &attacker->answer;

		ask_clear_option(run, &options[i]);
		if (answer->kind == ANSWER_CLOSED) {
			verdict_pass(&run->verdict, "asked %s without TLS, %s",
				nego_option_name(options[i].option), answer->text);
			return;
		}
		if (answer->kind == ANSWER_ERROR && answer->type == NBD_REP_ERR_TLS_REQD)
			continue;
		if (probe_is_unanswered(run, "asked an option without TLS"))
			return;
		verdict_fail(&run->verdict, "asked %s without TLS, %s",
			nego_option_name(options[i].option), answer->text);
		return;
	}
	verdict_pass(&run->verdict, "all options but STARTTLS are refused");
}

void probe_client_flags(struct probe_run *run)
{
	struct attacker *attacker = &run->attacker;
	uint32_t flags = (attacker->handshake_flags & CLIENT_FLAGS_HONEST) | CLIENT_FLAG_UNKNOWN;

	attacker_send_flags(attacker, flags);
	attacker_ask(attacker, OPTION_UNKNOWN, NULL, 0);
	if (attacker->answer.kind == ANSWER_CLOSED)
		verdict_pass(&run->verdict, "after unknown client flags %s", attacker->answer.text);
	else
		verdict_fail(&run->verdict,
			"it did not hang up after the unknown client flags 0x%x: asked an option, "
			"%s",
			flags, attacker->answer.text);
}
