// SPDX-License-Identifier: GPL-2.0-or-later
#include "tls-record.h"
#include "base/wire.h"
#include <string.h>

#define TAG_BYTES 16
#define SALT_BYTES 4
#define EXPLICIT_BYTES 8

void tls_record_put_header(uint8_t *at, uint8_t type, size_t size)
{
	at[0] = type;
	wire_put_u16(at + 1, 0x0303);
	wire_put_u16(at + 3, (uint16_t)size);
}

bool tls_record_keys_init(struct tls_record_keys *keys, gnutls_session_t session, bool reading)
{
	gnutls_cipher_algorithm_t cipher = gnutls_cipher_get(session);
	unsigned char number[8];
	gnutls_datum_t iv, key;

	memset(keys, 0, sizeof(*keys));
	if (gnutls_record_get_state(session, reading, NULL, &iv, &key, number) < 0 ||
		iv.size > sizeof(keys->iv) ||
		gnutls_aead_cipher_init(&keys->aead, cipher, &key) < 0)
		return false;
	memcpy(keys->iv, iv.data, iv.size);
	keys->iv_size = iv.size;
	keys->tls13 = gnutls_protocol_get_version(session) == GNUTLS_TLS1_3;
	keys->chacha = cipher == GNUTLS_CIPHER_CHACHA20_POLY1305;
	keys->number = wire_get_u64(number);
	return true;
}

void tls_record_keys_free(struct tls_record_keys *keys)
{
	if (keys->aead)
		gnutls_aead_cipher_deinit(keys->aead);
	memset(keys, 0, sizeof(*keys));
}

/* AES-GCM of TLS 1.2 has eight bytes of its nonce in the record (RFC 5288); else the number is
 * xored into all of it (RFC 7905; RFC 8446, 5.3). */
static bool is_explicit(const struct tls_record_keys *keys)
{
	return !keys->tls13 && !keys->chacha;
}

static void make_nonce(const struct tls_record_keys *keys, const uint8_t *explicit, uint8_t *nonce)
{
	memcpy(nonce, keys->iv, sizeof(keys->iv));
	if (is_explicit(keys)) {
		memcpy(nonce + SALT_BYTES, explicit, EXPLICIT_BYTES);
		return;
	}
	for (int i = 0; i < 8; i++)
		nonce[4 + i] ^= (uint8_t)(keys->number >> (56 - 8 * i));
}

/* What is authenticated besides: in TLS 1.3 the header, in 1.2 that of what was not encrypted yet,
 * behind the number. */
static size_t make_context(
	const struct tls_record_keys *keys, uint8_t type, size_t size, uint8_t *context)
{
	if (keys->tls13) {
		tls_record_put_header(context, TLS_DATA, size + TAG_BYTES);
		return TLS_RECORD_HEADER_BYTES;
	}
	wire_put_u64(context, keys->number);
	tls_record_put_header(context + 8, type, size);
	return 8 + TLS_RECORD_HEADER_BYTES;
}

size_t tls_record_seal(struct tls_record_keys *keys, uint8_t type, const void *data, size_t size,
	size_t padding, uint8_t *out)
{
	static uint8_t plain[TLS_RECORD_MAX_BYTES];
	uint8_t nonce[12], context[16];
	size_t at = TLS_RECORD_HEADER_BYTES, sealed, context_size;

	if (size + padding + 64 > sizeof(plain))
		return 0;
	if (size)
		memcpy(plain, data, size);
	if (keys->tls13) {
		plain[size++] = type;
		memset(plain + size, 0, padding);
		size += padding;
	}
	if (is_explicit(keys)) {
		wire_put_u64(out + at, keys->number);
		at += EXPLICIT_BYTES;
	}
	make_nonce(keys, out + TLS_RECORD_HEADER_BYTES, nonce);
	context_size = make_context(keys, type, size, context);
	sealed = TLS_RECORD_MAX_BYTES - at;
	if (gnutls_aead_cipher_encrypt(keys->aead, nonce, sizeof(nonce), context, context_size,
		    TAG_BYTES, plain, size, out + at, &sealed) < 0)
		return 0;
	keys->number++;
	tls_record_put_header(
		out, keys->tls13 ? TLS_DATA : type, at + sealed - TLS_RECORD_HEADER_BYTES);
	return at + sealed;
}

bool tls_record_open(struct tls_record_keys *keys, const uint8_t *record, size_t record_size,
	uint8_t *type, uint8_t *data, size_t *size)
{
	uint8_t nonce[12], context[16];
	size_t at = TLS_RECORD_HEADER_BYTES + (is_explicit(keys) ? EXPLICIT_BYTES : 0);
	size_t context_size;

	if (record_size < at + TAG_BYTES)
		return false;
	make_nonce(keys, record + TLS_RECORD_HEADER_BYTES, nonce);
	context_size = make_context(keys, record[0], record_size - at - TAG_BYTES, context);
	*size = TLS_RECORD_MAX_BYTES;
	if (gnutls_aead_cipher_decrypt(keys->aead, nonce, sizeof(nonce), context, context_size,
		    TAG_BYTES, record + at, record_size - at, data, size) < 0)
		return false;
	keys->number++;
	*type = record[0];
	if (!keys->tls13)
		return true;
	while (*size > 0 && data[*size - 1] == 0)
		(*size)--;
	if (*size == 0)
		return false;
	*type = data[--*size];
	return true;
}
