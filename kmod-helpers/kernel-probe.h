/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What `doctor` shows: what is there, what is missing, and the one command that mends it. */
#ifndef NBDA_KERNEL_PROBE_H
#define NBDA_KERNEL_PROBE_H
#include <stddef.h>

enum probe_state {
	PROBE_OK,
	PROBE_LOADABLE, /* not there yet, but attaching brings it */
	PROBE_WARN,     /* attaching works, something is not as it should be */
	PROBE_MISSING,
};

struct probe_item {
	char name[48];
	enum probe_state state;
	char detail[200];
	char remedy[200]; /* a command; empty when there is nothing to mend */
};

/* Look at the kernel, its modules and ciphers, the CPU and our capabilities; nothing is loaded or changed. COUNT items, freed by
 * the caller. */
int kernel_probe(struct probe_item **items, size_t *count);

#endif
