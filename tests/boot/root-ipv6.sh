# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2317,SC2154,SC2034 # functions are called by name; variables of lib.sh
# boot: matrix initramfs-tools trixie 6.12
#
# A router announces IPv6 from the beginning; the DHCP server comes when the initramfs has given up asking for it. The NBD server has an
# address of IPv4 alone, and a name that only DHCP's name server knows: it is waited for, and DHCP asked on meanwhile.

tap_network 2001:db8::1/64
dnsmasq_on_tap router --port=0 --enable-ra --dhcp-range=2001:db8::,ra-only
new_root root
printf '127.0.0.1 localhost\n' | put_initrd /etc/hosts
# It gives up after 9 s in place of 265.
functions=$(debugfs -R 'cat /usr/share/initramfs-tools/scripts/functions' "$work/root.disk" 2>/dev/null)
put_initrd /scripts/functions <<<"${functions/ 2 3 4 6 9 16 25 36 64 100;/ 2 3 4;}"
serve root "${tls[@]}"
guest() { check "the root is on NBD" root_is_nbd; }
waits='nbd-attach.*(10\.0\.2\.2|storage\.example\.com)'
when_console "$waits" 900 dhcp_on_tap
timeout=1200
boot "$(lane_cmdline)"
check "the DHCP server came when the console had asked for the NBD server" hooks_done
check "the file system is clean" fsck_clean root
