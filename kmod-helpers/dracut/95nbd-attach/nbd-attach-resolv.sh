#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# systemd-networkd leaves /etc/resolv.conf to systemd-resolved, which an initramfs seldom has: where nobody else has written one,
# it is made here of what networkd knows of each link. Called again and again, since a link may come up at any time.
mark='# nbd-attach: from systemd-networkd'
if [ -s /etc/resolv.conf ]; then
    read -r first </etc/resolv.conf
    [ "$first" = "$mark" ] || exit 0
fi

servers=$(sed -n 's/^DNS=//p' /run/systemd/netif/links/* 2>/dev/null)
[ -n "$servers" ] || exit 0
search=$({ cat /run/systemd/netif/links/* 2>/dev/null; nbd-attach-leases; } | sed -n 's/^DOMAINS=//p; s/^DOMAINNAME=//p')
{
    echo "$mark"
    # The name that follows a # is for DNS over TLS.
    for server in $servers; do echo "nameserver ${server%%#*}"; done
    # shellcheck disable=SC2086 # words
    [ -z "$search" ] || echo search $search
} >/etc/resolv.conf.nbd-attach
# It may be a link to nowhere; and somebody may be reading it.
mv -f /etc/resolv.conf.nbd-attach /etc/resolv.conf
