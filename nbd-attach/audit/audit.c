/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One probe after the other, each in a process of its own without privileges, and beside them those
 * that only wait. A server that greets one connection at a time has the latter at the end. */
#include "audit/audit.h"
#include "audit/message.h"
#include "audit/probe.h"
#include "base/clock.h"
#include "base/text.h"
#include "child/child.h"
#include "child/reaper.h"
#include "child/sandbox.h"
#include "output/show.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define GRACE_MS 300
#define BACKGROUND_MAX 8
/* How many times the time of one probe all have that do not wait on purpose. */
#define BUDGET_PROBES 10
/* A server that went away has so long, twice, to be there again; one that was full, to see that
 * connections were closed. */
#define COME_BACK_MS 1000
#define SETTLE_MS 200
#define TRIES 2

/* What it is given. */
struct assignment {
	const struct audit_job *job;
	const struct endpoint *endpoint;
	const struct audit_facts *facts;
	const struct probe *probe;
	int timeout_ms;
};

struct probing {
	struct child child;
	size_t index;
	int64_t began_ms;
};

struct runner {
	const struct audit_job *job;
	struct audit_report *report;
	struct endpoint endpoint; /* the address that answered first */
	int64_t deadline_ms;      /* of the probes that do not wait on purpose */
	struct probing current;
	struct probing background[BACKGROUND_MAX];
	/* those that wait: not yet started; running; stopped, to be run when all else is done */
	enum { BACKGROUND_LATER, BACKGROUND_RUNS, BACKGROUND_LAST } phase;
	bool gone;
	bool has_last; /* a probe had a connection: */
	size_t last;
	struct error err; /* why the server is gone */
};

static bool audit_failed_here(const struct error *err)
{
	return err->kind == ERROR_OTHER || err->kind == ERROR_KERNEL ||
		err->kind == ERROR_PERMISSION;
}

/* --- in the child */

static void audit_child(int channel, const void *argument)
{
	static struct probe_run run;
	static struct audit_message message;
	const struct assignment *assignment = argument;
	struct attacker *attacker = &run.attacker;

	sandbox_enter_child();
	run.job = assignment->job;
	run.facts = *assignment->facts;
	attacker->endpoint = assignment->endpoint;
	attacker->tls_host = run.job->tls_host;
	attacker->creds = run.job->creds;
	attacker->fd = -1;
	attacker->answer_ms = run.job->timeout_ms / 2;
	attacker->deadline_ms = monotonic_now_ms() + assignment->timeout_ms;
	message.rc = attacker_connect(attacker);
	message.greeted = message.rc == 0;
	if (message.greeted)
		assignment->probe->function(&run);
	else
		message.err = attacker->err;
	/* what failed on this side, a refused call or no memory, says nothing of the server */
	if (message.greeted && audit_failed_here(&attacker->err))
		verdict_not_tried(&run.verdict, "%.300s", attacker->err.text);
	attacker_close(attacker);
	message.verdict = run.verdict;
	message.facts = run.facts;
	(void)!send(channel, &message, sizeof(message), MSG_NOSIGNAL);
}

/* --- in the parent */

static bool probing_start(struct runner *runner, struct probing *probing, size_t index)
{
	const struct probe *probe = &probes[index];
	const struct audit_job *job = runner->job;
	struct assignment assignment = {.job = job,
		.endpoint = &runner->endpoint,
		.facts = &runner->report->facts,
		.probe = probe,
		.timeout_ms = probe->background ? job->idle_ms : job->timeout_ms};
	struct child_options options = {.keeps_stdio = SANDBOX_KEEPS_STDIO,
		.dies_with_parent = true,
		.timeout_ms = assignment.timeout_ms + GRACE_MS};
	bool uses_token = job->creds && tls_credentials_use_token(job->creds);
	struct error err;

	if (job->verbose)
		show_note("%s: %s", probe->name, probe->what);
	probing->index = index;
	probing->began_ms = monotonic_now_ms();
	/* its TLS stays in userspace: no hostile server has to reach the kernel's */
	if (sandbox_prepare(&runner->endpoint, uses_token ? job->creds : NULL, &err) == 0 &&
		child_start(&probing->child, &options, audit_child, &assignment, &err) == 0)
		return true;
	verdict_not_tried(&runner->report->verdicts[index], "%s", err.text);
	return false;
}

