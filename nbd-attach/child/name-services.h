/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The modules of glibc that this machine looks hosts up with, and those that a negotiator, confined
 * as it is (sandbox.h), was not seen to work with. */
#ifndef NBDA_CHILD_NAME_SERVICES
#define NBDA_CHILD_NAME_SERVICES
#include <stdbool.h>
#include <stddef.h>

/* The first one of those, as "hosts:" of /etc/nsswitch.conf calls it; false: there is none. */
bool name_services_find_doubtful(char *name, size_t size);

#endif
