#!/bin/bash
# vm: together 6.12~82
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2317,SC2086,SC2154 # functions are called by name; no device or directory here has spaces; start sets NAME_pid
#
# What supervision cannot fix, and how it ends: the retry time is over, somebody else disconnects, the server answers
# with errors, the user has had enough.

# shellcheck source=tests/vm/lib-supervise.sh
. /tests/lib-supervise.sh

attached() { # OPTION...
    make_disk
    serve_nbdkit
    attach $nbd localhost --port $tls_port "${tls[@]}" "$@"
}

dead_timeout() {
    attached --dead-timeout 5
    assert_has $nbd '.dead_timeout_sec == 5'
    load load $nbd --rw=randrw
    sleep 1
    kill_server
    # fio ends with the first error, when all that it has in flight is answered.
    within 20 eval "! is_alive $load_load_pid" || fail "I/O hangs 20 s after the server went"
    local failed_after=$(($(now_ms) - outage_began))
    note "I/O fails $failed_after ms after the server went"
    load_stops load
    [[ $(jq '.jobs[0].error' "$state/load.result") -eq 5 ]] || fail "fio did not end with EIO"
    [[ $failed_after -ge 4800 ]] || fail "I/O failed too early"
    [[ $failed_after -le 9000 ]] || fail "I/O failed too late"
    assert_has $nbd '.state == "failed" and .reason != null and .last_error != null and .next_attempt_in_ms == null'
    local since
    since=$(field $nbd .state_since_unix_sec)
    [[ $((since - outage_began / 1000)) -ge 4 && $((since - outage_began / 1000)) -le 8 ]] || fail "failed since $since?"
    expect 0 nbd-attach status $nbd
    says failed
    # What comes now fails at once.
    within 2 eval "! dd if=$nbd of=/dev/null bs=4k count=1 iflag=direct" || fail "a read went through"
    # Nor does it come back to life under its users by another supervisor.
    kill -KILL "$(field $nbd .supervisor_pid)"
    serve_nbdkit
    expect 7 nbd-attach $nbd localhost --port $tls_port "${tls[@]}"
    says "has failed for good"
    says "nbd-attach detach"
    timeout 20 nbd-attach detach $nbd
    assert_not_attached $nbd
    [[ -z $(ls /run/nbd-attach) ]] || fail "files are left: $(ls /run/nbd-attach)"
    attach $nbd localhost --port $tls_port "${tls[@]}"
    write_and_compare $nbd 4
    detach $nbd
}
infinite() {
    attached --dead-timeout infinity
    assert_has $nbd '.dead_timeout_sec == null'
    load load $nbd "${verified[@]}"
    outage 8 serve_nbdkit
    within 15 moves $nbd || fail "no I/O after the server is back"
    sleep 3
    load_ends load
    detach $nbd
}
somebody_else_disconnects() {
    need nbd-client
    local pid
    attached
    kill_server
    becomes $nbd reconnecting 5
    pid=$(field $nbd .supervisor_pid)
    nbd-client -d $nbd
    within 10 eval "! is_alive $pid" || fail "the supervisor does not notice"
    [[ -z $(pidof nbd-attach) ]] || fail "processes are left: $(pidof nbd-attach)"
    expect 7 nbd-attach detach $nbd
}
# NBD_ESHUTDOWN is an answer: the driver passes it on, and no reconnect can take it back. It is told at least.
error_replies() {
    make_disk
    serve_nbdkit --filter=delay delay-read=500ms delay-write=500ms
    attach $nbd localhost --port $tls_port "${tls[@]}"
    load load $nbd --rw=randrw --continue_on_error=all
    sleep 1
    outage_begins
    kill -TERM $server_pid
    within 60 eval "! is_alive $server_pid" || fail "nbdkit does not end"
    serve_nbdkit
    outage_ends
    within 30 moves $nbd || fail "no I/O after the server is back"
    becomes $nbd alive 15
    load_stops load
    note "$(jq '.jobs[0].total_err' "$state/load.result") requests failed, status tells of $(field $nbd .error_replies)"
    [[ $(jq '.jobs[0].total_err' "$state/load.result") -gt 0 ]] || skip_test "no request was in flight when nbdkit ended"
    assert_has $nbd '.error_replies > 0'
    write_and_compare $nbd 4
    detach $nbd
}
# A writer that is done, and whose data is not.
detached_while_away() {
    attached
    kill_server
    becomes $nbd reconnecting 5
    start writer dd if=/dev/zero of=$nbd bs=4k count=64
    sleep 1
    local before=$SECONDS
    expect 7 timeout 20 nbd-attach detach $nbd
    [[ $((SECONDS - before)) -le 10 ]] || fail "that took $((SECONDS - before)) s"
    says "server|reconnect"
    says "--force"
    is_state $nbd reconnecting || fail "it is $(field $nbd .state)"
    expect 10 nbd-attach status $nbd --quiet
    timeout 20 nbd-attach detach $nbd --force
    within 10 eval "! is_alive $writer_pid" || fail "the writer hangs"
    within 10 eval "! is_attached $nbd" || fail "still attached"
    [[ -z $(pidof nbd-attach) ]] || fail "processes are left: $(pidof nbd-attach)"
}
# With I/O that waits, it ends that I/O.
detached_under_load() {
    attached
    load load $nbd --rw=randrw
    kill_server
    sleep 2
    expect 7 timeout 20 nbd-attach detach $nbd
    timeout 20 nbd-attach detach $nbd --force
    within 10 eval "! is_alive $load_load_pid" || fail "I/O hangs"
    within 10 eval "! is_attached $nbd" || fail "still attached"
}
waits_for_the_first() {
    make_disk
    start first nbd-attach $nbd localhost --port $tls_port "${tls[@]}" --wait 60
    sleep 3
    is_alive $first_pid || fail "it did not wait: $(cat "$state/first.out")"
    serve_nbdkit
    within 15 eval "! is_alive $first_pid" || fail "it waits on"
    wait $first_pid
    becomes $nbd alive 5
    detach $nbd
    kill_server
    local before=$SECONDS
    expect 4 timeout 30 nbd-attach $nbd localhost --port $tls_port "${tls[@]}" --wait 3
    [[ $((SECONDS - before)) -ge 2 && $((SECONDS - before)) -le 10 ]] || fail "that took $((SECONDS - before)) s"
    assert_not_attached $nbd
}
# A unit's stop, or a lost terminal: neither a process nor the marks of one stay.
ended_while_it_waits() {
    local signal
    for signal in TERM HUP; do
        start first nbd-attach $nbd localhost --port $tls_port "${tls[@]}" --wait 60 --foreground
        wait_for_file "/run/nbd-attach/${nbd#/dev/}.lock"
        sleep 2
        kill -$signal $first_pid
        within 5 eval "! is_alive $first_pid" || fail "SIG$signal does not end it"
        ! compgen -G "/run/nbd-attach/${nbd#/dev/}.*" || fail "SIG$signal leaves that"
    done
    assert_not_attached $nbd
    make_disk
    serve_nbdkit
    attach $nbd localhost --port $tls_port "${tls[@]}"
    detach $nbd
}

test_timeout=150
run_test "--dead-timeout 5: I/O fails then and not before, and status says so" dead_timeout
run_test "--dead-timeout infinity waits" infinite
run_test "another program disconnects while the server is away: the supervisor ends" somebody_else_disconnects
run_test "error replies are counted, and the device goes on" error_replies
run_test "detach while the server is away and data waits: refused without --force" detached_while_away
run_test "detach --force ends I/O that waits for the server" detached_under_load
run_test "--wait: for the first connection" waits_for_the_first
run_test "a signal ends one that waits for its first connection, and nothing is left" ended_while_it_waits
finish
