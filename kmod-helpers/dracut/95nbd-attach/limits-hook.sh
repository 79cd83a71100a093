#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Sourced when the root is mounted, before the system starts from it.
# shellcheck source=kmod-helpers/initramfs/shutdown-limits.sh
. /usr/lib/nbd-attach/shutdown-limits.sh
nbd_attach_shutdown_limits "${NEWROOT:-/sysroot}"
