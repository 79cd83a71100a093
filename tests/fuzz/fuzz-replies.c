/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Replies to the options that begin TLS and enter an export, and to the first read. */
#include "fuzz.h"
#include "nbd/nbd-protocol.h"
#include "server.h"
#include <string.h>

/* What was taken for the answer to a read is one: simple, without an error, to that request. */
static void check_read(const struct server *server, uint32_t size_bytes)
{
	static const uint8_t good[] = "\x67\x44\x66\x98\0\0\0\0hhhhhhhh";
	size_t header_bytes = sizeof(good) - 1;

	FUZZ_CHECK(server->at >= header_bytes + size_bytes);
	FUZZ_CHECK(memcmp(server->bytes + server->at - size_bytes - header_bytes, good,
			   header_bytes) == 0);
}

static int enter(struct server *server, struct nego *nego, struct error *err)
{
	struct export_info info;
	uint32_t block_size_bytes = 0;
	int rc = nego_go(nego, "an export", &info, err);

	if (!rc)
		rc = nego_check_silence(nego, "behind the server's last option reply", err);
	if (!rc)
		rc = export_info_choose_block_size(&info.geometry, 0, &block_size_bytes, err);
	if (!rc)
		rc = export_info_check_attachable(&info.geometry, block_size_bytes, err);
	if (rc)
		return rc;
	FUZZ_CHECK(block_size_bytes >= 512 && info.geometry.size_bytes % block_size_bytes == 0);
	rc = nego_test_read(nego, block_size_bytes, "the server's reply to a first read", err);
	if (!rc)
		check_read(server, block_size_bytes);
	return rc ? rc : nego_check_silence(nego, "behind the reply to our first read", err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct server server;
	static struct nego nego;
	struct fuzz_input input = {data, size};
	struct error err;
	bool starttls, raw;
	int rc;

	starttls = fuzz_u8(&input) & 1;
	server_begin(&server, &input, &nego);
	raw = fuzz_u8(&input) & 1;
	if (raw) {
		server_say_rest(&server, &input);
	} else {
		server_replies(&server, &input, starttls ? NBD_OPT_STARTTLS : NBD_OPT_GO);
		if (!starttls)
			server_transmission(&server, &input, 512);
		server_say_rest(&server, &input);
	}
	fuzz_soil_error(&err);
	if (starttls)
		rc = nego_starttls(&nego, &err);
	else
		rc = enter(&server, &nego, &err);
	if (rc)
		fuzz_check_error(rc, &err);
	/* Under TLS only NBD_OPT_GO enters an export: OPT_EXPORT_NAME has no error reply. */
	FUZZ_CHECK(!nego.tls_active || !(server.options & 1U << NBD_OPT_EXPORT_NAME));
	if (starttls && !rc)
		FUZZ_CHECK(server.at == 20 && !server.leaves_in_session);
	return 0;
}