/* No sign that the server is gone, and nothing learned. */
static void nothing_came(const struct runner *runner, struct audit_message *message)
{
	memset(message, 0, sizeof(*message));
	message->greeted = true;
	message->facts = runner->report->facts;
}

static void probing_died(
	struct runner *runner, struct probing *probing, struct audit_message *message)
{
	int status = 0;
	bool overdue = child_is_overdue(&probing->child);

	nothing_came(runner, message);
	/* what has closed its channel has ended, or is about to */
	for (int i = 0; i < 50 && !overdue && !child_has_ended(&probing->child, &status); i++)
		poll(NULL, 0, 10);
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
		verdict_not_tried(&message->verdict,
			"the process that tried it was killed for a system call that it may not "
			"make: this is a bug, or an attack");
	else if (WIFSIGNALED(status))
		verdict_not_tried(&message->verdict,
			"the process that tried it died by signal %d: this is a bug, or an attack",
			WTERMSIG(status));
	else
		verdict_not_tried(&message->verdict, "the process that tried it %s",
			overdue ? "took too long" : "ended without a word");
}

/* True: MESSAGE is its last word, and it runs no more. */
static bool probing_step(
	struct runner *runner, struct probing *probing, struct audit_message *message)
{
	int got = child_receive(&probing->child, message, sizeof(*message), NULL);

	reaper_collect();
	if (got == 0 && !child_is_overdue(&probing->child))
		return false;
	if (got == 1)
		audit_message_check(message);
	else
		probing_died(runner, probing, message);
	message->verdict.elapsed_ms = (int32_t)(monotonic_now_ms() - probing->began_ms);
	child_kill(&probing->child);
	return true;
}

static void take_background(struct runner *runner, struct probing *probing)
{
	struct audit_verdict *verdict = &runner->report->verdicts[probing->index];
	struct audit_message message;

	if (!child_is_running(&probing->child) || !probing_step(runner, probing, &message))
		return;
	if (!message.greeted)
		verdict_not_tried(&message.verdict,
			"it was not greeted, with other connections held: %.300s",
			message.err.text);
	*verdict = message.verdict;
}

/* Until something has happened to CURRENT or a background one. */
static void await_any(struct runner *runner)
{
	struct pollfd fds[1 + BACKGROUND_MAX];
	int64_t deadline_ms = INT64_MAX, left_ms;

	for (size_t i = 0; i < 1 + BACKGROUND_MAX; i++) {
		const struct child *child =
			i ? &runner->background[i - 1].child : &runner->current.child;

		fds[i] = (struct pollfd){.fd = child_poll_fd(child), .events = POLLIN};
		if (child_is_running(child) && child_deadline_ms(child) < deadline_ms)
			deadline_ms = child_deadline_ms(child);
	}
	left_ms = deadline_ms - monotonic_now_ms();
	poll(fds, 1 + BACKGROUND_MAX, left_ms > 0 ? (int)left_ms : 0);
	for (size_t i = 0; i < BACKGROUND_MAX; i++)
		take_background(runner, &runner->background[i]);
}

static bool background_runs(const struct runner *runner)
{
	for (size_t i = 0; i < BACKGROUND_MAX; i++)
		if (child_is_running(&runner->background[i].child))
			return true;
	return false;
}

static void start_background(struct runner *runner)
{
	size_t used = 0;

	runner->phase = BACKGROUND_RUNS;
	for (size_t i = 0; i < probe_count && used < BACKGROUND_MAX; i++)
		if (probes[i].background &&
			!probe_unmet_need(&probes[i], &runner->report->facts, runner->job->has_psk))
			probing_start(runner, &runner->background[used++], i);
}

