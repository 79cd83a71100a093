/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What `nbd-attach doctor` shows of the kernel: what is there, what is missing, and the one command
 * that fixes it. */
#ifndef NBDA_MODULES_KERNEL_CHECKS
#define NBDA_MODULES_KERNEL_CHECKS
#include <stddef.h>

enum check_state {
	CHECK_OK,
	CHECK_LOADABLE, /* not there yet; attach loads it by itself */
	CHECK_WARN,     /* attach works, but not as well as it could; or this could not be told */
	CHECK_MISSING,  /* attach fails without it */
};

/* All three texts are printable; remedy is one command, empty when there is nothing to fix. */
struct check_item {
	char name[48];
	enum check_state state;
	char detail[200];
	char remedy[200];
};

/* Look at kernel, modules, ciphers, capabilities; nothing is loaded or changed. COUNT items, caller
 * frees. 0 or -ENOMEM. */
int kernel_check(struct check_item **items, size_t *count);

#endif
