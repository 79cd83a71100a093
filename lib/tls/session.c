/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tls/session.h"
#include "tls/gnutls-library.h"
#include "tls/credentials-struct.h"
#include "tls/names.h"
#include "tls/priority.h"
#include "tls/refusal.h"
#include "tls/verify.h"
#include "base/clock.h"
#include "tls/ktls.h"
#include "base/text.h"
#include "base/wire.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct tls_session {
	gnutls_session_t gnutls;
	const struct tls_credentials *creds;
	/* to verify, and for SNI; this and the next during the handshake only */
	const char *hostname;
	struct tls_info *info;
	struct error verify_error;  /* why our own check refused the peer */
	uint16_t record_size_limit; /* RFC 8449, as the server said it; 0: it did not */
	bool refused_peer;
	bool handshake_done;
	/* a record of the server's came after the handshake: it took our credentials */
	bool server_proven;
};

static struct tls_offer describe_offer(const struct tls_session *session)
{
	const struct tls_credentials *creds = session->creds;

	return (struct tls_offer){
		.psk = creds->psk,
		.has_client_cert = creds->has_client_cert,
		.was_asked = !creds->psk &&
			libgnutls.certificate_client_get_request_status(session->gnutls),
		.has_priority = *creds->config.priority,
		.min_version = creds->min_version,
		.system_configuration = creds->system_configuration,
		.hostname = session->hostname ? session->hostname : "",
	};
}

static int ended_by_alert(struct tls_session *session, struct error *err)
{
	struct tls_offer offer = describe_offer(session);

	return tls_refused_by_alert(&offer, libgnutls.alert_get(session->gnutls), err);
}

/* A server that does not like our credentials may just hang up (nbdkit does), and under TLS 1.3 it
 * does so after the handshake has ended for us. What it was about to see tells what it did not
 * like. */
static int hung_up(
	struct tls_session *session, int errno_value, const char *when, struct error *err)
{
	const char *how = errno_value ? strerror(errno_value) : "connection closed";
	struct tls_offer offer = describe_offer(session);

	if (!session->handshake_done || (!session->server_proven && offer.was_asked))
		return tls_refused_in_silence(&offer, when, how, err);
	error_set(err, ERROR_UNREACHABLE, errno_value ? errno_value : ECONNRESET,
		"the connection broke %s: %s", when, how);
	error_hint(err, 0,
		"the server, or something on the way, ended it: the server's log says more");
	return error_retry(err, errno_value ? -errno_value : -ECONNRESET);
}

/* What TLS 1.2 lacks by itself. */
static int without_protection(const char *what, struct error *err)
{
	error_set(err, ERROR_TLS, EACCES, "the server speaks TLS 1.2 without %s", what);
	return error_hint(err, -EACCES, "update it; TLS 1.3 has no such gap");
}

static int session_failed(struct tls_session *session, int rc, const char *when, struct error *err)
{
	int saved = errno;

	if (rc == GNUTLS_E_FATAL_ALERT_RECEIVED)
		return ended_by_alert(session, err);
	if (rc == GNUTLS_E_PREMATURE_TERMINATION || rc == 0)
		return hung_up(session, 0, when, err);
	if (rc == GNUTLS_E_PULL_ERROR || rc == GNUTLS_E_PUSH_ERROR)
		return hung_up(session, saved ? saved : EIO, when, err);
	if (rc == GNUTLS_E_INSUFFICIENT_CREDENTIALS && session->creds->psk) {
		error_set(err, ERROR_TLS, EACCES,
			"the server wants to prove itself by a certificate, and only a pre-shared "
			"key was given");
		return error_hint(err, -EACCES,
			"name its authority with --tls-ca in place of --tls-psk, or let the server "
			"use pre-shared keys");
	}
	if (rc == GNUTLS_E_SAFE_RENEGOTIATION_FAILED)
		return without_protection(
			"RFC 5746, so that somebody could put words before ours", err);
	error_set(err, ERROR_TLS, EPROTO, "TLS failed %s: %s", when, libgnutls.strerror(rc));
	if (rc == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE ||
		(rc <= GNUTLS_E_PKCS11_ERROR &&
			rc >= GNUTLS_E_PKCS11_REQUESTED_OBJECT_NOT_AVAILBLE))
		return error_hint(err, -EPROTO,
			"a token's key is used by the unprivileged negotiator: let user nbd-attach "
			"use the token, or everybody where there is no such user");
	if (rc == GNUTLS_E_UNSUPPORTED_VERSION_PACKET)
		error_hint(err, 0,
			session->creds->min_version == TLS_VERSION_1_3 ?
				"the server may be too old for TLS 1.3: --tls-min 1.2 lowers the "
				"floor" :
				"the server is too old for TLS 1.2: update it");
	else if (rc == GNUTLS_E_UNEXPECTED_PACKET || rc == GNUTLS_E_UNEXPECTED_PACKET_LENGTH)
		error_hint(err, 0,
			"something on the path inserted bytes, or the server does not really speak "
			"TLS here");
	return -EPROTO;
}

