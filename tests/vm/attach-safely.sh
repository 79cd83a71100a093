#!/bin/bash
# vm: together 6.1~24 6.12~15 newest~17
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2317,SC2086,SC2154 # functions are called by name; no device or directory here has spaces
#
# What a former life, a neighbour or a failed start leaves behind, and what a new device needs before anybody uses it.

# shellcheck source=tests/vm/lib.sh
. /tests/lib.sh

setting() { cat "/sys/block/${1#/dev/}/queue/$2"; }

no_scheduler() {
    modprobe mq-deadline
    nbdkit_server 10809 memory 16M
    attach $nbd 127.0.0.1 --port 10809
    detach $nbd
    echo 0 >/sys/block/nbd0/queue/iostats
    echo mq-deadline >/sys/block/nbd0/queue/scheduler
    [[ $(setting $nbd scheduler) == *"[mq-deadline]"* ]] || fail "the scheduler is not one: $(setting $nbd scheduler)"
    attach $nbd 127.0.0.1 --port 10809 --connections 1
    [[ $(setting $nbd scheduler) == *"[none]"* ]] || fail "the scheduler is $(setting $nbd scheduler)"
    [[ $(setting $nbd iostats) -eq 1 ]] || fail "requests in flight are not counted"
    detach $nbd
    # Several queues have another default.
    attach $nbd 127.0.0.1 --port 10809 --connections 4
    [[ $(setting $nbd scheduler) == *"[none]"* ]] || fail "with four connections it is $(setting $nbd scheduler)"
    detach $nbd
    # One that is made by the attaching itself.
    attach /dev/nbd77 127.0.0.1 --port 10809
    [[ $(setting nbd77 scheduler) == *"[none]"* ]] || fail "on a new device it is $(setting nbd77 scheduler)"
    detach nbd77
}

stale_limits() {
    nbdkit_server 10809 memory 16M
    nbdkit_server 10810 --filter=nozero memory 16M zeromode=none
    attach $nbd 127.0.0.1 --port 10809
    note "with write zeroes: $(setting $nbd write_zeroes_max_bytes)"
    detach $nbd
    note "afterwards: $(setting $nbd write_zeroes_max_bytes)"
    said=$(nbd-attach auto 127.0.0.1 --port 10810)
    echo "$said"
    local chosen
    chosen=$(grep -oE '/dev/nbd[0-9]+' <<<"$said" | head -n 1)
    [[ $(setting "$chosen" write_zeroes_max_bytes) -eq 0 ]] || fail "$chosen is sent write zeroes"
    detach "$chosen"
    attach $nbd 127.0.0.1 --port 10810
    [[ $(setting $nbd write_zeroes_max_bytes) -eq 0 ]] || fail "$nbd is sent write zeroes"
    [[ $(setting $nbd scheduler) == *"[none]"* ]] || fail "the scheduler is $(setting $nbd scheduler)"
    write_and_compare $nbd 4
    detach $nbd
    # What a server offers comes back.
    attach $nbd 127.0.0.1 --port 10809
    [[ $VM_SERIES == 6.1 || $(setting $nbd write_zeroes_max_bytes) -gt 0 ]] || fail "write zeroes are lost"
    detach $nbd
}

stale_write_cache() {
    nbdkit_server 10809 memory 16M
    attach $nbd 127.0.0.1 --port 10809
    echo "write through" >/sys/block/nbd0/queue/write_cache
    echo 1 >/sys/block/nbd0/queue/rotational
    detach $nbd
    attach $nbd 127.0.0.1 --port 10809
    [[ $(setting $nbd write_cache) == "write back" ]] || fail "flushes do not come to the server: $(setting $nbd write_cache)"
    [[ $(setting $nbd rotational) -eq 0 ]] || fail "rotational is kept"
    detach $nbd
}

nothing_stays() {
    expect 4 nbd-attach $nbd 127.0.0.1 --port 10999
    ls -A /run/nbd-attach
    [[ -z $(ls -A /run/nbd-attach) ]] || fail "files are left"
    nbdkit_server 10809 memory 16M
    nbdkit_server 10810 --filter=multi-conn memory 16M multi-conn-mode=disable
    expect 5 nbd-attach $nbd 127.0.0.1 --port 10810 --connections 2
    [[ -z $(ls -A /run/nbd-attach) ]] || fail "files are left"
}

