#!/bin/bash
# vm: together 6.12~260
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2317,SC2086,SC2154 # functions are called by name; no device or directory here has spaces; start sets NAME_pid
#
# What happens between the server and us, under load that is verified: networks that are cut, connections that only one
# side knows to be dead, servers that hang, that come back elsewhere or with other certificates. What is slow is not dead.

# shellcheck source=tests/vm/lib-supervise.sh
. /tests/lib-supervise.sh

# begin HOST OPTION...: a disk at HOST, attached and under load
begin() {
    attach $nbd "$1" --port $tls_port "${tls[@]}" "${@:2}"
    load load $nbd "${verified[@]}"
    sleep 1
}
# resumes SECONDS
resumes() {
    within "$1" moves $nbd || fail "no I/O after $1 s"
    note "I/O goes on after $took_ms ms"
}
# Everybody who waited has been served, without an error.
end() {
    sleep 4
    becomes $nbd alive 10
    load_ends load
    assert_has $nbd '.error_replies == 0'
    detach $nbd
}

cut_for_long() {
    make_disk
    serve_nbdkit
    begin localhost --timeout 10
    outage_begins
    cut_port $tls_port
    becomes $nbd reconnecting 20
    note "noticed after $took_ms ms"
    sleep $((25 - took_ms / 1000))
    drop_ends
    outage_ends
    resumes 15
    end
    stalls_fit load 15000
}
# The server knows nothing of this connection any more, and all it would say about it is lost.
half_open() {
    make_disk
    serve_nbdkit
    begin localhost --timeout 5
    cut_connection "$(client_ports)"
    outage 0 serve_nbdkit
    resumes 20
    drop_ends
    end
}
hung_server() {
    make_disk
    listen=127.0.0.2 serve_nbdkit
    within 10 listens 127.0.0.2
    serve_nbdkit
    within 10 listens 127.0.0.1
    begin 127.0.0.1,127.0.0.2 --timeout 5 --request-timeout 5
    [[ $(field $nbd '.links[0].address') == 127.0.0.1:* ]] || fail "it is not the first host that serves"
    # Its kernel goes on to accept connections.
    kill -STOP $server_pid
    within 5 has_in_flight $nbd || fail "nothing is in flight"
    resumes 40
    kill -KILL $server_pid
    [[ $(field $nbd '.links[0].address') == 127.0.0.2:* ]] || fail "it is not the other host that serves"
    end
}
hung_for_a_moment() {
    make_disk
    serve_nbdkit
    begin localhost --timeout 10
    kill -STOP $server_pid
    sleep 5
    kill -CONT $server_pid
    resumes 5
    end_without_reconnect
}
end_without_reconnect() {
    assert_has $nbd '.reconnects == 0 and .renewals == 0 and .state == "alive"'
    end
}
reset_connection() {
    make_disk
    serve_nbdkit
    begin localhost
    local i
    for i in 1 2 3; do
        outage_begins
        close_connection "$(client_ports)"
        outage_ends
        resumes 10
        sleep 4
    done
    assert_has $nbd '.reconnects == 3'
    end
    stalls_fit load 2500
}
other_certificate() {
    make_disk
    serve_nbdkit
    begin localhost
    local pin
    pin=$(field $nbd '.links[0].tls.peer_pin')
    server_tls=(--tls=require "--tls-certificates=$certs/chain")
    outage 0 serve_nbdkit
    resumes 10
    becomes $nbd alive 10
    [[ $(field $nbd '.links[0].tls.peer_pin') != "$pin" ]] || fail "status still tells the old key"
    end
}
other_authority() {
    make_disk
    serve_nbdkit
    begin localhost
    server_tls=(--tls=require "--tls-certificates=$certs/other-ca")
    outage 0 serve_nbdkit
    within 10 has $nbd '.attempts >= 2 and (.last_error | test("certificate|authorit|verif|sign|trust"; "i"))' ||
        fail "status does not say why: $(field $nbd .last_error)"
    field $nbd '| {state, reason, last_error, attempts}'
    stays_still $nbd 3 || fail "I/O goes on with a server that nobody vouches for"
    is_state $nbd reconnecting || fail "the state is $(field $nbd .state)"
    server_tls=("${nbdkit_x509[@]}")
    outage 0 serve_nbdkit
    resumes 15
    end
}

# address IP: what the name resolves to from now on
address() {
    echo "$1 storage.test" >"$state/names"
    [[ -z ${dnsmasq_pid:-} ]] || kill -HUP $dnsmasq_pid
}
moved() {
    make_disk
    address 127.0.0.2
    start dnsmasq dnsmasq -k --conf-file=/dev/null --pid-file= --user=root --group=root --no-resolv --no-hosts \
        --addn-hosts="$state/names" --local=/test/ --listen-address=127.0.0.1 --bind-interfaces
    echo 'nameserver 127.0.0.1' >/etc/resolv.conf
    trap 'rm /etc/resolv.conf' EXIT
    within 10 eval "ss -Hlun 'sport = :53' | grep -q ." || fail "dnsmasq does not listen"
    listen=127.0.0.2 serve_nbdkit
    begin storage.test
    [[ $(field $nbd '.links[0].address') == 127.0.0.2:* ]] || fail "it is at $(field $nbd '.links[0].address')"

    listen=127.0.0.3
    kill_server
    address $listen
    serve_nbdkit
    resumes 10
    becomes $nbd alive 10
    [[ $(field $nbd '.links[0].address') == 127.0.0.3:* ]] || fail "it is at $(field $nbd '.links[0].address')"

    # The name may well be the last thing to come back.
    stop $dnsmasq_pid KILL
    sleep 3
    outage 1 serve_nbdkit
    resumes 30
    end
}
other_host() {
    make_disk
    listen=127.0.0.2 serve_nbdkit
    within 10 listens 127.0.0.2
    serve_nbdkit
    within 10 listens 127.0.0.1
    begin 127.0.0.1,127.0.0.2
    kill_server
    outage_ends
    resumes 10
    becomes $nbd alive 10
    [[ $(field $nbd '.links[0].address') == 127.0.0.2:* ]] || fail "it is at $(field $nbd '.links[0].address')"
    end
    stalls_fit load 2500
}

slow_network() {
    make_disk
    serve_nbdkit
    begin localhost --timeout 5
    modprobe sch_netem
    tc qdisc add dev lo root netem delay 100ms 20ms loss 3%
    sleep 10
    tc qdisc del dev lo root
    end_without_reconnect
}
# Every request takes longer than the driver's timer.
slow_server() {
    make_disk
    serve_nbdkit --filter=delay delay-read=4 delay-write=4
    attach $nbd localhost --port $tls_port "${tls[@]}" --timeout 10
    load load $nbd --rw=randrw
    sleep 9
    end_without_reconnect
}

test_timeout=180
run_test "the network is cut for 25 s" cut_for_long
run_test "the server has forgotten the connection, and nobody says so" half_open
run_test "a server that hangs is given up where --request-timeout allows it, and another takes over" hung_server
run_test "a server that hangs for less than --timeout is waited for" hung_for_a_moment
run_test "the connection is reset" reset_connection
run_test "the server is back with another certificate" other_certificate
run_test "the server is back with a certificate of another authority: refused, until it has the right one" other_authority
run_test "the server's name has another address, and then nobody knows the name" moved
run_test "the second host serves when the first is gone" other_host
run_test "a network that delays and loses is no dead one" slow_network
run_test "a server that takes 4 s for each request is no dead one" slow_server
finish
