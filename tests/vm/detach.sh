#!/bin/bash
# vm: together 6.1~71 6.12~180
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2317,SC2086,SC2154 # functions are called by name; no device or directory here has spaces; start sets NAME_pid
#
# Detaching: refused while anything uses the device, clean when nothing does, and possible when the server is gone.

# shellcheck source=tests/vm/lib.sh
. /tests/lib.sh

tls=(--tls --tls-ca "$certs/ca-cert.pem")

attached() { # MIB OPTION...
    local mib=$1
    shift
    nbdkit_server 10809 "${nbdkit_x509[@]}" memory "${mib}M"
    attach $nbd localhost --port 10809 "${tls[@]}" "$@"
}
mounted() {
    attached 32
    mke2fs -q -F $nbd
    mkdir -p $mnt
    mount $nbd $mnt
    expect 7 nbd-attach detach $nbd
    says "$mnt"
    is_attached $nbd || fail "detached all the same"
    echo data >$mnt/file
    umount $mnt
    detach $nbd
}
# by_mount_point PLACE DEVICE: the answer to who names the place, as for umount(8); with the option that forces, too
by_mount_point() {
    local option
    for option in "" --force; do
        expect 2 nbd-attach detach "$1" $option
        says "$1 is where $2 is mounted, and no device"
        says "umount $1 && nbd-attach detach $nbd"
        is_attached $nbd || fail "detached all the same"
    done
    echo data >"$1/file"
    sync "$1/file"
}
mount_point_named() {
    attached 32
    mke2fs -q -F $nbd
    mkdir -p $mnt
    mount $nbd $mnt
    by_mount_point $mnt $nbd
    umount $mnt
    expect 2 nbd-attach detach $mnt
    says "name a device"
    is_attached $nbd || fail "detached all the same"
    detach $nbd
    # A file system of something else.
    mount -t tmpfs none $mnt
    expect 2 nbd-attach detach $mnt
    says "$mnt is where none is mounted, and no device"
    says "that is no NBD device"
    umount $mnt
}
partition_mount_point_named() {
    partitioned
    mke2fs -q -F ${nbd}p1
    mkdir -p $mnt
    mount ${nbd}p1 $mnt
    by_mount_point $mnt ${nbd}p1
    umount $mnt
    detach $nbd
}
swapped() {
    attached 32
    mkswap $nbd
    swapon $nbd
    expect 7 nbd-attach detach $nbd
    says swap
    is_attached $nbd || fail "detached all the same"
    swapoff $nbd
    detach $nbd
}
held() {
    need dmsetup
    attached 32
    modprobe dm-mod
    echo "0 $(($(device_bytes $nbd) / 512)) linear $nbd 0" | dmsetup create --noudevsync above
    expect 7 nbd-attach detach $nbd
    says "above|dm-0"
    is_attached $nbd || fail "detached all the same"
    dmsetup remove --noudevsync above
    detach $nbd
}
partitioned() {
    nbdkit_server 10809 "${nbdkit_x509[@]}" memory 32M
    attach $nbd localhost --port 10809 "${tls[@]}"
    printf 'n\np\n1\n\n\nw\n' | busybox fdisk $nbd || true
    if ! wait_until 5 test -b ${nbd}p1; then skip_test "no partition device: max_part is 0"; fi
}
partition_mounted() {
    partitioned
    mke2fs -q -F ${nbd}p1
    mkdir -p $mnt
    mount ${nbd}p1 $mnt
    expect 7 nbd-attach detach $nbd
    says "$mnt"
    umount $mnt
    detach $nbd
}
# loop_on NODE: a loop device of the whole of it, in $loop
loop_on() {
    modprobe loop max_loop=4 2>/dev/null || true
    loop=$(busybox losetup -f)
    busybox losetup "$loop" "$1"
    echo "$loop" >>"$state/loops"
}
loop_of() { # NODE-TO-SET-UP NODE-NAMED: mounted, refused, and the data is whole
    loop_on "$1"
    mke2fs -q -F "$loop"
    mkdir -p $mnt
    mount "$loop" $mnt
    echo data >$mnt/file
    sync
    expect 7 nbd-attach detach $nbd
    says "$2 is used by the loop device $loop"
    says "losetup -d $loop"
    is_attached $nbd || fail "detached all the same"
    echo more >>$mnt/file
    sync
    drop_caches
    [[ $(cat $mnt/file) == $'data\nmore' ]] || fail "the file is another"
    umount $mnt
    # An idle loop device still has it open.
    expect 7 nbd-attach detach $nbd
    says "$loop"
    busybox losetup -d "$loop"
    detach $nbd
}
loop_mounted() {
    attached 32
    loop_of $nbd $nbd
}
loop_by_link() {
    attached 32
    mkdir -p /dev/disk/by-test
    ln -sf ../../nbd0 /dev/disk/by-test/link
    loop_of /dev/disk/by-test/link $nbd
}
# No path leads to it from here, and no list has its name.
loop_by_lost_name() {
    attached 32
    mknod /tmp/lost b "$(cut -d : -f 1 /sys/block/nbd0/dev)" "$(cut -d : -f 2 /sys/block/nbd0/dev)"
    loop_on /tmp/lost
    rm /tmp/lost
    dd if=/dev/urandom of="$loop" bs=64k count=1 conv=fsync
    expect 7 nbd-attach detach $nbd
    says "open in the kernel, by a user that no list shows"
    is_attached $nbd || fail "detached all the same"
    dd if="$loop" of=/dev/null bs=64k count=1 iflag=direct || fail "the loop device fails"
    # The order to disconnect at the last close was taken back, too.
    busybox losetup -d "$loop"
    sleep 1
    is_attached $nbd || fail "detached when the loop device let go"
    dd if=$nbd of=/dev/null bs=4k count=1 iflag=direct
    detach $nbd
}
loop_of_partition() {
    partitioned
    loop_of ${nbd}p1 ${nbd}p1
}
open_by_another_name() {
    attached 32
    mknod /dev/alias b "$(cut -d : -f 1 /sys/block/nbd0/dev)" "$(cut -d : -f 2 /sys/block/nbd0/dev)"
    (exec 9</dev/alias && exec sleep 600) &
    local holder=$!
    sleep 1
    echo $holder >>"$state/pids"
    rm /dev/alias
    expect 7 nbd-attach detach $nbd
    says "process $holder \(sleep\)"
    is_attached $nbd || fail "detached all the same"
    stop $holder KILL
    detach $nbd
}
open_elsewhere() {
    attached 32
    (exec 9<$nbd && exec sleep 600) &
    local holder=$!
    sleep 1
    echo $holder >>"$state/pids"
    expect 7 nbd-attach detach $nbd
    says "$holder|sleep"
    is_attached $nbd || fail "detached all the same"
    stop $holder KILL
    detach $nbd
}
forced() {
    attached 32
    mke2fs -q -F $nbd
    mkdir -p $mnt
    mount $nbd $mnt
    timeout 30 nbd-attach detach $nbd --force
    # The driver keeps the device's configuration until its last user is gone.
    umount $mnt 2>/dev/null || umount -l $mnt
    wait_until 10 eval "! is_attached $nbd" || fail "still attached"
}
not_attached() {
    modprobe nbd
    assert_not_attached $nbd
    expect 7 nbd-attach detach $nbd
    says nbd0
}
no_such_device() {
    modprobe nbd
    local status=0
    said=$(nbd-attach detach /dev/nbd999 2>&1) || status=$?
    echo "$said ($status)"
    [[ $status -eq 2 || $status -eq 7 ]] || fail "status $status"
    expect 2 nbd-attach detach /dev/null
}
supervisor_ends() {
    attached 16
    local pid
    pid=$(supervisor_of $nbd)
    is_alive "$pid" || fail "no process $pid holds the device"
    grep -q nbd-attach "/proc/$pid/cmdline" || fail "the holder is $(tr '\0' ' ' <"/proc/$pid/cmdline")"
    detach $nbd
    wait_until 5 eval "! is_alive $pid" || fail "the supervisor lives on"
    [[ -z $(pidof nbd-attach) ]] || fail "processes are left: $(pidof nbd-attach)"
    [[ -z $(ss -Htn state established 'dport = :10809') ]] || fail "a connection is left"
}
supervisor_terminated() {
    attached 16
    local pid
    pid=$(supervisor_of $nbd)
    kill -TERM "$pid"
    wait_until 10 eval "! is_alive $pid" || fail "the supervisor does not end"
    wait_until 10 eval "! is_attached $nbd" || fail "the device stays, and no one cares for it"
}
someone_else_disconnects() {
    need nbd-client
    attached 16
    local pid
    pid=$(supervisor_of $nbd)
    nbd-client -d $nbd
    wait_until 10 eval "! is_alive $pid" || fail "the supervisor does not notice"
}
server_killed() {
    attached 16
    dd if=$nbd of=/dev/null bs=1M count=1
    # shellcheck disable=SC2154 # nbdkit_server sets it
    stop "$nbdkit_pid" KILL
    timeout 30 nbd-attach detach $nbd
    assert_not_attached $nbd
    [[ -z $(pidof nbd-attach) ]] || fail "processes are left: $(pidof nbd-attach)"
}
# refused_within SECONDS PATTERN: and still attached
refused_within() {
    local before=$SECONDS
    expect 7 timeout 120 nbd-attach detach $nbd
    note "refused after $((SECONDS - before)) s"
    [[ $((SECONDS - before)) -le $1 ]] || fail "that took $((SECONDS - before)) s"
    says "$2"
    says "--force"
    is_attached $nbd || fail "detached all the same"
}
# A server that goes on, with a link that is still whole: it comes to itself, and nothing is detached behind anybody's back.
stays_and_detaches() {
    kill -CONT "$nbdkit_pid"
    sleep 3
    is_attached $nbd || fail "an abandoned detach went on"
    dd if=$nbd of=/dev/null bs=4k count=1 iflag=direct
    detach $nbd
}
server_hangs() { # the supervisor believes it to be alive
    attached 16 --timeout 600
    kill -STOP "$nbdkit_pid"
    refused_within 50 "has not answered a flush"
    stays_and_detaches
}
server_hangs_supervisor_killed() {
    attached 16
    kill -KILL "$(supervisor_of $nbd)"
    kill -STOP "$nbdkit_pid"
    refused_within 25 "has not answered"
    stays_and_detaches
}
server_hangs_supervisor_stopped() {
    attached 16
    local pid
    pid=$(supervisor_of $nbd)
    kill -STOP "$pid"
    kill -STOP "$nbdkit_pid"
    refused_within 30 "has not answered"
    kill -CONT "$pid"
    stays_and_detaches
}
dirty_server_hangs() { # a writer that has closed it; its data has not moved
    attached 16 --timeout 600
    dd if=/dev/zero of=$nbd bs=4k count=1
    kill -STOP "$nbdkit_pid"
    start writer dd if=/dev/zero of=$nbd bs=4k count=256
    sleep 1
    refused_within 40 "$nbd"
    kill -CONT "$nbdkit_pid"
    wait_until 20 eval "! is_alive $writer_pid" || fail "the writer hangs"
    is_attached $nbd || fail "an abandoned detach went on"
    detach $nbd
}
own_probe() {
    attached 16 --timeout 600
    kill -STOP "$nbdkit_pid"
    # What a supervisor's check looks like.
    drop_caches
    start probe bash -c "echo -n nbd-attach >/proc/self/comm; exec 9<$nbd; read -r -d '' -u 9"
    sleep 1
    refused_within 30 "being read by its own supervisor"
    # One that ends is waited for.
    (sleep 4; kill -CONT "$nbdkit_pid") &
    detach $nbd
}
# Somebody else's: it has no backend identifier of ours.
foreign() {
    need nbd-client
    modprobe nbd
    nbdkit_server 10810 memory 16M
    nbd-client -N '' localhost 10810 $nbd
    is_attached $nbd || fail "nbd-client did not attach"
}
own_leaves_foreign() {
    foreign
    expect 0 nbd-attach detach $nbd --own
    says "nbd0 is left alone"
    is_attached $nbd || fail "detached all the same"
    mkdir -p /etc
    printf 'nbd0 localhost disk port=10810\n' >/etc/nbdtab
    expect 0 nbd-attach detach $nbd --own
    rm /etc/nbdtab
    says "nbd0 is left alone"
    is_attached $nbd || fail "detached all the same"
    expect 0 nbd-attach detach $nbd
    says "another program had attached it"
    assert_not_attached $nbd
    expect 0 nbd-attach detach $nbd --own
    says "not attached"
}
own_detaches_ours() {
    attached 16
    expect 0 nbd-attach detach $nbd --own
    assert_not_attached $nbd
    # Without the supervisor's file, nbdtab has it.
    attached 16
    kill -KILL "$(supervisor_of $nbd)"
    rm /run/nbd-attach/nbd0.state
    expect 0 nbd-attach detach $nbd --own
    says "left alone"
    is_attached $nbd || fail "detached all the same"
    printf 'nbd0 localhost default export=,port=10809,tls,cacertfile=%s\n' "$certs/ca-cert.pem" >/etc/nbdtab
    expect 0 nbd-attach detach $nbd --own
    rm /etc/nbdtab
    assert_not_attached $nbd
}
# Taken away and attached by another without a supervisor: what the former one left says another name.
own_leaves_successor() {
    need nbd-client
    attached 16
    local pid
    pid=$(supervisor_of $nbd)
    kill -KILL "$pid"
    nbd-client -d $nbd
    wait_until 10 eval "! is_attached $nbd" || fail "still attached"
    foreign
    [[ -e /run/nbd-attach/nbd0.state ]] || fail "there is no state file: this tests nothing"
    expect 0 nbd-attach detach $nbd --own
    says "somebody else's now"
    is_attached $nbd || fail "detached all the same"
    dd if=$nbd of=/dev/null bs=64k count=1 iflag=direct
    detach $nbd
}
# The supervisor was not looking when its device went and another program's came; then it is told to end.
supervisor_leaves_foreign() {
    need nbd-client
    attached 16
    local pid
    pid=$(supervisor_of $nbd)
    kill -STOP "$pid"
    nbd-client -d $nbd
    wait_until 10 eval "! is_attached $nbd" || fail "still attached"
    foreign
    kill -TERM "$pid"
    kill -CONT "$pid"
    wait_until 20 eval "! is_alive $pid" || fail "the supervisor does not end"
    is_attached $nbd || fail "it took another program's device along"
    dd if=$nbd of=/dev/null bs=64k count=1 iflag=direct
    detach $nbd
}
attached_again() {
    nbdkit_server 10809 "${nbdkit_x509[@]}" memory 64M
    local sum i
    mkdir -p $mnt
    attach $nbd localhost --port 10809 "${tls[@]}"
    mke2fs -q -t ext4 -F $nbd
    mount -t ext4 $nbd $mnt
    pattern_file $mnt/file 24
    sum=$(sha256sum <$mnt/file)
    umount $mnt
    detach $nbd
    for i in 1 2; do
        attach $nbd localhost --port 10809 "${tls[@]}" --connections $i
        drop_caches
        e2fsck -fn $nbd
        mount -t ext4 -o ro $nbd $mnt
        [[ $(sha256sum <$mnt/file) == "$sum" ]] || fail "the file is another"
        umount $mnt
        detach $nbd
    done
}
many_times() {
    nbdkit_server 10809 "${nbdkit_x509[@]}" memory 16M
    local i
    for i in $(seq 10); do
        attach $nbd localhost --port 10809 "${tls[@]}"
        dd if=$nbd of=/dev/null bs=64k count=4 2>/dev/null
        detach $nbd
    done
    wait_until 5 no_tls_links || fail "links leak"
}

