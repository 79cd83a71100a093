#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# nbd-attach-no-network [ADDRESSES]: called again and again while no interface has an address, or where DHCP is to name the root, none of
# IPv4; says so on the console, once in half a minute.
PATH=/usr/sbin:/usr/bin:/sbin:/bin
read -r now _ </proc/uptime
now=${now%%.*} last=0
[ ! -e /run/nbd-attach.no-network ] || read -r last </run/nbd-attach.no-network
[ "$now" -ge $((last + 30)) ] || exit 0
echo "$now" >/run/nbd-attach.no-network
none='no interface has an address'
[ -z "${1-}" ] || none='there is IPv6 alone, and the root is for DHCP to name'
echo "nbd-attach: there is no network: $none (does DHCP answer?); waiting for one" >&2
