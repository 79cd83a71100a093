#!/bin/bash
# vm: together 6.1~82 6.12~137
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2317,SC2086,SC2154 # functions are called by name; no device or directory here has spaces; start sets NAME_pid
#
# A server that comes back with another disk: a smaller one, or one with other properties, is not served from; a larger
# one is, at the old size until a resize is asked for.

# shellcheck source=tests/vm/lib-supervise.sh
. /tests/lib-supervise.sh

mib() { echo $(($1 * 1048576)); }
attached() { # OPTION...
    make_disk 64M
    serve_nbdkit
    attach $nbd localhost --port $tls_port "${tls[@]}" "$@"
    [[ $(device_bytes $nbd) -eq $(mib 64) ]] || fail "it has $(device_bytes $nbd) bytes"
}
# The last MiB of the device, and so beyond its old end.
use_the_end() {
    local last=$(($(device_bytes $nbd) / 1048576 - 1))
    pattern_file "$state/last" 1
    dd if="$state/last" of=$nbd bs=1M seek=$last conv=fsync
    drop_caches
    dd if=$nbd bs=1M skip=$last | cmp - "$state/last" || fail "the new end does not hold what was written"
}
# stopped PATTERN: the server is back, with an offer that is refused
stopped() {
    becomes $nbd stopped 15
    field $nbd '| {state, reason}'
    has $nbd ".reason | test(\"$1\"; \"i\")" || fail "the reason is another: $(field $nbd .reason)"
    stays_still $nbd 3 || fail "I/O goes on"
    is_alive $load_load_pid || fail "I/O has failed"
}
# The right disk again, and all is well.
fixed() {
    within 30 moves $nbd || fail "no I/O with the right disk"
    sleep 4
    becomes $nbd alive 10
    load_ends load
    detach $nbd
}

