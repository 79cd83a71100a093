/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Verdicts, the table of probes, and what is taken from a probe's process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "audit/attacker.h"
#include "audit/audit.h"
#include "audit/message.h"
#include "audit/probe.h"
#include "audit/request.h"
#include "tls/info.h"
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void evidence_is_printable(void **state)
{
	struct audit_verdict verdict = {.not_tried = true};
	char longer[2000];

	(void)state;
	verdict_pass(&verdict, "it says \"%s\"", "\x1b[2J\n\xe2\x80\xae");
	assert_int_equal(verdict.result, AUDIT_PASS);
	assert_false(verdict.not_tried);
	assert_string_equal(verdict.evidence, "it says \"?[2J??\"");
	memset(longer, 'x', sizeof(longer));
	longer[sizeof(longer) - 1] = 0;
	verdict_fail(&verdict, "%s", longer);
	assert_int_equal(verdict.result, AUDIT_FAIL);
	assert_int_equal(strlen(verdict.evidence), sizeof(verdict.evidence) - 1);
	verdict_not_tried(&verdict, "%s", "why");
	assert_int_equal(verdict.result, AUDIT_NOT_APPLICABLE);
	assert_true(verdict.not_tried);
	verdict_not_applicable(&verdict, "%s", "why");
	assert_false(verdict.not_tried);
}

static void probes_have_names_and_words(void **state)
{
	size_t background = 0;

	(void)state;
	for (size_t i = 0; i < probe_count; i++) {
		assert_true(*probes[i].what && *probes[i].reference && *probes[i].remedy);
		for (const char *p = probes[i].name; *p; p++)
			assert_true(islower(*p) || isdigit(*p) || *p == '-' || *p == '.');
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(probes[i].name, probes[j].name);
		/* what the first ones learn is known to all others */
		assert_true(!probes[i].learns || i == 0 || probes[i - 1].learns);
		assert_false(probes[i].learns && probes[i].background);
		background += probes[i].background;
	}
	assert_true(probes[0].learns && background <= 8);
}

static const struct probe *find(const char *name)
{
	for (size_t i = 0; i < probe_count; i++)
		if (strcmp(probes[i].name, name) == 0)
			return &probes[i];
	fail_msg("no probe %s", name);
	return NULL;
}

static bool applies(const char *name, const struct audit_facts *facts)
{
	return probe_unmet_need(find(name), facts, false) == NULL;
}

static void needs_follow_from_what_is_known(void **state)
{
	struct audit_facts facts = {.mode = AUDIT_MODE_NONE};

	(void)state;
	assert_true(applies("client-flags", &facts) && applies("export", &facts));
	assert_false(applies("forced-tls", &facts) || applies("pipelined", &facts));
	assert_string_equal(
		probe_unmet_need(find("pipelined"), &facts, false), "the server offers no TLS");
	facts.offers_tls = true;
	assert_true(applies("forced-tls", &facts) && applies("tls-1.0", &facts));
	assert_false(applies("export", &facts) || applies("pipelined", &facts));
	assert_string_equal(
		probe_unmet_need(find("pipelined"), &facts, false), "TLS does not come about");
	facts.has_tls = true;
	facts.tls_version = TLS_VERSION_1_2;
	assert_true(applies("pipelined", &facts) && applies("export", &facts));
	assert_false(applies("record-size", &facts) || applies("structured-reply", &facts));
	facts.has_export = true;
	facts.tls_version = TLS_VERSION_1_3;
	assert_true(applies("record-size", &facts) && applies("structured-reply", &facts));
	facts.mode = AUDIT_MODE_OPPORTUNISTIC;
	assert_false(applies("clear-export-name", &facts) || applies("clear-options", &facts));
	facts.mode = AUDIT_MODE_SELECTIVE;
	assert_true(applies("clear-export-name", &facts));
	assert_false(applies("clear-options", &facts));
	facts.mode = AUDIT_MODE_FORCED;
	for (size_t i = 0; i < probe_count; i++)
		assert_null(probe_unmet_need(&probes[i], &facts, false));
	assert_non_null(probe_unmet_need(find("certificate"), &facts, true));
}

