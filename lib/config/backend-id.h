/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The device's backend identifier: an opaque, stable, safe name for one export of one server, shown
 * in /sys/block/nbdN/backend and good for /dev/disk/by-id. A hash, since the parts may hold
 * anything. Of several hosts all count, in the order given. */
#ifndef NBDA_CONFIG_BACKEND_ID
#define NBDA_CONFIG_BACKEND_ID
#include "config/endpoint.h"

#define BACKEND_ID_SIZE 33 /* 128 bits in hexadecimal, and the NUL */

void backend_id_format(const struct endpoint *endpoint, char id[BACKEND_ID_SIZE]);

#endif
