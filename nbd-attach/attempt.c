/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The parent's side: start a negotiator, keep its deadline, and take nothing from it unchecked. */
#include "attempt.h"
#include "cleanup.h"
#include "ktls.h"
#include "negotiator.h"
#include "text.h"
#include "transport.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* The child has the same deadline and says politely what it was waiting for; the parent's is for a child that cannot (a resolver
 * that blocks, a compromise). */
#define GRACE_MS 300
/* After its last word the child only wipes its keys and ends. */
#define LAST_WORD_MS 500

int attempt_start(struct attempt *attempt, const struct attempt_job *job, struct error *err)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return error_set(err, ERROR_OTHER, errno, "socketpair: %s", strerror(errno));
	*attempt = (struct attempt){.job = *job, .poll_fd = pair[0], .deadline_ms = monotonic_now_ms() + job->timeout_ms + GRACE_MS};
	text_copy(attempt->stage, sizeof(attempt->stage), "starting");
	fflush(NULL);
	attempt->pid = fork();
	if (attempt->pid == 0) {
		close(pair[0]);
		negotiator_main(job, pair[1]);
	}
	close(pair[1]);
	if (attempt->pid < 0) {
		close(pair[0]);
		return error_set(err, ERROR_OTHER, errno, "fork: %s", strerror(errno));
	}
	return 0;
}

static int reap(struct attempt *attempt)
{
	int status = 0;

	if (attempt->pid > 0)
		while (waitpid(attempt->pid, &status, 0) < 0 && errno == EINTR)
			;
	if (attempt->poll_fd >= 0)
		close(attempt->poll_fd);
	attempt->pid = 0;
	attempt->poll_fd = -1;
	return status;
}

void attempt_cancel(struct attempt *attempt)
{
	if (attempt->pid > 0)
		kill(attempt->pid, SIGKILL);
	reap(attempt);
}

/* The child has said its last word: how it ends still counts, since a crash in its last step is a crash. */
static int finish(struct attempt *attempt, int rc, struct error *err)
{
	struct pollfd pfd = {.fd = attempt->poll_fd, .events = POLLIN};
	int status;

	if (attempt->pid <= 0 || poll(&pfd, 1, LAST_WORD_MS) <= 0) {
		attempt_cancel(attempt);
		return rc;
	}
	status = reap(attempt);
	if (!WIFSIGNALED(status))
		return rc;
	return error_set(err, ERROR_OTHER, EIO, "the negotiator died by signal %d (%s) after its work: this is a bug, or an attack", WTERMSIG(status),
		strsignal(WTERMSIG(status)));
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

static void check_export(struct export_info *info)
{
	check_bool(&info->has_size);
	check_bool(&info->has_block_size);
	info->name[sizeof(info->name) - 1] = 0; /* sanitised where it is shown: it has to go back as it came */
	CHECK_TEXT(info->canonical_name);
	CHECK_TEXT(info->description);
}

static int check_socket(int fd, const struct attempt_job *job)
{
	int type = 0;
	socklen_t len = sizeof(type);
	uint64_t transmitted, received;

	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || type != SOCK_STREAM)
		return -EPROTO;
	/* The negotiator's word that kernel TLS is armed is not taken for it. */
	if (job->tls && !job->skip_ktls && ktls_record_numbers(fd, &transmitted, &received) < 0)
		return -EPROTO;
	return 0;
}

static int take_result(const struct attempt_job *job, struct attempt_result *from, int fd, struct attempt_result *result, struct error *err)
{
	check_export(&from->export);
	CHECK_TEXT(from->tls.cipher);
	CHECK_TEXT(from->tls.group);
	CHECK_TEXT(from->tls.authentication);
	CHECK_TEXT(from->tls.peer_name);
	CHECK_TEXT(from->tls.peer_issuer);
	CHECK_TEXT(from->tls.peer_pin);
	CHECK_TEXT(from->address);
	if (from->host_index >= (job->target->host_count ? job->target->host_count : 1) || (job->tls != NULL) != (from->tls.version != 0) ||
		(from->tls.version && !ktls_cipher_find(from->tls.kernel_cipher)) || (job->kind == ATTEMPT_ATTACH && check_socket(fd, job) < 0))
		return error_set(err, ERROR_TLS, EPROTO, "the negotiator's result does not hold together: it is not used");
	*result = *from;
	result->fd = job->kind == ATTEMPT_ATTACH ? fd : -1;
	return 0;
}

static int take_error(const struct error *from, struct error *err)
{
	struct error copy = *from;

	CHECK_TEXT(copy.text);
	CHECK_TEXT(copy.hint);
	check_bool(&copy.retry);
	if (copy.kind < ERROR_OTHER || copy.kind > ERROR_PERMISSION)
		copy.kind = ERROR_OTHER;
	if (err)
		*err = copy;
	return -EIO;
}