static void stop_background(struct runner *runner)
{
	runner->phase = BACKGROUND_LAST;
	for (size_t i = 0; i < BACKGROUND_MAX; i++)
		child_kill(&runner->background[i].child);
}

/* For a server that takes no more connections. */
static void make_room(struct runner *runner)
{
	if (background_runs(runner))
		stop_background(runner);
}

/* --- one after the other */

static void try_probe(struct runner *runner, size_t index, struct audit_message *message)
{
	if (!probing_start(runner, &runner->current, index)) {
		nothing_came(runner, message);
		message->verdict = runner->report->verdicts[index];
		return;
	}
	while (!probing_step(runner, &runner->current, message))
		await_any(runner);
}

/* The server was as it should be for the last probe, and is not for the next. */
static void blame_last(struct runner *runner, const char *what, const char *why)
{
	struct audit_verdict *verdict = &runner->report->verdicts[runner->last];
	char before[200];

	if (!runner->has_last)
		return;
	text_copy(before, sizeof(before), verdict->evidence);
	verdict_fail(verdict, "after it %s: %.250s; before: %s", what, why, before);
}

static void try_again(
	struct runner *runner, size_t index, int pause_ms, struct audit_message *message)
{
	for (int i = 0; i < TRIES && !message->greeted; i++) {
		poll(NULL, 0, pause_ms);
		try_probe(runner, index, message);
	}
}

/* True: MESSAGE is of a probe that had its connection. */
static bool try_until_greeted(struct runner *runner, size_t index, struct audit_message *message)
{
	bool others_wait = background_runs(runner);

	try_probe(runner, index, message);
	/* By a server that takes one connection after the other it may be greeted too late. */
	if (others_wait && message->greeted && message->verdict.not_tried &&
		message->verdict.elapsed_ms >= runner->job->timeout_ms) {
		make_room(runner);
		try_probe(runner, index, message);
	}
	/* Unless nothing listens: the connections that wait, or the last one as it ends, may be all
	 * that the server takes. */
	if (!message->greeted && message->rc != -ECONNREFUSED &&
		(others_wait || message->rc != -ETIMEDOUT)) {
		make_room(runner);
		try_again(runner, index, SETTLE_MS, message);
	}
	if (message->greeted)
		return true;
	runner->err = message->err;
	if (!audit_failed_here(&message->err))
		blame_last(runner, "the server was gone (it ended, crashed, or refuses to connect)",
			message->err.text);
	if (runner->has_last)
		try_again(runner, index, COME_BACK_MS, message);
	runner->gone = !message->greeted;
	return message->greeted;
}

/* All that follow are of the machine that answered, whatever its name means the next time. */
static void pin_address(struct runner *runner)
{
	struct endpoint pinned = {0};

	if (!*runner->endpoint.socket_path &&
		endpoint_parse(&pinned, runner->report->facts.address, NULL, NULL) == 0 &&
		pinned.host_count == 1)
		memcpy(runner->endpoint.hosts, pinned.hosts, sizeof(pinned.hosts));
}

static void run_probe(struct runner *runner, size_t index)
{
	struct audit_verdict *verdict = &runner->report->verdicts[index];
	struct audit_message message;

	if (!try_until_greeted(runner, index, &message)) {
		verdict_not_tried(verdict, "the server does not answer any more");
		return;
	}
	*verdict = message.verdict;
	if (probes[index].learns)
		runner->report->facts = message.facts;
	if (!runner->has_last)
		pin_address(runner);
	runner->has_last = true;
	runner->last = index;
}

