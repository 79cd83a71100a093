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
#include "tls/ktls.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_that_a_server_does_not_take_are_not_sent),
	};

	return cmocka_run_group_tests_name("ktls", tests, NULL, NULL);
}
