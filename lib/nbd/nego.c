/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the option files share: one option out, one reply in, and error replies as sentences. */
#include "nbd/nego.h"
#include "nbd/nbd-protocol.h"
#include "base/text.h"
#include "base/wire.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

void nego_init(struct nego *nego, struct transport *transport, bool tls_wanted)
{
	memset(nego, 0, sizeof(*nego));
	nego->transport = transport;
	nego->tls_wanted = tls_wanted;
}

const char *nego_option_name(uint32_t option)
{
	switch (option) {
	case NBD_OPT_EXPORT_NAME: return "NBD_OPT_EXPORT_NAME";
	case NBD_OPT_ABORT: return "NBD_OPT_ABORT";
	case NBD_OPT_LIST: return "NBD_OPT_LIST";
	case NBD_OPT_STARTTLS: return "NBD_OPT_STARTTLS";
	case NBD_OPT_INFO: return "NBD_OPT_INFO";
	case NBD_OPT_GO: return "NBD_OPT_GO";
	case NBD_OPT_STRUCTURED_REPLY: return "NBD_OPT_STRUCTURED_REPLY";
	case NBD_OPT_LIST_META_CONTEXT: return "NBD_OPT_LIST_META_CONTEXT";
	case NBD_OPT_SET_META_CONTEXT: return "NBD_OPT_SET_META_CONTEXT";
	case NBD_OPT_EXTENDED_HEADERS: return "NBD_OPT_EXTENDED_HEADERS";
	default: return "an unknown option";
	}
}

int nego_send_option(
	struct nego *nego, uint32_t option, const void *data, uint32_t size, struct error *err)
{
	uint8_t request[16 + 4 + EXPORT_NAME_MAX + 2 + 3 * 2];

	if (size > sizeof(request) - 16)
		return error_set(err, ERROR_USAGE, ENAMETOOLONG,
			"export name is longer than %d bytes", EXPORT_NAME_MAX);
	wire_put_u64(request, NBD_OPTION_MAGIC);
	wire_put_u32(request + 8, option);
	wire_put_u32(request + 12, size);
	if (size)
		memcpy(request + 16, data, size);
	return transport_write(nego->transport, request, 16 + size, err);
}

int nego_read_reply(struct nego *nego, uint32_t option, struct error *err)
{
	struct nego_reply *reply = &nego->reply;
	uint8_t header[20];
	uint32_t answered;
	int rc;

	reply->type = 0; /* until one is read whole */
	reply->size = 0;
	rc = transport_read(nego->transport, header, sizeof(header), err);

	if (rc)
		return rc;
	if (wire_get_u64(header) != NBD_OPTION_REPLY_MAGIC)
		return error_set(err, ERROR_SERVER, EPROTO,
			"the server's reply to %s has a wrong magic number (0x%016llx)",
			nego_option_name(option), (unsigned long long)wire_get_u64(header));
	answered = wire_get_u32(header + 8);
	reply->size = wire_get_u32(header + 16);
	if (answered != option)
		return error_set(err, ERROR_SERVER, EPROTO,
			"we sent %s but the server answered option %u (%s)",
			nego_option_name(option), answered, nego_option_name(answered));
	if (reply->size > NEGO_REPLY_MAX_BYTES)
		return error_set(err, ERROR_SERVER, EPROTO,
			"the server's reply to %s claims %u bytes, more than any reply may have "
			"(%d)",
			nego_option_name(option), reply->size, NEGO_REPLY_MAX_BYTES);
	rc = transport_read(nego->transport, reply->payload, reply->size, err);
	reply->payload[rc ? 0 : reply->size] = 0;
	if (!rc)
		reply->type = wire_get_u32(header + 12);
	return rc;
}

int nego_unexpected_reply(const struct nego *nego, uint32_t option, struct error *err)
{
	return error_set(err, ERROR_SERVER, EPROTO,
		"the server answered %s with reply type 0x%x of %u bytes, which the protocol does "
		"not allow there",
		nego_option_name(option), nego->reply.type, nego->reply.size);
}

/* What an NBD_REP_ERR_* means to the person in front of it. WHAT has one %s for the export's name
 * in quotes. */
struct reply_error {
	uint32_t type;
	enum error_kind kind;
	int errno_value;
	bool retry;
	const char *name;
	const char *what;
	const char *hint;
};

