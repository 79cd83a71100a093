/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every byte from the network is read here, in a process that has nothing: see sandbox.h. Blocking
 * code under one deadline, in the order of the protocol: connect, greeting, STARTTLS, TLS, GO, a
 * test read, kernel TLS, and a second test read through it. */
#include "child/negotiator.h"
#include "base/clock.h"
#include "base/cleanup.h"
#include "base/passed-fd.h"
#include "nbd/nbd-protocol.h"
#include "nbd/nego.h"
#include "child/name-services.h"
#include "child/sandbox.h"
#include "tls/session.h"
#include "net/tcp-connect.h"
#include "base/text.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct negotiator {
	const struct negotiation_job *job;
	int channel;
	int fd; /* the connection */
	struct transport transport;
	struct nego nego;
	const struct tls_credentials *tls; /* as their files are now, where these can be read */
	bool is_stale;                     /* the files were of no use */
	struct tls_session *session;
	struct export_info export;
	struct negotiation_result result;
};

static void send_message(struct negotiator *self, void *message, size_t size, int fd)
{
	struct iovec iov = {message, size};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	struct passed_fd room;

	passed_fd_add(&msg, &room, fd);
	if (sendmsg(self->channel, &msg, MSG_NOSIGNAL) < 0)
		_exit(1); /* the parent is gone */
}

static void stage(struct negotiator *self, const char *name)
{
	struct negotiation_message message = {.type = NEGOTIATION_MESSAGE_STAGE};

	text_copy(message.stage, sizeof(message.stage), name);
	send_message(self, &message, sizeof(message), -1);
}

/* glibc waits for 10 s and more for a resolver that does not answer. What the user has set besides
 * stays. */
static void shorten_resolver_timeout(void)
{
	const char *options = getenv("RES_OPTIONS");
	char text[256];

	snprintf(text, sizeof(text), "%.200s timeout:2 attempts:1", options ? options : "");
	setenv("RES_OPTIONS", text, 1);
}

static int connect_tcp(struct negotiator *self, struct connection *connection, struct error *err)
{
	const struct negotiation_job *job = self->job;
	struct tcp_connect_params params = {
		.endpoint = job->endpoint,
		.known = job->known,
		.deadline_ms = self->transport.deadline_ms,
		.first = job->first_host,
		.only_first = job->only_first_host,
		.short_timeout = job->short_timeout,
	};
	char name[64], more[24] = "";
	int rc;

	if (job->endpoint->host_count > 1 && !job->only_first_host)
		snprintf(more, sizeof(more), " and %zu more", job->endpoint->host_count - 1);
	snprintf(name, sizeof(name), "resolving and connecting to %.24s%s",
		job->endpoint->hosts[job->first_host % job->endpoint->host_count].name, more);
	stage(self, name);
	if (job->short_timeout)
		shorten_resolver_timeout();
	rc = tcp_connect(&params, connection, err);
	if (rc && !*connection->address)
		return name_services_explain(rc, err);
	if (!rc && job->kind == NEGOTIATION_ATTACH && job->liveness_timeout_ms > 0)
		rc = tcp_set_liveness(connection->fd, job->liveness_timeout_ms, err);
	return rc;
}

static int connect_server(struct negotiator *self, struct error *err)
{
	const struct endpoint *endpoint = self->job->endpoint;
	struct connection connection = {.fd = -1};
	int rc = 0;

	/* A unix socket is a file, whose owner matters: connect as the present user, but read
	 * nothing yet. */
	if (*endpoint->socket_path)
		rc = unix_connect(endpoint, &connection, err);
	if (!rc)
		rc = sandbox_confine(endpoint, err);
	if (!rc && !*endpoint->socket_path)
		rc = connect_tcp(self, &connection, err);
	if (!rc)
		rc = sandbox_confine_to_talk(connection.fd, err);
	self->fd = connection.fd;
	self->result.host_index = (uint32_t)connection.host_index;
	text_copy(self->result.address, sizeof(self->result.address), connection.address);
	return rc;
}