run_test "refused while mounted, naming the mount" mounted
run_test_once "refused while a partition is mounted" partition_mounted
run_test_once "a mount point in place of the device: which device that is, and what to type" mount_point_named
run_test_once "... and of a partition" partition_mount_point_named
run_test "refused while swapped on" swapped
run_test "refused while a device mapper holds it, naming it" held
run_test_once "refused while a process has it open, naming the process" open_elsewhere
run_test "refused while a loop device on it is mounted, and the data is whole" loop_mounted
run_test_once "refused while a loop device has it by a link" loop_by_link
run_test_once "refused while a loop device on a partition is mounted" loop_of_partition
run_test "refused while a loop device has it by a name that is gone" loop_by_lost_name
run_test_once "refused while a process has it open by another name" open_by_another_name
run_test "--force detaches a mounted device" forced
run_test_once "a device that is not attached: status 7" not_attached
run_test_once "no device, or no nbd device" no_such_device
run_test_once "detach ends the supervisor and its connection" supervisor_ends
run_test_once "SIGTERM to the supervisor detaches" supervisor_terminated
run_test "the supervisor ends when another program disconnects" someone_else_disconnects
run_test_once "detach after the server was killed" server_killed
run_test "refused in time when the server hangs" server_hangs
run_test_once "refused in time when the server hangs and the supervisor was killed" server_hangs_supervisor_killed
run_test_once "refused in time when the server hangs and the supervisor does, too" server_hangs_supervisor_stopped
run_test_once "refused in time when written data waits for a server that hangs" dirty_server_hangs
run_test_once "the supervisor's own read is waited for, and named" own_probe
run_test_once "--own leaves another program's device alone" own_leaves_foreign
run_test_once "--own detaches ours, by the supervisor's file or nbdtab" own_detaches_ours
run_test "--own leaves a device alone that another program took" own_leaves_successor
run_test "a supervisor that is told to end leaves a device alone that another program took" supervisor_leaves_foreign
run_test "an ext4 is whole after detach and attach" attached_again
run_test_once "ten times attach and detach leave nothing" many_times
finish
