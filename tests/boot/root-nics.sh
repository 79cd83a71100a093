# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2317,SC2154,SC2034 # functions are called by name; variables of lib.sh
# boot: matrix dracut
# boot: matrix dracut trixie 6.12
#
# Two interfaces, both with DHCP, and the server is behind the second one's gateway: what begins when the first is up must not keep the
# second from coming up. On 6.1 by network-legacy, which brings them up one after the other.

ip addr add 192.0.2.1/32 dev lo
listen=192.0.2.1
network='user,restrict=on,net=10.0.3.0/24'
qemu_args=(-netdev "user,id=n1" -device "virtio-net-pci,netdev=n1,romfile=")
new_root root
put root /etc/network/interfaces <<'END'
auto lo
iface lo inet loopback
END
sed 's/storage\.example\.com/192.0.2.1/' "$image/nbdtab.$LANE" | put_initrd /etc/nbdtab
serve root "${tls[@]}"
guest() {
    check "the root is on NBD" root_is_nbd
    check "by the second interface" eval 'ip route get 192.0.2.1 | tee /dev/stderr | grep -q "dev eth1"'
}
boot "ip=eth0:dhcp ip=eth1:dhcp root=nbd:192.0.2.1:root ro rd.neednet=1"
check "the file system is clean" fsck_clean root
