/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Records of a TLS session, sealed and opened here with the keys that GnuTLS gives: such as GnuTLS
 * would never send, and those of the session that a man in the middle has of its own. AES-GCM and
 * ChaCha20-Poly1305 under TLS 1.2 and 1.3. */
#ifndef TLS_RECORD_H
#define TLS_RECORD_H
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TLS_RECORD_HEADER_BYTES 5
#define TLS_RECORD_MAX_BYTES (TLS_RECORD_HEADER_BYTES + 16384 + 2048)

enum tls_content {
	TLS_CHANGE_CIPHER_SPEC = 20,
	TLS_ALERT = 21,
	TLS_HANDSHAKE = 22,
	TLS_DATA = 23,
};

/* One direction. After a record was sealed by this, GnuTLS can send none any more: it does not know
 * that the record number moved. */
struct tls_record_keys {
	gnutls_aead_cipher_hd_t aead;
	bool tls13, chacha;
	uint8_t iv[12];
	size_t iv_size;
	uint64_t number;
};

/* Of SESSION's present keys. Free with tls_record_keys_free(). */
bool tls_record_keys_init(struct tls_record_keys *keys, gnutls_session_t session, bool reading);
void tls_record_keys_free(struct tls_record_keys *keys);
/* SIZE bytes of TYPE, with so much padding (1.3 only), as a whole record in OUT
 * (TLS_RECORD_MAX_BYTES); its size, or 0. */
size_t tls_record_seal(struct tls_record_keys *keys, uint8_t type, const void *data, size_t size,
	size_t padding, uint8_t *out);
/* What is in the whole record RECORD: its type (of TLS 1.3 the inner one) and data. */
bool tls_record_open(struct tls_record_keys *keys, const uint8_t *record, size_t record_size,
	uint8_t *type, uint8_t *data, size_t *size);
/* The header of a record in clear. */
void tls_record_put_header(uint8_t *at, uint8_t type, size_t size);

#endif
