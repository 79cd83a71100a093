#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Called again and again while no interface has an address: says so on the console, once in half a minute.
PATH=/usr/sbin:/usr/bin:/sbin:/bin
read -r now _ </proc/uptime
now=${now%%.*} last=0
[ ! -e /run/nbd-attach.no-network ] || read -r last </run/nbd-attach.no-network
[ "$now" -ge $((last + 30)) ] || exit 0
echo "$now" >/run/nbd-attach.no-network
echo "nbd-attach: there is no network: no interface has an address (does DHCP answer?); waiting for one" >&2
