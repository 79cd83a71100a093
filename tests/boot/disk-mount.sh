# SPDX-License-Identifier: GPL-2.0-or-later
# boot: ci local 6.12
# boot: matrix local 6.1
# boot: matrix local trixie 6.12
# shellcheck shell=bash disable=SC2034,SC2154
# Disks in nbdtab and fstab: a partition by its device, one by its UUID, one by its label on demand. They are mounted at boot, survive
# whatever is done to their supervisors, and are unmounted before they are detached and before the network goes.
# shellcheck source=tests/boot/lib-disk.sh
. "$top/tests/boot/lib-disk.sh"
timeout=600 clean_log=''
new_root root
for disk in part uuid label; do new_disk "$disk" 64; done
partition "$work/part.disk"
mke2fs -q -t ext4 -E offset=1048576 -L part "$work/part.disk" 32M
mke2fs -q -t ext4 -U 11111111-2222-4333-8444-555555555555 "$work/uuid.disk"
mke2fs -q -t ext4 -L remote "$work/label.disk"
serve_on 10809 part "${tls[@]}"
serve_on 10810 uuid "${tls[@]}"
serve_on 10811 label "${tls[@]}"
tab nbd0 10809
tab nbd1 10810
tab nbd2 10811
fstab '/dev/nbd0p1 /srv/part ext4 _netdev 0 2'
fstab 'UUID=11111111-2222-4333-8444-555555555555 /srv/uuid ext4 _netdev 0 2'
fstab 'LABEL=remote /srv/label ext4 _netdev,x-systemd.automount 0 2'
put_tables

