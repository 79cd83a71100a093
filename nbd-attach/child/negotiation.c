/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The parent's side: start a negotiator, keep its deadline, and take nothing from it unchecked. */
#include "child/negotiation.h"
#include "output/show.h"
#include "base/clock.h"
#include "base/cleanup.h"
#include "tls/claim.h"
#include "child/negotiator.h"
#include "child/sandbox-files.h"
#include "child/reaper.h"
#include "child/sandbox.h"
#include "base/text.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* The child has the same deadline and says politely what it was waiting for; the parent's is for a
 * child that cannot (a resolver that blocks, a compromise). */
#define GRACE_MS 300
/* After its last message the child only wipes its keys and ends. */
#define LAST_MESSAGE_MS 500
/* One that says more than this in a step is not let keep us; and no negotiation has so many
 * stages. */
#define MESSAGES_AT_ONCE 32
#define STAGES_MAX 64

int negotiation_start(
	struct negotiation *negotiation, const struct negotiation_job *job, struct error *err)
{
	struct child_options options = {.keeps_stdio = SANDBOX_KEEPS_STDIO,
		.dies_with_parent = true,
		.timeout_ms = job->timeout_ms + GRACE_MS};
	int rc = sandbox_prepare(job->endpoint, job->tls, err);

	*negotiation = (struct negotiation){.job = *job, .result.fd = -1};
	if (rc)
		return rc;
	text_copy(negotiation->stage, sizeof(negotiation->stage),
		job->tls ? "reading keys and certificates" : "starting");
	if (job->verbose && !files_landlock_abi())
		show_note("this kernel has no Landlock: until it is connected, a negotiator that "
			  "was taken over could read what everybody can");
	rc = child_start(&negotiation->child, &options, negotiator_main, job, err);
	return rc == -EAGAIN ? error_retry(err, rc) : rc;
}

bool negotiation_is_running(const struct negotiation *negotiation)
{
	return child_is_running(&negotiation->child);
}

int negotiation_poll_fd(const struct negotiation *negotiation)
{
	return child_poll_fd(&negotiation->child);
}

int64_t negotiation_deadline_ms(const struct negotiation *negotiation)
{
	return child_deadline_ms(&negotiation->child);
}

static void drop_socket(struct negotiation *negotiation)
{
	reaper_close(negotiation->result.fd);
	negotiation->result.fd = -1;
}

void negotiation_cancel(struct negotiation *negotiation)
{
	if (!negotiation_is_running(negotiation))
		return;
	child_kill(&negotiation->child);
	drop_socket(negotiation);
}

/* It has sent its last message, which RC is, or hung up. How it ends still counts, since a crash in
 * its last step is a crash. */
static void await_end(struct negotiation *negotiation, bool has_spoken, int rc)
{
	child_close_channel(&negotiation->child);
	negotiation->state = has_spoken ? NEGOTIATION_HAS_SPOKEN : NEGOTIATION_HAS_HUNG_UP;
	negotiation->rc = rc;
	negotiation->child.deadline_ms = monotonic_now_ms() + LAST_MESSAGE_MS;
}

static int died(const struct negotiation *negotiation, int status, struct error *err)
{
	bool has_spoken = negotiation->state == NEGOTIATION_HAS_SPOKEN;
	const char *when = has_spoken ? "after its work" : "while ",
		   *what = has_spoken ? "" : negotiation->stage;

	if (WTERMSIG(status) == SIGSYS) {
		error_set(err, ERROR_OTHER, EIO,
			"the negotiator was killed for a system call that it may not make, %s%s: "
			"this is a bug, or an attack",
			when, what);
		return error_hint(err, -EIO,
			"the kernel's log has the call's number: journalctl -k -g type=1326");
	}
	return error_set(err, ERROR_OTHER, EIO,
		"the negotiator died by signal %d (%s) %s%s: this is a bug, or an attack",
		WTERMSIG(status), strsignal(WTERMSIG(status)), when, what);
}

/* Nobody but the driver may have the connection any more when it is used (CVE-2025-38616): one that
 * does not end is killed, and its end is awaited. */
static bool lives_on(struct negotiation *negotiation)
{
	if (negotiation->state != NEGOTIATION_HAS_SPOKEN || negotiation->rc ||
		negotiation->is_killed)
		return false;
	negotiation->is_killed = true;
	child_kill_and_await(&negotiation->child, LAST_MESSAGE_MS);
	return true;
}

