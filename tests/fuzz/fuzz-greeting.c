/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A whole conversation in clear, or up to the TLS handshake, as its bytes came from the network,
 * through a socket: greeting, STARTTLS or GO, a first read. */
#include "fuzz.h"
#include "base/clock.h"
#include "nbd/nego.h"
#include "server.h"
#include <sys/socket.h>
#include <unistd.h>

static int converse(struct nego *nego, struct export_info *info, struct error *err)
{
	int rc = nego_greeting(nego, err);

	if (!rc && nego->tls_wanted) {
		FUZZ_CHECK(nego->fixed_newstyle);
		return nego_starttls(nego, err);
	}
	if (!rc)
		rc = nego_go(nego, "an export", info, err);
	if (!rc)
		rc = nego_check_silence(nego, "behind the server's last option reply", err);
	if (!rc)
		rc = nego_test_read(nego, 512, "the server's reply to a first read", err);
	return rc;
}

/* What the client may send: its flags, and with TLS wanted STARTTLS and nothing else. */
static void check_sent(int server, bool tls_wanted)
{
	uint8_t sent[4 + 16 + 1];
	ssize_t n = recv(server, sent, sizeof(sent), MSG_DONTWAIT);

	if (n >= 4)
		FUZZ_CHECK(sent[0] == 0 && sent[1] == 0 && sent[2] == 0 && sent[3] <= 3);
	if (tls_wanted)
		FUZZ_CHECK(n <= 0 || n == 4 || (n == 20 && sent[15] == 5));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct nego nego;
	struct fuzz_input input = {data, size};
	struct transport transport;
	struct export_info info;
	struct error err;
	bool tls_wanted = fuzz_u8(&input) & 1;
	int pair[2], rc;

	if (size > SERVER_BYTES_MAX)
		return 0;
	FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
	FUZZ_CHECK(write(pair[1], input.at, input.left) == (ssize_t)input.left);
	shutdown(pair[1], SHUT_WR);
	transport_init_plain(&transport, pair[0], monotonic_now_ms() + 10000);
	nego_init(&nego, &transport, tls_wanted);
	fuzz_soil_error(&err);
	rc = converse(&nego, &info, &err);
	if (rc)
		fuzz_check_error(rc, &err);
	else
		FUZZ_CHECK(tls_wanted || info.geometry.has_size);
	check_sent(pair[1], tls_wanted);
	close(pair[0]);
	close(pair[1]);
	return 0;
}
