#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Sourced when an interface is up: $1, or $netif in older dracuts.
# shellcheck disable=SC2154 # dracut's
[ ! -e "$hookdir/initqueue/finished/nbd-attach.sh" ] || /sbin/nbd-attach-boot "${1:-${netif-}}" || :