static void run_all(struct runner *runner)
{
	for (size_t i = 0; i < probe_count; i++) {
		struct audit_verdict *verdict = &runner->report->verdicts[i];
		const char *unmet =
			probe_unmet_need(&probes[i], &runner->report->facts, runner->job->has_psk);

		if (unmet)
			verdict_not_applicable(verdict, "%s", unmet);
		if (unmet || probes[i].background)
			continue;
		/* what the first ones learn is needed for them */
		if (!probes[i].learns && runner->phase == BACKGROUND_LATER && !runner->gone)
			start_background(runner);
		if (runner->gone)
			verdict_not_tried(verdict, "the server does not answer any more");
		else if (monotonic_now_ms() >= runner->deadline_ms)
			verdict_not_tried(verdict, "the server is slow, and no time is left");
		else
			run_probe(runner, i);
		if (runner->gone && !runner->has_last)
			return;
	}
}

static size_t find_probe(probe_function *function)
{
	size_t i = 0;

	while (probes[i].function != function)
		i++;
	return i;
}

/* Does it still serve? A server that hangs up after so many connections passes probes by that. */
static void check_survival(struct runner *runner)
{
	size_t index = find_probe(runner->report->facts.has_export ? probe_export : probe_greeting);
	struct audit_message message;

	if (runner->gone || !try_until_greeted(runner, index, &message))
		return;
	if (runner->report->verdicts[index].result == AUDIT_PASS &&
		message.verdict.result != AUDIT_PASS)
		blame_last(runner, "an honest client was not served any more",
			message.verdict.evidence);
}

/* What was kept out by the others that wait, alone. */
static void repeat_alone(struct runner *runner, size_t index)
{
	struct audit_message message = {.greeted = false};

	try_again(runner, index, SETTLE_MS, &message);
	if (message.greeted)
		runner->report->verdicts[index] = message.verdict;
}

static void end_background(struct runner *runner)
{
	struct audit_verdict *verdicts = runner->report->verdicts;

	if (runner->phase != BACKGROUND_RUNS && !runner->gone)
		start_background(runner);
	while (background_runs(runner) && !runner->gone)
		await_any(runner);
	stop_background(runner);
	for (size_t i = 0; i < probe_count; i++) {
		if (!probes[i].background ||
			(verdicts[i].result == AUDIT_NOT_APPLICABLE && !verdicts[i].not_tried))
			continue;
		if (runner->gone)
			verdict_not_tried(&verdicts[i], "the server does not answer any more");
		else if (verdicts[i].not_tried)
			repeat_alone(runner, i);
	}
}

int audit_run(const struct audit_job *job, struct audit_report *report, struct error *err)
{
	int64_t began_ms = monotonic_now_ms();
	struct runner *runner = calloc(1, sizeof(*runner));
	int rc = 0;

	*report = (struct audit_report){.count = probe_count};
	report->verdicts = calloc(probe_count, sizeof(*report->verdicts));
	if (!runner || !report->verdicts) {
		free(runner);
		return error_set(err, ERROR_OTHER, ENOMEM, "out of memory");
	}
	runner->job = job;
	runner->report = report;
	runner->endpoint = *job->endpoint;
	runner->deadline_ms = began_ms + (int64_t)BUDGET_PROBES * job->timeout_ms;
	run_all(runner);
	if (runner->has_last) {
		check_survival(runner);
		end_background(runner);
	} else {
		*err = runner->err;
		rc = -EIO;
	}
	report->complete = rc == 0;
	for (size_t i = 0; i < report->count; i++)
		report->complete = report->complete && !report->verdicts[i].not_tried;
	report->elapsed_ms = monotonic_now_ms() - began_ms;
	free(runner);
	return rc;
}

void audit_report_free(struct audit_report *report)
{
	free(report->verdicts);
	report->verdicts = NULL;
}

size_t audit_count(const struct audit_report *report, enum audit_result result)
{
	size_t count = 0;

	for (size_t i = 0; i < report->count; i++)
		count += report->verdicts[i].result == result;
	return count;
}

bool audit_is_sound(const struct audit_report *report)
{
	return report->complete && audit_count(report, AUDIT_FAIL) == 0;
}
