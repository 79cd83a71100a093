/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Blocks as large as the pages of other machines are (arm64: 16 KiB and 64 KiB, ppc64el: 64 KiB),
 * which a server may ask for: what reads one has room for it. Worth something under
 * AddressSanitizer only. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "nbd/nbd-protocol.h"
#include "base/clock.h"
#include "nbd/nego.h"
#include "child/probe.h"
#include "base/transport.h"
#include "base/wire.h"

static const uint32_t sizes_bytes[] = {512, 4096, 16384, 65536};

static void a_probe_has_room_for_the_block_that_it_reads(void **state)
{
	int fd = memfd_create("disk", MFD_CLOEXEC);

	(void)state;
	assert_int_equal(ftruncate(fd, 65536), 0);
	for (size_t i = 0; i < sizeof(sizes_bytes) / sizeof(sizes_bytes[0]); i++)
		assert_int_equal(probe_read(fd, sizes_bytes[i]), 0);
	assert_int_equal(ftruncate(fd, 16384 - 1), 0);
	assert_int_equal(probe_read(fd, 16384), -EIO);
	close(fd);
}

/* In a child: the server's answer to one READ of what length it has, and no more. */
static _Noreturn void answer(int fd)
{
	uint8_t request[28], *reply;
	uint32_t length;

	if (recv(fd, request, sizeof(request), MSG_WAITALL) != sizeof(request))
		_exit(1);
	length = wire_get_u32(request + 24);
	reply = calloc(1, 16 + (size_t)length);
	wire_put_u32(reply, NBD_SIMPLE_REPLY_MAGIC);
	memcpy(reply + 8, request + 8, 8);
	for (size_t at = 0; at < 16 + (size_t)length;) {
		ssize_t n = write(fd, reply + at, 16 + length - at);

		if (n < 0)
			_exit(1);
		at += (size_t)n;
	}
	_exit(0);
}

static void a_test_read_has_room_for_the_block_that_it_reads(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(sizes_bytes) / sizeof(sizes_bytes[0]); i++) {
		struct transport transport;
		struct nego nego;
		struct error err;
		int pair[2];
		pid_t pid;

		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
		pid = fork();
		if (pid == 0)
			answer(pair[1]);
		close(pair[1]);
		transport_init_plain(&transport, pair[0], monotonic_now_ms() + 30000);
		nego_init(&nego, &transport, false);
		assert_int_equal(nego_test_read(&nego, sizes_bytes[i], "the answer", &err), 0);
		assert_int_equal(transport_pending(&transport), 0);
		close(pair[0]);
		waitpid(pid, NULL, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_probe_has_room_for_the_block_that_it_reads),
		cmocka_unit_test(a_test_read_has_room_for_the_block_that_it_reads),
	};

	return cmocka_run_group_tests_name("probe", tests, NULL, NULL);
}
