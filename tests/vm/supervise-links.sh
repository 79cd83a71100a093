#!/bin/bash
# vm: alone 6.1 6.12
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2317,SC2086,SC2154 # functions are called by name; no device or directory here has spaces; start sets NAME_pid
#
# Several connections: when one dies, the others go on, and it is replaced.

# shellcheck source=tests/vm/lib-supervise.sh
. /tests/lib-supervise.sh

four_alive='.state == "alive" and ([.links[] | select(.state == "alive")] | length) == 4'

# The driver has a queue for each CPU and a connection for each queue: load on one CPU is load on one connection.
busiest_port() {
    local port sent=() before after most=0 busiest=''
    for port in $(client_ports); do sent[port]=$(sent_bytes $port); done
    sleep 1
    for port in "${!sent[@]}"; do
        before=${sent[port]} after=$(sent_bytes $port)
        [[ $((after - before)) -le $most ]] || { most=$((after - before)) busiest=$port; }
    done
    echo $busiest
}
sent_bytes() { ss -Htni "sport = :$1" | grep -o 'bytes_sent:[0-9]*' | cut -d : -f 2; }

# longest_between FROM_MS UNTIL_MS NAME: of the requests that began and ended then
longest_between() {
    awk -v from="$1" -v until="$2" -F ', ' '
        { ms = $2 / 1000000; if ($1 - ms > from && $1 < until && ms > longest) { longest = ms; at = $1 - ms - from } }
        END { print int(longest) " (begun " int(at) " ms after it)" }' "$state/$3_lat.log"
}

one_dies() {
    make_disk
    serve_nbdkit
    attach $nbd localhost --port $tls_port "${tls[@]}" --connections 4 --io-timeout 10
    assert_has $nbd "$four_alive"
    local port cut longest i
    load hit $nbd "${verified[@]}" --cpus_allowed=1 --size=32M
    port=$(busiest_port)
    [[ -n $port ]] || fail "no connection carries the load"
    load spared $nbd "${verified[@]}" --cpus_allowed=0 --offset=32M --size=32M
    sleep 2
    # What was queued on the dead one waits for its timer; what comes now does not, whatever its CPU.
    cut=$(now_ms)
    close_connection "$port"
    for i in 1 2 3 4 5 6; do
        within 20 timeout 20 taskset -c $((i % 2)) dd if=$nbd of=/dev/null bs=4k count=1 skip=$i iflag=direct
        [[ $took_ms -le 1000 ]] || fail "a new request took $took_ms ms"
    done
    becomes $nbd alive 20
    within 20 has $nbd "$four_alive and .reconnects >= 1" || fail "not four links again: $(field $nbd '.links | map(.state)')"
    note "four links again $(($(now_ms) - cut)) ms after the cut"
    [[ $(client_ports | wc -l) -eq 4 ]] || fail "$(client_ports | wc -l) connections"
    sleep 14
    load_ends hit
    load_ends spared
    # Until the dead link's requests are done, too: later there is nothing left of the cut that could hold anything up.
    longest=$(longest_between "$cut" "$((cut + 10000))" spared)
    note "longest latency in ms, of new requests elsewhere: $longest; in all, of those on the dead link: $(longest_ms hit) ms"
    [[ ${longest%% *} -le 1000 ]] || fail "the others stalled for $longest ms"
    assert_has $nbd '.error_replies == 0'
    detach $nbd
}
all_die() {
    make_disk
    serve_nbdkit
    attach $nbd localhost --port $tls_port "${tls[@]}" --connections 4 --io-timeout 10
    load load $nbd "${verified[@]}"
    sleep 2
    outage 1 serve_nbdkit
    within 20 has $nbd "$four_alive" || fail "not four links again: $(field $nbd '.links | map(.state)')"
    note "four links again after $took_ms ms"
    sleep 14
    load_ends load
    assert_has $nbd '.error_replies == 0'
    detach $nbd
}

test_timeout=180
run_test "one of four connections dies: the others go on, and it comes back" one_dies
run_test_once "all of four connections die and come back" all_die
finish
