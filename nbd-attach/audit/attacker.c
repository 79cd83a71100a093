/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "audit/attacker.h"
#include "audit/segment.h"
#include "audit/attacker-tls.h"
#include "base/clock.h"
#include "base/text.h"
#include "base/wire.h"
#include "child/name-services.h"
#include "child/sandbox.h"
#include "net/tcp-connect.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A farewell is worth no more. */
#define FAREWELL_MS 200

/* --- what is sent */

void attacker_renew_deadline(struct attacker *self, int within_ms)
{
	int64_t at_ms = monotonic_now_ms() + within_ms;

	self->transport.deadline_ms = at_ms < self->deadline_ms ? at_ms : self->deadline_ms;
}

int attacker_send(struct attacker *self, const void *bytes, size_t size)
{
	attacker_renew_deadline(self, self->answer_ms);
	return transport_write(&self->transport, bytes, size, &self->err);
}

int attacker_send_flags(struct attacker *self, uint32_t client_flags)
{
	uint8_t answer[4];

	wire_put_u32(answer, client_flags);
	self->phase = ATTACKER_HAGGLING;
	return attacker_send(self, answer, sizeof(answer));
}

int attacker_send_honest_flags(struct attacker *self)
{
	return attacker_send_flags(self, self->handshake_flags & CLIENT_FLAGS_HONEST);
}

/* --- the connection */

static int connect_server(struct attacker *self)
{
	const struct tcp_connect_params params = {
		.endpoint = self->endpoint, .deadline_ms = self->deadline_ms};
	struct connection connection = {.fd = -1};
	int rc = 0;

	/* A unix socket is a file: it is reached with the rights of the user. */
	if (*self->endpoint->socket_path)
		rc = unix_connect(self->endpoint, &connection, &self->err);
	if (!rc)
		rc = sandbox_confine(self->endpoint, &self->err);
	if (!rc && !*self->endpoint->socket_path) {
		rc = tcp_connect(&params, &connection, &self->err);
		if (rc && !*connection.address)
			name_services_explain(rc, &self->err);
	}
	if (!rc)
		rc = sandbox_confine_to_talk(connection.fd, &self->err);
	self->fd = connection.fd;
	text_copy(self->address, sizeof(self->address), connection.address);
	return rc;
}

int attacker_connect(struct attacker *self)
{
	int rc = connect_server(self);

	if (rc)
		return rc;
	transport_init_plain(&self->transport, self->fd, self->deadline_ms);
	nego_init(&self->nego, &self->transport, false);
	return nego_read_greeting(&self->nego, &self->handshake_flags, &self->err);
}

void attacker_close(struct attacker *self)
{
	static const uint8_t disconnect[28] = {0x25, 0x60, 0x95, 0x13, 0, 0, 0, NBD_COMMAND_DISC};
	struct segment segment = {.size = 0};

	if (self->phase == ATTACKER_HAGGLING)
		segment_add_option(&segment, NBD_OPT_ABORT, NULL, 0);
	if (self->phase == ATTACKER_TRANSMITTING)
		segment_add(&segment, disconnect, sizeof(disconnect));
	if (self->fd >= 0 && segment.size) {
		self->deadline_ms = monotonic_now_ms() + FAREWELL_MS;
		attacker_send(self, segment.bytes, segment.size);
	}
	if (self->tls && segment.size)
		attacker_tls_end(self->tls);
	attacker_tls_free(self->tls);
	self->tls = NULL;
	if (self->fd >= 0)
		close(self->fd);
	self->fd = -1;
}

/* --- what is answered */

/* Nothing is expected any more of a conversation that is out of step. */
static void lose(struct attacker *self, enum answer_kind kind)
{
	self->answer.kind = kind;
	self->phase = ATTACKER_LOST;
}

static void receive_failed(struct attacker *self, int rc)
{
	struct answer *answer = &self->answer;

	if (rc == -ETIMEDOUT) {
		lose(self, ANSWER_SILENT);
		text_copy(answer->text, sizeof(answer->text), "it did not answer");
		return;
	}
	lose(self, ANSWER_CLOSED);
	if (self->tls)
		snprintf(answer->text, sizeof(answer->text), "it hung up (%.200s)", self->err.text);
	else
		text_copy(answer->text, sizeof(answer->text), "it hung up");
}