one_writer() {
    nbdkit_server 10809 memory 16M
    attach $nbd 127.0.0.1 --port 10809
    expect 7 nbd-attach /dev/nbd1 127.0.0.1 --port 10809
    says "nbd0 .*same export"
    says "read-only"
    assert_not_attached nbd1
    [[ ! -e /run/nbd-attach/nbd1.lock ]] || fail "its lock is left"
    expect 7 nbd-attach auto 127.0.0.1 --port 10809
    says "nbd0 .*same export"
    expect 0 nbd-attach /dev/nbd1 127.0.0.1 --port 10809 --read-only
    says "nbd0 .*stale"
    expect 0 nbd-attach /dev/nbd2 127.0.0.1 --port 10809 --shared
    detach nbd2
    # With the writer gone, another one may come.
    detach $nbd
    expect 0 nbd-attach /dev/nbd2 127.0.0.1 --port 10809
    says "nbd1 .*stale"
    detach nbd2
    detach nbd1
}

one_of_two_at_once() {
    nbdkit_server 10809 memory 16M
    local i won=0
    for i in 0 1 2 3; do start "attach$i" nbd-attach /dev/nbd$i 127.0.0.1 --port 10809; done
    for i in 0 1 2 3; do
        local name=attach${i}_pid
        if wait "${!name}"; then won=$((won + 1)); fi
    done
    [[ $won -eq 1 ]] || fail "$won writers"
    for i in 0 1 2 3; do ! is_attached nbd$i || detach nbd$i; done
}

auto_leaves_a_locked_one() {
    nbdkit_server 10809 memory 16M
    start waiting nbd-attach $nbd 127.0.0.1 --port 10999 --wait infinity --foreground
    wait_for_file /run/nbd-attach/nbd0.lock
    expect 0 nbd-attach auto 127.0.0.1 --port 10809
    says "/dev/nbd1 "
    detach nbd1
    stop "$waiting_pid"
}

violations() { awk '/TlsRxNoPadViolation/ { print $2 }' /proc/net/tls_stat; }
# A padded record that fits into what is left to read is decrypted twice, where the kernel was told to expect none.
padded_records() {
    local before
    modprobe tls
    before=$(violations)
    pattern_file "$state/disk" 2
    LD_PRELOAD=/usr/lib/keyupdate-shim.so TLS_PADDING=100 TLS_SEND_BYTES=1000 \
        start nbdkit nbdkit -f -i 127.0.0.1 -p 10809 --log=stderr "${nbdkit_x509[@]}" file "$state/disk"
    wait_for_port 10809
    attach $nbd localhost --port 10809 --tls --tls-ca "$certs/ca-cert.pem"
    cmp "$state/disk" $nbd || fail "it reads something else"
    detach $nbd
    grep -c 'keyupdate-shim: padded' "$state/nbdkit.out" || fail "no record was padded"
    if [[ $(nbd-attach doctor) == *CVE-2026-74611* ]]; then
        [[ $(violations) -eq $before ]] || fail "this kernel, which has a hole there, did not expect padding"
    else
        [[ $(violations) -gt $before ]] || fail "the kernel was not told to expect no padding"
    fi
}

kernel_is_at_least() { # MAJOR MINOR
    local major minor
    IFS=.- read -r major minor _ < <(uname -r)
    ((major > $1 || (major == $1 && minor >= $2)))
}
small_records() {
    LD_PRELOAD=/usr/lib/keyupdate-shim.so TLS_RECEIVE_BYTES=4096 start nbdkit nbdkit -f -i 127.0.0.1 -p 10809 --log=stderr "${nbdkit_x509[@]}" memory 16M
    wait_for_port 10809
    if kernel_is_at_least 6 19; then # it can be told
        attach $nbd localhost --port 10809 --tls --tls-ca "$certs/ca-cert.pem"
        write_and_compare $nbd 8
        detach $nbd
    else
        expect 3 nbd-attach $nbd localhost --port 10809 --tls --tls-ca "$certs/ca-cert.pem"
        says "records of at most 4096 bytes"
        assert_not_attached $nbd
    fi
    # TLS 1.2 says it elsewhere.
    expect 0 nbd-attach info localhost --port 10809 --tls --tls-ca "$certs/ca-cert.pem"
    if ! kernel_is_at_least 6 19; then
        expect 3 nbd-attach $nbd localhost --port 10809 --tls --tls-ca "$certs/ca-cert.pem" --tls-min 1.2 \
            --tls-priority NORMAL:-VERS-ALL:+VERS-TLS1.2
        says "records of at most 4096 bytes"
    fi
}

run_test "a new device has no I/O scheduler, and counts its requests" no_scheduler
run_test "what a former server offered is not asked of the next one" stale_limits
run_test "a former user's write cache and rotation are not kept" stale_write_cache
run_test "a failed attach leaves nothing in /run" nothing_stays
run_test "one export has one writer" one_writer
run_test "of several that attach one export at once, one may write" one_of_two_at_once
run_test "auto leaves a device alone that has a supervisor" auto_leaves_a_locked_one
run_test "padded TLS records are read" padded_records
run_test "a server that takes small records only is not sent large ones" small_records
finish
