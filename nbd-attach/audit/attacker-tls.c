/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "audit/attacker-tls.h"
#include "tls/gnutls-library.h"
#include "base/wire.h"
#include "tls/credentials-struct.h"
#include "tls/info.h"
#include "tls/names.h"
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define PRIORITY_X509 "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"
/* as servers with pre-shared keys understand it: with certificates nothing else would be asked */
#define PRIORITY_PSK PRIORITY_X509 ":-KX-ALL:+ECDHE-PSK:+DHE-PSK:+PSK"
#define EXTENSION_RECORD_SIZE_LIMIT 28
#define RECORD_HEADER_BYTES 5
/* TLS 1.3: the byte of the content's type, and the tag */
#define RECORD_OVERHEAD_BYTES (1 + 16)
/* a KeyUpdate, header and all */
#define KEY_UPDATE_BYTES 5
#define RECORD_APPLICATION_DATA 23

struct attacker_tls {
	gnutls_session_t gnutls;
	gnutls_certificate_credentials_t none; /* where there are no credentials */
	struct transport *transport;
	bool established;
	struct attacker_tls_seen seen;
	unsigned record_size_limit;
	/* what comes from the wire, cut into records */
	uint8_t header[RECORD_HEADER_BYTES];
	size_t header_size, record_left;
	/* of records of data since the handshake */
	uint64_t record_bytes, record_count, data_bytes;
};

void attacker_tls_free(struct attacker_tls *tls)
{
	if (!tls)
		return;
	if (tls->gnutls)
		libgnutls.deinit(tls->gnutls);
	if (tls->none)
		libgnutls.certificate_free_credentials(tls->none);
	explicit_bzero(tls, sizeof(*tls));
	free(tls);
}

void attacker_tls_end(struct attacker_tls *tls)
{
	libgnutls.bye(tls->gnutls, GNUTLS_SHUT_WR);
}

/* --- records, as they pass */

static void count_record(struct attacker_tls *tls)
{
	tls->record_left = wire_get_u16(tls->header + 3);
	tls->header_size = 0;
	if (!tls->established || tls->header[0] != RECORD_APPLICATION_DATA)
		return;
	tls->record_count++;
	tls->record_bytes += tls->record_left;
}

static void watch_records(struct attacker_tls *tls, const uint8_t *bytes, size_t size)
{
	while (size) {
		size_t step = tls->record_left ? tls->record_left :
						 RECORD_HEADER_BYTES - tls->header_size;

		if (step > size)
			step = size;
		if (tls->record_left) {
			tls->record_left -= step;
		} else {
			memcpy(tls->header + tls->header_size, bytes, step);
			tls->header_size += step;
			if (tls->header_size == RECORD_HEADER_BYTES)
				count_record(tls);
		}
		bytes += step;
		size -= step;
	}
}

static ssize_t pull(gnutls_transport_ptr_t ptr, void *buf, size_t size)
{
	struct attacker_tls *tls = ptr;
	ssize_t n = recv(tls->transport->fd, buf, size, 0);

	if (n < 0)
		libgnutls.transport_set_errno(tls->gnutls, errno);
	else
		watch_records(tls, buf, (size_t)n);
	return n;
}

static ssize_t push(gnutls_transport_ptr_t ptr, const void *buf, size_t size)
{
	struct attacker_tls *tls = ptr;
	ssize_t n = send(tls->transport->fd, buf, size, MSG_NOSIGNAL);

	if (n < 0)
		libgnutls.transport_set_errno(tls->gnutls, errno);
	return n;
}

static int pull_timeout(gnutls_transport_ptr_t ptr, unsigned ms)
{
	struct attacker_tls *tls = ptr;
	struct pollfd pfd = {.fd = tls->transport->fd, .events = POLLIN};

	return poll(&pfd, 1, ms == GNUTLS_INDEFINITE_TIMEOUT ? -1 : (int)ms);
}

uint64_t attacker_tls_padding_seen(const struct attacker_tls *tls)
{
	uint64_t told = tls->data_bytes + tls->record_count * RECORD_OVERHEAD_BYTES +
		(uint64_t)tls->seen.key_updates * KEY_UPDATE_BYTES;

	return tls->record_bytes > told ? tls->record_bytes - told : 0;
}

/* --- messages, as they pass */

static int take_extension(void *context, unsigned type, const unsigned char *data, unsigned size)
{
	struct attacker_tls *tls = context;

	if (type == EXTENSION_RECORD_SIZE_LIMIT && size == sizeof(uint16_t))
		tls->record_size_limit = wire_get_u16(data);
	return 0;
}

