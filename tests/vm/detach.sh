#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2317,SC2086 # functions are called by name; no device or directory here has spaces
#
# Detaching: refused while anything uses the device, clean when nothing does, and possible when the server is gone.

# shellcheck source=tests/vm/lib.sh
. /tests/lib.sh

tls=(--tls --tls-ca "$certs/ca-cert.pem")

attached() { # MIB
    nbdkit_server 10809 "${nbdkit_x509[@]}" memory "${1}M"
    attach $nbd localhost --port 10809 "${tls[@]}"
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
partition_mounted() {
    nbdkit_server 10809 "${nbdkit_x509[@]}" memory 32M
    attach $nbd localhost --port 10809 "${tls[@]}"
    printf 'n\np\n1\n\n\nw\n' | busybox fdisk $nbd || true
    if ! wait_until 5 test -b ${nbd}p1; then skip_test "no partition device: max_part is 0"; fi
    mke2fs -q -F ${nbd}p1
    mkdir -p $mnt
    mount ${nbd}p1 $mnt
    expect 7 nbd-attach detach $nbd
    says "$mnt"
    umount $mnt
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
run_test "refused while a partition is mounted" partition_mounted
run_test "refused while swapped on" swapped
run_test "refused while a device mapper holds it, naming it" held
run_test "refused while a process has it open, naming the process" open_elsewhere
run_test "--force detaches a mounted device" forced
run_test "a device that is not attached: status 7" not_attached
run_test "no device, or no nbd device" no_such_device
run_test "detach ends the supervisor and its connection" supervisor_ends
run_test "SIGTERM to the supervisor detaches" supervisor_terminated
run_test "the supervisor ends when another program disconnects" someone_else_disconnects
run_test "detach after the server was killed" server_killed
run_test "an ext4 is whole after detach and attach" attached_again
run_test "ten times attach and detach leave nothing" many_times
finish
