/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What TLS has besides data, and how a server that will be spoken to by a kernel takes it. */
#include "audit/attacker-tls.h"
#include "audit/probe.h"
#include "audit/request.h"
#include <errno.h>
#include <inttypes.h>

/* With a request, less than the smallest limit for records that is of use. */
#define PADDING_BYTES 400
/* All that one record may hold: no limit. */
#define RECORD_MAX_BYTES 16384
#define UNASKED_MS 500

static bool enters(struct probe_run *run)
{
	if (attacker_begin(&run->attacker, &run->facts) == 0 &&
		attacker_enter(&run->attacker, &run->facts) == 0)
		return true;
	verdict_not_tried(&run->verdict, "%s", run->attacker.err.text);
	return false;
}

static bool reads(struct probe_run *run, const char *when)
{
	struct request_result result;

	request_run(&run->attacker, NBD_COMMAND_READ, 0, run->facts.block_bytes, &result);
	if (result.kind == READ_DATA || result.kind == READ_ERROR)
		return true;
	verdict_fail(&run->verdict, "asked to read %s, %s", when, result.text);
	return false;
}

void probe_key_update(struct probe_run *run)
{
	struct attacker *attacker = &run->attacker;

	if (!enters(run) || !reads(run, "before a KeyUpdate"))
		return;
	if (attacker_tls_seen(attacker->tls).key_updates) {
		verdict_fail(&run->verdict, "it sent a KeyUpdate after its first records");
		return;
	}
	attacker_renew_deadline(attacker, attacker->answer_ms);
	if (attacker_tls_update_keys(attacker->tls, &attacker->err)) {
		verdict_fail(&run->verdict, "sent a KeyUpdate: %s", attacker->err.text);
		return;
	}
	if (!reads(run, "after a KeyUpdate"))
		return;
	/* The kernel does not ask, so that one which keeps its own does no harm. */
	if (attacker_tls_seen(attacker->tls).key_updates)
		verdict_pass(&run->verdict, "asked for new keys, it took ours and sent its own");
	else
		verdict_pass(&run->verdict,
			"asked for new keys, it took ours and kept its own (RFC 8446 wants new "
			"ones)");
}

void probe_padding(struct probe_run *run)
{
	struct attacker *attacker = &run->attacker;
	uint8_t request[REQUEST_BYTES];
	struct request_result result;
	uint64_t padding_bytes;

	if (!enters(run))
		return;
	attacker_renew_deadline(attacker, attacker->answer_ms);
	if (request_encode(request, NBD_COMMAND_READ, 0, run->facts.block_bytes) ||
		attacker_tls_send_padded(
			attacker->tls, request, sizeof(request), PADDING_BYTES, &attacker->err)) {
		verdict_fail(&run->verdict, "sent a padded record: %s", attacker->err.text);
		return;
	}
	request_receive(attacker, request, &result);
	padding_bytes = attacker_tls_padding_seen(attacker->tls);
	if (result.kind != READ_DATA && result.kind != READ_ERROR)
		verdict_fail(&run->verdict, "asked to read in a padded record, %s", result.text);
	else if (padding_bytes)
		verdict_pass(&run->verdict,
			"a padded record is understood; its own had %" PRIu64 " bytes of padding",
			padding_bytes);
	else
		verdict_pass(&run->verdict, "a padded record is understood; its own have none");
}

void probe_record_size(struct probe_run *run)
{
	unsigned limit;

	if (attacker_begin(&run->attacker, &run->facts)) {
		verdict_not_tried(&run->verdict, "%s", run->attacker.err.text);
		return;
	}
	limit = attacker_tls_record_limit(run->attacker.tls);
	if (!limit)
		verdict_pass(&run->verdict, "it names no limit for records");
	else if (limit >= RECORD_MAX_BYTES)
		verdict_pass(&run->verdict, "it takes records of %u bytes, which is all", limit);
	else
		verdict_fail(&run->verdict, "it takes records of %u bytes at the most", limit);
}

void probe_unasked(struct probe_run *run)
{
	struct attacker *attacker = &run->attacker;
	struct attacker_tls_seen seen;
	uint8_t byte;
	long n;

	if (!enters(run) || !reads(run, "the first block"))
		return;
	attacker_renew_deadline(attacker, UNASKED_MS);
	n = attacker->transport.ops->read_some(&attacker->transport, &byte, 1, &attacker->err);
	seen = attacker_tls_seen(attacker->tls);
	if (n > 0)
		verdict_fail(&run->verdict, "it sent data that was not asked for");
	else if (seen.key_updates || seen.tickets || seen.hello_requests)
		verdict_fail(&run->verdict,
			"it sent, unasked: KeyUpdate %u times, tickets %u, HelloRequest %u",
			seen.key_updates, seen.tickets, seen.hello_requests);
	else if (n != -ETIMEDOUT)
		verdict_fail(&run->verdict, "left alone, it hung up: %s", attacker->err.text);
	else
		verdict_pass(&run->verdict, "nothing but what was asked for");
}
