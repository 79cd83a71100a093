# SPDX-License-Identifier: GPL-2.0-or-later
# boot: matrix local 6.12
# shellcheck shell=bash disable=SC2034,SC2154
# A further disk that the initramfs attaches, to a machine whose root is its own.
# shellcheck source=tests/boot/lib-disk.sh
. "$top/tests/boot/lib-disk.sh"
timeout=600 clean_log=''
new_root root
new_disk further 32
mke2fs -q -t ext4 "$work/further.disk"
serve further "${tls[@]}"
put root /etc/network/interfaces <<'END'
auto lo
iface lo inet loopback
END

guest() {
    wait_booted
    check "the disk is attached" test -e /sys/block/nbd5/pid
    check "a shutdown of the local root has no other limit than systemd's" eval '
        [[ $(systemctl show --value -p JobTimeoutUSec poweroff.target) == 30min && ! -e /run/systemd/system/halt.target.d ]]'
}
boot 'ip=dhcp rd.nbd.attach=nbd5=nbds://10.0.2.2/further?tls-certificates=/etc/nbd-attach'
check "no error of a disk" no_errors
