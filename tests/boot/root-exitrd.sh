# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2317,SC2154,SC2034 # functions are called by name; variables of lib.sh
# boot: matrix dracut
# boot: matrix dracut trixie 6.12
#
# Where dracut's initramfs is found again at shutdown, it takes over, unmounts the root and detaches its disk.

new_root root
put root "/boot/initrd.img-$(cat "$image/$SERIES/release")" <"$image/$SERIES/dracut.initrd"
serve root "${tls[@]}"
guest() {
    check "the root is /dev/nbd0" root_is_nbd
    wait_booted
}
# Detaching shuts the sockets, and the kernel says so.
clean_log=''
boot "$(lane_cmdline) loglevel=7"
check "the root was unmounted by the initramfs" shows 'Unmounted /oldroot\.'
check "the disk was detached" shows 'block nbd0: NBD_DISCONNECT'
check "the kernel's log has no error of the disk" shows_not 'I/O error|EXT4-fs error|left attached'
check "the file system is clean" fsck_clean root
check "nothing was written after the last flush" ends_flushed root