static int step_end(
	struct negotiation *negotiation, struct negotiation_result *result, struct error *err)
{
	int status, rc = negotiation->rc;
	bool has_ended = child_has_ended(&negotiation->child, &status);

	if (!has_ended && (!child_is_overdue(&negotiation->child) || lives_on(negotiation)))
		return 1;
	child_kill(&negotiation->child);
	if (WIFSIGNALED(status) && !(negotiation->is_killed && WTERMSIG(status) == SIGKILL)) {
		rc = died(negotiation, status, err);
	} else if (negotiation->state == NEGOTIATION_HAS_HUNG_UP && !has_ended) {
		rc = error_set(err, ERROR_OTHER, EIO,
			"the negotiator hung up and did not end while %s: it was killed",
			negotiation->stage);
	} else if (negotiation->state == NEGOTIATION_HAS_HUNG_UP) {
		rc = error_set(err, ERROR_OTHER, EIO,
			"the negotiator ended without an answer (status %d) while %s",
			WEXITSTATUS(status), negotiation->stage);
	} else if (rc == 0 && !has_ended) {
		rc = error_set(err, ERROR_OTHER, EIO,
			"the negotiator cannot be ended, and may still use its connection: that is "
			"not used");
	} else if (rc == 0) {
		*result = negotiation->result;
		negotiation->result.fd = -1;
	} else if (err) {
		*err = negotiation->err;
	}
	drop_socket(negotiation);
	return rc;
}

/* Text from a child that may have been taken over: terminated and printable, whatever it sent. */
#define CHECK_TEXT(field) check_text(field, sizeof(field))

static void check_text(char *text, size_t size)
{
	char copy[EXPORT_NAME_MAX + 1];
	size_t len = strnlen(text, size - 1);

	memcpy(copy, text, len);
	text_sanitise(text, size, copy, len);
}

/* A bool that came as a byte may hold neither true nor false. */
static void check_bool(bool *value)
{
	unsigned char byte;

	memcpy(&byte, value, sizeof(byte));
	*value = byte != 0;
}

static void check_geometry(struct export_geometry *geometry)
{
	check_bool(&geometry->has_size);
	check_bool(&geometry->has_block_size);
}

static void check_names(struct export_names *names)
{
	/* sanitised where it is shown: it has to go back as it came */
	names->name[sizeof(names->name) - 1] = 0;
	CHECK_TEXT(names->canonical_name);
	CHECK_TEXT(names->description);
}

static int socket_option(int fd, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, name, &value, &len) < 0 ? -1 : value;
}

/* TCP that something else has been put on top of, as kernel TLS is. */
static bool has_upper_layer(int fd)
{
	char name[16];
	socklen_t len = sizeof(name);

	return getsockopt(fd, IPPROTO_TCP, TCP_ULP, name, &len) == 0 && len > 0;
}

/* A connection as we ourselves make them, and of no other kind: we and the driver have to close it,
 * too. */
static int check_socket(int fd, const struct negotiation_job *job)
{
	int domain = fd < 0 ? -1 : socket_option(fd, SO_DOMAIN);
	bool is_unix = domain == AF_UNIX,
	     is_tcp = (domain == AF_INET || domain == AF_INET6) &&
		socket_option(fd, SO_PROTOCOL) == IPPROTO_TCP;

	return fd < 0 || socket_option(fd, SO_TYPE) != SOCK_STREAM ||
			(*job->endpoint->socket_path ? !is_unix : !is_tcp) ||
			(is_tcp && has_upper_layer(fd) != (job->tls && !job->skip_ktls)) ?
		-EPROTO :
		0;
}

/* Whose socket it is, its other end tells. */
static int check_address(int fd, const struct negotiation_job *job, struct negotiation_result *from)
{
	const struct endpoint *endpoint = job->endpoint;
	struct sockaddr_storage peer = {0};
	socklen_t len = sizeof(peer);

	if (*endpoint->socket_path)
		snprintf(from->address, sizeof(from->address), "unix:%s", endpoint->socket_path);
	if (fd < 0)
		return 0;
	if (getpeername(fd, (struct sockaddr *)&peer, &len) < 0)
		return -errno;
	if (*endpoint->socket_path)
		return 0;
	tcp_format_address((struct sockaddr *)&peer, len, from->address, sizeof(from->address));
	return tcp_may_be_host(&endpoint->hosts[from->host_index], &peer) ? 0 : -EPROTO;
}

