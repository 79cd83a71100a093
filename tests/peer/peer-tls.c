// SPDX-License-Identifier: GPL-2.0-or-later
#include "peer.h"
#include "base/cleanup.h"
#include "tls-record.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

gnutls_certificate_credentials_t peer_load_credentials(const char *dir)
{
	gnutls_certificate_credentials_t credentials;
	char cert[512], key[512];
	int rc;

	snprintf(cert, sizeof(cert), "%s/server-cert.pem", dir);
	snprintf(key, sizeof(key), "%s/server-key.pem", dir);
	if (gnutls_certificate_allocate_credentials(&credentials) < 0)
		return NULL;
	/* An impostor may show a certificate whose key it does not have. */
	gnutls_certificate_set_flags(credentials, GNUTLS_CERTIFICATE_SKIP_KEY_CERT_MATCH);
	rc = gnutls_certificate_set_x509_key_file(credentials, cert, key, GNUTLS_X509_FMT_PEM);
	if (rc < 0) {
		fprintf(stderr, "%s: %s\n", cert, gnutls_strerror(rc));
		gnutls_certificate_free_credentials(credentials);
		return NULL;
	}
	return credentials;
}

static ssize_t push(gnutls_transport_ptr_t ptr, const void *buf, size_t size)
{
	struct peer *peer = ptr;

	if (peer_wire_send(peer, buf, size))
		return (ssize_t)size;
	gnutls_transport_set_errno(peer->tls, EPIPE);
	return -1;
}

static ssize_t pull(gnutls_transport_ptr_t ptr, void *buf, size_t size)
{
	return peer_wire_receive(ptr, buf, size);
}

static int pull_timeout(gnutls_transport_ptr_t ptr, unsigned ms)
{
	(void)ptr, (void)ms;
	return 1;
}

static int set_psk(struct peer *peer, gnutls_session_t session)
{
	gnutls_psk_server_credentials_t psk;
	int rc = gnutls_psk_allocate_server_credentials(&psk);

	if (rc >= 0)
		rc = gnutls_psk_set_server_credentials_file(psk, peer->config->psk_file);
	return rc < 0 ? rc : gnutls_credentials_set(session, GNUTLS_CRD_PSK, psk);
}

static int set_credentials(struct peer *peer, gnutls_session_t session)
{
	gnutls_anon_server_credentials_t anonymous;
	int rc;

	if (peer->config->psk_file)
		return set_psk(peer, session);
	if (!peer->config->anonymous)
		return gnutls_credentials_set(
			session, GNUTLS_CRD_CERTIFICATE, peer->config->credentials);
	rc = gnutls_anon_allocate_server_credentials(&anonymous);
	if (rc >= 0)
		rc = gnutls_anon_set_server_known_dh_params(anonymous, GNUTLS_SEC_PARAM_MEDIUM);
	return rc < 0 ? rc : gnutls_credentials_set(session, GNUTLS_CRD_ANON, anonymous);
}

/* RFC 8446, 4.1.3: the last bytes of the random of a server that could do better. */
static void set_sentinel(gnutls_session_t session)
{
	uint8_t random[32] = "a random of twenty-four bytes";
	gnutls_datum_t datum = {random, sizeof(random)};

	memcpy(random + 24, "DOWNGRD\1", 8);
	gnutls_handshake_set_random(session, &datum);
}

bool peer_handshake(struct peer *peer)
{
	const char *priority =
		peer->config->priority ? peer->config->priority : "NORMAL:-VERS-ALL:+VERS-TLS1.3";
	gnutls_session_t session;
	gnutls_datum_t ticket_key;
	int rc;

	peer->shared->tls_start_wire = peer->shared->sent_wire;
	peer->shared->tls_start_nbd = peer->shared->sent_nbd;
	if (gnutls_init(&session, GNUTLS_SERVER) < 0)
		return false;
	rc = gnutls_priority_set_direct(session, priority, NULL);
	if (rc >= 0)
		rc = set_credentials(peer, session);
	if (peer->config->wants_certificate)
		gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUIRE);
	if (rc >= 0 && peer->config->downgrade_sentinel)
		set_sentinel(session);
	if (rc >= 0 && peer->config->extra == EXTRA_TICKET &&
		gnutls_session_ticket_key_generate(&ticket_key) >= 0)
		rc = gnutls_session_ticket_enable_server(session, &ticket_key);
	if (rc < 0) {
		fprintf(stderr, "peer: TLS: %s\n", gnutls_strerror(rc));
		return false;
	}
	gnutls_transport_set_ptr(session, peer);
	gnutls_transport_set_push_function(session, push);
	gnutls_transport_set_pull_function(session, pull);
	gnutls_transport_set_pull_timeout_function(session, pull_timeout);
	peer->tls = session;
	do
		rc = gnutls_handshake(session);
	while (rc < 0 && !gnutls_error_is_fatal(rc));
	if (rc < 0)
		gnutls_alert_send_appropriate(session, rc);
	return rc >= 0;
}

