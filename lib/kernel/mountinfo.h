/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The mounts that this process can see, as /proc/self/mountinfo has them. */
#ifndef NBDA_MOUNT_TABLE_H
#define NBDA_MOUNT_TABLE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct mount_entry {
	int id, parent_id;
	char *path; /* where it is mounted, below this process's root */
	char type[32];
};

struct mount_table {
	struct mount_entry *entries; /* in the order of mounting: one that covers another, or lies below it, comes after it */
	size_t count;
};

/* All lines of FILE. -EPROTO: a line is not one of mountinfo; -ENOMEM. Free it in either case. */
int mount_table_read(struct mount_table *table, FILE *file);
void mount_table_free(struct mount_table *table);
/* The last one mounted at PATH, or NULL. */
const struct mount_entry *mount_table_find(const struct mount_table *table, const char *path);
/* Is it the mount ID, or does it hang somewhere below it? */
bool mount_table_is_within(const struct mount_table *table, const struct mount_entry *entry, int id);
/* A file system that lives in memory or in the kernel alone. What is not known to be one counts as a disk. */
bool mount_type_is_diskless(const char *type);

#endif
