#!/bin/bash
# vm: together 6.1~55 6.12~101 newest~45
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2317,SC2086,SC2154 # functions are called by name; no device or directory here has spaces; start sets NAME_pid
#
# A device whose I/O was failed has lost writes under its users: it never comes back to life, however its supervisors come and go, and what they
# can note or not. And how long an outage may last is counted from its beginning, by whomever.

# shellcheck source=tests/vm/lib-supervise.sh
. /tests/lib-supervise.sh

begin() { # OPTION...
    make_disk
    serve_nbdkit
    attach $nbd localhost --port $tls_port "${tls[@]}" "$@"
}
again() { nbd-attach $nbd localhost --port $tls_port "${tls[@]}" "$@"; }
watched() { has $nbd '.supervisor_pid != null'; }
# /run/nbd-attach is a small disk of its own, for fill_run().
small_run() {
    mkdir -p /run/nbd-attach
    mount -t tmpfs -o size=64k,mode=755 small /run/nbd-attach
    trap 'umount -l /run/nbd-attach' EXIT
}
fill_run() {
    dd if=/dev/zero of=/run/nbd-attach/full bs=1k 2>/dev/null && fail "there is room still"
    ! echo more 2>/dev/null >/run/nbd-attach/more || fail "there is room still"
    rm -f /run/nbd-attach/more
}
forget() { rm -f /run/nbd-attach/${nbd#/dev/}.state; }

# Not one that waits: that cannot even be killed.
fails_at_once() {
    start reader dd if=$nbd of=/dev/null bs=4k count=1 iflag=direct status=none
    within 10 has_ended $reader_pid || return 1
    ! wait $reader_pid
}
# has_failed OPTION...: for good, though the server is back; with a supervisor or without, and with another one
has_failed() {
    is_alive $server_pid || serve_nbdkit
    # Its supervisor has the time to take it up again.
    local took_ms
    ! within 4 has $nbd '.state == "alive" or .reconnects > 0' || { nbd-attach status $nbd --json; fail "IT HAS COME BACK TO LIFE"; }
    ! watched || kill_supervisor
    local status=0
    said=$(again "$@" 2>&1) || status=$?
    printf 'status %s: %s\n' $status "$said"
    if [[ $status -eq 0 ]]; then
        within 10 has $nbd '.reconnects > 0' || true
        nbd-attach status $nbd --json
        fails_at_once || fail "IT WAS TAKEN UP AGAIN, AND HAS COME BACK TO LIFE"
        fail "it was taken up again"
    fi
    [[ $status -eq 7 ]] || fail "exit status $status, not 7"
    says failed
    fails_at_once || fail "a read goes through"
    timeout -s KILL 20 nbd-attach detach $nbd
    assert_not_attached $nbd
}

# Each supervisor lives for two or three seconds of the outage, and its --dead-timeout is five.
replaced_in_an_outage() { # SPOIL...
    local status said=''
    begin --dead-timeout 5
    "$@"
    kill_server
    becomes $nbd reconnecting 10
    while [[ $(now_ms) -lt $((outage_began + 25000)) ]]; do
        sleep 2
        is_state $nbd failed && break
        kill_supervisor
        status=0
        said=$(again --dead-timeout 5 2>&1) || status=$?
        echo "$(($(now_ms) - outage_began)) ms: status $status: $said"
        [[ $status -ne 7 ]] || break
        [[ $status -eq 0 ]] || fail "it cannot be adopted"
    done
    if [[ $status -ne 7 ]] && ! is_state $nbd failed; then
        nbd-attach status $nbd --json
        fail "it has not failed after $(($(now_ms) - outage_began)) ms"
    fi
    note "failed after $(($(now_ms) - outage_began)) ms"
    within 10 fails_at_once || fail "I/O still waits"
    has_failed --dead-timeout 5
}
# That it failed cannot be noted, or is forgotten.
failed_unnoted() { # SPOIL...
    begin --dead-timeout 3
    "$@"
    kill_server
    becomes $nbd failed 20
    within 10 fails_at_once || fail "I/O still waits"
    [[ $1 != forget ]] || forget
    has_failed --dead-timeout 3
}
# The driver's own timeout is over first; it says so in its log only.
given_up_by_driver() { # supervised|unsupervised|forgotten
    begin
    [[ $1 == supervised ]] || kill_supervisor
    [[ $1 != forgotten ]] || forget
    dead-conn-timeout ${nbd#/dev/nbd} "$(cat /sys/block/${nbd#/dev/}/backend)" 1
    kill_server
    # Sent at once, or when the kernel has seen that the link is dead.
    within 20 fails_at_once || fail "the driver waits on"
    dmesg | sed -n '/vm: test: /h;//!H;${x;p}' | grep 'shutting down sockets' || fail "the driver does not say that it gives up"
    if [[ $1 == supervised ]]; then
        serve_nbdkit
        within 15 is_state $nbd failed || { nbd-attach status $nbd --json; fail "its supervisor does not take it for failed"; }
        expect 12 nbd-attach status $nbd --quiet
    fi
    has_failed
}
# Its server is gone, and so is the former supervisor's note of how to look up the link.
adopted_without_a_note() {
    begin
    kill_supervisor
    forget
    kill_server
    sleep 1
    adopt
    within 10 is_state $nbd reconnecting || { nbd-attach status $nbd --json; fail "a link that nobody can see is taken for alive"; }
    note "reconnecting $took_ms ms after adoption"
    serve_nbdkit
    becomes $nbd alive 20
    write_and_compare $nbd 1
    detach $nbd
}
with_little_room() {
    small_run
    "$@"
}

test_timeout=120
run_test "--dead-timeout counts from the outage's beginning, whichever supervisor has it" replaced_in_an_outage true
run_test_once "the same with /run full" with_little_room replaced_in_an_outage fill_run
run_test_once "a device that failed stays so with /run full" with_little_room failed_unnoted fill_run
run_test "a device that failed stays so without its state file" failed_unnoted forget
run_test "a device that the driver gave up under its supervisor has failed" given_up_by_driver supervised
run_test "a device that the driver gave up meanwhile has failed" given_up_by_driver unsupervised
run_test_once "the same without its state file" given_up_by_driver forgotten
run_test "adopted in an outage without a state file: not taken for alive" adopted_without_a_note
finish
