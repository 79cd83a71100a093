/* SPDX-License-Identifier: GPL-2.0-or-later */
/* STARTTLS itself, and what is carried across it. */
#include "audit/attacker-tls.h"
#include "audit/probe.h"
#include "audit/request.h"
#include "audit/segment.h"
#include "base/wire.h"
#include <errno.h>
#include <poll.h>
#include <string.h>

/* What a server says in clear behind an ACK it says at once: so long after its slowest answer. */
#define PLAIN_MS 500
#define REST_MS 10
#define REST_TRIES 50
#define STRUCTURED_BLOCK_STATUS 5
#define RECORD_ALERT 21

/* Does the server speak NBD in clear, where TLS has to be? */
static bool speaks_in_clear(struct attacker *attacker, const char **how)
{
	uint8_t bytes[8] = {0};
	int within_ms = PLAIN_MS + attacker->slowest_ms;
	long n = attacker_peek(attacker, bytes, sizeof(bytes), within_ms);

	/* no record of TLS begins with the first byte; the others may come later */
	for (int i = 0; i < REST_TRIES && n > 0 && n < 8 && bytes[0] == 0; i++) {
		poll(NULL, 0, REST_MS);
		n = attacker_peek(attacker, bytes, sizeof(bytes), within_ms);
	}
	*how = n == -ETIMEDOUT ? "it said nothing in clear" :
		n <= 0         ? "it hung up" :
				 "it did not answer in clear";
	return n >= 8 && wire_get_u64(bytes) == NBD_OPTION_REPLY_MAGIC;
}

void probe_fallback(struct probe_run *run)
{
	/* the alert "handshake failure": no TLS library goes on after it */
	static const uint8_t alert[] = {RECORD_ALERT, 3, 1, 0, 2, 2, 40};
	struct attacker *attacker = &run->attacker;
	struct segment segment = {.size = 0};
	const char *how;
	int rc = attacker_send_honest_flags(attacker);

	if (!rc)
		rc = attacker_starttls(attacker);
	if (rc) {
		verdict_not_tried(&run->verdict, "%s", attacker->err.text);
		return;
	}
	attacker->phase = ATTACKER_LOST;
	attacker_send(attacker, alert, sizeof(alert));
	segment_add_option(&segment, OPTION_UNKNOWN, NULL, 0);
	attacker_send(attacker, segment.bytes, segment.size);
	/* its own alert may come first */
	if (attacker_peek(attacker, segment.bytes, 1, PLAIN_MS + attacker->slowest_ms) == 1 &&
		segment.bytes[0] == RECORD_ALERT)
		transport_read(&attacker->transport, segment.bytes, 7, NULL);
	if (speaks_in_clear(attacker, &how))
		verdict_fail(
			&run->verdict, "TLS failed, and an option in clear was answered in clear");
	else
		verdict_pass(&run->verdict, "TLS failed, and to an option in clear %s", how);
}

void probe_starttls_data(struct probe_run *run)
{
	struct attacker *attacker = &run->attacker;
	struct segment data = {.size = 0};

	attacker_send_honest_flags(attacker);
	/* what it carries looks like an option, for a server that takes it for one */
	segment_add_option(&data, OPTION_UNKNOWN + 1, NULL, 0);
	attacker_ask(attacker, NBD_OPT_STARTTLS, data.bytes, data.size);
	switch (attacker->answer.kind) {
	case ANSWER_ERROR:
		if (!attacker_is_in_step(attacker) && attacker->answer.kind != ANSWER_CLOSED) {
			verdict_fail(&run->verdict,
				"a STARTTLS with data was refused, and the data taken for "
				"something else: %s",
				attacker->answer.text);
			return;
		}
		break;
	case ANSWER_CLOSED: break;
	default:
		verdict_fail(&run->verdict, "sent STARTTLS with data, %s", attacker->answer.text);
		attacker->phase = ATTACKER_LOST;
		return;
	}
	verdict_pass(&run->verdict, "STARTTLS with data is refused");
}