/* Descriptors in MSG: the first one is returned, any other closed. */
static int take_fd(struct msghdr *msg)
{
	int fd = -1, each;

	for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = 0; at + CMSG_LEN(sizeof(int)) <= cmsg->cmsg_len; at += sizeof(int)) {
			memcpy(&each, CMSG_DATA(cmsg) + at, sizeof(int));
			if (fd < 0)
				fd = each;
			else
				close(each);
		}
	}
	return fd;
}

/* 1 with MESSAGE, 0 when there is none yet, -EPIPE at the end, -EPROTO for anything else. */
static int receive_once(struct attempt *attempt, struct attempt_message *message, int *fd)
{
	struct iovec iov = {message, sizeof(*message)};
	union {
		char bytes[CMSG_SPACE(4 * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes)};
	ssize_t n = recvmsg(attempt->poll_fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	*fd = -1;
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -EPIPE;
	if (n == 0)
		return -EPIPE;
	*fd = take_fd(&msg);
	return n == sizeof(*message) && !(msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) ? 1 : -EPROTO;
}

/* When a last message and the end come together, just as the kernel has seen that there is no message, it says that it is the end
 * (unix_dgram_recvmsg): only the second time is that true. */
static int receive(struct attempt *attempt, struct attempt_message *message, int *fd)
{
	int got = receive_once(attempt, message, fd);

	return got == -EPIPE ? receive_once(attempt, message, fd) : got;
}

static int died(struct attempt *attempt, struct error *err)
{
	int status = reap(attempt);

	if (WIFSIGNALED(status))
		return error_set(err, ERROR_OTHER, EIO, "the negotiator died by signal %d (%s) while %s: this is a bug, or an attack", WTERMSIG(status),
			strsignal(WTERMSIG(status)), attempt->stage);
	return error_set(err, ERROR_OTHER, EIO, "the negotiator ended without a word (status %d) while %s", WEXITSTATUS(status), attempt->stage);
}

static int out_of_time(struct attempt *attempt, struct error *err)
{
	attempt_cancel(attempt);
	error_set(err, ERROR_UNREACHABLE, ETIMEDOUT, "timed out after %g s while %s", attempt->job.timeout_ms / 1000.0, attempt->stage);
	return error_retry(err, -ETIMEDOUT);
}

/* 1: go on; else the attempt's outcome. */
static int take_message(struct attempt *attempt, struct attempt_message *message, int *fd, struct attempt_result *result, struct error *err)
{
	int rc;

	switch (message->type) {
	case ATTEMPT_MESSAGE_STAGE:
		CHECK_TEXT(message->stage);
		memcpy(attempt->stage, message->stage, sizeof(attempt->stage));
		if (attempt->job.verbose)
			fprintf(stderr, "nbd-attach: %s\n", attempt->stage);
		return 1;
	case ATTEMPT_MESSAGE_EXPORT:
		check_export(&message->export);
		if (attempt->job.on_export)
			attempt->job.on_export(&message->export, attempt->job.on_export_data);
		return 1;
	case ATTEMPT_MESSAGE_RESULT:
		result->fd = -1;
		rc = take_result(&attempt->job, &message->result, *fd, result, err);
		if (rc == 0 && result->fd >= 0)
			*fd = -1;
		break;
	case ATTEMPT_MESSAGE_ERROR:
		rc = take_error(&message->error, err);
		break;
	default:
		rc = error_set(err, ERROR_OTHER, EPROTO, "the negotiator sent a message of unknown type %u", message->type);
	}
	rc = finish(attempt, rc, err);
	if (rc && result->fd >= 0 && message->type == ATTEMPT_MESSAGE_RESULT) {
		close(result->fd);
		result->fd = -1;
	}
	return rc;
}

int attempt_step(struct attempt *attempt, struct attempt_result *result, struct error *err)
{
	_cleanup_free_ struct attempt_message *message = malloc(sizeof(*message));
	int rc = 1;

	if (!message) {
		attempt_cancel(attempt);
		return error_set(err, ERROR_OTHER, ENOMEM, "out of memory");
	}
	while (rc == 1) {
		_cleanup_fd_ int fd = -1;
		int got;

		if (monotonic_now_ms() >= attempt->deadline_ms)
			return out_of_time(attempt, err);
		got = receive(attempt, message, &fd);
		if (got == 0)
			return 1;
		if (got == -EPIPE)
			return died(attempt, err);
		if (got < 0) {
			attempt_cancel(attempt);
			return error_set(err, ERROR_OTHER, EPROTO, "the negotiator sent a message of the wrong size");
		}
		rc = take_message(attempt, message, &fd, result, err);
	}
	return rc;
}

int attempt_run(const struct attempt_job *job, struct attempt_result *result, struct error *err)
{
	struct attempt attempt;
	int rc = attempt_start(&attempt, job, err);

	if (rc)
		return rc;
	do {
		struct pollfd pfd = {.fd = attempt.poll_fd, .events = POLLIN};
		int64_t left_ms = attempt.deadline_ms - monotonic_now_ms();

		poll(&pfd, 1, left_ms > 0 ? (int)left_ms : 0);
		rc = attempt_step(&attempt, result, err);
	} while (rc == 1);
	return rc;
}
