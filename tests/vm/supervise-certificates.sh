#!/bin/bash
# vm: together 6.12~40
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2317,SC2086,SC2154,SC2034 # functions are called by name; no device or directory here has spaces; start sets NAME_pid
#
# Certificates that are renewed while a disk is attached: the next connection takes them, and nobody is restarted.

# shellcheck source=tests/vm/lib-supervise.sh
. /tests/lib-supervise.sh

# Not below /run, where a supervisor that needs no disk could see it.
pki=/keys/pki
make_pki() {
    rm -rf $pki
    mkdir -p /keys
    mkdir -m 0700 $pki
    cp "$certs"/{ca-cert,client-cert,client-key}.pem $pki/
}
# Signed by another authority, which a server will want from now on.
renew_client() {
    cp "$certs/several/client-cert-0.pem" $pki/client-cert.pem
    cp "$certs/several/client-key-0.pem" $pki/client-key.pem
}
serve_former() { serve_nbdkit --tls-verify-peer; }
serve_other() { # of the same name, for clients of the other authority
    nbdkit_server $tls_port --tls=require "--tls-certificates=$certs/other-clients" --tls-verify-peer file "$state/disk"
    server_pid=$nbdkit_pid
}

# By a relative name, which a supervisor, and reload, that are elsewhere have to understand.
attach_from_keys() {
    cd /keys
    attach $nbd localhost --port $tls_port --tls-certificates pki
    cd /
}

next_connection_takes_them() {
    local pid
    make_disk
    make_pki
    serve_former
    attach_from_keys
    pid=$(supervisor_of $nbd)
    # Half of it first: the former ones go on counting, and somebody is told.
    cp "$certs/several/client-cert-0.pem" $pki/client-cert.pem
    outage 1 serve_former
    becomes $nbd alive 15
    assert_has $nbd '.links[0].tls.is_stale and (.warnings | map(select(test("nbd-attach reload"))) | length == 1)'
    expect 2 nbd-attach reload $nbd
    says 'do not belong together'
    renew_client
    expect 0 nbd-attach reload $nbd
    says 'next connection'
    outage 1 serve_other
    becomes $nbd alive 15
    assert_has $nbd '(.links[0].tls.is_stale | not) and (.warnings | map(select(test("nbd-attach reload"))) | length == 0)'
    write_and_compare $nbd 8
    [[ $(supervisor_of $nbd) -eq $pid ]] || fail "the supervisor is another one"
    detach $nbd
}
# Whether a file was renewed is seen by reading it, and that may hang: it is on a disk that is away itself. A FIFO stands for that.
files_hang() {
    make_disk
    make_pki
    serve_former
    attach $nbd localhost --port $tls_port --tls-certificates $pki --connect-timeout 3
    rm $pki/ca-cert.pem
    mkfifo $pki/ca-cert.pem
    outage 1 serve_former
    becomes $nbd alive 15
    assert_has $nbd '.links[0].tls.is_stale'
    write_and_compare $nbd 8
    detach $nbd
}
by_itself() {
    make_disk
    make_pki
    serve_former
    attach_from_keys
    renew_client
    outage 1 serve_other
    becomes $nbd alive 15
    write_and_compare $nbd 8
    detach $nbd
}
# Whoever opens them later, under the same name, has something else.
from_descriptors() {
    make_disk
    make_pki
    serve_former
    mkfifo $pki/pipe
    cat $pki/client-cert.pem >$pki/pipe &
    attach $nbd localhost --port $tls_port --tls-ca $pki/ca-cert.pem --tls-cert $pki/pipe --tls-key /proc/self/fd/0 <$pki/client-key.pem
    outage 1 serve_former
    becomes $nbd alive 15
    assert_has $nbd '.links[0].tls.is_stale | not'
    # together with a file that was renewed
    cp "$certs/ca-cert.pem" $pki/
    outage 1 serve_former
    becomes $nbd alive 15
    assert_has $nbd '(.links[0].tls.is_stale | not) and .warnings == []'
    expect 2 nbd-attach reload $nbd
    says 'it was read once'
    write_and_compare $nbd 8
    detach $nbd
}
without_a_disk() {
    make_disk
    make_pki
    serve_former
    attach $nbd localhost --port $tls_port --tls-certificates $pki --root --dead-timeout infinity
    renew_client
    outage 1 serve_other
    sleep 5
    is_state $nbd reconnecting || fail "it is $(field $nbd .state): where does it read the new ones?"
    expect 0 nbd-attach reload $nbd
    becomes $nbd alive 15
    write_and_compare $nbd 8
    detach $nbd
}
without_tls() {
    nbdkit_server 10809 memory 16M
    attach $nbd localhost
    expect 0 nbd-attach reload $nbd
    says 'nothing to reload'
    detach $nbd
    expect 7 nbd-attach reload $nbd
}

run_test "a renewed certificate is checked, and taken by the next connection" next_connection_takes_them
run_test "... also without a word" by_itself
run_test "... files that cannot be read hold up no reconnect for long" files_hang
run_test "... what came by a descriptor or a pipe is kept" from_descriptors
run_test "--root: handed over, where there is no disk to read" without_a_disk
run_test "a device without TLS has nothing to reload" without_tls
finish