static int start_tls(struct negotiator *self, struct error *err)
{
	const struct endpoint *endpoint = self->job->endpoint;
	const char *host =
		endpoint->host_count ? endpoint->hosts[self->result.host_index].name : "";
	int rc;

	stage(self, "starting TLS");
	rc = nego_starttls(&self->nego, err);
	if (!rc)
		rc = tls_session_start(
			&self->session, &self->transport, self->tls, host, &self->result.tls, err);
	self->result.tls.is_stale = self->is_stale;
	self->nego.tls_active = rc == 0;
	return rc;
}

/* What the kernel's recv() means by these two is not what strerror() says. A garbled or torn-down
 * connection may do better when it is tried again. */
static int explain_record(int rc, struct error *err)
{
	if (err->kind != ERROR_UNREACHABLE || (rc != -EBADMSG && rc != -EIO))
		return rc;
	if (rc == -EBADMSG)
		error_set(err, ERROR_TLS, EBADMSG,
			"the kernel cannot decrypt the server's reply to a read through kernel "
			"TLS");
	else
		error_set(err, ERROR_TLS, EIO,
			"instead of a reply to a read through kernel TLS there came a record "
			"without data (an alert or a new key)");
	error_hint(err, 0,
		"the server's log may say why; if it happens each time, kernel and server "
		"disagree: try another cipher with --tls-priority");
	return error_retry(err, rc);
}

/* That the kernel took the keys does not say that it encrypts with them as the server does. The
 * server's answer to a read through it does, in both directions, and before an old link is given up
 * for this one. */
static int enter_kernel_tls(struct negotiator *self, uint32_t block_size_bytes, struct error *err)
{
	int rc = tls_session_arm_ktls(self->session, &self->transport, err);

	if (rc)
		return rc;
	stage(self, "waiting for the reply to a read through kernel TLS");
	transport_init_plain(&self->transport, self->fd, self->transport.deadline_ms);
	rc = nego_test_read(&self->nego, block_size_bytes,
		"the server's reply to a read through kernel TLS", err);
	if (!rc)
		rc = nego_check_silence(
			&self->nego, "behind the reply to a read through kernel TLS", err);
	return explain_record(rc, err);
}

static int enter_export(struct negotiator *self, struct error *err)
{
	uint32_t block_size_bytes;
	int rc;

	stage(self, "waiting for the export");
	rc = nego_go(&self->nego, self->job->endpoint->export_name, &self->export, err);
	self->result.export = self->export.geometry;
	if (!rc)
		rc = nego_check_silence(&self->nego, "behind the server's last option reply", err);
	if (!rc)
		rc = export_info_choose_block_size(&self->result.export, 0, &block_size_bytes, err);
	if (!rc)
		rc = export_info_check_attachable(&self->result.export, block_size_bytes, err);
	if (rc)
		return rc;
	stage(self, "waiting for the reply to a first read");
	rc = nego_test_read(
		&self->nego, block_size_bytes, "the server's reply to a first read", err);
	if (!rc)
		rc = nego_check_silence(&self->nego, "behind the reply to our first read", err);
	if (rc || !self->session || self->job->skip_ktls)
		return rc;
	return enter_kernel_tls(self, block_size_bytes, err);
}

/* Names first, all of them; only then ask about each: no other option may come between a list's
 * replies. */
struct name_list {
	char **names;
	char **descriptions;
	size_t count, room;
};

static int remember(const struct export_info *info, void *data)
{
	struct name_list *list = data;

	if (list->count == list->room) {
		size_t room = list->room ? 2 * list->room : 64;
		char **names = reallocarray(list->names, room, sizeof(char *)), **descriptions;

		if (!names)
			return -ENOMEM;
		list->names = names;
		descriptions = reallocarray(list->descriptions, room, sizeof(char *));
		if (!descriptions)
			return -ENOMEM;
		list->descriptions = descriptions;
		list->room = room;
	}
	list->names[list->count] = strdup(info->names.name);
	list->descriptions[list->count] = strdup(info->names.description);
	list->count++;
	return list->names[list->count - 1] && list->descriptions[list->count - 1] ? 0 : -ENOMEM;
}

static void send_export(struct negotiator *self)
{
	static struct negotiation_export_message message = {.type = NEGOTIATION_MESSAGE_EXPORT};

	message.export = self->export;
	send_message(self, &message, sizeof(message), -1);
}

