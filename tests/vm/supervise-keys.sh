#!/bin/bash
# vm: together 6.1~60 6.12~115 newest~50
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2317,SC2086,SC2154 # functions are called by name; no device or directory here has spaces; start sets NAME_pid
#
# Keys that run out: links are renewed before it, and a server that updates its keys all the same, which the kernel's driver
# cannot take, costs no more than a reconnect. How long I/O waits for a renewal is supervise-renewals.sh's.

# shellcheck source=tests/vm/lib-supervise.sh
. /tests/lib-supervise.sh

shim=/usr/lib/keyupdate-shim.so

key_updates_sent() { grep -c 'keyupdate-shim: after .*: sent' "$state/nbdkit.out"; }
has_sent_updates() { [[ $(key_updates_sent) -ge $1 ]]; }
# The server sends a KeyUpdate after so many records, instead of after 2^24.
key_updates() {
    [[ -e $shim ]] || fail "no $shim: it was not built"
    make_disk
    LD_PRELOAD=$shim KEYUPDATE_RECORDS=500 serve_nbdkit
    attach $nbd localhost --port $tls_port "${tls[@]}"
    load load $nbd "${verified[@]}"
    local updates wanted
    wanted=$(rounds 5 100)
    within "$(rounds 240 6000)" has_sent_updates "$wanted" || fail "the server has not updated its key $wanted times"
    load_ends load
    updates=$(key_updates_sent)
    note "$updates key updates by the server, $(field $nbd .reconnects) reconnects"
    assert_has $nbd ".reconnects >= $updates - 1 and .error_replies == 0"
    detach $nbd
}

# Megabytes of answers that have come and are not read yet, when a link is shut: the driver reads on, and would read on from the next link if that
# were handed over meanwhile (kernel fact receiver-outlives-link).
large_reads() {
    make_disk
    serve_nbdkit
    attach $nbd localhost --port $tls_port "${tls[@]}" --rekey-records 2000
    load load $nbd "${verified[@]}" --bs=512k --iodepth=32 --verify_backlog=32
    renewed "$(rounds 3 200)" "$(rounds 240 6000)"
    load_ends load
    assert_has $nbd '.error_replies == 0 and .links[0].encryption_proven'
    # Its receiver may mark the new link dead, when it ends, which is no more than a reconnect.
    [[ $(field $nbd .reconnects) -le $(rounds 2 40) ]] || fail "$(field $nbd .reconnects) links died"
    detach $nbd
}
# ChaCha20-Poly1305 has no such limit; --rekey-records sets one.
# (nbdkit 1.32 now and then aborts in this test, which is not ours to count.)
chacha() {
    local priority
    priority=$(tls_priority 1.3 CHACHA20-POLY1305)
    make_disk
    serve_qemu_nbd
    attach $nbd localhost disk --port $tls_port "${tls[@]}" --tls-priority "$priority"
    assert_has $nbd '.links[0].record_limit == null'
    detach $nbd
    attach $nbd localhost disk --port $tls_port "${tls[@]}" --tls-priority "$priority" --rekey-records 1000
    assert_has $nbd '.links[0].record_limit == 1000'
    load load $nbd "${verified[@]}"
    renewed 3 240
    load_ends load
    assert_has $nbd '.reconnects == 0 and (.links[0].tls.cipher | test("CHACHA20"))'
    detach $nbd
}
# One after the other: three of the four go on meanwhile.
several_links() {
    make_disk
    serve_nbdkit
    attach $nbd localhost --port $tls_port "${tls[@]}" --connections 4 --rekey-records 1000 --io-timeout 10
    load load $nbd "${verified[@]}"
    renewed 8 240
    load_ends load
    assert_has $nbd '.state == "alive" and ([.links[] | select(.state == "alive")] | length) == 4'
    detach $nbd
}

test_timeout=600
[[ -z ${VM_SOAK:-} ]] || test_timeout=$((180 + VM_SOAK * 40))
run_test "a KeyUpdate every 500 records under verified load" key_updates
run_test "--rekey-records 2000 under large reads: what is read is right" large_reads
run_test_once "ChaCha20-Poly1305: no limit of its own, renewed when told to" chacha
run_test_once "four connections are renewed under load" several_links
finish
