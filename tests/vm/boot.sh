#!/bin/bash
# vm: together 6.12~56
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2317,SC2086,SC2154 # functions are called by name; no device or directory here has spaces; start sets NAME_pid
#
# nbdtab, and the command for an initramfs: what it attaches, what it says while it waits, and what ends it.

# shellcheck source=tests/vm/lib.sh
. /tests/lib.sh

tab() { # LINE...
    printf '%s\n' "$@" >"$state/nbdtab"
    export NBD_ATTACH_TAB=$state/nbdtab
}
# boot WORDS-OF-THE-COMMAND-LINE [OPTION...]
boot() {
    echo "$1" >"$state/cmdline"
    nbd-attach boot --cmdline "$state/cmdline" "${@:2}"
}
has_said() { grep -qE -- "$1" "$state/boot.out"; }

device_alone() {
    nbdkit_server 10810 "${nbdkit_x509[@]}" memory 16M
    tab "nonsense" "nbd0 localhost - cacertfile=$certs/ca-cert.pem,port=10810,export= # ours" "nbd1 localhost x bs=1"
    expect 0 nbd-attach nbd0
    says "nbdtab:1:1: 'nonsense' is not a device"
    says 'TLS 1.3'
    write_and_compare $nbd 4
    detach $nbd
    expect 2 nbd-attach nbd1
    says "nbdtab:3:18: the line of /dev/nbd1"
    expect 2 nbd-attach nbd2
    says "no line for /dev/nbd2"
}
several_at_once() {
    nbdkit_server 10809 "${nbdkit_x509[@]}" memory 16M
    start plain nbdkit -f -i 127.0.0.1 -p 10811 memory 8M
    wait_for_port 10811
    tab "nbd1 localhost one root,cacertfile=$certs/ca-cert.pem"
    # nbdtab knows the host by TLS, so that the plain form is TLS too; another host is plain, and says so.
    expect 0 boot "nbdroot=localhost,two,nbd0 rd.nbd.attach=nbd2=nbd://127.0.0.1:10811/ root=UUID=1"
    says 'nbd2: not encrypted'
    ! grep -q 'nbd0: not encrypted' <<<"$said" || fail "nbd0 is in clear, or so it says"
    is_attached nbd0 && is_attached nbd1 && is_attached nbd2 || fail "not all are attached"
    nbd-attach status /dev/nbd0 | grep 'TLS 1.3'
    nbd-attach status /dev/nbd0 --json | grep -E '"dead_timeout_sec": null'
    # Once more: all is done already.
    expect 0 boot "nbdroot=localhost,two,nbd0 rd.nbd.attach=nbd2=nbd://127.0.0.1:10811/ root=UUID=1"
    says 'nbd0 is attached already'
    write_and_compare $nbd 4
    detach nbd0
    detach nbd1
    detach nbd2
}
a_missing_server_is_waited_for() {
    tab ""
    start boot boot "root=nbds://localhost/" --tls-ca "$certs/ca-cert.pem"
    wait_until 30 has_said '^nbd-attach: nbd0: waiting for localhost:10809: .' || fail "nothing said"
    sleep 15
    [[ $(grep -c 'waiting for' "$state/boot.out") -eq 1 ]] || fail "the same reason is repeated at once"
    wait_until 60 eval '[[ $(grep -c "waiting for" "$state/boot.out") -ge 2 ]]' || fail "the reason is not repeated"
    nbdkit_server 10809 "${nbdkit_x509[@]}" memory 16M
    wait_until 40 is_attached nbd0 || fail "not attached when the server came"
    wait_until 20 has_said 'is attached to nbds://localhost/' || fail "success is not said"
    cat "$state/boot.out"
    detach $nbd
}
a_refused_certificate_is_said_and_tried_again() {
    tab ""
    nbdkit_server 10809 --tls=require "--tls-certificates=$certs/expired" memory 16M
    start boot boot "root=nbds://localhost/" --tls-ca "$certs/ca-cert.pem"
    wait_until 30 has_said 'nbd0: waiting for localhost:10809: .*expired' || fail "nothing said"
    sleep 5
    ! has_said 'attached' || fail "it is attached"
    cat "$state/boot.out"
    stop "$nbdkit_pid"
    nbdkit_server 10809 "${nbdkit_x509[@]}" memory 16M
    wait_until 40 is_attached nbd0 || fail "not attached when the certificate was fixed"
    wait_until 20 has_said 'is attached to nbds://localhost/' || fail "success is not said"
    detach $nbd
}
ended_while_it_waits() {
    tab ""
    echo "root=nbds://localhost/" >"$state/cmdline"
    start boot nbd-attach boot --cmdline "$state/cmdline" --tls-ca "$certs/ca-cert.pem"
    wait_until 30 has_said 'waiting for' || fail "nothing said"
    stop "$boot_pid"
    wait_until 20 eval '[[ -z $(pidof nbd-attach) ]]' || fail "something lives on: $(pidof nbd-attach)"
    nbdkit_server 10809 "${nbdkit_x509[@]}" memory 16M
    sleep 3
    assert_not_attached $nbd
}
what_cannot_be_cured_ends_it() {
    nbdkit_server 10809 "${nbdkit_x509[@]}" memory 16M
    tab "nbd0 localhost x root,cacertfile=/nonexistent/ca.pem" "nbd1 localhost y root,cacertfile=$certs/ca-cert.pem"
    expect 2 boot "quiet"
    says '/nonexistent/ca.pem'
    assert_not_attached nbd0
    is_attached nbd1 || fail "the other one is not attached"
    detach nbd1
    tab ""
    expect 2 boot "root=/dev/nbd0"
    says 'DHCP'
    expect 0 boot "quiet"
}

run_test "nbdtab: a device alone is attached as its line says" device_alone
run_test "boot: several devices, and a host known by TLS is not spoken to without" several_at_once
run_test "boot: a missing server is waited for, with a line now and then" a_missing_server_is_waited_for
run_test "boot: a refused certificate is said and tried again" a_refused_certificate_is_said_and_tried_again
run_test "boot: ended while it waits, it leaves nothing behind" ended_while_it_waits
run_test "boot: what cannot be cured ends it, and only it" what_cannot_be_cured_ends_it
finish
