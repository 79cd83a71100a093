// SPDX-License-Identifier: GPL-2.0-or-later
#include "peer.h"
#include <errno.h>
#include <stdio.h>
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
		rc = gnutls_credentials_set(
			session, GNUTLS_CRD_CERTIFICATE, peer->config->credentials);
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

bool peer_tls_extra(struct peer *peer)
{
	uint64_t before = peer->shared->sent_wire + peer->held_size;
	int rc = 0;

	switch (peer->config->extra) {
	case EXTRA_NONE: return true;
	case EXTRA_TICKET: rc = gnutls_session_ticket_send(peer->tls, 1, 0); break;
	case EXTRA_KEY_UPDATE: rc = gnutls_session_key_update(peer->tls, 0); break;
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
