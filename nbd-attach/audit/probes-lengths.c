/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lengths that lie, and names that are too long. Whether the server survived, the next connection
 * tells: see audit.c. */
#include "audit/probe.h"
#include "audit/request.h"
#include "audit/segment.h"
#include "base/wire.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define ANY_CLAIM UINT32_MAX
/* "MUST be no longer than 4096 bytes" */
#define NAME_MAX_BYTES EXPORT_NAME_MAX

static bool begins(struct probe_run *run)
{
	if (attacker_begin(&run->attacker, &run->facts) == 0)
		return true;
	verdict_not_tried(&run->verdict, "%s", run->attacker.err.text);
	return false;
}

/* After a refusal both sides have to be where they were. */
static void judge_refusal(struct probe_run *run, const char *what, bool ack_is_fine)
{
	struct attacker *attacker = &run->attacker;
	char text[sizeof(attacker->answer.text)];
	enum answer_kind kind = attacker->answer.kind;

	memcpy(text, attacker->answer.text, sizeof(text));
	if (kind == ANSWER_CLOSED || kind == ANSWER_ERROR || (kind == ANSWER_ACK && ack_is_fine)) {
		if (kind == ANSWER_CLOSED || attacker_is_in_step(attacker) ||
			attacker->answer.kind == ANSWER_CLOSED)
			verdict_pass(&run->verdict, "%s: %s", what, text);
		else
			verdict_fail(&run->verdict,
				"%s: %s, and then lost its place: asked another option, %s", what,
				text, attacker->answer.text);
		return;
	}
	verdict_fail(&run->verdict, "%s: %s", what, text);
	attacker->phase = ATTACKER_LOST;
}

void probe_option_length(struct probe_run *run)
{
	struct attacker *attacker = &run->attacker;
	struct segment segment = {.size = 0};

	attacker_send_honest_flags(attacker);
	segment_add_header(&segment, NBD_OPT_LIST, ANY_CLAIM);
	attacker_send(attacker, segment.bytes, segment.size);
	attacker->answer = (struct answer){0};
	attacker_receive(attacker);
	if (attacker->answer.kind == ANSWER_ERROR || attacker->answer.kind == ANSWER_CLOSED ||
		attacker->answer.kind == ANSWER_SILENT)
		verdict_pass(
			&run->verdict, "an option of 4 GiB announced: %s", attacker->answer.text);
	else
		verdict_fail(
			&run->verdict, "an option of 4 GiB announced: %s", attacker->answer.text);
	attacker->phase = ATTACKER_LOST;
}

void probe_name_length(struct probe_run *run)
{
	uint8_t data[64];

	if (!begins(run))
		return;
	attacker_ask(&run->attacker, NBD_OPT_INFO, data, segment_go_data(data, "x", 1, ANY_CLAIM));
	judge_refusal(run, "a name said to be longer than its option", false);
}

static void ask_long_name(struct probe_run *run, size_t size)
{
	uint8_t data[2 * NAME_MAX_BYTES + 64];
	char name[2 * NAME_MAX_BYTES];

	memset(name, 'a', size);
	attacker_ask(&run->attacker, NBD_OPT_INFO, data,
		segment_go_data(data, name, size, (uint32_t)size));
}

void probe_long_name(struct probe_run *run)
{
	if (!begins(run))
		return;
	ask_long_name(run, NAME_MAX_BYTES);
	/* a server that has one export only may not care for names */
	judge_refusal(run, "an unknown export with a name of 4096 bytes", true);
}

void probe_oversized_name(struct probe_run *run)
{
	if (!begins(run))
		return;
	ask_long_name(run, 2UL * NAME_MAX_BYTES);
	judge_refusal(run, "a name of 8192 bytes", false);
}

void probe_query_count(struct probe_run *run)
{
	struct attacker *attacker = &run->attacker;
	uint8_t data[EXPORT_NAME_MAX + 64];

	if (!begins(run))
		return;
	attacker_ask(attacker, NBD_OPT_STRUCTURED_REPLY, NULL, 0);
	if (attacker->answer.kind != ANSWER_ACK) {
		verdict_not_applicable(
			&run->verdict, "asked for structured replies, %s", attacker->answer.text);
		return;
	}
	attacker_ask(attacker, NBD_OPT_SET_META_CONTEXT, data,
		segment_meta_data(data, run->facts.export_name, ANY_CLAIM));
	if (attacker->answer.kind == ANSWER_ERROR && attacker->answer.type == NBD_REP_ERR_UNSUP) {
		verdict_not_applicable(&run->verdict, "the server has no metadata contexts");
		return;
	}
	judge_refusal(run, "one query, said to be 4294967295", false);
}

/* True: go on. */
static bool reads_nothing(struct probe_run *run, uint64_t offset, uint32_t length, const char *what)
{
	struct request_result result;

	request_run(&run->attacker, NBD_COMMAND_READ, offset, length, &result);
	if (result.kind == READ_ERROR)
		return true;
	if (result.kind == READ_CLOSED)
		verdict_pass(&run->verdict, "asked to read %s, it hung up", what);
	else
		verdict_fail(&run->verdict, "asked to read %s, %s", what, result.text);
	return false;
}

void probe_read_bounds(struct probe_run *run)
{
	const struct audit_facts *facts = &run->facts;

	if (!begins(run))
		return;
	if (attacker_enter(&run->attacker, facts)) {
		verdict_not_tried(&run->verdict, "%s", run->attacker.err.text);
		return;
	}
	if (!reads_nothing(run, facts->size_bytes, facts->block_bytes, "behind the end") ||
		!reads_nothing(run, facts->size_bytes - facts->block_bytes, 2 * facts->block_bytes,
			"across the end") ||
		!reads_nothing(run, UINT64_MAX - facts->block_bytes + 1, 2 * facts->block_bytes,
			"across 2^64") ||
		(facts->size_bytes < UINT32_MAX &&
			!reads_nothing(run, 0, UINT32_MAX, "4 GiB of a smaller export")))
		return;
	verdict_pass(&run->verdict, "reads beyond the end are refused");
}
