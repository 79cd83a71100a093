#!/bin/bash
# vm: together 6.12~142
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2317,SC2086,SC2154 # functions are called by name; no device or directory here has spaces; start sets NAME_pid
#
# A server that says nothing while something is owed may be dead, or slow. A link that is closed on suspicion makes the driver send its requests
# again, and the server may do the first ones later still: over what was written since.

# shellcheck source=tests/vm/lib-supervise.sh
. /tests/lib-supervise.sh

block=4096 at=256 # the block that the tests write: 4096 bytes at 1 MiB
the_write="pwrite $block $((block * at)) ?"

begin() { # OPTION...
    make_disk 8M
    serve_held
    attach $nbd localhost --port $tls_port "${tls[@]}" --timeout 2 "$@"
    port=$(client_ports $tls_port)
}
filled() { head -c $block /dev/zero | tr '\0' "$1" >"$state/$1"; } # LETTER
write_block() { dd if="$state/$1" of=$nbd bs=$block count=1 seek=$at oflag=direct status=none; }
disk_has() { dd if="$state/disk" bs=$block count=1 skip=$at status=none | cmp -s - "$state/$1"; }

is_silent() { has $nbd ".links[0].silence == \"$1\""; } # slow|suspected
# Whichever way: by a word, or by another link.
is_noticed() { has $nbd '.links[0].silence != null or .reconnects > 0 or .state != "alive"' || told 'has not answered'; }
same_link() { client_ports $tls_port | grep -qx "$port"; }
assert_same_link() {
    same_link || { nbd-attach status $nbd --json; fail "the link was closed"; }
    assert_has $nbd '.reconnects == 0 and .renewals == 0'
}
# stays_slow PID: that process goes on to wait, for some more --timeout
stays_slow() {
    within 40 is_silent slow || { nbd-attach status $nbd --json; fail "it is not said to be slow"; }
    assert_has $nbd '.state == "alive"'
    within 5 told 'still waiting|answers a new connection' || fail "the log says nothing of it"
    sleep 5
    is_alive "$1" || fail "it was not waited for"
    is_silent slow || fail "it is not slow any more: $(field $nbd '.links[0].silence')"
    assert_same_link
}
# The loop was never held up, whatever hung: not for as long as any of these waits was. What it took is this machine's business.
never_held_up() {
    note "longest round of the supervisor's loop: $(field $nbd .longest_round_ms) ms"
    assert_has $nbd '.longest_round_ms < 4000'
}
# answered PID: it comes to its end, by the same link
answered() {
    release
    within 15 has_ended "$1" || fail "it hangs"
    wait "$1" || fail "it failed"
    assert_has $nbd '.links[0].silence == null and .state == "alive"'
    assert_same_link
    never_held_up
    within 15 all_have_ended || fail "requests are left: $(cat "$state/requests")"
}

write_that_hangs() {
    filled A
    filled B
    begin
    hold "$the_write"
    start writer write_block A
    wait_for_file "$state/held"
    within 40 eval "is_silent slow || has_ended $writer_pid" || { nbd-attach status $nbd --json; fail "nothing is told of it"; }
    if is_alive $writer_pid; then
        stays_slow $writer_pid
        answered $writer_pid
    fi
    # It is acknowledged, and what is written now is newer.
    write_block B
    release
    within 15 all_have_ended || fail "requests are left: $(cat "$state/requests")"
    note "the block was written $(begun "$the_write") times by the server"
    disk_has B || fail "AN OLD WRITE CAME OVER A NEWER ONE THAT WAS ACKNOWLEDGED: $(dd if="$state/disk" bs=$block skip=$at count=1 status=none | head -c 1)"
    [[ $(begun "$the_write") -eq 2 ]] || fail "the two writes were done $(begun "$the_write") times"
    detach $nbd
}
# One request (before 6.12 several writes) that alone takes longer than --timeout.
zeroes_that_take_long() {
    begin
    hold '^(zero|pwrite) '
    start zeroes blkdiscard -z -o 0 -l 4M $nbd
    wait_for_file "$state/held"
    within 40 is_noticed || { nbd-attach status $nbd --json; fail "nothing is told of it"; }
    within 40 eval "is_silent slow || [[ -n \$(twice) ]]" || fail "it is not said to be slow"
    [[ -z $(twice) ]] || fail "begun more than once: $(twice)"
    stays_slow $zeroes_pid
    answered $zeroes_pid
    [[ -z $(twice) ]] || fail "begun more than once: $(twice)"
    detach $nbd
}
twice() { grep -E '^begin (zero|pwrite) ' "$state/requests" | sort | uniq -d; }
# Nobody answers a second connection either: there is nothing to be had by closing the first.
stopped_server() {
    pattern_file "$state/disk" 2
    serve_nbdkit
    attach $nbd localhost --port $tls_port "${tls[@]}" --timeout 2
    port=$(client_ports $tls_port)
    kill -STOP $server_pid
    start reader dd if=$nbd of="$state/read" bs=64k count=1 skip=3 iflag=direct status=none
    within 40 is_noticed || fail "nothing is told of it"
    within 40 eval "is_silent suspected || ! same_link" || { nbd-attach status $nbd --json; fail "it is not suspected"; }
    sleep 5
    same_link || { kill -CONT $server_pid; fail "the link was closed"; }
    is_silent suspected || fail "it is not suspected any more: $(field $nbd '.links[0].silence')"
    kill -CONT $server_pid
    within 15 has_ended $reader_pid || fail "the read hangs"
    wait $reader_pid || fail "the read failed"
    dd if="$state/disk" bs=64k count=1 skip=3 status=none | cmp - "$state/read" || fail "it read something else"
    assert_has $nbd '.links[0].silence == null and .state == "alive"'
    assert_same_link
    write_and_compare $nbd 1
    detach $nbd
}
# Who asks for it gets it.
request_timeout() {
    filled A
    begin --request-timeout 3
    hold "$the_write"
    start writer write_block A
    wait_for_file "$state/held"
    within 30 has $nbd '.reconnects >= 1' || fail "the link is not closed"
    within 15 has_ended $writer_pid || fail "the write hangs"
    wait $writer_pid || fail "the write failed"
    same_link && fail "it is the former link still"
    [[ $(begun "$the_write") -eq 2 ]] || fail "the write was begun $(begun "$the_write") times"
    release
    within 15 all_have_ended || fail "requests are left: $(cat "$state/requests")"
    disk_has A || fail "it is not on the disk"
    becomes $nbd alive 5
    detach $nbd
}

