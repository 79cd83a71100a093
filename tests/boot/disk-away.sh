# SPDX-License-Identifier: GPL-2.0-or-later
# boot: matrix local
# shellcheck shell=bash disable=SC2034,SC2154
# A server that is not there when the machine boots: nobody waits for it who does not need it, what waits says for what, and the disk is
# mounted when the server comes.
# shellcheck source=tests/boot/lib-disk.sh
. "$top/tests/boot/lib-disk.sh"
timeout=600 clean_log=''
new_root root
for disk in here away; do
    new_disk "$disk" 32
    mke2fs -q -t ext4 -L "$disk" "$work/$disk.disk"
done
serve_on 10810 here "${tls[@]}"
tab nbd0 10809
tab nbd1 10810
fstab '/dev/nbd0 /srv/away ext4 _netdev,nofail,x-systemd.device-timeout=infinity 0 2'
fstab 'LABEL=here /srv/here ext4 _netdev 0 2'
put_tables
on_serve_away() { serve_on 10809 away "${tls[@]}"; }

guest() {
    . /usr/lib/nbd-attach-test/lib-disk.sh
    check "logins are not held up" wait_until 120 systemctl is-active -q systemd-user-sessions.service
    check "nor are other remote disks" wait_until 60 write_to /srv/here
    check "nor is multi-user.target" wait_until 60 systemctl is-active -q multi-user.target
    check "the unit is waiting" test "$(show nbd0 ActiveState)" = activating
    check "... and says what for" eval 'journal -u nbd-attach@nbd0 | grep "waiting for the server: .*refused"'
    check "the disk is not there" eval '! is_attached nbd0'
    host serve_away
    check "the server comes: the disk is mounted" wait_until 60 write_to /srv/away
    check "all is up" wait_booted
}
boot
check "no error of a disk" no_errors
check "the disk is unmounted before it is detached" before 'Unmounted.*/srv/away' 'Stopped.*Remote disk /dev/nbd0'
for disk in away here; do
    check "$disk: nothing is written after the last flush" ends_flushed "$disk"
    check "$disk: the file system is clean" fsck_clean "$disk"
done