void probe_starttls_twice(struct probe_run *run)
{
	struct attacker *attacker = &run->attacker;

	if (attacker_begin(attacker, &run->facts)) {
		verdict_not_tried(&run->verdict, "%s", attacker->err.text);
		return;
	}
	attacker_ask(attacker, NBD_OPT_STARTTLS, NULL, 0);
	if (attacker->answer.kind == ANSWER_ERROR || attacker->answer.kind == ANSWER_CLOSED) {
		verdict_pass(&run->verdict, "within TLS, %s", attacker->answer.text);
		return;
	}
	if (!probe_is_unanswered(run, "sent STARTTLS within TLS"))
		verdict_fail(&run->verdict, "sent STARTTLS within TLS, %s", attacker->answer.text);
	attacker->phase = ATTACKER_LOST;
}

void probe_starttls_late(struct probe_run *run)
{
	struct attacker *attacker = &run->attacker;
	static const uint32_t before[] = {NBD_OPT_LIST, OPTION_UNKNOWN, NBD_OPT_STRUCTURED_REPLY};

	attacker_send_honest_flags(attacker);
	for (size_t i = 0; i < sizeof(before) / sizeof(before[0]); i++) {
		attacker_ask(attacker, before[i], NULL, 0);
		if (attacker->phase != ATTACKER_HAGGLING) {
			if (!probe_is_unanswered(run, "asked an option before TLS"))
				verdict_pass(&run->verdict, "asked an option before TLS, %s",
					attacker->answer.text);
			return;
		}
	}
	if (attacker_secure(attacker)) {
		verdict_fail(&run->verdict, "after other options, STARTTLS failed: %s",
			attacker->err.text);
		return;
	}
	if (attacker_enter(attacker, &run->facts))
		verdict_fail(&run->verdict,
			"after other options and STARTTLS, the export does not open: %s",
			attacker->answer.text);
	else if (attacker->answer.size_bytes != run->facts.size_bytes)
		verdict_fail(&run->verdict,
			"after other options and STARTTLS, the export is another one");
	else
		verdict_pass(&run->verdict, "after other options TLS is as it is without");
}

/* Behind STARTTLS, in the segment with it, comes an option in clear: it is to be read by the TLS
 * library, which fails, or thrown away. A server that reads ahead has it in its buffer, and may
 * take it for the first that is said within TLS (CVE-2011-0411 of SMTP servers). */
void probe_pipelined(struct probe_run *run)
{
	struct attacker *attacker = &run->attacker;
	struct segment segment = {.size = 0};
	const char *how;

	attacker_send_honest_flags(attacker);
	segment_add_option(&segment, NBD_OPT_STARTTLS, NULL, 0);
	segment_add_option(&segment, OPTION_UNKNOWN + 1, NULL, 0);
	attacker_send(attacker, segment.bytes, segment.size);
	attacker->answer = (struct answer){0};
	attacker_receive(attacker);
	if (attacker->answer.kind != ANSWER_ACK) {
		attacker->phase = ATTACKER_LOST;
		if (!probe_is_unanswered(run, "with more behind STARTTLS"))
			verdict_pass(&run->verdict, "with more behind STARTTLS, %s",
				attacker->answer.text);
		return;
	}
	attacker->phase = ATTACKER_LOST;
	if (speaks_in_clear(attacker, &how)) {
		verdict_fail(&run->verdict,
			"an option in clear behind STARTTLS was answered in clear, after the ACK");
		return;
	}
	if (attacker_handshake(attacker, NULL)) {
		verdict_pass(&run->verdict,
			"with more behind STARTTLS, TLS does not come about: %s",
			attacker->err.text);
		return;
	}
	attacker_ask(attacker, OPTION_UNKNOWN, NULL, 0);
	if (attacker->answer.option == OPTION_UNKNOWN + 1)
		verdict_fail(&run->verdict,
			"an option in clear behind STARTTLS was answered within TLS, as if it had "
			"been said there");
	else
		verdict_pass(&run->verdict, "what is behind STARTTLS is thrown away");
}

/* Say OPTIONS in clear, then go on over TLS and into the export, as a client on whose connection
 * they were injected. False: the verdict is there. */