/* What can be looked up is looked up, and what it said of that is forgotten. */
static int check_claims(struct negotiation_result *from, const struct negotiation_job *job, int fd)
{
	int rc = 0;

	if (from->host_index >= (job->endpoint->host_count ? job->endpoint->host_count : 1) ||
		(job->tls != NULL) != (from->tls.version != 0))
		return -EPROTO;
	if (job->kind == NEGOTIATION_ATTACH)
		rc = check_socket(fd, job);
	else
		fd = -1;
	if (!rc)
		rc = check_address(fd, job, from);
	if (!job->tls)
		from->tls = (struct tls_info){0};
	else if (!rc)
		rc = tls_claim_check(&from->tls, job->tls, job->skip_ktls ? -1 : fd);
	return rc;
}

static int take_result(struct negotiation *negotiation, struct negotiation_result *from, int fd)
{
	const struct negotiation_job *job = &negotiation->job;
	int rc;

	check_geometry(&from->export);
	CHECK_TEXT(from->tls.cipher);
	CHECK_TEXT(from->tls.group);
	CHECK_TEXT(from->tls.authentication);
	CHECK_TEXT(from->tls.peer_name);
	CHECK_TEXT(from->tls.peer_issuer);
	CHECK_TEXT(from->tls.peer_pin);
	CHECK_TEXT(from->address);
	check_bool(&from->tls.is_stale);
	rc = job->names && !negotiation->has_names ? -EPROTO : check_claims(from, job, fd);
	if (rc == -ENOTCONN) {
		error_set(&negotiation->err, ERROR_UNREACHABLE, ENOTCONN,
			"the connection broke as it was handed over");
		return error_retry(&negotiation->err, rc);
	}
	if (rc)
		return error_set(&negotiation->err, ERROR_TLS, EPROTO,
			"the negotiator's result does not hold together: it is not used");
	negotiation->result = *from;
	negotiation->result.fd = job->kind == NEGOTIATION_ATTACH ? fd : -1;
	return 0;
}

static int take_error(const struct error *from, struct error *err)
{
	struct error copy = *from;

	CHECK_TEXT(copy.text);
	CHECK_TEXT(copy.hint);
	check_bool(&copy.retry);
	if (copy.kind < ERROR_OTHER || copy.kind > ERROR_LAST)
		copy.kind = ERROR_OTHER;
	if (!*copy.text)
		text_copy(copy.text, sizeof(copy.text), "the negotiator failed without a reason");
	if (err)
		*err = copy;
	return -EIO;
}

static int out_of_time(struct negotiation *negotiation, struct error *err)
{
	negotiation_cancel(negotiation);
	error_set(err, ERROR_UNREACHABLE, ETIMEDOUT, "timed out after %g s while %s",
		negotiation->job.timeout_ms / 1000.0, negotiation->stage);
	error_hint(err, 0,
		"check the address, the server and the firewalls on the way; --connect-timeout SEC "
		"waits for longer");
	return error_retry(err, -ETIMEDOUT);
}

static int take_stage(struct negotiation *negotiation, struct negotiation_message *message)
{
	if (negotiation->stage_count++ == STAGES_MAX)
		return error_set(&negotiation->err, ERROR_OTHER, EPROTO,
			"the negotiator goes on without end: it is stopped");
	CHECK_TEXT(message->stage);
	memcpy(negotiation->stage, message->stage, sizeof(negotiation->stage));
	if (negotiation->job.verbose)
		show_note("%s", negotiation->stage);
	return 1;
}

static int receive_export(struct negotiation *negotiation)
{
	_cleanup_free_ struct negotiation_export_message *message = malloc(sizeof(*message));
	const struct negotiation_job *job = &negotiation->job;
	int got = message ? -EPROTO : -ENOMEM;

	if (message && job->kind == NEGOTIATION_LIST)
		got = child_receive(&negotiation->child, message, sizeof(*message), NULL);
	if (got != 1)
		return got;
	check_names(&message->export.names);
	check_geometry(&message->export.geometry);
	if (job->on_export)
		job->on_export(&message->export, job->on_export_data);
	return 1;
}

