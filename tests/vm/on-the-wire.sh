#!/bin/bash
# vm: together 6.1~21 6.12~29
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2317,SC2086 # functions are called by name; no device or directory here has spaces
#
# What a listener on the wire sees: nothing of the data and nothing of the export's name. The control shows that the
# same listener does see both when there is no TLS.

# shellcheck source=tests/vm/lib.sh
. /tests/lib.sh

marker='NBD-PLAINTEXT-MARKER'
export_name='export-name-in-clear'

# Into a file first: a pipe into a search would fill up, and packets would be lost.
listen_to_wire() { # PORT
    start tcpdump bash -c "exec tcpdump -Z root -i lo -s 0 -B 131072 -w '$state/capture' 'tcp port $1' 2>'$state/tcpdump.err'"
    wait_for_file "$state/tcpdump.err"
    wait_until 10 grep -q 'listening on' "$state/tcpdump.err" || fail "tcpdump does not listen"
}
stop_listening() {
    # What is on the wire is in tcpdump's buffer a moment later.
    sleep 1
    # shellcheck disable=SC2154 # start sets it
    stop "$tcpdump_pid" INT
    cat "$state/tcpdump.err"
    captured=$(stat -c %s "$state/capture")
    # Lines, that is: only none or some is of interest.
    markers=$(grep -a -c "$marker" "$state/capture") || true
    names=$(grep -a -c "$export_name" "$state/capture") || true
    echo "captured $captured bytes: marker in $markers lines, export name in $names"
    [[ $captured -gt $((2 * mib * 1048576 * 9 / 10)) ]] || fail "the capture holds only $captured bytes"
}
write_markers() { # DEVICE
    yes "$marker" | head -c $((mib * 1048576)) >"$state/pattern"
    dd if="$state/pattern" of="$1" bs=1M conv=fsync
    drop_caches
    dd if="$1" bs=1M count="$mib" | cmp - "$state/pattern"
}

mib=16
# nbdkit's file plugin serves by name, so that the name is one that matters.
serve_named() {
    mkdir -p "$state/dir"
    truncate -s ${mib}M "$state/dir/$export_name"
    nbdkit_server 10809 "$@" file dir="$state/dir"
}
clear_shows_all() {
    serve_named
    listen_to_wire 10809
    attach $nbd 127.0.0.1 "$export_name" --port 10809
    write_markers $nbd
    detach $nbd
    stop_listening
    [[ $markers -gt 0 ]] || fail "the listener is deaf: no marker seen without TLS"
    [[ $names -gt 0 ]] || fail "the listener is deaf: no export name seen without TLS"
}
tls_shows_nothing() {
    serve_named "${nbdkit_x509[@]}"
    local before
    before=$(tls_stat TlsTxSw)
    listen_to_wire 10809
    # shellcheck disable=SC2046
    attach $nbd 127.0.0.1 "$export_name" --port 10809 $(client_tls x509)
    write_markers $nbd
    cat /proc/net/tls_stat
    [[ $(tls_stat TlsCurrTxSw) -eq 1 ]] || fail "TlsCurrTxSw is $(tls_stat TlsCurrTxSw), not 1"
    [[ $(tls_stat TlsTxSw) -gt $before ]] || fail "TlsTxSw did not grow"
    detach $nbd
    wait_until 10 no_tls_links || fail "TlsCurrTxSw is not 0 after detach"
    stop_listening
    [[ $markers -eq 0 ]] || fail "plaintext on the wire: the marker was seen $markers times"
    [[ $names -eq 0 ]] || fail "the export's name was on the wire in clear"
}
links_are_counted() {
    serve_named "${nbdkit_x509[@]}"
    # shellcheck disable=SC2046
    attach $nbd 127.0.0.1 "$export_name" --port 10809 $(client_tls x509) --connections 4
    cat /proc/net/tls_stat
    [[ $(tls_stat TlsCurrTxSw) -eq 4 && $(tls_stat TlsCurrRxSw) -eq 4 ]] || fail "not 4 links under TLS"
    write_and_compare $nbd 8
    detach $nbd
}

test_timeout=240
need_tcpdump() { need tcpdump; "$@"; }
run_test "control: without TLS a capture shows the data and the export's name" need_tcpdump clear_shows_all
run_test "with TLS a capture of $mib MiB shows neither" need_tcpdump tls_shows_nothing
run_test "four connections are four kernel TLS links" links_are_counted
finish
