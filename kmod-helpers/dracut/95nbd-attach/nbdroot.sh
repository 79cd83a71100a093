#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# netroot's handler: INTERFACE ROOT-PATH NEWROOT, where the root path is nbd:..., nbd://... or nbds://...
[ $# -ge 3 ] || exit 1
exec /sbin/nbd-attach-boot "$1" "$2"