/* DATA is NULL: zeroes. */
static bool send_record(
	struct peer *peer, uint8_t type, const void *data, size_t size, size_t padding)
{
	_cleanup_free_ uint8_t *zeroes = data ? NULL : calloc(1, size + 1);
	static struct tls_record_keys keys;
	static uint8_t record[TLS_RECORD_MAX_BYTES];
	size_t record_size;

	if (!peer->raw) {
		if (!tls_record_keys_init(&keys, peer->tls, false))
			return false;
		peer->raw = &keys;
	}
	record_size = tls_record_seal(peer->raw, type, data ? data : zeroes, size, padding, record);
	return record_size > 0 && peer_wire_send(peer, record, record_size);
}

bool peer_send_past_gnutls(struct peer *peer, const uint8_t *data, size_t size)
{
	while (size > 0) {
		size_t part = size < 16384 ? size : 16384;

		if (!send_record(peer, TLS_DATA, data, part, 0))
			return false;
		data += part;
		size -= part;
	}
	return true;
}

static bool send_in_clear(struct peer *peer, const struct raw_record *raw)
{
	uint8_t header[TLS_RECORD_HEADER_BYTES];

	tls_record_put_header(header, raw->type, raw->size);
	return peer_wire_send(peer, header, sizeof(header)) &&
		peer_wire_send(peer, raw->data, raw->size);
}

static bool send_raw(struct peer *peer)
{
	const struct raw_record *raw = peer->config->raw;

	for (uint64_t n = 0; n < (raw->repeat ? raw->repeat : 1); n++) {
		bool sent = raw->in_clear ?
			send_in_clear(peer, raw) :
			send_record(peer, raw->type, raw->data, raw->size, raw->padding);

		if (!sent)
			return false;
		peer->shared->extra_sent = true;
	}
	peer->owes_rest = raw->rest_size > 0;
	return true;
}

bool peer_tls_rest(struct peer *peer)
{
	const struct raw_record *raw = peer->config->raw;

	if (!peer->owes_rest)
		return true;
	peer->owes_rest = false;
	return send_record(peer, raw->type, raw->rest, raw->rest_size, 0);
}

bool peer_tls_extra(struct peer *peer)
{
	uint64_t before = peer->shared->sent_wire + peer->held_size;
	int rc = 0;

	switch (peer->config->extra) {
	case EXTRA_RAW: return send_raw(peer);
	case EXTRA_NONE: return true;
	case EXTRA_TICKET: rc = gnutls_session_ticket_send(peer->tls, 1, 0); break;
	case EXTRA_KEY_UPDATE: rc = gnutls_session_key_update(peer->tls, 0); break;
	case EXTRA_KEY_UPDATE_BOTH:
		rc = gnutls_session_key_update(peer->tls, GNUTLS_KU_PEER);
		break;
	case EXTRA_CLOSE_NOTIFY: rc = gnutls_bye(peer->tls, GNUTLS_SHUT_WR); break;
	case EXTRA_HELLO_REQUEST: rc = gnutls_rehandshake(peer->tls); break;
	case EXTRA_WARNING_ALERT:
		rc = gnutls_alert_send(peer->tls, GNUTLS_AL_WARNING, GNUTLS_A_USER_CANCELED);
		break;
	}
	if (peer->shared->sent_wire + peer->held_size > before)
		peer->shared->extra_sent = true;
	return rc >= 0;
}
