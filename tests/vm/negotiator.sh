#!/bin/bash
# vm: together 6.1~36 6.12~48 newest~36
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2317,SC2086,SC2154,SC2206,SC2034 # functions are called by name; nothing here has spaces; the libraries set and use variables
#
# A negotiator that has been taken over: what tests/compromised/check cannot show on a kernel without kernel TLS and without the driver, and
# what this kernel's Landlock makes of the rest.

# shellcheck source=tests/vm/lib-supervise.sh
. /tests/lib-supervise.sh
# shellcheck source=tests/vm/lib-compromised.sh
. /tests/lib-compromised.sh

compromised=/usr/bin/compromised
orders=/run/vm/orders
landlock=$(NBDA_DEED=landlock $compromised)
target=(localhost --port $tls_port "${tls[@]}")

# Listeners that it has no business with.
start_listener() {
    nbdkit_server 10999 memory 1M
    start other nbdkit -f -U $state/other.sock memory 1M
    wait_for_file $state/other.sock
    chmod 777 $state/other.sock
    export NBDA_PORT=10999 NBDA_SOCKET=$state/other.sock
}
# Another negotiator, which waits.
start_victim() {
    NBDA_PHASE=connected NBDA_DEED=wait start victim $compromised info "${target[@]}"
    negotiator_of $victim_pid || fail "it does not start"
    export NBDA_OTHER=$negotiator
}

refused() { # PHASE COLUMN HOST
    local group
    note "Landlock: ABI $landlock"
    make_disk
    serve_nbdkit
    start_listener
    start_victim
    for group in "${deeds_groups[@]}"; do
        deeds_attempt $1 $group $compromised info "$3" "${target[@]:1}" --tls-hostname localhost
        deeds_compare $group $2 $landlock || fail "$group"
    done
}
# Landlock's list has the folders of what glibc's modules ask.
services() {
    make_disk
    serve_nbdkit
    mkdir -p /run/nscd
    start nscd nbdkit -f -U /run/nscd/socket memory 1M
    wait_for_file /run/nscd/socket
    chmod 777 /run/nscd/socket
    NBDA_SERVICE=/run/nscd/socket deeds_attempt resolving services $compromised info "${target[@]}"
    rm -r /run/nscd
    [[ $(deeds_outcomes) == "service done" ]] || fail "$deeds_said"
}
killed() { # PHASE DEED...
    local deed
    make_disk
    serve_nbdkit
    start_victim
    for deed in "${@:2}"; do
        deeds_attempt $1 $deed $compromised $nbd "${target[@]}"
        deeds_was_killed || fail "$deed"
        assert_not_attached $nbd
    done
}
no_grandchild() {
    killed handover fork
    kill -KILL $victim_pid
    sleep 0.5
    [[ -z $(pidof compromised) ]] || fail "a process is left: $(pidof compromised)"
    # The kernel's log names the call, as the message says.
    dmesg | grep -E 'type=1326.* sig=31 .*syscall=' || fail "the log has nothing of it"
}

# "TLS 1.67", and ChaCha20, whose key is not limited, over a socket with AES-GCM; an address that was not connected to.
lies() {
    make_disk
    serve_nbdkit
    NBDA_DEED=lie expect 0 $compromised $nbd "${target[@]}" --tls-priority "$(tls_priority 1.3 AES-128-GCM)"
    says 'TLS 1.3'
    assert_has $nbd '.links[0].address == "127.0.0.1:10809" or .links[0].address == "[::1]:10809"'
    assert_has $nbd '.links[0].tls.version == "1.3" and .links[0].tls.cipher == "AES-128-GCM" and .links[0].tls.authentication == "X.509"'
    assert_has $nbd '.links[0].record_limit == 16777216'
    # and it was a message with lies in it
    assert_has $nbd '.links[0].tls.group == "a lie"'
    detach $nbd
    # Below the floor is below the floor, whatever it says. (The server has nothing else here.)
    NBDA_DEED=lie expect 0 $compromised $nbd "${target[@]}" --tls-min 1.2 --tls-priority "$(tls_priority 1.2 AES-256-GCM)"
    assert_has $nbd '.links[0].tls.version == "1.2" and .links[0].tls.cipher == "AES-256-GCM"'
    detach $nbd
}

# Each reconnect's negotiator fails with what has come of its order.
order_comes_to() { # DEED OUTCOME
    echo "connected $1" >$orders
    [[ ${3:-} != resolving ]] || echo "resolving $1" >$orders
    within 45 has $nbd ".last_error // \"\" | contains(\"deed $1: $2\")" || { nbd-attach status $nbd --json; fail "$1: not $2"; }
}

# It serves its own disk, has no priority of its parent's, and sees of what is in memory what a resolver reads.
with_root() {
    local pid
    make_disk
    serve_nbdkit
    rm -f $orders
    # (which is also how long the one that waits may take)
    NBDA_ORDERS=$orders expect 0 $compromised $nbd "${target[@]}" --root --connect-timeout 6
    pid=$(supervisor_of $nbd)
    echo "connected wait" >$orders
    kill_server
    sleep 1
    serve_nbdkit
    negotiator_of $pid || fail "it does not reconnect"
    wait_until 10 eval "[[ \$(status_of $negotiator Seccomp_filters) -eq 2 ]]" || fail "it does not connect"
    deeds_policy=6 # SCHED_DEADLINE: the reserve of memory, but not the machine
    is_confined_as_meant $negotiator 2 || fail "it is not confined as it is meant to be"
    # (its wait is over, or it is killed at its deadline)
    order_comes_to read-accounts EPERM
    order_comes_to terminal EPERM
    order_comes_to real-time EPERM
    order_comes_to read-hosts "done" resolving
    order_comes_to read-process EACCES resolving
    order_comes_to list-root EACCES resolving
    rm -f $orders
    becomes $nbd alive 40
    outage_ends
    detach $nbd
}

test_timeout=300
run_test "while it resolves: what is refused, by name" refused resolving 2 localhost
run_test "while it resolves: what is refused, by number" refused resolving 3 127.0.0.1
run_test "while it resolves: it may ask nscd" services
run_test_once "once it is connected: what is refused" refused connected 4 localhost
run_test_once "at the hand-over: what is refused" refused handover 4 localhost
run_test_once "while it resolves: what ends it" killed resolving "${deeds_killed[@]}"
run_test_once "once TLS is agreed on: what ends it" killed tls fork exec ptrace
run_test_once "at the hand-over, with decrypted bytes within reach, it cannot leave a process behind" no_grandchild
run_test "what it says of TLS and address is looked up" lies
run_test "with --root, it has nothing of the supervisor's either" with_root
finish
