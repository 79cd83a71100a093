/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What can be said of kernel TLS without a kernel that has it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "tls/info.h"
#include "tls/ktls.h"
#include "tls/library.h"
#include "tls/priority.h"

static void records_that_a_server_does_not_take_are_not_sent(void **state)
{
	/* as a kernel that cannot be told */
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct error err = {0};

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(ktls_limit_records(fd, KTLS_PAYLOAD_BYTES, &err), 0);
	assert_int_equal(ktls_limit_records(fd, KTLS_PAYLOAD_BYTES - 1, &err), -EOPNOTSUPP);
	assert_int_equal(err.kind, ERROR_TLS);
	assert_non_null(strstr(err.text, "16383 bytes"));
	assert_non_null(strstr(err.hint, "record size limit"));
	assert_int_equal(ktls_limit_records(fd, 64, &err), -EOPNOTSUPP);
	close(fd);
}

/* The one table serves GnuTLS's names, the kernel's numbers, and what is loaded into the kernel. */
static void each_cipher_is_found_by_number_by_name_and_by_gnutls(void **state)
{
	static const gnutls_cipher_algorithm_t carried[] = {GNUTLS_CIPHER_AES_128_GCM,
		GNUTLS_CIPHER_AES_256_GCM, GNUTLS_CIPHER_CHACHA20_POLY1305};
	const struct ktls_cipher *cipher;
	size_t count = 0;

	(void)state;
	for (; (cipher = ktls_cipher_at(count)); count++) {
		assert_ptr_equal(ktls_cipher_find(cipher->kernel_cipher), cipher);
		assert_ptr_equal(ktls_cipher_find_by_name(cipher->name), cipher);
		assert_ptr_equal(tls_ktls_cipher(carried[count]), cipher);
		assert_true(*cipher->algorithm && *cipher->module && cipher->parts[0]);
		assert_null(cipher->parts[sizeof(cipher->parts) / sizeof(cipher->parts[0]) - 1]);
	}
	assert_int_equal(count, sizeof(carried) / sizeof(carried[0]));
	assert_int_equal(ktls_cipher_find_by_name("AES-256-GCM")->key_size, 32);
	assert_null(ktls_cipher_find(0));
	assert_null(ktls_cipher_find_by_name(""));
	assert_null(ktls_cipher_find_by_name("AES-128-CCM"));
	assert_null(tls_ktls_cipher(GNUTLS_CIPHER_AES_128_CCM));
	assert_null(tls_ktls_cipher(GNUTLS_CIPHER_AES_128_CBC));
	assert_null(tls_ktls_cipher(GNUTLS_CIPHER_UNKNOWN));
}

static void versions_have_a_name_each(void **state)
{
	(void)state;
	assert_string_equal(tls_version_name(TLS_VERSION_1_2), "1.2");
	assert_string_equal(tls_version_name(TLS_VERSION_1_3), "1.3");
	assert_string_equal(tls_version_name(0), "?");
	assert_int_equal(tls_version_parse("1.2"), TLS_VERSION_1_2);
	assert_int_equal(tls_version_parse("1.3"), TLS_VERSION_1_3);
	assert_int_equal(tls_version_parse("1.1"), 0);
	assert_int_equal(tls_version_parse("1.30"), 0);
	assert_int_equal(tls_version_parse(""), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_that_a_server_does_not_take_are_not_sent),
		cmocka_unit_test(each_cipher_is_found_by_number_by_name_and_by_gnutls),
		cmocka_unit_test(versions_have_a_name_each),
	};

	if (tls_library_load(NULL))
		return 1;
	return cmocka_run_group_tests_name("ktls", tests, NULL, NULL);
}