smaller() {
    attached
    load load $nbd "${verified[@]}" --size=32M
    kill_server
    truncate -s 32M "$state/disk"
    serve_nbdkit
    stopped 'small|size|33554432|32 MiB'
    kill_server
    truncate -s 64M "$state/disk"
    serve_nbdkit
    fixed
}
read_only() {
    attached
    load load $nbd "${verified[@]}"
    kill_server
    serve_nbdkit -r
    stopped 'read-only|flag'
    outage 0 serve_nbdkit
    fixed
}
block_size() {
    attached
    load load $nbd "${verified[@]}"
    kill_server
    serve_nbdkit --filter=blocksize-policy blocksize-minimum=4096 blocksize-preferred=4096 blocksize-maximum=64K
    stopped 'block'
    outage 0 serve_nbdkit
    fixed
}
larger() {
    attached
    load load $nbd "${verified[@]}"
    kill_server
    truncate -s 96M "$state/disk"
    serve_nbdkit
    outage_ends
    within 10 moves $nbd || fail "no I/O after the server is back"
    becomes $nbd alive 10
    [[ $(device_bytes $nbd) -eq $(mib 64) ]] || fail "nobody asked for $(device_bytes $nbd) bytes"
    assert_has $nbd ".size_bytes == $(mib 64) and .offered_size_bytes == $(mib 96)"
    expect 0 timeout 30 nbd-attach resize $nbd
    says '64.*96|67108864.*100663296'
    [[ $(device_bytes $nbd) -eq $(mib 96) ]] || fail "it has $(device_bytes $nbd) bytes"
    assert_has $nbd ".size_bytes == $(mib 96) and .offered_size_bytes == null"
    within 10 moves $nbd || fail "I/O has stopped"
    load_ends load
    use_the_end
    # The new size is the one to come back with.
    outage 0 serve_nbdkit
    becomes $nbd alive 15
    use_the_end
    detach $nbd
}
# The server has not been away at all.
resized_in_use() { # OPTION...
    local before
    attached "$@"
    load load $nbd "${verified[@]}"
    truncate -s 128M "$state/disk"
    expect 0 timeout 60 nbd-attach resize $nbd
    [[ $(device_bytes $nbd) -eq $(mib 128) ]] || fail "it has $(device_bytes $nbd) bytes"
    within 10 moves $nbd || fail "I/O has stopped"
    # A connection that was told the old size would be answered with an error beyond it.
    assert_has $nbd '.renewals + .reconnects >= (.links | length)'
    before=$(field $nbd '.renewals + .reconnects')
    load_ends load
    use_the_end
    assert_has $nbd ".renewals + .reconnects == $before and .error_replies == 0"
    expect 0 timeout 30 nbd-attach resize $nbd
    [[ $(device_bytes $nbd) -eq $(mib 128) ]] || fail "it has $(device_bytes $nbd) bytes"
    detach $nbd
}
# Requests take seconds, and while the new size waits for them the server dies: had the driver been told of it at once, it would wait for them
# too, with the lock that a reconnect needs (kernel fact size-freezes-queue).
lost_while_waiting() {
    local before
    attached
    load load $nbd "${verified[@]}"
    kill_server
    truncate -s 96M "$state/disk"
    before=$(completed $nbd)
    serve_nbdkit --filter=delay rdelay=6 wdelay=6
    outage_ends
    within 30 has_completed $nbd "$before" || fail "nothing from the slow server"
    becomes $nbd alive 10
    start resize timeout 60 nbd-attach resize $nbd
    sleep 2
    outage 1 serve_nbdkit
    wait "$resize_pid" || { cat "$state/resize.out"; fail "no resize"; }
    [[ $(device_bytes $nbd) -eq $(mib 96) ]] || fail "it has $(device_bytes $nbd) bytes"
    within 10 moves $nbd || fail "I/O has stopped"
    load_ends load
    use_the_end
    detach $nbd
}
by_itself() {
    attached --auto-resize
    load load $nbd "${verified[@]}"
    kill_server
    truncate -s 80M "$state/disk"
    serve_nbdkit
    outage_ends
    within 15 eval "[[ \$(device_bytes $nbd) -eq $(mib 80) ]]" || fail "it has $(device_bytes $nbd) bytes"
    within 10 moves $nbd || fail "no I/O after the server is back"
    sleep 4
    assert_has $nbd ".state == \"alive\" and .size_bytes == $(mib 80) and .offered_size_bytes == null"
    load_ends load
    use_the_end
    detach $nbd
}
adopted_unix() {
    make_disk
    start nbdkit nbdkit -f -U "$state/nbd.sock" file "$state/disk"
    wait_until 10 test -S "$state/nbd.sock"
    attach $nbd "nbd+unix:///?socket=$state/nbd.sock"
    kill -KILL "$(field $nbd .supervisor_pid)"
    within 10 has $nbd '.supervisor_pid == null' || fail "the supervisor does not die"
    expect 0 nbd-attach $nbd "nbd+unix:///?socket=$state/nbd.sock"
    says adopted
    # Twice what it was, and nbdkit tells a new connection so, and the old one not.
    make_disk 128M
    expect 7 timeout 60 nbd-attach resize $nbd
    says "cannot be renewed"
    [[ $(device_bytes $nbd) -eq $(mib 64) ]] || fail "it has $(device_bytes $nbd) bytes"
    write_and_compare $nbd 4
    detach $nbd
}

test_timeout=120
run_test_once "a smaller disk is refused, and I/O waits for the right one" smaller
run_test_once "a disk that became read-only is refused" read_only
run_test_once "a disk with larger blocks is refused" block_size
run_test "a larger disk: the old size, until resize is asked for" larger
run_test "resize while the server serves" resized_in_use
run_test "the same with two connections" resized_in_use --connections 2 --io-timeout 10
run_test "the server dies while the new size waits for slow requests" lost_while_waiting
run_test_once "a Unix socket's connection that was adopted: not resized behind its server's back" adopted_unix
run_test_once "--auto-resize" by_itself
finish
