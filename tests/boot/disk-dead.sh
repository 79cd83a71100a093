# SPDX-License-Identifier: GPL-2.0-or-later
# boot: matrix local
# shellcheck shell=bash disable=SC2034,SC2154
# Shutdown with data that cannot be written: the server is dead, then the network is down. It costs the minute that docs/mount.md says, and
# what was not written; not the dead-timeout of ten minutes.
# shellcheck source=tests/boot/lib-disk.sh
. "$top/tests/boot/lib-disk.sh"
timeout=900 clean_log=''
new_root root
new_disk data 64
mke2fs -q -t ext4 "$work/data.disk"
serve_on 10809 data "${tls[@]}"
tab nbd0 10809
fstab '/dev/nbd0 /srv/data ext4 _netdev 0 2'
put_tables
on_kill_server() { stop_server data; }

guest() {
    . /usr/lib/nbd-attach-test/lib-disk.sh
    wait_booted
    check "the disk is mounted" write_to /srv/data
    if [[ $boot_count -eq 1 ]]; then
        host kill_server
    else
        ip link set eth0 down
    fi
    # It may hang as well, for want of a block that is not in memory.
    dd if=/dev/urandom of=/srv/data/unwritten bs=64k count=16 status=none &
    # A writer that will hang, as a service that logs to the disk would.
    systemd-run --quiet --unit=writer sh -c 'dd if=/dev/zero of=/srv/data/more bs=64k count=16 conv=fsync'
    sleep 8
    begin_shutdown
}
boot
note "the server dead: power-off after $(took) s"
check "the server dead: the machine is off within two minutes" within 120
serve_on 10809 data "${tls[@]}"
boot
note "the network down: power-off after $(took) s"
check "the network down: the machine is off within two minutes" within 120
check "the file system is sound" e2fsck -fy "$work/data.disk"
