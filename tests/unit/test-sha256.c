/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Against known values, and against GnuTLS at every length that a block's end may have. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <gnutls/crypto.h>
#include <string.h>
#include "base/sha256.h"

static void known_values(void **state)
{
	static const struct {
		const char *text, *hash;
	} table[] = {
		{"",
			"\xe3\xb0\xc4\x42\x98\xfc\x1c\x14\x9a\xfb\xf4\xc8\x99\x6f\xb9\x24"
			"\x27\xae\x41\xe4\x64\x9b\x93\x4c\xa4\x95\x99\x1b\x78\x52\xb8\x55"},
		{"abc",
			"\xba\x78\x16\xbf\x8f\x01\xcf\xea\x41\x41\x40\xde\x5d\xae\x22\x23"
			"\xb0\x03\x61\xa3\x96\x17\x7a\x9c\xb4\x10\xff\x61\xf2\x00\x15\xad"},
	};
	uint8_t hash[SHA256_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		sha256(hash, table[i].text, strlen(table[i].text));
		assert_memory_equal(hash, table[i].hash, sizeof(hash));
	}
}

static void as_gnutls_has_it(void **state)
{
	uint8_t bytes[300], hash[SHA256_BYTES], wanted[SHA256_BYTES];

	(void)state;
	for (size_t len = 0; len <= sizeof(bytes); len++) {
		if (len)
			bytes[len - 1] = (uint8_t)(len * 151);
		sha256(hash, bytes, len);
		assert_int_equal(gnutls_hash_fast(GNUTLS_DIG_SHA256, bytes, len, wanted), 0);
		assert_memory_equal(hash, wanted, sizeof(hash));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_values),
		cmocka_unit_test(as_gnutls_has_it),
	};

	return cmocka_run_group_tests_name("sha256", tests, NULL, NULL);
}