flush_that_hangs() {
    filled A
    begin
    hold '^flush'
    start writer dd if="$state/A" of=$nbd bs=$block count=1 seek=$at conv=fsync status=none
    wait_for_file "$state/held"
    within 40 is_noticed || { nbd-attach status $nbd --json; fail "nobody notices a server that hangs in a flush"; }
    stays_slow $writer_pid
    answered $writer_pid
    disk_has A || fail "it is not on the disk"
    detach $nbd
}
# What a Unix socket owes is not told, nor is a flush that TCP sends in the tick of an answer: the driver's own word for it is left.
flush_that_only_the_driver_tells() {
    filled A
    make_disk 8M
    make_held_plugin
    start nbdkit nbdkit -f -U "$state/nbd.sock" sh "$state/plugin"
    wait_until 10 test -S "$state/nbd.sock"
    attach $nbd "nbd+unix:///?socket=$state/nbd.sock" --timeout 2
    hold '^flush'
    start writer dd if="$state/A" of=$nbd bs=$block count=1 seek=$at conv=fsync status=none
    wait_for_file "$state/held"
    within 40 is_silent slow || { nbd-attach status $nbd --json; fail "nobody notices a server that hangs in a flush"; }
    sleep 5
    is_silent slow || fail "it is not slow any more: $(field $nbd '.links[0].silence')"
    release
    within 15 has_ended $writer_pid || fail "it hangs"
    wait $writer_pid || fail "it failed"
    within 10 has $nbd '.links[0].silence == null' || fail "it is silent still"
    assert_has $nbd '.reconnects == 0 and .state == "alive"'
    disk_has A || fail "it is not on the disk"
    detach $nbd
}
read_that_is_not_counted() {
    begin
    echo 0 >/sys/block/${nbd#/dev/}/queue/iostats
    hold "^pread $block $((block * at))"
    start reader dd if=$nbd of=/dev/null bs=$block count=1 skip=$at iflag=direct status=none
    wait_for_file "$state/held"
    within 40 is_noticed || { nbd-attach status $nbd --json; fail "nobody notices a server that hangs while nothing is counted"; }
    stays_slow $reader_pid
    answered $reader_pid
    detach $nbd
}

status_answers() { timeout -s KILL 10 nbd-attach status $nbd --json | jq -e '.devices[0].supervisor_pid != null' >/dev/null; }
hangs() { ! status_answers && ! status_answers && ! status_answers; }
# The kernel holds on to a new size until the flush is done (since 6.9), and meanwhile to the lock that a new link needs.
resize_beside_flush() {
    filled A
    begin
    # The link that is there knows the new size already: only the flush is in the way.
    kill_server
    make_disk 16M
    serve_held
    within 20 has $nbd '.state == "alive" and .offered_size_bytes == 16777216' || fail "it does not come back larger"
    hold_all '^flush'
    start writer dd if="$state/A" of=$nbd bs=$block count=1 seek=$at conv=fsync status=none
    wait_for_file "$state/held"
    start resize timeout -s KILL 60 nbd-attach resize $nbd
    if within 6 hangs; then
        # Were the server to die now, nothing could free that lock any more.
        release
        fail "the supervisor hangs in the new size, and would so for ever without its server"
    fi
    kill_server
    release
    serve_held
    within 20 has_ended $writer_pid || fail "a flush and a new size wait for each other"
    wait $writer_pid || fail "the flush failed"
    within 40 has_ended $resize_pid || fail "resize hangs"
    cat "$state/resize.out"
    becomes $nbd alive 10
    expect 0 timeout -s KILL 60 nbd-attach resize $nbd
    [[ $(device_bytes $nbd) -eq 16777216 ]] || fail "it has $(device_bytes $nbd) bytes"
    detach $nbd
}

test_timeout=180
run_test "a write that hangs in the server is waited for: it is done once, and before what comes later" write_that_hangs
run_test "zeroing that takes longer than --timeout is begun once" zeroes_that_take_long
run_test "a server that stands still keeps its link, and answers by it when it goes on" stopped_server
run_test "--request-timeout closes the link of a request that takes longer" request_timeout
run_test "a server that hangs in a flush is noticed, and waited for" flush_that_hangs
run_test "a flush of which only the driver tells is noticed, and waited for" flush_that_only_the_driver_tells
run_test "a server that hangs is noticed with queue/iostats off" read_that_is_not_counted
run_test "a new size is not told while a flush is in flight" resize_beside_flush
finish