/* For GNUTLS_E_AGAIN and its like: wait for what GnuTLS waits for. 0: call again. */
static int wait_for_gnutls(
	struct transport *transport, gnutls_session_t gnutls, int rc, struct error *err)
{
	if (rc == GNUTLS_E_INTERRUPTED || rc == GNUTLS_E_WARNING_ALERT_RECEIVED ||
		rc == GNUTLS_E_GOT_APPLICATION_DATA)
		return monotonic_now_ms() < transport->deadline_ms ?
			0 :
			transport_wait(transport, 0, err);
	return transport_wait(
		transport, libgnutls.record_get_direction(gnutls) ? POLLOUT : POLLIN, err);
}

static long tls_read_some(struct transport *transport, void *buf, size_t size, struct error *err)
{
	struct tls_session *session = transport->session;

	for (;;) {
		ssize_t n = libgnutls.record_recv(session->gnutls, buf, size);
		int rc;

		if (n > 0) {
			session->server_proven = true;
			return n;
		}
		/* A renegotiation (1.2) is refused by not answering it: its keys could not follow
		 * into the kernel. */
		if (n == 0 || libgnutls.error_is_fatal((int)n) || n == GNUTLS_E_REHANDSHAKE)
			return session_failed(session, (int)n,
				n == GNUTLS_E_REHANDSHAKE ? "(the server wants to renegotiate)" :
							    "within TLS",
				err);
		rc = wait_for_gnutls(transport, session->gnutls, (int)n, err);
		if (rc)
			return rc;
	}
}

static long tls_write_some(
	struct transport *transport, const void *buf, size_t size, struct error *err)
{
	struct tls_session *session = transport->session;

	for (;;) {
		ssize_t n = libgnutls.record_send(session->gnutls, buf, size);
		int rc;

		if (n >= 0)
			return n;
		if (libgnutls.error_is_fatal((int)n))
			return session_failed(session, (int)n, "within TLS", err);
		rc = wait_for_gnutls(transport, session->gnutls, (int)n, err);
		if (rc)
			return rc;
	}
}

static size_t tls_pending(struct transport *transport)
{
	struct tls_session *session = transport->session;

	return libgnutls.record_check_pending(session->gnutls);
}

static const struct transport_ops tls_ops = {tls_read_some, tls_write_some, tls_pending};

/* Called by GnuTLS within the handshake, before our own certificate is sent. */
static int verify_callback(gnutls_session_t gnutls)
{
	struct tls_session *session = libgnutls.session_get_ptr(gnutls);

	if (tls_verify_peer(gnutls, session->creds, session->hostname, session->info,
		    &session->verify_error) == 0)
		return 0;
	session->refused_peer = true;
	return GNUTLS_E_CERTIFICATE_ERROR;
}

#define EXTENSION_RECORD_SIZE_LIMIT 28

static int take_extension(void *context, unsigned type, const unsigned char *data, unsigned size)
{
	struct tls_session *session = context;

	if (type == EXTENSION_RECORD_SIZE_LIMIT && size == sizeof(uint16_t))
		session->record_size_limit = wire_get_u16(data);
	return 0;
}

/* Where a server says how large the records may be that it is sent: GnuTLS keeps to that and does
 * not tell. In TLS 1.3 it is the encrypted extensions (RFC 8446, 4.3.1), in TLS 1.2 the end of the
 * server's hello: version, random, session, cipher, compression. */
static int hear_extensions(gnutls_session_t gnutls, unsigned type, unsigned when, unsigned incoming,
	const gnutls_datum_t *message)
{
	struct tls_session *session = libgnutls.session_get_ptr(gnutls);
	size_t skip = 0;

	(void)when;
	if (!incoming ||
		(type != GNUTLS_HANDSHAKE_ENCRYPTED_EXTENSIONS &&
			type != GNUTLS_HANDSHAKE_SERVER_HELLO))
		return 0;
	if (type == GNUTLS_HANDSHAKE_SERVER_HELLO) {
		skip = 2 + 32;
		if (message->size <= skip)
			return 0;
		skip += 1 + (size_t)message->data[skip] + 2 + 1;
	}
	if (message->size >= skip + 2) {
		gnutls_datum_t extensions = {message->data + skip, message->size - (unsigned)skip};

		libgnutls.ext_raw_parse(session, take_extension, &extensions, 0);
	}
	return 0;
}

