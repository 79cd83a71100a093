/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tls/ktls.h"
#include "tls/info.h"
#include "base/wire.h"
#include <errno.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#ifndef SOL_TLS
#define SOL_TLS 282
#endif
#ifndef TCP_ULP
#define TCP_ULP 31
#endif

/* Every kernel structure is: version and cipher (2 bytes each), iv, key, salt, record number. The
 * largest has 56 bytes. */
#define INFO_HEADER_BYTES sizeof(struct tls_crypto_info)
#define RECORD_NUMBER_BYTES 8
#define INFO_MAX_BYTES 64

#define CIPHER(label, id, limit)                                                                   \
	.name = (label), .kernel_cipher = TLS_CIPHER_##id, .key_size = TLS_CIPHER_##id##_KEY_SIZE, \
	.iv_size = TLS_CIPHER_##id##_IV_SIZE, .salt_size = TLS_CIPHER_##id##_SALT_SIZE,            \
	.info_size = INFO_HEADER_BYTES + TLS_CIPHER_##id##_IV_SIZE + TLS_CIPHER_##id##_KEY_SIZE +  \
		TLS_CIPHER_##id##_SALT_SIZE + RECORD_NUMBER_BYTES,                                 \
	.record_limit = (limit)
#define GCM                                                                                        \
	.algorithm = "gcm(aes)", .module = "gcm",                                                  \
	.parts = {"crypto-gcm", "crypto-aes", "crypto-ctr", "crypto-ghash"}

static const struct ktls_cipher ciphers[] = {
	{CIPHER("AES-128-GCM", AES_GCM_128, 1ULL << 24), GCM},
	{CIPHER("AES-256-GCM", AES_GCM_256, 1ULL << 24), GCM},
	{CIPHER("CHACHA20-POLY1305", CHACHA20_POLY1305, 0),
		.algorithm = "rfc7539(chacha20,poly1305)", .module = "chacha20poly1305",
		.parts = {"crypto-rfc7539", "crypto-chacha20", "crypto-poly1305"}},
};

#define CIPHER_COUNT (sizeof(ciphers) / sizeof(ciphers[0]))

_Static_assert(sizeof(struct tls12_crypto_info_aes_gcm_128) == INFO_HEADER_BYTES + 8 + 16 + 4 + 8,
	"layout");
_Static_assert(sizeof(struct tls12_crypto_info_aes_gcm_256) == INFO_HEADER_BYTES + 8 + 32 + 4 + 8,
	"layout");
_Static_assert(
	sizeof(struct tls12_crypto_info_chacha20_poly1305) == INFO_HEADER_BYTES + 12 + 32 + 0 + 8,
	"layout");

const struct ktls_cipher *ktls_cipher_at(size_t index)
{
	return index < CIPHER_COUNT ? &ciphers[index] : NULL;
}

const struct ktls_cipher *ktls_cipher_find(int kernel_cipher)
{
	for (size_t i = 0; i < CIPHER_COUNT; i++)
		if (ciphers[i].kernel_cipher == kernel_cipher)
			return &ciphers[i];
	return NULL;
}

const struct ktls_cipher *ktls_cipher_find_by_name(const char *name)
{
	for (size_t i = 0; i < CIPHER_COUNT; i++)
		if (strcmp(ciphers[i].name, name) == 0)
			return &ciphers[i];
	return NULL;
}