static int list_exports(struct negotiator *self, struct error *err)
{
	struct name_list list = {0};
	bool can_info = true;
	int rc;

	stage(self, "waiting for the list of exports");
	rc = nego_list(&self->nego, remember, &list, err);
	if (rc == -ENOMEM)
		return error_set(
			err, ERROR_OTHER, ENOMEM, "out of memory for the server's list of exports");
	for (size_t i = 0; rc == 0 && i < list.count; i++) {
		struct export_info *info = &self->export;
		int info_rc =
			can_info ? nego_info(&self->nego, list.names[i], info, err) : -EOPNOTSUPP;

		/* Only an error reply leaves the conversation in order; after anything else what
		 * follows would be guesswork. */
		if (info_rc && can_info && !(self->nego.reply.type & NBD_REP_FLAG_ERROR))
			return info_rc;
		if (info_rc == -EOPNOTSUPP)
			can_info = false;
		/* an export that the server lists but will not tell of is still listed */
		if (info_rc)
			memset(info, 0, sizeof(*info));
		text_copy(info->names.name, sizeof(info->names.name), list.names[i]);
		/* nbdkit 1.32 gives every later NBD_OPT_INFO of a connection the first export's
		 * description: the list knows better. */
		if (*list.descriptions[i])
			text_copy(info->names.description, sizeof(info->names.description),
				list.descriptions[i]);
		send_export(self);
	}
	if (!rc)
		nego_abort(&self->nego);
	return rc; /* the process ends: the names go with it */
}

static int ask_export(struct negotiator *self, struct error *err)
{
	int rc;

	stage(self, "waiting for the export's description");
	rc = nego_info(&self->nego, self->job->endpoint->export_name, &self->export, err);
	self->result.export = self->export.geometry;
	if (!rc)
		nego_abort(&self->nego);
	return rc;
}

static int negotiate(struct negotiator *self, struct error *err)
{
	const struct negotiation_job *job = self->job;
	int rc = connect_server(self, err);

	if (rc)
		return rc;
	transport_init_plain(&self->transport, self->fd, self->transport.deadline_ms);
	nego_init(&self->nego, &self->transport, job->tls != NULL);
	stage(self, "waiting for the server's greeting");
	rc = nego_greeting(&self->nego, err);
	if (!rc && job->tls)
		rc = start_tls(self, err);
	if (rc)
		return rc;
	switch (job->kind) {
	case NEGOTIATION_LIST: return list_exports(self, err);
	case NEGOTIATION_INFO: return ask_export(self, err);
	default: return enter_export(self, err);
	}
}

static void send_names(struct negotiator *self)
{
	static struct negotiation_names_message message = {.type = NEGOTIATION_MESSAGE_NAMES};

	message.names = self->export.names;
	send_message(self, &message, sizeof(message), -1);
}

static void send_error(struct negotiator *self, const struct error *err)
{
	struct negotiation_message message = {.type = NEGOTIATION_MESSAGE_ERROR, .error = *err};

	send_message(self, &message, sizeof(message), -1);
}

static void send_result(struct negotiator *self)
{
	struct negotiation_message message = {
		.type = NEGOTIATION_MESSAGE_RESULT, .result = self->result};

	if (self->job->names)
		send_names(self);
	send_message(self, &message, sizeof(message),
		self->job->kind == NEGOTIATION_ATTACH ? self->fd : -1);
}

/* What was renewed since they were loaded counts from this connection on. What cannot be used,
 * since only half of it is there yet, or is out of reach, does not. */
static void refresh_credentials(struct negotiator *self)
{
	struct tls_credentials *fresh = NULL;

	self->tls = self->job->tls;
	if (self->tls &&
		(self->job->keeps_credentials || tls_credentials_refresh(self->tls, &fresh)))
		self->is_stale = true;
	if (fresh)
		self->tls = fresh;
}

void negotiator_main(int channel, const void *argument)
{
	static struct negotiator self; /* one a process; too large for the stack */
	const struct negotiation_job *job = argument;
	struct error err = {0};
	int rc;

	self.job = job;
	refresh_credentials(&self);
	self.channel = channel;
	self.fd = -1;
	self.transport.deadline_ms = monotonic_now_ms() + job->timeout_ms;
	sandbox_enter_child();
	rc = negotiate(&self, &err);
	if (rc)
		send_error(&self, &err);
	else
		send_result(&self);
	tls_session_free(self.session);
}
