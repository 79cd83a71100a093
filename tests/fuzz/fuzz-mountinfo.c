/* SPDX-License-Identifier: GPL-2.0-or-later */
/* /proc/PID/mountinfo, whose paths and types any user with a FUSE file system or a mount namespace
 * may choose. */
#include "fuzz.h"
#include "kernel/mountinfo.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	FILE *file = size ? fmemopen((void *)data, size, "r") : NULL;
	struct mountinfo table;

	if (!file)
		return 0;
	mountinfo_read(&table, file);
	for (size_t i = 0; i < table.count; i++) {
		const struct mountinfo_entry *entry = &table.entries[i];

		FUZZ_CHECK(*entry->path == '/');
		FUZZ_CHECK(mountinfo_find(&table, entry->path));
		FUZZ_CHECK(mountinfo_is_within(&table, entry, entry->id));
		mountinfo_is_within(&table, entry, table.entries[0].id);
		mountinfo_type_is_diskless(entry->type);
	}
	mountinfo_free(&table);
	fclose(file);
	return 0;
}
