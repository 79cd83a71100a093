# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2317,SC2154,SC2034 # functions are called by name; variables of lib.sh
# boot: matrix initramfs-tools dracut 6.12
# boot: matrix initramfs-tools dracut trixie 6.12
#
# The root is a partition of the export.

new_root root
into_partition root
serve root "${tls[@]}"
guest() {
    on_partition() { [[ $(findmnt -no SOURCE /) == /dev/nbd0p1 ]]; }
    check "the root is /dev/nbd0p1" on_partition
}
boot ip=dhcp ro nbdroot=storage.example.com/root root=/dev/nbd0p1
check "the file system is clean" fsck_clean root
