/* SPDX-License-Identifier: GPL-2.0-or-later */
/* LD_PRELOAD for a server that uses GnuTLS: a TLS 1.3 KeyUpdate after every KEYUPDATE_RECORDS
 * records that it sends, instead of after 2^24. The kernel's NBD driver takes each of them for a
 * dead link (kernel fact key-update), which a test wants to see in seconds, not after 256 GiB.
 * Tells on stderr of each one.
 *
 * A KeyUpdate is a record that is sent, so it has to be made by the thread that sends, when it is
 * done: a server may receive in another thread at the same time, and what it has corked must not be
 * cut in two. Thus it hangs on the end of a send, and on uncork, and not on receive. The count is
 * GnuTLS's own, of this session and key: it begins anew with each key, and there is nothing to keep
 * here. */
#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <gnutls/gnutls.h>

static uint64_t records_sent(gnutls_session_t session)
{
	unsigned char number[8];
	uint64_t value = 0;

	if (gnutls_record_get_state(session, 0, NULL, NULL, NULL, number) < 0)
		return 0;
	for (size_t i = 0; i < sizeof(number); i++)
		value = value << 8 | number[i];
	return value;
}

static void update_key_when_due(gnutls_session_t session)
{
	const char *every = getenv("KEYUPDATE_RECORDS");
	uint64_t limit = every ? strtoull(every, NULL, 10) : 0;
	uint64_t sent;
	int rc;

	if (limit == 0 || gnutls_protocol_get_version(session) != GNUTLS_TLS1_3)
		return;
	sent = records_sent(session);
	if (sent < limit)
		return;
	do
		rc = gnutls_session_key_update(session, 0);
	while (rc == GNUTLS_E_AGAIN || rc == GNUTLS_E_INTERRUPTED);
	fprintf(stderr, "keyupdate-shim: after %llu records: %s\n", (unsigned long long)sent,
		rc < 0 ? gnutls_strerror(rc) : "sent");
}

#define RECORD_BYTES 16384

/* TLS_SEND_BYTES: records are no larger. */
static size_t record_bytes(void)
{
	const char *limit = getenv("TLS_SEND_BYTES");

	return limit ? strtoul(limit, NULL, 10) : RECORD_BYTES;
}

/* TLS_PADDING: so many bytes of padding in each record, where TLS 1.3 has room for them. */
static ssize_t send_padded(gnutls_session_t session, const void *data, size_t size)
{
	static bool said;
	const char *padding_text = getenv("TLS_PADDING");
	size_t padding = padding_text ? strtoul(padding_text, NULL, 10) : 0;

	if (!padding || gnutls_protocol_get_version(session) != GNUTLS_TLS1_3 ||
		gnutls_record_check_corked(session) > 0)
		return GNUTLS_E_UNIMPLEMENTED_FEATURE;
	if (!said)
		fprintf(stderr, "keyupdate-shim: padded by %zu bytes\n", padding);
	said = true;
	if (size + padding > record_bytes())
		/* the caller sends the rest; GnuTLS would make a record that is too large */
		size = record_bytes() - padding;
	return gnutls_record_send2(session, data, size, padding, 0);
}

ssize_t gnutls_record_send(gnutls_session_t session, const void *data, size_t size)
{
	static ssize_t (*real)(gnutls_session_t session, const void *data, size_t size);
	ssize_t rc;

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "gnutls_record_send");
	rc = send_padded(session, data, size);
	if (rc == GNUTLS_E_UNIMPLEMENTED_FEATURE)
		rc = real(session, data, size);
	if (rc >= 0 && gnutls_record_check_corked(session) == 0)
		update_key_when_due(session);
	return rc;
}

/* TLS_RECEIVE_BYTES: the largest record that is taken, told to the client. */
int gnutls_handshake(gnutls_session_t session)
{
	static int (*real)(gnutls_session_t session);
	const char *limit = getenv("TLS_RECEIVE_BYTES");

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "gnutls_handshake");
	if (limit)
		gnutls_record_set_max_recv_size(session, strtoul(limit, NULL, 10));
	return real(session);
}

/* What is corked cannot be padded. */
void gnutls_record_cork(gnutls_session_t session)
{
	static void (*real)(gnutls_session_t session);

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "gnutls_record_cork");
	if (!getenv("TLS_PADDING"))
		real(session);
}

int gnutls_record_uncork(gnutls_session_t session, unsigned int flags)
{
	static int (*real)(gnutls_session_t session, unsigned int flags);
	int rc;

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "gnutls_record_uncork");
	rc = real(session, flags);
	if (rc >= 0)
		update_key_when_due(session);
	return rc;
}
