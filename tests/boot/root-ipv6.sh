# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2317,SC2154,SC2034 # functions are called by name; variables of lib.sh
# boot: matrix initramfs-tools trixie 6.12
#
# A router announces IPv6 from the beginning; the DHCP server comes when the initramfs has given up asking for it. The NBD server has an
# address of IPv4 alone, and a name that only DHCP's name server knows: it is waited for, and DHCP asked on meanwhile.

ip tuntap add tap0 mode tap
ip addr add 10.0.2.2/24 dev tap0
ip addr add 2001:db8::1/64 dev tap0 nodad
ip link set tap0 up
network='tap,ifname=tap0,script=no,downscript=no' listen=10.0.2.2
dnsmasq_on_tap() { # NAME OPTIONS...
    local name=$1
    shift
    dnsmasq --conf-file=/dev/null --interface=tap0 --except-interface=lo --bind-dynamic --user=root \
        --dhcp-leasefile="$work/$name.leases" --pid-file="$work/$name.pid" "$@" >"$work/$name.log" 2>&1
}
dnsmasq_on_tap router --port=0 --enable-ra --dhcp-range=2001:db8::,ra-only
dhcp_server() {
    dnsmasq_on_tap dhcp --no-resolv --no-hosts --address=/storage.example.com/10.0.2.2 --dhcp-range=10.0.2.15,10.0.2.20
}
new_root root
printf '127.0.0.1 localhost\n' | put_initrd /etc/hosts
# It gives up after 9 s in place of 265.
functions=$(debugfs -R 'cat /usr/share/initramfs-tools/scripts/functions' "$work/root.disk" 2>/dev/null)
put_initrd /scripts/functions <<<"${functions/ 2 3 4 6 9 16 25 36 64 100;/ 2 3 4;}"
serve root "${tls[@]}"
guest() { check "the root is on NBD" root_is_nbd; }
waits='nbd-attach.*(10\.0\.2\.2|storage\.example\.com)'
when_console "$waits" 900 dhcp_server
timeout=1200
boot "$(lane_cmdline)"
check "the DHCP server came when the console had asked for the NBD server" hooks_done
check "the file system is clean" fsck_clean root