static int receive_names(struct negotiation *negotiation)
{
	_cleanup_free_ struct negotiation_names_message *message = malloc(sizeof(*message));
	const struct negotiation_job *job = &negotiation->job;
	int got = message ? -EPROTO : -ENOMEM;

	if (message && job->names && !negotiation->has_names)
		got = child_receive(&negotiation->child, message, sizeof(*message), NULL);
	if (got != 1)
		return got;
	check_names(&message->names);
	*job->names = message->names;
	/* we know better what was asked for */
	text_copy(job->names->name, sizeof(job->names->name), job->endpoint->export_name);
	negotiation->has_names = true;
	return 1;
}

/* 1 with MESSAGE, of which the large ones are dealt with already; or as child_receive(). Only the
 * result of a connection that is to be kept comes with a descriptor. */
static int receive(struct negotiation *negotiation, struct negotiation_message *message, int *fd)
{
	int got = child_peek(&negotiation->child, &message->type, sizeof(message->type));

	if (got != 1)
		return got;
	switch (message->type) {
	case NEGOTIATION_MESSAGE_EXPORT: return receive_export(negotiation);
	case NEGOTIATION_MESSAGE_NAMES: return receive_names(negotiation);
	case NEGOTIATION_MESSAGE_RESULT:
		if (negotiation->job.kind != NEGOTIATION_ATTACH)
			fd = NULL;
		return child_receive(&negotiation->child, message, sizeof(*message), fd);
	default: return child_receive(&negotiation->child, message, sizeof(*message), NULL);
	}
}

static int refuse(struct negotiation *negotiation, int got)
{
	if (got == -ENOMEM)
		return error_set(&negotiation->err, ERROR_OTHER, ENOMEM, "out of memory");
	return error_set(&negotiation->err, ERROR_OTHER, EPROTO,
		"the negotiator sent a message of the wrong size, or more than was asked for");
}

/* 1: go on; else it was the last one. */
static int take_message(
	struct negotiation *negotiation, struct negotiation_message *message, int *fd)
{
	int rc;

	switch (message->type) {
	case NEGOTIATION_MESSAGE_EXPORT:
	case NEGOTIATION_MESSAGE_NAMES: return 1;
	case NEGOTIATION_MESSAGE_STAGE: return take_stage(negotiation, message);
	case NEGOTIATION_MESSAGE_RESULT:
		rc = take_result(negotiation, &message->result, *fd);
		if (rc == 0 && negotiation->result.fd >= 0)
			*fd = -1;
		return rc;
	case NEGOTIATION_MESSAGE_ERROR: return take_error(&message->error, &negotiation->err);
	default:
		return error_set(&negotiation->err, ERROR_OTHER, EPROTO,
			"the negotiator sent a message of unknown type %u", message->type);
	}
}

static int step_talk(struct negotiation *negotiation)
{
	struct negotiation_message message = {0};
	int rc = 1;

	for (int i = 0; rc == 1 && i < MESSAGES_AT_ONCE; i++) {
		int fd = -1, got = receive(negotiation, &message, &fd);

		if (got == 0)
			break;
		if (got == -EPIPE) {
			await_end(negotiation, false, 0);
			return 0;
		}
		rc = got < 0 ? refuse(negotiation, got) : take_message(negotiation, &message, &fd);
		reaper_close(fd);
	}
	if (rc != 1)
		await_end(negotiation, true, rc);
	if (rc == -EPROTO)
		negotiation->child.deadline_ms = 0; /* nothing more is expected of one that lies */
	return rc;
}

int negotiation_step(
	struct negotiation *negotiation, struct negotiation_result *result, struct error *err)
{
	reaper_collect();
	if (negotiation->state == NEGOTIATION_TALKING && child_is_overdue(&negotiation->child))
		return out_of_time(negotiation, err);
	if (negotiation->state == NEGOTIATION_TALKING && step_talk(negotiation) == 1)
		return 1;
	return step_end(negotiation, result, err);
}

int negotiation_run(
	const struct negotiation_job *job, struct negotiation_result *result, struct error *err)
{
	struct negotiation negotiation;
	int rc = negotiation_start(&negotiation, job, err);

	if (rc)
		return rc;
	do {
		struct pollfd pfd = {.fd = negotiation_poll_fd(&negotiation), .events = POLLIN};
		int64_t left_ms = negotiation_deadline_ms(&negotiation) - monotonic_now_ms();

		poll(&pfd, 1, left_ms > 0 ? (int)left_ms : 0);
		rc = negotiation_step(&negotiation, result, err);
	} while (rc == 1);
	return rc;
}
