#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Sourced by the init queue when udev is idle, again and again. systemd-networkd in an initramfs calls no hook of dracut's when
# an interface is up, so it is looked for here: an address that is not of this link alone.
# shellcheck disable=SC2154 # dracut's

# For root=dhcp dracut asks networkd's lease once, when it is done with an interface, which it is by IPv6 alone: again, when DHCP has
# told a root path after that.
if [ ! -e "$hookdir/initqueue/finished/nbd-attach.sh" ] && getarg root=dhcp >/dev/null; then
    for nbd_done in /tmp/networkd.*.done; do
        nbd_link=${nbd_done#/tmp/networkd.}
        nbd_link=${nbd_link%.done}
        case $(cat "/tmp/dhclient.$nbd_link.dhcpopts" 2>/dev/null):$(nbd-attach-leases "$nbd_link") in
        *new_root_path=*) ;;
        *ROOT_PATH=nbd*) rm -f "$nbd_done" ;;
        esac
    done
    unset nbd_done nbd_link
fi
if [ -e "$hookdir/initqueue/finished/nbd-attach.sh" ] && [ ! -e /run/nbd-attach.booted ]; then
    [ ! -d /run/systemd/netif/links ] || /sbin/nbd-attach-resolv || :
    if [ -d /run/nbd-attach.booting ]; then
        # A server is waited for as long as it takes: the queue must not give up meanwhile. After what no waiting cures, it may.
        # shellcheck disable=SC2034 # dracut's
        [ -e /run/nbd-attach.failed ] || main_loop=0
    elif [ -d /run/systemd/netif/links ]; then
        # An address of IPv6 is of no use for a root that DHCP has to tell.
        if { [ -z "$(ip -o address show scope global)" ] || ! /sbin/nbd-attach-boot; } && [ -z "$(ip -4 -o address show scope global)" ]; then
            # It goes on asking for an address, and so may the queue.
            # shellcheck disable=SC2034 # dracut's
            main_loop=0
            /sbin/nbd-attach-no-network "$(ip -o address show scope global)"
        fi
    fi
fi