static int take_message(gnutls_session_t gnutls, unsigned type, unsigned when, unsigned incoming,
	const gnutls_datum_t *message)
{
	struct attacker_tls *tls = libgnutls.session_get_ptr(gnutls);

	(void)when;
	if (!incoming)
		return 0;
	if (type == GNUTLS_HANDSHAKE_KEY_UPDATE)
		tls->seen.key_updates++;
	if (type == GNUTLS_HANDSHAKE_NEW_SESSION_TICKET && tls->established)
		tls->seen.tickets++;
	if (type == GNUTLS_HANDSHAKE_HELLO_REQUEST)
		tls->seen.hello_requests++;
	if (type == GNUTLS_HANDSHAKE_ENCRYPTED_EXTENSIONS && message->size > 2)
		libgnutls.ext_raw_parse(tls, take_extension, message, 0);
	return 0;
}

struct attacker_tls_seen attacker_tls_seen(const struct attacker_tls *tls)
{
	return tls->seen;
}

unsigned attacker_tls_record_limit(const struct attacker_tls *tls)
{
	/* in TLS 1.3 it counts the byte of the content's type */
	return tls->record_size_limit ? tls->record_size_limit - 1 : 0;
}

/* --- as a transport */

static bool tls_failed_here(int rc)
{
	return rc == GNUTLS_E_MEMORY_ERROR || rc == GNUTLS_E_INTERNAL_ERROR ||
		rc == GNUTLS_E_RANDOM_FAILED || rc == GNUTLS_E_LIB_IN_ERROR_STATE;
}

static int tls_failed(struct attacker_tls *tls, int rc, const char *when, struct error *err)
{
	const char *alert = libgnutls.alert_get_name(libgnutls.alert_get(tls->gnutls));

	if (rc == GNUTLS_E_FATAL_ALERT_RECEIVED || rc == GNUTLS_E_WARNING_ALERT_RECEIVED)
		return error_set(err, ERROR_TLS, ECONNRESET, "alert \"%s\" %s",
			alert ? alert : "unknown", when);
	if (rc == 0 || rc == GNUTLS_E_PREMATURE_TERMINATION || rc == GNUTLS_E_PULL_ERROR ||
		rc == GNUTLS_E_PUSH_ERROR)
		return error_set(err, ERROR_TLS, ECONNRESET, "connection closed %s", when);
	if (tls_failed_here(rc))
		return error_set(err, ERROR_OTHER, EIO, "GnuTLS failed %s: %s", when,
			libgnutls.strerror(rc));
	return error_set(err, ERROR_TLS, ECONNRESET, "%s %s", libgnutls.strerror(rc), when);
}

/* After a code that is not fatal: 0 when the call may be made again. */
static int wait_again(struct attacker_tls *tls, int rc, struct error *err)
{
	if (rc == GNUTLS_E_AGAIN)
		return transport_wait(tls->transport,
			libgnutls.record_get_direction(tls->gnutls) ? POLLOUT : POLLIN, err);
	return transport_wait(tls->transport, POLLOUT, err);
}

static long tls_read_some(struct transport *transport, void *buf, size_t size, struct error *err)
{
	struct attacker_tls *tls = transport->session;

	for (;;) {
		ssize_t n = libgnutls.record_recv(tls->gnutls, buf, size);
		int rc;

		if (n > 0) {
			tls->data_bytes += (uint64_t)n;
			return n;
		}
		if (n == 0 || libgnutls.error_is_fatal((int)n) || n == GNUTLS_E_REHANDSHAKE)
			return tls_failed(tls, (int)n, "within TLS", err);
		rc = wait_again(tls, (int)n, err);
		if (rc)
			return rc;
	}
}

static long tls_write_some(
	struct transport *transport, const void *buf, size_t size, struct error *err)
{
	struct attacker_tls *tls = transport->session;

	for (;;) {
		ssize_t n = libgnutls.record_send(tls->gnutls, buf, size);
		int rc;

		if (n >= 0)
			return n;
		if (libgnutls.error_is_fatal((int)n))
			return tls_failed(tls, (int)n, "within TLS", err);
		rc = wait_again(tls, (int)n, err);
		if (rc)
			return rc;
	}
}

static size_t tls_pending(struct transport *transport)
{
	struct attacker_tls *tls = transport->session;

	return libgnutls.record_check_pending(tls->gnutls);
}

static const struct transport_ops tls_ops = {tls_read_some, tls_write_some, tls_pending};

/* --- the handshake */

static int set_credentials(struct attacker_tls *tls, const struct tls_credentials *creds)
{
	int rc;

	if (creds)
		return creds->psk ?
			libgnutls.credentials_set(tls->gnutls, GNUTLS_CRD_PSK, creds->psk) :
			libgnutls.credentials_set(tls->gnutls, GNUTLS_CRD_CERTIFICATE, creds->x509);
	rc = libgnutls.certificate_allocate_credentials(&tls->none);
	return rc < 0 ? rc :
			libgnutls.credentials_set(tls->gnutls, GNUTLS_CRD_CERTIFICATE, tls->none);
}

