#!/bin/bash
# vm: together 6.12~60
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2317,SC2086,SC2119,SC2154 # functions are called by name; no device or directory here has spaces; start sets NAME_pid
#
# A supervisor among other processes: it keeps nothing of its starter, and what it writes to may be gone or full.

# shellcheck source=tests/vm/lib-supervise.sh
. /tests/lib-supervise.sh

leaves_what_is_its_starters() {
    local lock=$state/lock
    nbdkit_server 10809 memory 16M
    # shellcheck disable=SC2016 # the inner shell expands it
    timeout 60 bash -c '(exec 7>&1 70>&1; nbd-attach '$nbd' 127.0.0.1 --port 10809) | cat' || fail "the pipe is kept open"
    detach $nbd
    # What is open is locked (flock(1)).
    nbd-attach $nbd 127.0.0.1 --port 10809 9>"$lock"
    said=$(ls -l "/proc/$(supervisor_of $nbd)/fd") || true # one that goes meanwhile is an error of ls
    echo "$said"
    grep -qF socket: <<<"$said" || fail "nothing was listed"
    ! grep -qF "$lock" <<<"$said" || fail "the lock is held"
    # A file that is named by a descriptor can still be read.
    detach $nbd
    nbdkit_server 10810 "${nbdkit_x509[@]}" memory 16M
    attach $nbd localhost --port 10810 --tls --tls-ca <(cat "$certs/ca-cert.pem")
    detach $nbd
}
run_test_once "a caller's pipe and lock are released when attach returns" leaves_what_is_its_starters

goes_on_without_its_log() {
    make_disk
    serve_nbdkit
    start supervisor bash -c "exec nbd-attach $nbd localhost --port $tls_port ${tls[*]} --foreground >/dev/full 2>&1"
    becomes $nbd alive 30
    outage 1 serve_nbdkit
    sleep 3
    becomes $nbd alive 15
    assert_has $nbd '.reconnects == 1'
    detach $nbd
}
run_test_once "a log that takes nothing does not end supervision" goes_on_without_its_log

# set_clock UNIX_SEC: busybox's date fails without saying so in its status
set_clock() {
    date -s "@$1"
    [[ $(($(date +%s) - $1)) -lt 10 ]] || fail "the clock cannot be set to $1"
}
# A board without a clock of its own, at boot: before the certificates, and after 1970, as the kernel takes no time that is
# less than what this machine has been running.
unset_clock_sec=600000000
clock_is_set() {
    now=$(date +%s)
    nbdkit_server 10809 memory 16M
    trap 'date -s "@$now"' EXIT
    set_clock "$unset_clock_sec"
    attach $nbd 127.0.0.1 --port 10809
    kill_supervisor
    nbd-attach $nbd 127.0.0.1 --port 10809
    set_clock $((now + 10))
    expect 0 nbd-attach status $nbd
    says "attached: *$(date -d "@$now" +%Y-%m-%d) .*, [0-9]+ s ago"
    says 'link 1: .*, [0-9]+ s old'
    assert_has $nbd ".since_unix_sec > $now - 60 and .state_since_unix_sec > $now - 60 and .links[0].since_unix_sec > $now - 60"
    detach $nbd
}
run_test_once "ages are the same when the clock is set" clock_is_set

clock_is_not_set_yet() {
    now=$(date +%s)
    make_disk
    serve_nbdkit
    trap 'date -s "@$now"' EXIT
    set_clock "$unset_clock_sec"
    expect 3 nbd-attach $nbd localhost --port $tls_port "${tls[@]}"
    says 'not valid (before|yet).*now it is 1989-01-05'
    says '--wait waits for that'
    start waiting nbd-attach $nbd localhost --port $tls_port "${tls[@]}" --wait infinity
    wait_until 30 grep -q 'waiting for the server: .*now it is 1989-01-05' "$state/waiting.out" || fail "it does not wait"
    # As the network sets it.
    set_clock $((now + 30))
    wait_until 60 grep -q '^/dev/nbd0 is attached' "$state/waiting.out" || fail "it does not go on when the clock is right"
    detach $nbd
    # What time alone does not cure is not waited for.
    set_clock $((now + 200 * 366 * 86400))
    expect 3 nbd-attach $nbd localhost --port $tls_port "${tls[@]}" --wait infinity
    says expired
}
run_test_once "a certificate that is not valid yet is waited for within --wait, until the clock is set" clock_is_not_set_yet

run_is_full() {
    local state_file=/run/nbd-attach/nbd0.state filler=/run/nbd-attach/filler
    mkdir -p /run/nbd-attach
    mount -t tmpfs -o size=64k,mode=755 full /run/nbd-attach
    ! dd if=/dev/zero of="$filler" bs=4k count=32 || fail "there is room"
    make_disk
    serve_nbdkit
    expect 0 nbd-attach $nbd localhost --port $tls_port "${tls[@]}"
    says 'warning: the state of /dev/nbd0 cannot be written to .*No space left on device; make room there'
    says '^/dev/nbd0 is attached to .*TLS'
    # It is what udev's rules look for.
    [[ -e $state_file && ! -s $state_file ]] || fail "the disk does not count as ready"
    assert_has $nbd '.warnings[0] | test("No space left on device")'
    kill_supervisor
    expect 0 nbd-attach $nbd localhost --port $tls_port "${tls[@]}"
    says 'adopted.*whether encrypted is unknown'
    ! grep -q 'not encrypted' <<<"$said" || fail "it claims to know"
    expect 0 nbd-attach status $nbd
    says 'whether encrypted is unknown'
    says 'warning: *the state of /dev/nbd0 cannot be written'
    rm "$filler"
    within 30 test -s "$state_file" || fail "it is not tried again"
    assert_has $nbd '.warnings == []'
    # What was not known is not known by having been written.
    kill_supervisor
    expect 0 nbd-attach $nbd localhost --port $tls_port "${tls[@]}"
    says 'adopted.*whether encrypted is unknown'
    # The next link is one of ours.
    outage 1 serve_nbdkit
    sleep 3
    becomes $nbd alive 20
    assert_has $nbd '.links[0].tls.version == "1.3"'
    detach $nbd
    umount /run/nbd-attach
}
run_test_once "with a full /run attach warns, the disk is ready, and nothing is claimed that is not known" run_is_full

finish