/* What GnuTLS's own does. But as long as there is one, a GnuTLS whose configuration says "ktls =
 * true" does not arm the socket in its handshake (kernel fact ktls-arming). */
static ssize_t receive(gnutls_transport_ptr_t fd, void *buf, size_t size)
{
	return recv((int)(intptr_t)fd, buf, size, 0);
}

static int configure(struct tls_session *session, struct transport *transport, struct error *err)
{
	const struct tls_credentials *creds = session->creds;
	unsigned flags = GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL;
	char name[256];
	int rc;

	/* A ticket that came after hand-over would be a record that the driver cannot take
	 * (kernel fact key-update). */
	flags |= GNUTLS_NO_TICKETS | GNUTLS_NO_AUTO_REKEY;
	rc = libgnutls.init(&session->gnutls, flags);
	if (rc == 0)
		rc = libgnutls.priority_set(session->gnutls, creds->priority);
	if (rc == 0)
		rc = creds->psk ?
			libgnutls.credentials_set(session->gnutls, GNUTLS_CRD_PSK, creds->psk) :
			libgnutls.credentials_set(
				session->gnutls, GNUTLS_CRD_CERTIFICATE, creds->x509);
	if (rc == 0 && tls_names_for_sni(session->hostname, name, sizeof(name)))
		rc = libgnutls.server_name_set(
			session->gnutls, GNUTLS_NAME_DNS, name, strlen(name));
	if (rc < 0)
		return error_set(err, ERROR_OTHER, EINVAL, "GnuTLS: %s", libgnutls.strerror(rc));
	libgnutls.session_set_ptr(session->gnutls, session);
	if (!creds->psk)
		libgnutls.session_set_verify_function(session->gnutls, verify_callback);
	libgnutls.handshake_set_hook_function(
		session->gnutls, GNUTLS_HANDSHAKE_ANY, GNUTLS_HOOK_POST, hear_extensions);
	/* the transport's deadline rules */
	libgnutls.handshake_set_timeout(session->gnutls, GNUTLS_INDEFINITE_TIMEOUT);
	libgnutls.transport_set_int2(session->gnutls, transport->fd, transport->fd);
	libgnutls.transport_set_pull_function(session->gnutls, receive);
	return 0;
}

static int check_negotiated(struct tls_session *session, struct tls_info *info, struct error *err)
{
	gnutls_protocol_t version = libgnutls.protocol_get_version(session->gnutls);
	gnutls_group_t group = libgnutls.group_get(session->gnutls);
	const struct ktls_cipher *cipher = tls_ktls_cipher(libgnutls.cipher_get(session->gnutls));

	info->version = version == GNUTLS_TLS1_3 ? TLS_VERSION_1_3 :
		version == GNUTLS_TLS1_2         ? TLS_VERSION_1_2 :
						   0;
	if (info->version < session->creds->min_version || !cipher)
		return error_set(err, ERROR_TLS, EPROTO,
			"TLS agreed on %s with %s, which is not acceptable",
			libgnutls.protocol_get_name(version),
			libgnutls.cipher_get_name(libgnutls.cipher_get(session->gnutls)));
	if (info->version == TLS_VERSION_1_2 &&
		!libgnutls.safe_renegotiation_status(session->gnutls))
		return without_protection(
			"RFC 5746, so that somebody could put words before ours", err);
	if (info->version == TLS_VERSION_1_2 &&
		libgnutls.session_ext_master_secret_status(session->gnutls) != 1)
		return without_protection("an extended master secret (RFC 7627), so that two "
					  "connections could be given the same keys",
			err);
	/* Belt and braces: what stands in for the certificate must really have been used. */
	if (session->creds->psk ? libgnutls.auth_get_type(session->gnutls) != GNUTLS_CRD_PSK :
				  !*info->peer_pin)
		return error_set(err, ERROR_TLS, EACCES, "the server was not authenticated");
	info->own = session->creds->own;
	info->kernel_cipher = cipher->kernel_cipher;
	text_copy(info->cipher, sizeof(info->cipher), cipher->name);
	if (group && libgnutls.group_get_name(group))
		text_copy(info->group, sizeof(info->group), libgnutls.group_get_name(group));
	text_copy(info->authentication, sizeof(info->authentication),
		tls_authentication(session->creds));
	return 0;
}

