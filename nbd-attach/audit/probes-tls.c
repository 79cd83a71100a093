/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What TLS the server agrees to, and its certificate. */
#include "audit/attacker-tls.h"
#include "audit/hello.h"
#include "audit/probe.h"
#include "nbd/nego.h"
#include "output/report.h"
#include "tls/info.h"
#include "tls/session.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

/* Renewed later than that, it is late. */
#define CERTIFICATE_DAYS_MIN 14
#define DAY_SEC 86400L

#define PRIORITY_TLS_1_2 "NORMAL:-VERS-ALL:+VERS-TLS1.2:%UNSAFE_RENEGOTIATION"
#define PRIORITY_TLS_1_2_PSK PRIORITY_TLS_1_2 ":-KX-ALL:+ECDHE-PSK:+DHE-PSK:+PSK"

static int receive_hello(struct attacker *attacker, struct hello_answer *answer)
{
	uint8_t bytes[HELLO_ANSWER_MAX_BYTES];
	size_t size = 0, left = HELLO_RECORD_HEADER_BYTES;

	attacker->transport.waiting_for = "the server's hello";
	attacker_renew_deadline(attacker, attacker->answer_ms);
	while (left <= sizeof(bytes) - size) {
		int rc = transport_read(&attacker->transport, bytes + size, left, &attacker->err);

		if (rc)
			return rc;
		size += left;
		if (hello_decode(bytes, size, answer))
			return 0;
		left = hello_bytes_needed(bytes, size);
	}
	answer->kind = HELLO_NOT_TLS;
	return 0;
}

/* A hello of our own on the way into TLS; *RC is 0 with ANSWER, or -errno: none came. False: the
 * verdict is there already. */
static bool send_hello(struct probe_run *run, uint16_t version, unsigned suites,
	struct hello_answer *answer, int *rc)
{
	struct attacker *attacker = &run->attacker;
	struct hello_offer offer = {.version = version,
		.suites = suites,
		.without_certificate = run->job->has_psk,
		.host = attacker->tls_host};
	uint8_t hello[HELLO_MAX_BYTES];

	*rc = attacker_send_honest_flags(attacker);
	if (!*rc)
		*rc = attacker_starttls(attacker);
	if (*rc || getrandom(offer.random, sizeof(offer.random), 0) != sizeof(offer.random)) {
		verdict_not_tried(&run->verdict, "%s", attacker->err.text);
		return false;
	}
	attacker->phase = ATTACKER_LOST;
	*rc = attacker_send(attacker, hello, hello_encode(hello, &offer));
	if (!*rc)
		*rc = receive_hello(attacker, answer);
	return true;
}

/* What it said where it should have refused. */
static void judge_hello(
	struct probe_run *run, const char *offered, int rc, const struct hello_answer *answer)
{
	const char *suite = hello_suite_name(answer->suite);

	if (rc == -ETIMEDOUT)
		verdict_not_tried(&run->verdict, "offered %s, it did not answer in time", offered);
	else if (rc)
		verdict_pass(&run->verdict, "offered %s, it hung up", offered);
	else if (answer->kind == HELLO_ALERT)
		verdict_pass(&run->verdict, "offered %s, it refused (alert \"%s\")", offered,
			attacker_tls_alert_name(answer->alert));
	else if (answer->kind == HELLO_NOT_TLS)
		verdict_fail(&run->verdict, "offered %s, it answered with what is no TLS", offered);
	else
		verdict_fail(&run->verdict, "offered %s, it chose %s with %s (0x%04x)", offered,
			hello_version_name(answer->version), suite ? suite : "a cipher suite",
			answer->suite);
}

void probe_tls_version(struct probe_run *run)
{
	attacker_send_honest_flags(&run->attacker);
	if (run->facts.tls_version == TLS_VERSION_1_3)
		verdict_pass(&run->verdict, "TLS 1.3 with %s", run->facts.cipher);
	else
		verdict_fail(&run->verdict, "TLS %s is the best that it agrees to",
			tls_version_name(run->facts.tls_version));
}

/* VERSION at the most. A server that has it not may have an older one, which is offered, too. */
static void offer_old_version(struct probe_run *run, uint16_t version)
{
	struct hello_answer answer = {0};
	int rc;

	if (send_hello(run, version,
		    HELLO_SUITES_FORWARD_SECRET | HELLO_SUITES_STATIC | HELLO_SUITES_WEAK, &answer,
		    &rc))
		judge_hello(run, hello_version_name(version), rc, &answer);
}

void probe_tls_1_1(struct probe_run *run)
{
	offer_old_version(run, HELLO_TLS_1_1);
}

void probe_tls_1_0(struct probe_run *run)
{
	offer_old_version(run, HELLO_TLS_1_0);
}

void probe_ssl_3_0(struct probe_run *run)
{
	offer_old_version(run, HELLO_SSL_3_0);
}

void probe_tls_weak(struct probe_run *run)
{
	struct hello_answer answer = {0};
	int rc;

	if (send_hello(run, HELLO_TLS_1_2, HELLO_SUITES_WEAK, &answer, &rc))
		judge_hello(run, "weak ciphers alone", rc, &answer);
}