static const struct reply_error reply_errors[] = {
	{NBD_REP_ERR_UNSUP, ERROR_SERVER, EOPNOTSUPP, false, "ERR_UNSUP",
		"the server does not know the option",
		"the server is too old for this; without TLS, older ways are tried by themselves"},
	{NBD_REP_ERR_POLICY, ERROR_SERVER, EACCES, false, "ERR_POLICY",
		"the server's policy forbids it",
		"ask who runs the server: its access list or its configuration refuses this "
		"client"},
	{NBD_REP_ERR_INVALID, ERROR_SERVER, EINVAL, false, "ERR_INVALID",
		"the server calls the request invalid",
		"is the export name what the server expects? try: nbd-attach list HOST"},
	{NBD_REP_ERR_PLATFORM, ERROR_SERVER, ENOSYS, false, "ERR_PLATFORM",
		"the server's platform cannot do it",
		"the server was built without what this needs"},
	{NBD_REP_ERR_TLS_REQD, ERROR_TLS, EPROTO, false, "ERR_TLS_REQD",
		"the server serves this only over TLS", "add --tls"},
	{NBD_REP_ERR_UNKNOWN, ERROR_SERVER, ENOENT, false, "ERR_UNKNOWN",
		"the server has no such export", "see what it has with: nbd-attach list HOST"},
	{NBD_REP_ERR_SHUTDOWN, ERROR_SERVER, ESHUTDOWN, true, "ERR_SHUTDOWN",
		"the server is shutting down", "try again when it is back"},
	{NBD_REP_ERR_BLOCK_SIZE_REQD, ERROR_SERVER, EINVAL, false, "ERR_BLOCK_SIZE_REQD",
		"the server wants block sizes to be agreed on and did not accept that we asked for "
		"them",
		"this is the server's error: we always ask for NBD_INFO_BLOCK_SIZE"},
	{NBD_REP_ERR_TOO_BIG, ERROR_SERVER, E2BIG, false, "ERR_TOO_BIG",
		"the server calls the request too big", "use a shorter export name"},
	{NBD_REP_ERR_EXT_HEADER_REQD, ERROR_SERVER, EPROTONOSUPPORT, false, "ERR_EXT_HEADER_REQD",
		"the server demands extended headers",
		"the kernel's nbd driver cannot speak them: let the server accept plain ones"},
};

static const struct reply_error *find_reply_error(uint32_t type)
{
	for (size_t i = 0; i < sizeof(reply_errors) / sizeof(reply_errors[0]); i++)
		if (reply_errors[i].type == type)
			return &reply_errors[i];
	return NULL;
}

const char *nego_error_name(uint32_t type)
{
	const struct reply_error *known = find_reply_error(type);

	return known ? known->name : NULL;
}

int nego_reply_error(
	const struct nego *nego, uint32_t option, const char *export_name, struct error *err)
{
	const struct nego_reply *reply = &nego->reply;
	const struct reply_error *known = find_reply_error(reply->type);
	char said[256] = "", quoted[128] = "", text[200];

	if (reply->size) {
		text_sanitise(text, sizeof(text), reply->payload, reply->size);
		snprintf(said, sizeof(said), "; it says: \"%s\"", text);
	}
	if (export_name) {
		text_sanitise(text, 100, export_name, strlen(export_name));
		snprintf(quoted, sizeof(quoted),
			*text ? " for export \"%s\"" : " for the default export", text);
	}
	if (!known)
		return error_set(err, ERROR_SERVER, EPROTO,
			"the server refused %s%s with an error we do not know (0x%x)%s",
			nego_option_name(option), quoted, reply->type, said);
	error_set(err, known->kind, known->errno_value, "%s (%s to %s%s)%s", known->what,
		known->name, nego_option_name(option), quoted, said);
	error_hint(err, 0, "%s", known->hint);
	if (known->retry)
		error_retry(err, 0);
	return -known->errno_value;
}

int nego_check_silence(struct nego *nego, const char *where, struct error *err)
{
	uint8_t byte;
	ssize_t n = transport_pending(nego->transport) ?
		1 :
		recv(nego->transport->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n <= 0) {
		/* Under kernel TLS, EIO is a record that holds no data: an alert, a ticket, a new
		 * key. The driver could not take it either. */
		int errno_value = n == 0 ? ECONNRESET : errno;

		error_set(err, ERROR_UNREACHABLE, errno_value, "the connection ended %s: %s", where,
			n == 0 ? "the server closed it" : strerror(errno_value));
		return error_retry(err, -errno_value);
	}
	error_set(err, ERROR_SERVER, EPROTO, "bytes that nobody asked for came %s", where);
	return error_hint(err, -EPROTO,
		"the server is broken, or somebody on the path inserted them: do not use this path "
		"until you know");
}

void nego_abort(struct nego *nego)
{
	if (nego->fixed_newstyle && !nego->silent)
		nego_send_option(nego, NBD_OPT_ABORT, NULL, 0, NULL);
}
