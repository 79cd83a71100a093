/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What `nbd-attach doctor` shows of the kernel: what is there, what is missing, and the one command
 * that fixes it. */
#ifndef NBDA_MODULES_KERNEL_CHECKS
#define NBDA_MODULES_KERNEL_CHECKS
#include <stddef.h>

enum probe_state {
	PROBE_OK,
	PROBE_LOADABLE, /* not there yet; attach loads it by itself */
	PROBE_WARN,     /* attach works, but not as well as it could; or this could not be told */
	PROBE_MISSING,  /* attach fails without it */
};

/* All three texts are printable; remedy is one command, empty when there is nothing to fix. */
struct probe_item {
	char name[48];
	enum probe_state state;
	char detail[200];
	char remedy[200];
};

/* Look at kernel, modules, ciphers, capabilities; nothing is loaded or changed. COUNT items, caller
 * frees. 0 or -ENOMEM. */
int kernel_probe(struct probe_item **items, size_t *count);

#endif
