/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Kernel TLS on a connected TCP socket: the one table of ciphers, arming, and the record numbers
 * (kernel facts ktls-arming, unread-bytes, record-number, key-update and expect-no-pad). */
#ifndef NBDA_TLS_KTLS
#define NBDA_TLS_KTLS
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

struct ktls_cipher {
	const char *name;       /* as people and GnuTLS call it */
	uint16_t kernel_cipher; /* TLS_CIPHER_* */
	uint8_t key_size, iv_size, salt_size;
	/* of the kernel's struct for it: info, iv, key, salt, rec_seq in this order */
	size_t info_size;
	/* records that one key may protect: 2^24 for AES-GCM (RFC 8446, 5.5, rounded down); 0: no
	 * limit in practice */
	uint64_t record_limit;
	/* What the kernel's TLS asks the crypto API for, the module that provides it, and the
	 * modules' names of the parts that it is put together from where no driver has it whole.
	 * Only the first part (the template) is there under its name in every kernel: newer ones
	 * have the others as library code. */
	const char *algorithm, *module, *parts[5];
};

/* Index 0..; NULL behind the last. */
const struct ktls_cipher *ktls_cipher_at(size_t index);
const struct ktls_cipher *ktls_cipher_find(int kernel_cipher);
const struct ktls_cipher *ktls_cipher_find_by_name(const char *name);

/* Keys of one direction, borrowed. IV as GnuTLS gives it: 4 bytes (1.2, AES-GCM) or 12. */
struct ktls_keys {
	const uint8_t *key, *iv;
	size_t key_size, iv_size;
	uint8_t record_number[8];
};

/* Install the "tls" protocol on the socket: -ENOENT when the kernel has none. */
int ktls_attach(int fd, struct error *err);
/* Give the kernel one direction's keys. VERSION is enum tls_version. */
int ktls_arm(int fd, bool transmit, const struct ktls_cipher *cipher, int version,
	const struct ktls_keys *keys, struct error *err);
/* What the kernel puts into a record if nobody tells it otherwise: all that TLS allows. */
#define KTLS_PAYLOAD_BYTES 16384
/* Send no records that hold more than PAYLOAD_BYTES: -EOPNOTSUPP (ERROR_TLS) where the kernel
 * cannot (kernel fact record-size-limit). After ktls_arm(). */
int ktls_limit_records(int fd, uint16_t payload_bytes, struct error *err);
/* Decrypt TLS 1.3 straight to where it is read, what is padded or no data twice: only on a kernel
 * that is known to do it right (kernel fact expect-no-pad). After ktls_arm(); -errno where there is
 * no such option, which is no harm. */
int ktls_expect_no_padding(int fd);
/* What the kernel's TLS works with: enum tls_version, and a line of the table. -errno when the
 * socket has none, -EPROTO when the two directions differ or it is nothing that ktls_arm() could
 * have set. */
int ktls_get_state(int fd, int *version, const struct ktls_cipher **cipher);
/* Numbers of the next record of each direction; -errno when the socket has no kernel TLS. */
int ktls_record_numbers(int fd, uint64_t *transmitted, uint64_t *received);

#endif
