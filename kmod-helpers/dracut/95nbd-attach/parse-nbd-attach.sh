#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Sourced at the hook cmdline, and again by netroot once the root path has come by DHCP (then as $netroot). Does the command line
# ask for anything over NBD? Then the network has to come up, and init is told which device is the root.

# shellcheck disable=SC2034 # the plan has more than is wanted here
NBD_DEVICES='' NBD_ROOT='' NBD_FSTYPE='' NBD_MOUNTOPTS='' NBD_NEEDS_DHCP=''
case ${netroot-} in
nbd:* | nbds:*) nbd_plan=$(nbd-attach boot --plan --dhcp-root-path "$netroot") ;;
*) nbd_plan=$(nbd-attach boot --plan) ;;
esac || warn "nbd-attach: the command line is not understood in all"
eval "$nbd_plan"
unset nbd_plan

# Whose a root path is that DHCP has yet to tell, only netroot will know: nothing must wait for us until it asks.
case "${root-}:${netroot-}" in
dhcp*:nbd:* | dhcp*:nbds:*) ;;
dhcp*) [ -n "$NBD_DEVICES" ] || NBD_NEEDS_DHCP='' ;;
esac

if [ -n "$NBD_DEVICES$NBD_NEEDS_DHCP" ]; then
    case "${root-}" in
    nbd:* | nbds:*)
        # What netroot finds its handler by.
        netroot=$root
        root=''
        ;;
    esac
    # root=dhcp is dracut's own business, until netroot comes here again.
    case "${root-}:${netroot-}" in
    dhcp*:nbd:* | dhcp*:nbds:* | :* | block::*)
        if [ -n "$NBD_ROOT" ]; then
            root=block:$NBD_ROOT
            # shellcheck disable=SC2034 # dracut's
            rootok=1
        fi
        ;;
    esac
    if [ ! -e /etc/cmdline.d/90-nbd-attach.conf ]; then
        mkdir -p /etc/cmdline.d
        echo "rd.neednet=1" >/etc/cmdline.d/90-nbd-attach.conf
        # Without ip= nobody would bring an interface up when the root is not called by a netroot.
        [ -n "$(getarg ip=)" ] || echo "ip=dhcp" >>/etc/cmdline.d/90-nbd-attach.conf
    fi
    # The device's node is there from the beginning: not a sign of anything.
    # shellcheck disable=SC2154 # dracut's
    echo '[ -e /run/nbd-attach.booted ]' >"$hookdir/initqueue/finished/nbd-attach.sh"
fi
