/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names of NBD devices, as users write them. */
#ifndef NBDA_CONFIG_DEVICE_NAME
#define NBDA_CONFIG_DEVICE_NAME
#include "base/error.h"

/* Parse "/dev/nbd7", "nbd7" into 7, "auto" into -1. -EINVAL with a sentence otherwise (partitions
 * such as nbd0p1 are told apart, so are other devices). */
int device_name_parse(const char *text, int *index, struct error *err);
/* Of exactly "nbd7": 7; of anything else -1. */
int device_name_index(const char *name);

#endif