static int handshake(struct tls_session *session, struct transport *transport, struct error *err)
{
	int rc, waited;

	transport->waiting_for = "the TLS handshake";
	for (;;) {
		errno = 0;
		rc = libgnutls.handshake(session->gnutls);
		session->handshake_done = rc == 0;
		if (rc == 0)
			return 0;
		if (session->refused_peer || libgnutls.error_is_fatal(rc))
			break;
		waited = wait_for_gnutls(transport, session->gnutls, rc, err);
		if (waited)
			return waited;
	}
	if (!session->refused_peer) {
		int saved = errno;

		if (rc != GNUTLS_E_FATAL_ALERT_RECEIVED && rc != GNUTLS_E_PREMATURE_TERMINATION)
			libgnutls.alert_send_appropriate(session->gnutls, rc);
		errno = saved;
		return session_failed(session, rc, "in the TLS handshake", err);
	}
	libgnutls.alert_send(session->gnutls, GNUTLS_AL_FATAL, GNUTLS_A_BAD_CERTIFICATE);
	if (err)
		*err = session->verify_error;
	return -EACCES;
}

int tls_session_start(struct tls_session **out, struct transport *transport,
	const struct tls_credentials *creds, const char *host, struct tls_info *info,
	struct error *err)
{
	struct tls_session *session = calloc(1, sizeof(*session));
	int rc;

	memset(info, 0, sizeof(*info));
	if (!session)
		return error_set(err, ERROR_OTHER, ENOMEM, "out of memory");
	session->creds = creds;
	session->hostname = *creds->hostname ? creds->hostname : host;
	session->info = info;
	rc = configure(session, transport, err);
	if (!rc)
		rc = handshake(session, transport, err);
	if (!rc)
		rc = check_negotiated(session, info, err);
	session->hostname = NULL;
	session->info = NULL;
	if (rc) {
		tls_session_free(session);
		return rc;
	}
	transport->ops = &tls_ops;
	transport->session = session;
	*out = session;
	return 0;
}

static int arm_direction(struct tls_session *session, int fd, bool transmit, struct error *err)
{
	const struct ktls_cipher *cipher = tls_ktls_cipher(libgnutls.cipher_get(session->gnutls));
	int version = libgnutls.protocol_get_version(session->gnutls) == GNUTLS_TLS1_3 ?
		TLS_VERSION_1_3 :
		TLS_VERSION_1_2;
	gnutls_datum_t mac, iv, key; /* borrowed from the session */
	struct ktls_keys keys;
	int rc = libgnutls.record_get_state(
		session->gnutls, transmit ? 0 : 1, &mac, &iv, &key, keys.record_number);

	if (rc < 0)
		return error_set(err, ERROR_OTHER, EINVAL, "GnuTLS does not give its keys: %s",
			libgnutls.strerror(rc));
	keys.key = key.data;
	keys.key_size = key.size;
	keys.iv = iv.data;
	keys.iv_size = iv.size;
	rc = ktls_arm(fd, transmit, cipher, version, &keys, err);
	explicit_bzero(&keys, sizeof(keys));
	return rc;
}

uint16_t tls_session_payload_bytes(const struct tls_session *session)
{
	unsigned limit = session->record_size_limit;

	/* In TLS 1.3 the limit counts the byte that tells the content's type. */
	if (limit && libgnutls.protocol_get_version(session->gnutls) == GNUTLS_TLS1_3)
		limit--;
	return limit && limit < KTLS_PAYLOAD_BYTES ? (uint16_t)limit : KTLS_PAYLOAD_BYTES;
}

int tls_session_arm_ktls(
	struct tls_session *session, struct transport *transport, struct error *err)
{
	int rc;

	if (tls_pending(transport) != 0)
		return error_set(err, ERROR_SERVER, EPROTO,
			"TLS holds %zu bytes that nobody asked for", tls_pending(transport));
	rc = ktls_attach(transport->fd, err);
	if (!rc)
		rc = arm_direction(session, transport->fd, true, err);
	if (!rc)
		rc = arm_direction(session, transport->fd, false, err);
	if (!rc)
		rc = ktls_limit_records(transport->fd, tls_session_payload_bytes(session), err);
	return rc;
}

void tls_session_free(struct tls_session *session)
{
	if (!session)
		return;
	if (session->gnutls)
		libgnutls.deinit(session->gnutls); /* wipes its keys */
	explicit_bzero(session, sizeof(*session));
	free(session);
}
