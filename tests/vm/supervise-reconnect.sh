#!/bin/bash
# vm: alone 6.1 6.12
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2317,SC2086,SC2154 # functions are called by name; no device or directory here has spaces; start sets NAME_pid
#
# The server goes away and comes back, under load that is verified: no error, nothing lost, and nobody waits much longer
# than the outage lasted.

# shellcheck source=tests/vm/lib-supervise.sh
. /tests/lib-supervise.sh

# What a request may wait beyond the outage that it met, ms.
slack=2500

# Each of these would make the tests below worthless if it did not hold.
control_mismatch() {
    make_disk 16M
    serve_nbdkit
    attach $nbd localhost --port $tls_port "${tls[@]}"
    load control $nbd "${verified[@]}"
    dd if=/dev/urandom of="$state/disk" bs=1M count=16 conv=notrunc
    within 20 eval "! is_alive $load_control_pid" || fail "fio does not notice that its data was replaced"
    load_stops control
    [[ $(jq '.jobs[0].error' "$state/control.result") -eq 84 ]] || fail "fio ended otherwise than by a mismatch"
    detach $nbd
}
control_error() {
    make_disk 16M
    serve_nbdkit --filter=error error-pwrite=EIO error-pwrite-rate=1%
    attach $nbd localhost --port $tls_port "${tls[@]}"
    load control $nbd "${verified[@]}"
    within 20 eval "! is_alive $load_control_pid" || fail "fio does not notice errors"
    load_stops control
    [[ $(jq '.jobs[0].error' "$state/control.result") -eq 5 ]] || fail "fio ended otherwise than by EIO"
    detach $nbd
}

# killed COUNT SERVE [OPTION...]: outages from none to two seconds
killed() {
    local count=$1 serve=$2 i
    shift 2
    make_disk
    $serve
    attach $nbd localhost $export --port $tls_port "${tls[@]}" "$@"
    load load $nbd "${verified[@]}"
    for ((i = 0; i < count; i++)); do
        # No request is to meet two of them.
        sleep 3.$((RANDOM % 10))
        outage $((i % 3)).$((RANDOM % 10)) $serve
        within 15 moves $nbd || fail "no I/O 15 s after the server is back"
    done
    sleep 3
    becomes $nbd alive 10
    load_ends load
    stalls_fit load $slack
    assert_has $nbd ".reconnects >= $count and .error_replies == 0 and .links[0].encryption_proven"
    detach $nbd
}
# In pieces, since fio keeps the latency of every request until it ends.
killed_nbdkit() {
    local left=$(($(rounds 6 200))) now
    while [[ $left -gt 0 ]]; do
        now=$((left < 20 ? left : 20))
        rm -f "$state/outages"
        export='' killed $now serve_nbdkit
        kill_server
        left=$((left - now))
    done
}
killed_qemu_nbd() { export=disk killed "$(rounds 2 20)" serve_qemu_nbd; }
killed_nbd_server() {
    tls=(--tls "--tls-certificates=$certs")
    export=disk killed "$(rounds 1 5)" serve_nbd_server
}
# An ext4 in use is none the wiser.
file_system() {
    make_disk
    serve_nbdkit
    attach $nbd localhost --port $tls_port "${tls[@]}"
    mke2fs -q -t ext4 -F $nbd
    mkdir -p $mnt
    mount -t ext4 $nbd $mnt
    pattern_file "$state/pattern" 24
    start copy bash -c "cat $state/pattern >$mnt/file; sync"
    sleep 0.3
    outage 1 serve_nbdkit
    within 60 eval "! is_alive $copy_pid" || fail "the copy hangs"
    umount $mnt
    detach $nbd
    attach $nbd localhost --port $tls_port "${tls[@]}"
    e2fsck -fn $nbd
    mount -t ext4 -o ro $nbd $mnt
    cmp "$state/pattern" $mnt/file || fail "the file is another"
    umount $mnt
    detach $nbd
}
# All that was asked for while nobody was there is done afterwards, and a reader that came in the middle waits for it.
waits() {
    make_disk
    serve_nbdkit
    attach $nbd localhost --port $tls_port "${tls[@]}"
    kill_server
    becomes $nbd reconnecting 5
    assert_has $nbd '.reason != null and .last_error != null and .supervisor_pid != null'
    start reader dd if=$nbd of=/dev/null bs=4k count=1 iflag=direct
    sleep 4
    is_alive $reader_pid || fail "the reader did not wait"
    assert_has $nbd '.attempts >= 2 and .next_attempt_in_ms != null'
    serve_nbdkit
    within 8 eval "! is_alive $reader_pid" || fail "the reader waits on"
    wait $reader_pid || fail "the read failed"
    becomes $nbd alive 5
    assert_has $nbd '.reconnects == 1 and .attempts == 0 and .next_attempt_in_ms == null and .reason == null'
    detach $nbd
}

test_timeout=180
[[ -z ${VM_SOAK:-} ]] || test_timeout=$((180 + VM_SOAK * 15))
run_test_once "control: fio notices data that was replaced" control_mismatch
run_test_once "control: fio notices an error" control_error
run_test "I/O waits for the server, and status says for what" waits
run_test "nbdkit killed $(rounds 6 200) times under verified load" killed_nbdkit
run_test_once "qemu-nbd killed under verified load" killed_qemu_nbd
run_test_once "nbd-server killed under verified load" killed_nbd_server
run_test_once "a file is whole that was copied while the server was killed" file_system
finish
