/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The server's list of exports, and what it says of some of them afterwards. */
#include "fuzz.h"
#include "nbd/nbd-protocol.h"
#include "server.h"
#include <errno.h>
#include <string.h>

#define NAMES_MAX 3

struct names {
	char names[NAMES_MAX][EXPORT_NAME_MAX + 1];
	size_t count, ends_at;
};

static int on_export(const struct export_info *info, void *data)
{
	struct names *names = data;

	FUZZ_CHECK(strnlen(info->names.name, sizeof(info->names.name)) <= EXPORT_NAME_MAX);
	fuzz_check_shown(info->names.description, sizeof(info->names.description));
	FUZZ_CHECK(!info->geometry.has_size && !info->geometry.has_block_size);
	if (names->count < NAMES_MAX)
		strcpy(names->names[names->count], info->names.name);
	return ++names->count == names->ends_at ? -ECANCELED : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct server server;
	static struct nego nego;
	static struct names names;
	struct fuzz_input input = {data, size};
	struct export_info info;
	struct error err;
	uint8_t how;
	int rc;

	server_begin(&server, &input, &nego);
	how = fuzz_u8(&input);
	names.count = 0;
	names.ends_at = how >> 1;
	if (how & 1) {
		server_say_rest(&server, &input);
	} else {
		server_replies(&server, &input, NBD_OPT_LIST);
		while (input.left)
			server_replies(&server, &input, NBD_OPT_INFO);
	}
	fuzz_soil_error(&err);
	rc = nego_list(&nego, on_export, &names, &err);
	if (rc && rc != -ECANCELED)
		fuzz_check_error(rc, &err);
	for (size_t i = 0; !rc && i < names.count && i < NAMES_MAX; i++) {
		fuzz_soil_error(&err);
		rc = nego_info(&nego, names.names[i], &info, &err);
		if (rc)
			fuzz_check_error(rc, &err);
	}
	nego_abort(&nego);
	return 0;
}
