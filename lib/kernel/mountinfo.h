/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The mounts that this process can see, as /proc/self/mountinfo has them. */
#ifndef NBDA_KERNEL_MOUNTINFO
#define NBDA_KERNEL_MOUNTINFO
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

/* One of them, in the text that it was taken from. */
struct mountinfo_line {
	int id, parent_id;
	dev_t number;      /* of its file system: not always a device's */
	char *path, *type; /* where it is mounted, below this process's root */
	char *source;      /* a device, or any other text; may be empty */
};

/* Cuts LINE up. False: it is no line of mountinfo. */
bool mountinfo_parse(char *line, struct mountinfo_line *parts);

struct mountinfo_entry {
	int id, parent_id;
	char *path; /* where it is mounted, below this process's root */
	char type[32];
};

struct mountinfo {
	/* in the order of mounting: one that covers another, or lies below it, comes after it */
	struct mountinfo_entry *entries;
	size_t count;
};

/* All lines of FILE. -EPROTO: a line is not one of mountinfo; -ENOMEM. Free it in either case. */
int mountinfo_read(struct mountinfo *table, FILE *file);
void mountinfo_free(struct mountinfo *table);
/* The last one mounted at PATH, or NULL. */
const struct mountinfo_entry *mountinfo_find(const struct mountinfo *table, const char *path);
/* Is it the mount ID, or does it hang somewhere below it? */
bool mountinfo_is_within(
	const struct mountinfo *table, const struct mountinfo_entry *entry, int id);
/* A file system that lives in memory or in the kernel alone. What is not known to be one counts as
 * a disk. */
bool mountinfo_type_is_diskless(const char *type);

#endif
