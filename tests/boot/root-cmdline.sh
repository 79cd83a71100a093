# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2317,SC2154,SC2034 # functions are called by name; variables of lib.sh
# boot: matrix initramfs-tools dracut 6.12
#
# One boot for each family of command lines, in both lanes alike: Debian's, dracut's, ours beside an ordinary root=, ours as root=.

new_root root
serve root "${tls[@]}"
guest() { check "the root is on NBD, with the command line $(tr ' ' '\n' </proc/cmdline | grep -E '^(root|netroot|nbdroot|nbddev|rd.nbd.attach)=' | tr '\n' ' ')" root_is_nbd; }
uuid=6e62642d-6174-4461-b368-206469736b21
boot ip=dhcp ro nbdroot=storage.example.com,root,nbd0
boot ip=dhcp ro root=nbd:storage.example.com:root:ext4:noatime
boot ip=dhcp ro rd.nbd.attach=nbd0=nbds://storage.example.com/root root=UUID=$uuid
boot "$("$top/tests/boot/guide" cmdline-attach)"
boot ip=dhcp ro root=nbds://storage.example.com/root
# By the name that its backend identifier gives it (docs/kernel-facts.md): udev makes it in the image, too.
by_id=''
on_backend() { by_id=$1; }
guest() {
    check "the root is on NBD, told by-id" root_is_nbd
    host backend "$(cat /sys/block/nbd0/backend)"
}
boot ip=dhcp ro rd.nbd.attach=nbd0=nbds://storage.example.com/root root=UUID=$uuid
boot ip=dhcp ro rd.nbd.attach=nbd0=nbds://storage.example.com/root "root=/dev/disk/by-id/nbd-$by_id"
if [[ $LANE == dracut ]]; then
    boot ip=dhcp ro root=UUID=$uuid netroot=nbd:storage.example.com:root
    # Nothing that the init queue could be told by: only nbdtab has the disk.
    boot ip=dhcp ro root=LABEL=nbdroot
fi
check "the file system is clean" fsck_clean root