static bool inject(struct probe_run *run, const uint32_t *options, size_t count)
{
	struct attacker *attacker = &run->attacker;
	uint8_t meta[EXPORT_NAME_MAX + 64];
	size_t meta_size = segment_meta_data(meta, run->facts.export_name, 1);
	int rc;

	attacker_send_honest_flags(attacker);
	for (size_t i = 0; i < count; i++) {
		bool is_meta = options[i] == NBD_OPT_SET_META_CONTEXT;

		attacker_ask(attacker, options[i], meta, is_meta ? meta_size : 0);
		if (attacker->phase != ATTACKER_HAGGLING) {
			if (!probe_is_unanswered(run, "asked an option before TLS"))
				verdict_pass(&run->verdict, "asked %s before TLS, %s",
					nego_option_name(options[i]), attacker->answer.text);
			return false;
		}
	}
	rc = attacker_secure(attacker);
	if (rc == -ETIMEDOUT)
		verdict_not_tried(&run->verdict, "after %s in clear: %s",
			nego_option_name(options[count - 1]), attacker->err.text);
	else if (rc)
		verdict_pass(&run->verdict, "after %s in clear, TLS does not come about: %s",
			nego_option_name(options[count - 1]), attacker->err.text);
	return rc == 0;
}

static bool enter(struct probe_run *run)
{
	if (attacker_enter(&run->attacker, &run->facts) == 0)
		return true;
	if (!probe_is_unanswered(run, "asked for the export"))
		verdict_pass(&run->verdict, "the export does not open any more: %s",
			run->attacker.answer.text);
	return false;
}

void probe_structured_reply(struct probe_run *run)
{
	static const uint32_t options[] = {NBD_OPT_STRUCTURED_REPLY};
	struct request_result result;

	if (!inject(run, options, 1) || !enter(run))
		return;
	request_run(&run->attacker, NBD_COMMAND_READ, 0, run->facts.block_bytes, &result);
	if (result.kind == READ_DATA || result.kind == READ_ERROR)
		verdict_pass(&run->verdict,
			"NBD_OPT_STRUCTURED_REPLY before TLS is forgotten: asked to read, %s",
			result.text);
	else if (result.kind == READ_STRUCTURED)
		verdict_fail(&run->verdict,
			"NBD_OPT_STRUCTURED_REPLY before TLS is kept: asked to read, %s",
			result.text);
	else
		verdict_fail(&run->verdict,
			"after NBD_OPT_STRUCTURED_REPLY before TLS, asked to read, %s",
			result.text);
}

void probe_meta_context(struct probe_run *run)
{
	static const uint32_t options[] = {NBD_OPT_STRUCTURED_REPLY, NBD_OPT_SET_META_CONTEXT};
	struct attacker *attacker = &run->attacker;
	struct request_result result;

	if (!inject(run, options, 2))
		return;
	attacker_ask(attacker, NBD_OPT_STRUCTURED_REPLY, NULL, 0);
	if (attacker->answer.kind == ANSWER_ERROR && attacker->answer.type == NBD_REP_ERR_UNSUP) {
		verdict_not_applicable(&run->verdict, "the server has no structured replies");
		return;
	}
	if (!enter(run))
		return;
	request_run(attacker, NBD_COMMAND_BLOCK_STATUS, 0, run->facts.block_bytes, &result);
	if (result.kind == READ_STRUCTURED && result.chunk_type == STRUCTURED_BLOCK_STATUS)
		verdict_fail(&run->verdict,
			"NBD_OPT_SET_META_CONTEXT before TLS is kept: NBD_CMD_BLOCK_STATUS is "
			"answered within it, where no context was asked for");
	else if (result.kind == READ_SILENT)
		verdict_not_tried(&run->verdict, "asked for the block status, %s", result.text);
	else if (result.kind == READ_BROKEN || result.kind == READ_DATA)
		verdict_fail(&run->verdict,
			"after NBD_OPT_SET_META_CONTEXT before TLS, asked for the block status, %s",
			result.text);
	else
		verdict_pass(&run->verdict,
			"NBD_OPT_SET_META_CONTEXT before TLS is forgotten: asked for the block "
			"status, %s",
			result.text);
}

void probe_extended_headers(struct probe_run *run)
{
	static const uint32_t options[] = {NBD_OPT_EXTENDED_HEADERS};
	struct request_result result;

	if (!inject(run, options, 1) || !enter(run))
		return;
	request_run(&run->attacker, NBD_COMMAND_READ, 0, run->facts.block_bytes, &result);
	/* A server that expects extended requests waits for the rest of one, or hangs up. */
	if (result.kind == READ_DATA || result.kind == READ_ERROR)
		verdict_pass(&run->verdict,
			"NBD_OPT_EXTENDED_HEADERS before TLS is forgotten: asked to read, %s",
			result.text);
	else
		verdict_fail(&run->verdict,
			"NBD_OPT_EXTENDED_HEADERS before TLS is kept: asked to read, %s",
			result.text);
}
