#!/bin/bash
# vm: alone 6.1 6.12
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2317,SC2086,SC2154 # functions are called by name; no device or directory here has spaces; start sets NAME_pid
#
# How long I/O waits for the renewal of a link, under full load and in one with pauses, where it is not to be noticed.

# shellcheck source=tests/vm/lib-supervise.sh
. /tests/lib-supervise.sh

full_load() {
    make_disk
    serve_nbdkit
    attach $nbd localhost --port $tls_port "${tls[@]}" --rekey-records 2000
    assert_has $nbd '.links[0].record_limit == 2000'
    load load $nbd "${verified[@]}"
    renewed "$(rounds 10 1000)" "$(rounds 240 6000)"
    load_ends load
    local longest
    longest=$(longest_ms load)
    [[ $longest -le 2500 ]] || fail "I/O stalled for $longest ms"
    assert_has $nbd '.reconnects == 0 and .error_replies == 0 and .links[0].encryption_proven'
    detach $nbd
}
# The load pauses for 300 ms again and again: a renewal that waits for a pause meets no request. Where more than a fifth do, twice as many are
# looked at.
with_pauses() {
    local round renewals met=0
    make_disk
    serve_nbdkit
    attach $nbd localhost --port $tls_port "${tls[@]}" --rekey-records 2000
    for round in 1 2; do
        load load$round $nbd --rw=randrw --thinktime=300ms --thinktime_blocks=256
        renewed $((round * 10)) 240
        renewals=$(field $nbd .renewals)
        load_ends load$round
        met=$((met + $(swaps_under_requests load$round)))
        note "$met of $renewals renewals met a request; the driver was without a link for at most $(
            awk '{ if ($2 - $1 > most) most = $2 - $1 } END { print int(most) }' "$state/swaps") ms"
        [[ $(wc -l <"$state/swaps") -ge $((round * 10)) ]] || fail "only $(wc -l <"$state/swaps") swaps in the kernel's log"
        [[ $((met * 5)) -gt $renewals ]] || break
    done
    [[ $((met * 5)) -le $renewals ]] || fail "more than one renewal of five missed the pauses"
    assert_has $nbd '.reconnects == 0'
    detach $nbd
}
# Control: in a load without pauses they do meet requests.
without_pauses() {
    make_disk
    serve_nbdkit
    attach $nbd localhost --port $tls_port "${tls[@]}" --rekey-records 2000
    load load $nbd --rw=randrw
    renewed 4 240
    load_ends load
    note "$(swaps_under_requests load) of $(wc -l <"$state/swaps") renewals met a request"
    [[ $(swaps_under_requests load) -gt 0 ]] || fail "no request is seen that a renewal met: the test above proves nothing"
    detach $nbd
}

test_timeout=600
[[ -z ${VM_SOAK:-} ]] || test_timeout=$((180 + VM_SOAK * 40))
run_test_once "--rekey-records 2000 under full load: $(rounds 10 1000) renewals" full_load
run_test "--rekey-records 2000 under a load with pauses: renewals find them" with_pauses
run_test_once "control: without pauses, renewals meet requests" without_pauses
finish