static int configure(struct attacker_tls *tls, const struct tls_credentials *creds,
	const char *host, const char *priority, struct error *err)
{
	const char *own = creds && creds->psk ? PRIORITY_PSK : PRIORITY_X509;
	char name[256];
	int rc = libgnutls.init(&tls->gnutls,
		GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL | GNUTLS_NO_TICKETS |
			GNUTLS_NO_AUTO_REKEY);

	if (rc == 0)
		rc = libgnutls.priority_set_direct(tls->gnutls, priority ? priority : own, NULL);
	if (rc == 0)
		rc = set_credentials(tls, creds);
	if (rc == 0 && tls_names_for_sni(host, name, sizeof(name)))
		rc = libgnutls.server_name_set(tls->gnutls, GNUTLS_NAME_DNS, name, strlen(name));
	if (rc < 0)
		return error_set(err, ERROR_OTHER, EINVAL, "GnuTLS: %s", libgnutls.strerror(rc));
	libgnutls.session_set_ptr(tls->gnutls, tls);
	libgnutls.handshake_set_hook_function(
		tls->gnutls, GNUTLS_HANDSHAKE_ANY, GNUTLS_HOOK_POST, take_message);
	libgnutls.handshake_set_timeout(tls->gnutls, GNUTLS_INDEFINITE_TIMEOUT);
	libgnutls.transport_set_ptr(tls->gnutls, tls);
	libgnutls.transport_set_pull_function(tls->gnutls, pull);
	libgnutls.transport_set_push_function(tls->gnutls, push);
	libgnutls.transport_set_pull_timeout_function(tls->gnutls, pull_timeout);
	return 0;
}

static int handshake(struct attacker_tls *tls, struct error *err)
{
	int rc, waited;

	tls->transport->waiting_for = "the TLS handshake";
	for (;;) {
		rc = libgnutls.handshake(tls->gnutls);
		if (rc == 0)
			return 0;
		if (libgnutls.error_is_fatal(rc) || rc == GNUTLS_E_WARNING_ALERT_RECEIVED)
			break;
		waited = wait_again(tls, rc, err);
		if (waited)
			return waited;
	}
	if (rc == GNUTLS_E_INSUFFICIENT_CREDENTIALS)
		return error_set(
			err, ERROR_TLS, EACCES, "the server does not know our kind of credentials");
	if (rc != GNUTLS_E_FATAL_ALERT_RECEIVED && rc != GNUTLS_E_WARNING_ALERT_RECEIVED &&
		rc != GNUTLS_E_PREMATURE_TERMINATION)
		libgnutls.alert_send_appropriate(tls->gnutls, rc);
	return tls_failed(tls, rc, "in the TLS handshake", err);
}

int attacker_tls_start(struct attacker_tls **out, struct transport *transport,
	const struct tls_credentials *creds, const char *host, const char *priority,
	struct error *err)
{
	struct attacker_tls *tls = calloc(1, sizeof(*tls));
	int rc;

	if (!tls)
		return error_set(err, ERROR_OTHER, ENOMEM, "out of memory");
	tls->transport = transport;
	rc = configure(tls, creds, host, priority, err);
	if (!rc)
		rc = handshake(tls, err);
	if (rc) {
		attacker_tls_free(tls);
		return rc;
	}
	tls->established = true;
	transport->ops = &tls_ops;
	transport->session = tls;
	*out = tls;
	return 0;
}

const char *attacker_tls_alert_name(uint8_t description)
{
	const char *name = libgnutls.alert_get_name((gnutls_alert_description_t)description);

	return name ? name : "unknown";
}

int attacker_tls_version(const struct attacker_tls *tls)
{
	return libgnutls.protocol_get_version(tls->gnutls) == GNUTLS_TLS1_3 ? TLS_VERSION_1_3 :
									      TLS_VERSION_1_2;
}

const char *attacker_tls_cipher(const struct attacker_tls *tls)
{
	return libgnutls.cipher_get_name(libgnutls.cipher_get(tls->gnutls));
}

/* --- what TLS has besides data */

int attacker_tls_update_keys(struct attacker_tls *tls, struct error *err)
{
	int rc;

	do
		rc = libgnutls.session_key_update(tls->gnutls, GNUTLS_KU_PEER);
	while (rc < 0 && !libgnutls.error_is_fatal(rc) && wait_again(tls, rc, err) == 0);
	return rc < 0 ? tls_failed(tls, rc, "with a KeyUpdate", err) : 0;
}

int attacker_tls_send_padded(
	struct attacker_tls *tls, const void *bytes, size_t size, size_t padding, struct error *err)
{
	ssize_t n;

	do
		n = libgnutls.record_send2(tls->gnutls, bytes, size, padding, 0);
	while (n < 0 && !libgnutls.error_is_fatal((int)n) && wait_again(tls, (int)n, err) == 0);
	return n < 0 ? tls_failed(tls, (int)n, "with a padded record", err) : 0;
}

int attacker_tls_renegotiate(struct attacker_tls *tls, struct error *err)
{
	return handshake(tls, err);
}
