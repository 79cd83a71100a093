/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a server says of an export, twice; what the kernel could make of it; and whether the second
 * offer is the first one's. */
#include "fuzz.h"
#include "nbd/nbd-protocol.h"
#include "server.h"
#include <string.h>

static void check_geometry(struct fuzz_input *input, const struct export_geometry *geometry)
{
	uint32_t override_bytes = 1U << (fuzz_u8(input) & 15), block_size_bytes = 0;
	struct error err;
	int rc;

	fuzz_soil_error(&err);
	rc = export_info_choose_block_size(
		geometry, override_bytes == 1 ? 0 : override_bytes, &block_size_bytes, &err);
	if (!rc) {
		FUZZ_CHECK(block_size_bytes >= 512 && block_size_bytes <= 65536);
		FUZZ_CHECK(
			!geometry->has_block_size || block_size_bytes >= geometry->block_min_bytes);
		fuzz_soil_error(&err);
		rc = export_info_check_attachable(geometry, block_size_bytes, &err);
	}
	if (rc) {
		fuzz_check_error(rc, &err);
		return;
	}
	FUZZ_CHECK(geometry->size_bytes > 0 && geometry->size_bytes <= INT64_MAX);
	FUZZ_CHECK(geometry->size_bytes % block_size_bytes == 0);
}

static int ask(struct server *server, struct nego *nego, struct fuzz_input *input,
	struct export_info *info)
{
	struct error err;
	int rc;

	server_rewind(server);
	server_replies(server, input, NBD_OPT_INFO);
	fuzz_soil_error(&err);
	rc = nego_info(nego, "an export", info, &err);
	if (rc) {
		fuzz_check_error(rc, &err);
		return rc;
	}
	FUZZ_CHECK(strcmp(info->names.name, "an export") == 0);
	fuzz_check_shown(info->names.canonical_name, sizeof(info->names.canonical_name));
	fuzz_check_shown(info->names.description, sizeof(info->names.description));
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct server server;
	static struct nego nego;
	static struct export_info before, now;
	struct fuzz_input input = {data, size};
	struct error err;
	int rc;

	server_begin(&server, &input, &nego);
	if (ask(&server, &nego, &input, &before))
		return 0;
	check_geometry(&input, &before.geometry);
	if (ask(&server, &nego, &input, &now))
		return 0;
	fuzz_soil_error(&err);
	rc = export_info_compare(&before.geometry, &now.geometry, &err);
	if (rc)
		fuzz_check_error(rc, &err);
	else
		FUZZ_CHECK(before.geometry.size_bytes == now.geometry.size_bytes &&
			before.geometry.flags == now.geometry.flags);
	return 0;
}