guest() {
    . /usr/lib/nbd-attach-test/lib-disk.sh
    local pid refused
    wait_booted
    check "a partition by its device is mounted at boot" is_mounted_on /srv/part
    check "a disk by its UUID is mounted at boot" is_mounted_on /srv/uuid
    check "a disk by its label is mounted on demand" eval '! is_mounted_on /srv/label && ls /srv/label && is_mounted_on /srv/label'
    check "all units are up" eval 'systemctl --failed --no-legend; [[ $(systemctl is-system-running) == running ]]'
    check "names by id, of disks and of partitions" eval 'ls -l /dev/disk/by-id
        for disk in nbd0 nbd1 nbd2; do
            [[ $(readlink -f "/dev/disk/by-id/nbd-$(cat /sys/block/$disk/backend)") == /dev/$disk ]]
        done
        [[ $(readlink -f "/dev/disk/by-id/nbd-$(cat /sys/block/nbd0/backend)-part1") == /dev/nbd0p1 ]]'
    check "udev took note before the unit was ready" eval '! journal -u "nbd-attach@*" | grep "has not noted"'
    check "the service manager keeps each connection" eval '
        for disk in nbd0 nbd1 nbd2; do show $disk NFileDescriptorStore; [[ $(show $disk NFileDescriptorStore) -eq 2 ]]; done'
    check "the units' log has no warning" eval '! journal -p warning -u "nbd-attach*" | grep -v -- "-- No entries"'

    pid=$(pid_of nbd1)
    systemctl kill --signal=KILL --kill-whom=main nbd-attach@nbd1
    check "killed while mounted: another adopts the disk" wait_until 30 succeeded nbd1 "$pid"
    check "... with its connection, and nothing was reconnected" eval '[[ $(status_of nbd1 .reconnects) == 0 ]] && write_to /srv/uuid'
    pid=$(pid_of nbd1)
    systemctl restart nbd-attach@nbd1
    check "restarted while mounted: the disk stays" eval 'succeeded nbd1 '"$pid"' && is_mounted_on /srv/uuid && write_to /srv/uuid'
    check "... with its connection, and nothing was reconnected" eval '[[ $(status_of nbd1 .reconnects) == 0 ]]'
    pid=$(pid_of nbd0)
    systemctl restart nbd-attach@nbd0
    check "restarted while a partition is mounted: it stays" eval 'succeeded nbd0 '"$pid"' && is_mounted_on /srv/part && write_to /srv/part'

    pid=$(pid_of nbd1)
    cp /usr/sbin/nbd-attach /usr/sbin/nbd-attach.new && mv /usr/sbin/nbd-attach.new /usr/sbin/nbd-attach
    systemctl daemon-reexec
    check "systemd re-executed: it keeps the connections" test "$(show nbd1 NFileDescriptorStore)" -eq 2
    systemctl restart 'nbd-attach@*.service'
    check "upgraded: each supervisor has the new program" eval 'succeeded nbd1 '"$pid"' && for disk in nbd0 nbd1 nbd2; do
        is_alive $disk; [[ $(readlink /proc/$(pid_of $disk)/exe) == /usr/sbin/nbd-attach ]]; done'
    check "... and the disks stay" eval 'write_to /srv/part && write_to /srv/uuid && write_to /srv/label && [[ $(status_of nbd1 .reconnects) == 0 ]]'

    systemctl stop nbd-attach@nbd0
    check "stopped: what fstab has by device is unmounted, and the disk detached" eval '! is_mounted_on /srv/part && ! is_attached nbd0'
    systemctl start srv-part.mount
    check "the mount's start brings it back" eval 'is_up nbd0 && write_to /srv/part'
    systemctl stop nbd-attach@nbd1
    check "stopped: so is what fstab has by UUID" eval '! is_mounted_on /srv/uuid && wait_until 5 eval "! is_attached nbd1"'
    systemctl start nbd-attach@nbd1 && systemctl start srv-uuid.mount
    exec 9</srv/uuid/file
    refusals() { journal -u nbd-attach@nbd1 | grep -c "mounted on /srv/uuid"; }
    refused=$(refusals)
    systemctl stop nbd-attach@nbd1
    check "stopped while a file is open: the disk stays, mounted and attached" eval 'is_attached nbd1 && write_to /srv/uuid'
    check "... and the log says why" wait_until 10 eval "(( \$(refusals) > $refused ))"
    exec 9<&-
    systemctl start nbd-attach@nbd1
    check "started again: it is adopted" eval 'is_alive nbd1 && [[ $(status_of nbd1 .adopted) == true ]] && write_to /srv/uuid'
    umount /srv/label
    exec 9</dev/nbd2
    systemctl stop nbd-attach@nbd2
    check "stopped: a disk that a process has open stays attached" is_attached nbd2
    exec 9<&-
    systemctl start nbd-attach@nbd2
    systemctl stop nbd-attach@nbd2
    check "stopped: a disk that nobody uses is detached" eval '! is_attached nbd2'
    systemctl start nbd-attach@nbd2

    systemctl isolate basic.target
    check "isolated: the disks stay" eval 'is_up nbd0 && is_attached nbd0 && is_up nbd1 && is_attached nbd1'
    systemctl isolate multi-user.target
    wait_booted
    check "... and so does what is mounted" eval 'write_to /srv/part && write_to /srv/uuid && write_to /srv/label'
    begin_shutdown
}
boot
check "no error of a disk" no_errors
note "the servers alive: power-off after $(took) s"
check "the servers alive: the machine is off within a minute" within 60
for disk in nbd0 nbd1 nbd2; do
    check "$disk is detached before the network goes" before "Stopped.*Remote disk /dev/$disk" 'Stopped target.*[Nn]etwork(\.target| *- Network)?\.?'
done
check "the partition is unmounted before it is detached" before 'Unmounted.*/srv/part' 'Stopped.*Remote disk /dev/nbd0'
check "the disk by UUID is unmounted before it is detached" before 'Unmounted.*/srv/uuid' 'Stopped.*Remote disk /dev/nbd1'
check "the disk by label is unmounted before it is detached" before 'Unmounted.*/srv/label' 'Stopped.*Remote disk /dev/nbd2'
check "the file system by UUID is clean" fsck_clean uuid
check "the file system by label is clean" fsck_clean label
for disk in part uuid label; do check "$disk: nothing is written after the last flush" ends_flushed "$disk"; done
