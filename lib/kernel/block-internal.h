/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What block-attr.c, block-users.c and block-openers.c share. Not for others. */
#ifndef NBDA_KERNEL_BLOCK_INTERNAL
#define NBDA_KERNEL_BLOCK_INTERNAL
#include <dirent.h>
#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>
#include "base/error.h"
#include "base/system-root.h"

/* What is used: the whole disk or one of its partitions, by number, since names in /proc may be
 * aliases. */
struct block_node {
	char name[32];
	dev_t number; /* 0: not known */
};

/* The device (first) and its partitions; the caller frees. -ENOENT when there is no such device. */
int block_find_nodes(int index, struct block_node **nodes, size_t *count);
/* The node that PATH is another name of, or NULL. Only a path with a component "dev" is looked up:
 * a server of files that is away could make that wait. */
const struct block_node *block_node_of_path(
	const char *path, const struct block_node *nodes, size_t count);
/* Openers inside the kernel that neither holders/ nor a claim shows: 0, or -EBUSY with ERR naming
 * one. */
int block_check_kernel_openers(const struct block_node *nodes, size_t count, struct error *err);

static inline void cleanup_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

#define _cleanup_dir_ __attribute__((cleanup(cleanup_dir)))

#endif