static void describe(struct attacker *self, const uint8_t *payload, uint32_t size)
{
	struct answer *answer = &self->answer;
	const char *name = nego_error_name(answer->type);
	char said[100];

	if (answer->type == NBD_REP_ACK)
		text_copy(answer->text, sizeof(answer->text), "it agreed (NBD_REP_ACK)");
	else if (!(answer->type & NBD_REP_FLAG_ERROR))
		snprintf(answer->text, sizeof(answer->text),
			"it answered with reply type 0x%x of %u bytes", answer->type, size);
	else if (name)
		snprintf(answer->text, sizeof(answer->text), "it refused (%s)", name);
	else
		snprintf(answer->text, sizeof(answer->text),
			"it refused with the unknown error 0x%x", answer->type);
	if (!(answer->type & NBD_REP_FLAG_ERROR) || !size || !name)
		return;
	text_sanitise(said, sizeof(said), payload, size);
	snprintf(answer->text, sizeof(answer->text), "it refused (%s: \"%s\")", name, said);
}

static void take_info(struct answer *answer, const uint8_t *payload, uint32_t size)
{
	struct wire_reader reader;
	uint16_t type;

	wire_reader_init(&reader, payload, size);
	type = wire_read_u16(&reader);
	if (type == NBD_INFO_EXPORT && size == 12) {
		answer->size_bytes = wire_read_u64(&reader);
		answer->has_size = true;
	}
	if (type == NBD_INFO_BLOCK_SIZE && size == 14)
		answer->block_min_bytes = wire_read_u32(&reader);
}

static void take_listed(struct answer *answer, const uint8_t *payload, uint32_t size)
{
	struct wire_reader reader;
	uint32_t name_size;
	const void *name;

	wire_reader_init(&reader, payload, size);
	name_size = wire_read_u32(&reader);
	name = wire_read_bytes(&reader, name_size);
	if (answer->has_name || !name || name_size > EXPORT_NAME_MAX || memchr(name, 0, name_size))
		return;
	memcpy(answer->name, name, name_size);
	answer->name[name_size] = 0;
	answer->has_name = true;
}

static int read_reply(struct attacker *self)
{
	struct answer *answer = &self->answer;
	uint8_t header[20], payload[NEGO_REPLY_MAX_BYTES];
	uint32_t size;
	int rc = transport_read(&self->transport, header, sizeof(header), &self->err);

	if (rc)
		return rc;
	answer->option = wire_get_u32(header + 8);
	answer->type = wire_get_u32(header + 12);
	size = wire_get_u32(header + 16);
	if (wire_get_u64(header) != NBD_OPTION_REPLY_MAGIC || size > sizeof(payload)) {
		lose(self, ANSWER_BROKEN);
		snprintf(answer->text, sizeof(answer->text),
			"it answered with what is no option reply (magic 0x%016llx, %u bytes)",
			(unsigned long long)wire_get_u64(header), size);
		return 0;
	}
	rc = transport_read(&self->transport, payload, size, &self->err);
	if (rc)
		return rc;
	describe(self, payload, size);
	answer->kind = answer->type & NBD_REP_FLAG_ERROR ? ANSWER_ERROR :
		answer->type == NBD_REP_ACK              ? ANSWER_ACK :
							   ANSWER_OTHER;
	if (answer->type == NBD_REP_INFO)
		take_info(answer, payload, size);
	if (answer->type == NBD_REP_SERVER)
		take_listed(answer, payload, size);
	return 0;
}

void attacker_receive(struct attacker *self)
{
	int64_t began_ms = monotonic_now_ms();
	int rc, took_ms;

	self->transport.waiting_for = "an answer";
	attacker_renew_deadline(self, self->answer_ms);
	rc = read_reply(self);
	took_ms = (int)(monotonic_now_ms() - began_ms);
	if (rc)
		receive_failed(self, rc);
	else if (took_ms > self->slowest_ms)
		self->slowest_ms = took_ms;
}

