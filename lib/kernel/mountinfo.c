/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/mountinfo.h"
#include "base/cleanup.h"
#include "base/text.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

/* "36 35 98:0 /root /path options [optional field...] - type source options" (proc(5)). */
bool mountinfo_parse(char *line, struct mountinfo_line *parts)
{
	char *rest = strstr(line, " - ");
	unsigned major_number, minor_number;
	int offset = 0;

	if (!rest ||
		sscanf(line, "%d %d %u:%u %*s %n", &parts->id, &parts->parent_id, &major_number,
			&minor_number, &offset) < 4 ||
		!offset || line + offset >= rest)
		return false;
	parts->number = makedev(major_number, minor_number);
	parts->path = line + offset;
	parts->path[strcspn(parts->path, " ")] = 0;
	rest += 3;
	parts->type = strsep(&rest, " \n");
	parts->source = rest ? strsep(&rest, " \n") : parts->type + strlen(parts->type);
	text_unescape_octal(parts->path);
	text_unescape_octal(parts->source);
	return *parts->path == '/' && *parts->type;
}

static int fill_entry(struct mountinfo_entry *entry, char *line)
{
	struct mountinfo_line parts;

	if (!mountinfo_parse(line, &parts))
		return -EPROTO;
	entry->id = parts.id;
	entry->parent_id = parts.parent_id;
	/* a FUSE program may choose it; none that is known to be no disk's is so long */
	text_copy(entry->type, sizeof(entry->type), parts.type);
	entry->path = strdup(parts.path);
	return entry->path ? 0 : -ENOMEM;
}

int mountinfo_read(struct mountinfo *table, FILE *file)
{
	_cleanup_free_ char *line = NULL;
	size_t size = 0, room = 0;
	int rc = 0;

	*table = (struct mountinfo){0};
	while (!rc && getline(&line, &size, file) > 0) {
		if (table->count == room) {
			struct mountinfo_entry *entries = reallocarray(
				table->entries, room = room ? 2 * room : 64, sizeof(*entries));

			if (!entries)
				return -ENOMEM;
			table->entries = entries;
		}
		rc = fill_entry(&table->entries[table->count], line);
		if (!rc)
			table->count++;
	}
	return rc;
}

void mountinfo_free(struct mountinfo *table)
{
	for (size_t i = 0; i < table->count; i++)
		free(table->entries[i].path);
	free(table->entries);
	*table = (struct mountinfo){0};
}

const struct mountinfo_entry *mountinfo_find(const struct mountinfo *table, const char *path)
{
	for (size_t i = table->count; i > 0; i--)
		if (strcmp(table->entries[i - 1].path, path) == 0)
			return &table->entries[i - 1];
	return NULL;
}

static const struct mountinfo_entry *find_id(const struct mountinfo *table, int id)
{
	for (size_t i = 0; i < table->count; i++)
		if (table->entries[i].id == id)
			return &table->entries[i];
	return NULL;
}

bool mountinfo_is_within(const struct mountinfo *table, const struct mountinfo_entry *entry, int id)
{
	/* Bounded, should a table ever go in circles. The first mount of all is its own parent. */
	for (size_t depth = 0; entry && depth <= table->count; depth++) {
		if (entry->id == id)
			return true;
		entry = entry->parent_id == entry->id ? NULL : find_id(table, entry->parent_id);
	}
	return false;
}

bool mountinfo_type_is_diskless(const char *type)
{
	/* No autofs: to walk into one makes somebody else mount something. */
	static const char *const types[] = {
		"rootfs",
		"ramfs",
		"tmpfs",
		"devtmpfs",
		"proc",
		"sysfs",
		"devpts",
		"mqueue",
		"hugetlbfs",
		"cgroup",
		"cgroup2",
		"securityfs",
		"debugfs",
		"tracefs",
		"configfs",
		"pstore",
		"bpf",
		"efivarfs",
		"selinuxfs",
		"smackfs",
		"binfmt_misc",
		"nsfs",
		"rpc_pipefs",
		"fusectl",
	};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(type, types[i]) == 0)
			return true;
	return false;
}