static void no_answer_is_no_pass(void **state)
{
	static struct probe_run run;

	(void)state;
	run.attacker.answer.kind = ANSWER_CLOSED;
	assert_false(probe_is_unanswered(&run, "asked"));
	run.attacker.answer.kind = ANSWER_ERROR;
	assert_false(probe_is_unanswered(&run, "asked"));
	assert_int_equal(run.verdict.result, 0);
	run.attacker.answer.kind = ANSWER_SILENT;
	assert_true(probe_is_unanswered(&run, "asked"));
	assert_true(run.verdict.not_tried);
	run.attacker.answer = (struct answer){.kind = ANSWER_BROKEN, .text = "it sang"};
	assert_true(probe_is_unanswered(&run, "asked"));
	assert_int_equal(run.verdict.result, AUDIT_FAIL);
	assert_string_equal(run.verdict.evidence, "asked, it sang");
}

static void only_what_passed_whole_is_sound(void **state)
{
	struct audit_verdict verdicts[3] = {{AUDIT_PASS}, {AUDIT_NOT_APPLICABLE}, {AUDIT_PASS}};
	struct audit_report report = {.count = 3, .verdicts = verdicts, .complete = true};

	(void)state;
	assert_true(audit_is_sound(&report));
	assert_int_equal(audit_count(&report, AUDIT_PASS), 2);
	report.complete = false;
	assert_false(audit_is_sound(&report));
	report.complete = true;
	verdicts[2].result = AUDIT_FAIL;
	assert_false(audit_is_sound(&report));
	assert_int_equal(audit_count(&report, AUDIT_FAIL), 1);
}

/* The process that sends it was taken over: whatever it is, what comes of it holds together. */
static void a_message_is_not_trusted(void **state)
{
	static struct audit_message message;
	uint8_t *bytes = (uint8_t *)&message;

	(void)state;
	srand(1);
	for (int round = 0; round < 2000; round++) {
		for (size_t i = 0; i < sizeof(message); i++)
			bytes[i] = (uint8_t)(round ? rand() : 0xff);
		audit_message_check(&message);
		assert_true(message.rc < 0);
		assert_true(message.verdict.result >= AUDIT_PASS &&
			message.verdict.result <= AUDIT_NOT_APPLICABLE);
		assert_true(message.facts.mode <= AUDIT_MODE_FORCED);
		assert_true(message.facts.tls_version == 0 ||
			message.facts.tls_version == TLS_VERSION_1_2 ||
			message.facts.tls_version == TLS_VERSION_1_3);
		assert_true(!message.facts.has_export ||
			message.facts.block_bytes <= REQUEST_READ_MAX_BYTES);
		assert_non_null(
			memchr(message.facts.export_name, 0, sizeof(message.facts.export_name)));
		for (const char *p = message.verdict.evidence; *p; p++)
			assert_false(iscntrl((unsigned char)*p));
		for (const char *p = message.err.text; *p; p++)
			assert_false(iscntrl((unsigned char)*p));
	}
}

static void a_good_message_stays_as_it_is(void **state)
{
	static struct audit_message message, copy;

	(void)state;
	message.greeted = true;
	message.rc = -ETIMEDOUT;
	message.err = (struct error){.kind = ERROR_SERVER, .text = "why", .hint = "do"};
	message.facts = (struct audit_facts){.address = "192.0.2.1:10809",
		.mode = AUDIT_MODE_FORCED,
		.has_tls = true,
		.tls_version = TLS_VERSION_1_3,
		.has_export = true,
		.block_bytes = 512,
		.export_name = "disk"};
	verdict_fail(&message.verdict, "evidence");
	memcpy(&copy, &message, sizeof(copy));
	audit_message_check(&message);
	assert_memory_equal(&message, &copy, sizeof(copy));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(evidence_is_printable),
		cmocka_unit_test(probes_have_names_and_words),
		cmocka_unit_test(needs_follow_from_what_is_known),
		cmocka_unit_test(no_answer_is_no_pass),
		cmocka_unit_test(only_what_passed_whole_is_sound),
		cmocka_unit_test(a_message_is_not_trusted),
		cmocka_unit_test(a_good_message_stays_as_it_is),
	};

	return cmocka_run_group_tests_name("audit", tests, NULL, NULL);
}