void attacker_receive_rest(struct attacker *self, uint32_t option)
{
	struct answer *answer = &self->answer;

	*answer = (struct answer){0};
	for (int count = 0; count < ATTACKER_REPLIES_MAX; count++) {
		attacker_receive(self);
		if (self->phase == ATTACKER_LOST)
			return;
		if (answer->option != option) {
			lose(self, ANSWER_BROKEN);
			snprintf(answer->text, sizeof(answer->text),
				"it was asked option %u and answered option %u", option,
				answer->option);
			return;
		}
		if (answer->kind != ANSWER_OTHER)
			return;
	}
	lose(self, ANSWER_BROKEN);
	snprintf(answer->text, sizeof(answer->text), "it sent %d replies and no end",
		ATTACKER_REPLIES_MAX);
}

void attacker_ask(struct attacker *self, uint32_t option, const void *data, size_t size)
{
	struct segment segment = {.size = 0};
	int rc;

	segment_add_option(&segment, option, data, size);
	rc = attacker_send(self, segment.bytes, segment.size);
	self->answer = (struct answer){0};
	if (rc)
		receive_failed(self, rc);
	else
		attacker_receive_rest(self, option);
}

void attacker_ask_go(struct attacker *self, uint32_t option, const char *export_name)
{
	uint8_t data[EXPORT_NAME_MAX + 64];
	size_t name_size = strlen(export_name);

	attacker_ask(self, option, data,
		segment_go_data(data, export_name, name_size, (uint32_t)name_size));
	if (option == NBD_OPT_GO && self->answer.kind == ANSWER_ACK)
		self->phase = ATTACKER_TRANSMITTING;
}

/* --- steps of an honest client */

static int unexpected(struct attacker *self, const char *what)
{
	int errno_value = self->answer.kind == ANSWER_SILENT ? ETIMEDOUT : EPROTO;

	return error_set(&self->err, ERROR_SERVER, errno_value, "%s: %s", what, self->answer.text);
}

int attacker_starttls(struct attacker *self)
{
	attacker_ask(self, NBD_OPT_STARTTLS, NULL, 0);
	return self->answer.kind == ANSWER_ACK ? 0 : unexpected(self, "asked for TLS");
}

int attacker_handshake(struct attacker *self, const char *priority)
{
	int rc;

	self->phase = ATTACKER_LOST; /* until the conversation goes on within TLS */
	attacker_renew_deadline(self, self->answer_ms);
	rc = attacker_tls_start(
		&self->tls, &self->transport, self->creds, self->tls_host, priority, &self->err);
	if (!rc)
		self->phase = ATTACKER_HAGGLING;
	return rc;
}

int attacker_secure(struct attacker *self)
{
	int rc = attacker_starttls(self);

	return rc ? rc : attacker_handshake(self, NULL);
}

int attacker_begin(struct attacker *self, const struct audit_facts *facts)
{
	int rc = attacker_send_honest_flags(self);

	return rc || !facts->has_tls ? rc : attacker_secure(self);
}

int attacker_enter(struct attacker *self, const struct audit_facts *facts)
{
	attacker_ask_go(self, NBD_OPT_GO, facts->export_name);
	return self->answer.kind == ANSWER_ACK ? 0 : unexpected(self, "asked for the export");
}

bool attacker_is_in_step(struct attacker *self)
{
	if (self->phase != ATTACKER_HAGGLING)
		return false;
	attacker_ask(self, OPTION_UNKNOWN, NULL, 0);
	return self->answer.kind == ANSWER_ERROR;
}

long attacker_peek(struct attacker *self, void *buf, size_t size, int within_ms)
{
	ssize_t n;
	int rc;

	attacker_renew_deadline(self, within_ms);
	rc = transport_wait(&self->transport, POLLIN, &self->err);
	if (rc)
		return rc;
	n = recv(self->fd, buf, size, MSG_PEEK | MSG_DONTWAIT);
	return n < 0 ? 0 : n;
}
