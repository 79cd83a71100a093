/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A file system view without any disk: a process that sees none can need none. */
#ifndef NBDA_ISOLATE_PRIVATE_ROOT
#define NBDA_ISOLATE_PRIVATE_ROOT
#include "base/error.h"

/* Give this process a mount namespace of its own, whose root is a ramfs with /proc, /sys, /dev and
 * /run as they are, and copies of the resolver's configuration. Nothing else is mounted in it: what
 * is unmounted elsewhere is not kept busy by us. NAME is of a directory in /run/nbd-attach that
 * must not be another process's. On failure the process is not fit for anything but to end. */
int private_root_enter(const char *name, struct error *err);

#endif
