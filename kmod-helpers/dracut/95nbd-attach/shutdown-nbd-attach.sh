#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Sourced in the initramfs at shutdown, when the old root is unmounted, or could not be. What nobody has open any more is
# detached, so that the server sees a farewell and no broken connection. A device still in use is left to the kernel, and a
# server that is away must not hold up the power-off.
for nbd_pid in /sys/block/nbd*/pid; do
    [ -e "$nbd_pid" ] || continue
    nbd_device=${nbd_pid%/pid}
    timeout -s KILL 10 nbd-attach detach "/dev/${nbd_device##*/}" || warn "nbd-attach: ${nbd_device##*/} is left attached"
done
unset nbd_pid nbd_device
