/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Why a negotiator, confined as it is (sandbox.h), may not find a host that others here find: a
 * file of the resolver's that only root can read, or a module of glibc that was not seen to work
 * so. */
#ifndef NBDA_CHILD_NAME_SERVICES
#define NBDA_CHILD_NAME_SERVICES
#include <stdbool.h>
#include <stddef.h>
#include "base/error.h"

/* The first one of those, as "hosts:" of /etc/nsswitch.conf calls it; false: there is none. */
bool name_services_find_doubtful(char *name, size_t size);
/* The first file that resolving reads and this process may not; NULL: there is none. */
const char *name_services_find_unreadable(void);
/* Hint at what of this a name that was not resolved may be due to; returns RC. */
int name_services_explain(int rc, struct error *err);

#endif
