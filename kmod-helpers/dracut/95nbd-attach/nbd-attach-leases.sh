#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# nbd-attach-leases [INTERFACE]: what DHCP has told systemd-networkd, of this interface or of each, in lines as of its lease files:
# NEXT_SERVER=, ROOT_PATH=, DOMAINNAME=.
PATH=/usr/sbin:/usr/bin:/sbin:/bin
for link in /sys/class/net/${1:-*}; do
    read -r index 2>/dev/null <"$link/ifindex" || continue
    if [ -e "/run/systemd/netif/leases/$index" ]; then
        cat "/run/systemd/netif/leases/$index"
    else
        # Since systemd 261 a lease is no file; it is shown in lines of "TAG NAME VALUE".
        networkctl --no-pager --no-legend --full dhcp-lease "${link##*/}" 2>/dev/null |
            sed -n 's/^ *Server Address: */NEXT_SERVER=/p; s/^ *17 root path  *\([^ ]*\)$/ROOT_PATH=\1/p
                s/^ *15 domain name  *\([^ ]*\)$/DOMAINNAME=\1/p'
    fi
done
