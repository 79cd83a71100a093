/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What `nbd-attach doctor` shows of the kernel: what is there, what is missing, and the one command
 * that fixes it. */
#ifndef NBDA_MODULES_KERNEL_CHECKS
#define NBDA_MODULES_KERNEL_CHECKS
#include <stddef.h>
#include "modules/check-item.h"

/* Look at kernel, modules, ciphers, capabilities; nothing is loaded or changed. COUNT items, caller
 * frees. 0 or -ENOMEM. */
int kernel_check(struct check_item **items, size_t *count);

#endif
