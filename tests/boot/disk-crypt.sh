# SPDX-License-Identifier: GPL-2.0-or-later
# boot: matrix local
# boot: matrix local trixie 6.12
# shellcheck shell=bash disable=SC2034,SC2154
# LUKS by crypttab on one disk, swap on another, and a third whose line lacks _netdev.
# shellcheck source=tests/boot/lib-disk.sh
. "$top/tests/boot/lib-disk.sh"
timeout=600 clean_log=''
new_root root
for disk in luks swap plain; do new_disk "$disk" 64; done
printf 'a key for the test' >"$work/key"
# The file system in it is made in the guest: here there is no device-mapper to be had.
cryptsetup luksFormat --batch-mode --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file "$work/key" "$work/luks.disk"
mkswap -q "$work/swap.disk"
mke2fs -q -t ext4 "$work/plain.disk"
serve_on 10809 luks "${tls[@]}"
serve_on 10810 swap "${tls[@]}"
serve_on 10811 plain "${tls[@]}"
tab nbd0 10809
tab nbd1 10810 swap
tab nbd2 10811
fstab '/dev/mapper/secret /srv/secret ext4 _netdev 0 0'
fstab '/dev/nbd1 none swap _netdev 0 0'
fstab '/dev/nbd2 /srv/plain ext4 nofail 0 2'
put_tables
printf 'secret /dev/nbd0 /etc/nbd-attach/luks.key luks,_netdev\n' | put root /etc/crypttab
put root /etc/nbd-attach/luks.key 600 <"$work/key"

guest() {
    . /usr/lib/nbd-attach-test/lib-disk.sh
    wait_until 90 test -e /dev/mapper/secret && mkfs.ext4 -q /dev/mapper/secret
    wait_booted
    check "all units are up" eval 'systemctl --failed --no-legend; [[ $(systemctl is-system-running) == running ]]'
    check "there is no ordering cycle" eval '! journal | grep -i "ordering cycle"'
    check "what crypttab has is open and mounted" eval 'grep -q "^/dev/mapper/secret /srv/secret" /proc/self/mounts && write_to /srv/secret'
    check "swap is on" eval 'cat /proc/swaps; grep -q ^/dev/nbd1 /proc/swaps'
    check "... and its supervisor needs nothing of any disk" eval '
        pid=$(pid_of nbd1); ls -l /proc/$pid/root /proc/$pid/fd; cat /proc/$pid/mountinfo
        ! grep -E " / / .* (ext4|xfs) " /proc/$pid/mountinfo; grep VmLck /proc/$pid/status; ! grep -qE "VmLck:\s+0 kB" /proc/$pid/status'
    check "_netdev forgotten: the warning is in the log" eval 'journal | grep "nbd-attach-generator: .*fstab:4: .*_netdev"'
    local pid
    for disk in nbd0 nbd1; do
        pid=$(pid_of $disk)
        systemctl kill --signal=KILL --kill-whom=main nbd-attach@$disk
        check "$disk: killed, another adopts it" wait_until 40 succeeded $disk "$pid"
        pid=$(pid_of $disk)
        systemctl restart nbd-attach@$disk
        check "$disk: restarted, it stays" succeeded $disk "$pid"
    done
    check "they are in use all the time" eval 'grep -q ^/dev/nbd1 /proc/swaps && write_to /srv/secret'
    # At once systemd would close it while it is being unmounted.
    systemctl stop srv-secret.mount
    systemctl stop systemd-cryptsetup@secret
    systemctl stop nbd-attach@nbd0
    check "closed and stopped: the disk is detached" eval '! is_attached nbd0 && [[ ! -e /dev/mapper/secret ]]'
    systemctl start srv-secret.mount
    check "the mount's start brings all of it back" write_to /srv/secret
}
boot
check "no error of a disk" no_errors
check "LUKS is closed before the disk is detached" before 'Stopped.*ryptsetup.*secret' 'Stopped.*Remote disk /dev/nbd0'
check "swap is off before its disk is detached" before 'Deactivated swap.*nbd1' 'Stopped.*Remote disk /dev/nbd1'
check "nothing is written to LUKS after the last flush" ends_flushed luks