int ktls_attach(int fd, struct error *err)
{
	int rc;

	if (setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")) == 0 || errno == EEXIST)
		return 0;
	rc = -errno;
	if (rc == -ENOENT) {
		error_set(err, ERROR_KERNEL, ENOENT,
			"the kernel has no TLS: its module \"tls\" is not loaded");
		return error_hint(
			err, rc, "load it: modprobe tls (nothing is sent in clear instead)");
	}
	if (rc == -ENOTCONN) {
		error_set(err, ERROR_UNREACHABLE, ENOTCONN,
			"the server closed the connection before the kernel could take over its "
			"TLS");
		error_hint(err, 0, "try again; if it stays so, the server's log says why");
		return error_retry(err, rc);
	}
	return error_set(err, ERROR_KERNEL, -rc,
		"the kernel refused to put TLS on the connection: %s", strerror(-rc));
}

static int arm_failed(
	int errno_value, bool transmit, const struct ktls_cipher *cipher, struct error *err)
{
	if (errno_value == ENOENT) {
		error_set(err, ERROR_KERNEL, ENOENT, "the kernel's crypto has no %s", cipher->name);
		return error_hint(err, -ENOENT,
			"load what provides it: modprobe %s; or choose another cipher with "
			"--tls-priority",
			cipher->module);
	}
	error_set(err, ERROR_KERNEL, errno_value, "kernel TLS refused the %s keys for %s: %s",
		transmit ? "sending" : "receiving", cipher->name, strerror(errno_value));
	if (errno_value == EINVAL || errno_value == EOPNOTSUPP)
		return error_hint(err, -errno_value,
			"this kernel's TLS may be too old for %s: choose another cipher with "
			"--tls-priority",
			cipher->name);
	return -errno_value;
}

int ktls_arm(int fd, bool transmit, const struct ktls_cipher *cipher, int version,
	const struct ktls_keys *keys, struct error *err)
{
	uint8_t info[INFO_MAX_BYTES] = {0};
	struct tls_crypto_info header = {
		.version = version == TLS_VERSION_1_3 ? TLS_1_3_VERSION : TLS_1_2_VERSION,
		.cipher_type = cipher->kernel_cipher,
	};
	uint8_t *iv = info + sizeof(header), *key = iv + cipher->iv_size,
		*salt = key + cipher->key_size;
	/* TLS 1.2 with AES-GCM has 4 secret bytes only; the other 8 travel in each record and count
	 * like the record number. */
	bool explicit_iv = keys->iv_size == cipher->salt_size && cipher->salt_size > 0;
	int rc = 0;

	if (keys->key_size != cipher->key_size ||
		(!explicit_iv && keys->iv_size != (size_t)cipher->salt_size + cipher->iv_size))
		return error_set(err, ERROR_OTHER, EINVAL,
			"GnuTLS's %s keys have an unexpected size (%zu, %zu)", cipher->name,
			keys->key_size, keys->iv_size);
	memcpy(info, &header, sizeof(header));
	memcpy(key, keys->key, cipher->key_size);
	memcpy(salt, keys->iv, cipher->salt_size);
	memcpy(iv, explicit_iv ? keys->record_number : keys->iv + cipher->salt_size,
		cipher->iv_size);
	memcpy(salt + cipher->salt_size, keys->record_number, RECORD_NUMBER_BYTES);
	if (setsockopt(fd, SOL_TLS, transmit ? TLS_TX : TLS_RX, info, cipher->info_size) < 0)
		rc = arm_failed(errno, transmit, cipher, err);
	explicit_bzero(info, sizeof(info));
	return rc;
}

#ifndef TLS_RX_EXPECT_NO_PAD
#define TLS_RX_EXPECT_NO_PAD 4
#endif
#ifndef TLS_TX_MAX_PAYLOAD_LEN
#define TLS_TX_MAX_PAYLOAD_LEN 5
#endif

int ktls_limit_records(int fd, uint16_t payload_bytes, struct error *err)
{
	if (payload_bytes >= KTLS_PAYLOAD_BYTES ||
		setsockopt(fd, SOL_TLS, TLS_TX_MAX_PAYLOAD_LEN, &payload_bytes,
			sizeof(payload_bytes)) == 0)
		return 0;
	error_set(err, ERROR_TLS, EOPNOTSUPP,
		"the server takes TLS records of at most %u bytes, and this kernel sends larger "
		"ones",
		payload_bytes);
	return error_hint(err, -EOPNOTSUPP,
		"let the server take records of %d bytes (no record size limit), or use Linux 6.19 "
		"or later here",
		KTLS_PAYLOAD_BYTES);
}

int ktls_expect_no_padding(int fd)
{
	uint32_t on = 1;

	return setsockopt(fd, SOL_TLS, TLS_RX_EXPECT_NO_PAD, &on, sizeof(on)) < 0 ? -errno : 0;
}

/* Asked for no more than this, the kernel gives no key. */
static int get_header(int fd, int direction, struct tls_crypto_info *header)
{
	socklen_t len = sizeof(*header);

	return getsockopt(fd, SOL_TLS, direction, header, &len) < 0 ? -errno : 0;
}

int ktls_get_state(int fd, int *version, const struct ktls_cipher **cipher)
{
	struct tls_crypto_info transmit, receive;
	int rc = get_header(fd, TLS_TX, &transmit);

	if (!rc)
		rc = get_header(fd, TLS_RX, &receive);
	if (rc)
		return rc;
	*version = transmit.version == TLS_1_3_VERSION ? TLS_VERSION_1_3 :
		transmit.version == TLS_1_2_VERSION    ? TLS_VERSION_1_2 :
							 0;
	*cipher = ktls_cipher_find(transmit.cipher_type);
	return !*version || !*cipher || transmit.version != receive.version ||
			transmit.cipher_type != receive.cipher_type ?
		-EPROTO :
		0;
}

static int record_number(int fd, int direction, uint64_t *number)
{
	struct tls_crypto_info header;
	const struct ktls_cipher *cipher;
	uint8_t info[INFO_MAX_BYTES];
	int rc = get_header(fd, direction, &header);
	socklen_t len;

	if (rc)
		return rc;
	cipher = ktls_cipher_find(header.cipher_type);
	if (!cipher)
		return -EOPNOTSUPP;
	len = cipher->info_size;
	if (getsockopt(fd, SOL_TLS, direction, info, &len) < 0)
		rc = -errno;
	else
		*number = wire_get_u64(info + cipher->info_size - RECORD_NUMBER_BYTES);
	explicit_bzero(info, sizeof(info)); /* it holds the key */
	return rc;
}

int ktls_record_numbers(int fd, uint64_t *transmitted, uint64_t *received)
{
	int rc = record_number(fd, TLS_TX, transmitted);

	return rc ? rc : record_number(fd, TLS_RX, received);
}