void probe_forward_secrecy(struct probe_run *run)
{
	struct hello_answer answer = {0};
	int rc;

	if (send_hello(run, HELLO_TLS_1_2, HELLO_SUITES_STATIC, &answer, &rc))
		judge_hello(run, "ciphers without forward secrecy alone", rc, &answer);
}

/* A hello of TLS 1.2 that the server takes; false: the verdict is there. */
static bool speaks_tls_1_2(struct probe_run *run, struct hello_answer *answer)
{
	int rc;

	if (!send_hello(run, HELLO_TLS_1_2, HELLO_SUITES_FORWARD_SECRET | HELLO_SUITES_STATIC,
		    answer, &rc))
		return false;
	if (rc == 0 && answer->kind == HELLO_SERVER && answer->version == HELLO_TLS_1_2)
		return true;
	if (rc == -ETIMEDOUT)
		verdict_not_tried(&run->verdict, "offered TLS 1.2, it did not answer in time");
	else if (rc == 0 && answer->kind == HELLO_NOT_TLS)
		verdict_fail(&run->verdict, "offered TLS 1.2, it answered with what is no TLS");
	else
		verdict_not_applicable(&run->verdict, "the server does not speak TLS 1.2");
	return false;
}

void probe_tls_binding(struct probe_run *run)
{
	struct hello_answer answer = {0};

	if (!speaks_tls_1_2(run, &answer))
		return;
	if (answer.renegotiation_info && answer.extended_master_secret)
		verdict_pass(&run->verdict,
			"TLS 1.2 with secure renegotiation and extended master secret");
	else
		verdict_fail(&run->verdict, "TLS 1.2 without%s%s%s",
			answer.renegotiation_info ? "" : " secure renegotiation",
			answer.renegotiation_info || answer.extended_master_secret ? "" : " or",
			answer.extended_master_secret ? "" : " extended master secret");
}

void probe_tls_downgrade(struct probe_run *run)
{
	struct hello_answer answer = {0};

	if (!speaks_tls_1_2(run, &answer))
		return;
	if (answer.downgrade_sentinel)
		verdict_pass(&run->verdict, "offered TLS 1.2, it marks that it can do better");
	else
		verdict_fail(&run->verdict,
			"it can do TLS 1.3, and does not mark that when it is made to do 1.2");
}

void probe_renegotiation(struct probe_run *run)
{
	struct attacker *attacker = &run->attacker;
	bool psk = run->job->has_psk;
	int rc = attacker_send_honest_flags(attacker);

	if (!rc)
		rc = attacker_starttls(attacker);
	if (rc) {
		verdict_not_tried(&run->verdict, "%s", attacker->err.text);
		return;
	}
	rc = attacker_handshake(attacker, psk ? PRIORITY_TLS_1_2_PSK : PRIORITY_TLS_1_2);
	if (rc == -ETIMEDOUT)
		verdict_not_tried(&run->verdict, "offered TLS 1.2, it did not answer in time");
	else if (rc)
		verdict_not_applicable(&run->verdict, "the server does not speak TLS 1.2");
	if (rc)
		return;
	attacker->phase = ATTACKER_LOST;
	attacker_renew_deadline(attacker, attacker->answer_ms);
	rc = attacker_tls_renegotiate(attacker->tls, &attacker->err);
	if (rc == 0)
		verdict_fail(&run->verdict, "a client may negotiate anew within TLS 1.2");
	else
		verdict_pass(&run->verdict, "asked to negotiate anew within TLS 1.2, it %s",
			rc == -ETIMEDOUT ? "did not answer" : "refused");
}

/* By the client's own code, whose sentences are the evidence. */
static int verify(struct probe_run *run, struct tls_info *info)
{
	struct attacker *attacker = &run->attacker;
	struct tls_session *session = NULL;
	int rc = attacker_send_honest_flags(attacker);

	attacker->phase = ATTACKER_LOST;
	attacker_renew_deadline(attacker, attacker->answer_ms);
	if (!rc)
		rc = nego_starttls(&attacker->nego, &attacker->err);
	if (!rc)
		rc = tls_session_start(&session, &attacker->transport, run->job->creds,
			attacker->tls_host, info, &attacker->err);
	tls_session_free(session);
	return rc;
}

void probe_certificate(struct probe_run *run)
{
	struct tls_info info = {0};
	int64_t left_sec;
	char date[32];

	if (!run->job->creds) {
		attacker_send_honest_flags(&run->attacker);
		verdict_fail(&run->verdict, "it cannot be verified: %s; %s",
			run->job->no_creds->text, run->job->no_creds->hint);
		return;
	}
	if (verify(run, &info)) {
		verdict_fail(&run->verdict, "%s", run->attacker.err.text);
		return;
	}
	left_sec = info.peer_not_after - (int64_t)time(NULL);
	report_format_date(info.peer_not_after, date, sizeof(date));
	if (left_sec < CERTIFICATE_DAYS_MIN * DAY_SEC)
		verdict_fail(&run->verdict, "%s: it ends on %s, in %d days", info.peer_name, date,
			(int)(left_sec / DAY_SEC));
	else
		verdict_pass(&run->verdict, "verified by %s: %s, until %s", info.authentication,
			*info.peer_name ? info.peer_name : "(no subject)", date);
}
