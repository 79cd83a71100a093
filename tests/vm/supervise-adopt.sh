#!/bin/bash
# vm: together 6.12~182
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2317,SC2086,SC2154 # functions are called by name; no device or directory here has spaces; start sets NAME_pid
#
# The supervisor is not in the data path: when it is gone the device goes on, and the same command line again takes it
# over.

# shellcheck source=tests/vm/lib-supervise.sh
. /tests/lib-supervise.sh

goes_on_alone() {
    make_disk
    serve_nbdkit
    attach $nbd localhost --port $tls_port "${tls[@]}"
    load load $nbd "${verified[@]}"
    kill_supervisor
    expect 0 nbd-attach status $nbd --json
    expect 13 nbd-attach status $nbd --quiet
    assert_has $nbd '.state == "configured" and .supervisor_pid == null'
    sleep 2
    within 5 moves $nbd || fail "I/O has stopped"
    adopt
    assert_has $nbd '.state == "alive" and .reconnects == 0'
    within 5 moves $nbd || fail "I/O has stopped"
    # What the new one has not seen made, it must still be able to replace.
    outage 1 serve_nbdkit
    within 10 moves $nbd || fail "no I/O after the server is back"
    sleep 3
    becomes $nbd alive 10
    assert_has $nbd '.links[0].encryption_proven and .links[0].state == "alive"'
    load_ends load
    detach $nbd
}
killed_again_and_again() { # COUNT OPTION...
    local count=$1 i links
    shift
    make_disk
    serve_nbdkit
    attach $nbd localhost --port $tls_port "${tls[@]}" "$@"
    load load $nbd "${verified[@]}"
    for ((i = 0; i < count; i++)); do
        kill_supervisor
        adopt "$@"
        outage 0.$((RANDOM % 10)) serve_nbdkit
        within 15 moves $nbd || fail "no I/O 15 s after the server is back, in round $i"
        becomes $nbd alive 15
    done
    sleep 3
    load_ends load
    links=$(jq '.devices[0].links | map(select(.state == "alive")) | length' <<<"$(nbd-attach status $nbd --json)")
    [[ $links -eq $(client_ports | wc -l) ]] || fail "$links links are alive, but there are $(client_ports | wc -l) connections"
    detach $nbd
}
# A machine whose storage and whose supervisor are gone at the same time.
without_server() {
    make_disk
    serve_nbdkit
    attach $nbd localhost --port $tls_port "${tls[@]}"
    load load $nbd "${verified[@]}"
    kill_supervisor
    kill_server
    sleep 2
    adopt
    becomes $nbd reconnecting 10
    serve_nbdkit
    outage_ends
    within 10 moves $nbd || fail "no I/O after the server is back"
    sleep 3
    becomes $nbd alive 10
    load_ends load
    stalls_fit load 2500
    detach $nbd
}
# Its own device only.
somebody_elses() {
    mkdir "$state/dir"
    truncate -s 16M "$state/dir/one" "$state/dir/two"
    nbdkit_server $tls_port "${nbdkit_x509[@]}" file dir="$state/dir"
    attach $nbd localhost one --port $tls_port "${tls[@]}"
    kill_supervisor
    expect 9 nbd-attach $nbd localhost two --port $tls_port "${tls[@]}"
    assert_has $nbd '.state == "configured"'
    # With which udev's rules would take a disk in use for one that is not ready.
    [[ -e /run/nbd-attach/${nbd#/dev/}.state ]] || fail "its state is gone"
    expect 0 nbd-attach $nbd localhost one --port $tls_port "${tls[@]}"
    says adopted
    # And not one that is watched.
    expect 9 nbd-attach $nbd localhost one --port $tls_port "${tls[@]}"
    detach $nbd
}
# A service manager that keeps descriptors hands them to the next one: the link goes on as if nothing had been.
handed_on() {
    local pid ports
    make_disk
    serve_nbdkit
    start manager manager nbd-attach $nbd localhost --port $tls_port "${tls[@]}" --foreground
    within 30 grep -q '^ready' "$state/manager.out" || fail "it does not get ready"
    load load $nbd "${verified[@]}"
    pid=$(field $nbd .supervisor_pid) ports=$(client_ports)
    kill -KILL "$pid"
    within 20 has $nbd ".supervisor_pid != null and .supervisor_pid != $pid" || fail "it is not started again"
    assert_has $nbd '.adopted and .reconnects == 0 and .renewals == 0 and .links[0].state == "alive" and .links[0].records_sent > 0'
    [[ $(client_ports) == "$ports" ]] || fail "the link is another one"
    outage 1 serve_nbdkit
    within 10 moves $nbd || fail "no I/O after the server is back"
    sleep 3
    load_ends load
    # The one that was made since is handed on, and not the one that is gone.
    pid=$(field $nbd .supervisor_pid) ports=$(client_ports)
    kill -KILL "$pid"
    within 20 has $nbd ".supervisor_pid != null and .supervisor_pid != $pid" || fail "it is not started again"
    assert_has $nbd '.links[0].state == "alive" and .links[0].records_sent > 0'
    [[ $(client_ports) == "$ports" ]] || fail "the link is another one"
    kill -TERM $manager_pid
    within 20 eval "! is_attached $nbd" || fail "it is not detached"
    within 10 eval "! is_alive $manager_pid" || fail "it does not end"
    cat "$state/manager.out"
    grep -q '^forgot link-0' "$state/manager.out" || fail "the store was not cleared"
}
# A udev that takes no note of it: the device is supervised while that is waited for.
udev_hangs() {
    make_disk
    serve_nbdkit
    mkdir -p /run/udev
    : >/run/udev/control
    start attach nbd-attach $nbd localhost --port $tls_port "${tls[@]}"
    within 20 is_state $nbd alive || fail "it is not supervised"
    kill_server
    becomes $nbd reconnecting 5
    is_alive $attach_pid || fail "it was only supervised once udev was no longer waited for"
    serve_nbdkit
    becomes $nbd alive 10
    within 20 eval "! is_alive $attach_pid" || fail "the command that attached is not told that it is ready"
    detach $nbd
    # The command that attached goes away meanwhile.
    start attach nbd-attach $nbd localhost --port $tls_port "${tls[@]}"
    within 20 is_state $nbd alive || fail "it is not supervised"
    kill -KILL $attach_pid
    within 20 eval "! is_attached $nbd" || fail "a device that nobody knows of stays"
    rm /run/udev/control
}
# TLS that is asked for since is TLS from then on: what was attached in clear does not go on so.
# nbdkit 1.32 now and then aborts when a connection in clear breaks (its assertion in raw_send_socket); that is not what is looked at.
with_a_server() { # COMMAND...
    is_alive $server_pid || serve_nbdkit
    "$@"
}
is_in_tls() { has $nbd '.adopted and .links[0].tls != null and .links[0].tls.version == "1.3"'; }
# The kernel's part is loaded then, too.
tls_since() {
    local server_tls=(--tls=on "--tls-certificates=$certs")
    modprobe -r tls
    make_disk
    serve_nbdkit
    echo "exec nbd-attach $nbd localhost --port $tls_port --foreground \$(cat $state/options)" >"$state/attach"
    : >"$state/options"
    start manager manager bash "$state/attach"
    within 30 grep -q '^ready' "$state/manager.out" || fail "it does not get ready"
    assert_has $nbd '.links[0].tls == null'
    load load $nbd "${verified[@]}"
    echo "${tls[*]}" >"$state/options"
    kill -KILL "$(field $nbd .supervisor_pid)"
    within 20 with_a_server is_in_tls || fail "it goes on in clear"
    within 10 with_a_server moves $nbd || fail "no I/O over TLS"
    load_ends load
    kill -TERM $manager_pid
    within 20 eval "! is_attached $nbd" || fail "it is not detached"
    within 10 eval "! is_alive $manager_pid" || fail "it does not end"
}
attached_in_clear() {
    modprobe -r tls
    make_disk
    serve_nbdkit
    attach $nbd localhost --port $tls_port
}
tls_since_by_hand() {
    local server_tls=(--tls=on "--tls-certificates=$certs")
    attached_in_clear
    assert_has $nbd '.links[0].tls == null'
    load load $nbd "${verified[@]}"
    kill_supervisor
    adopt
    within 20 with_a_server is_in_tls || fail "it goes on in clear"
    within 10 with_a_server moves $nbd || fail "no I/O over TLS"
    load_ends load
    detach $nbd
}
# Where that cannot be, nothing is changed.
tls_since_without_tls() {
    local server_tls=(--tls=on "--tls-certificates=$certs")
    attached_in_clear
    kill_supervisor
    trap 'rm -f /etc/modprobe.d/no-tls.conf' EXIT
    mkdir -p /etc/modprobe.d
    echo "install tls /bin/false" >/etc/modprobe.d/no-tls.conf
    expect 6 nbd-attach $nbd localhost --port $tls_port "${tls[@]}"
    says "$nbd is not adopted and goes on in clear: .*tls is blocked"
    dd if=$nbd of=/dev/null bs=64K count=1 iflag=direct status=none || fail "it does not go on"
    expect 0 nbd-attach $nbd localhost --port $tls_port
    says adopted
    detach $nbd
}
# A service manager that wants to hear of it does so, the server being there or not; any other hears nothing.
watchdog() {
    local count
    make_disk
    serve_nbdkit
    start manager manager --watchdog 2000 nbd-attach $nbd localhost --port $tls_port "${tls[@]}" --foreground
    within 30 grep -q '^ready' "$state/manager.out" || fail "it does not get ready"
    sleep 6
    count=$(grep -c '^watchdog' "$state/manager.out")
    [[ $count -ge 4 && $count -le 9 ]] || fail "$count times in 6 s, and once in a second is right"
    kill_server
    sleep 5
    [[ $(grep -c '^watchdog' "$state/manager.out") -ge $((count + 3)) ]] || fail "it says nothing while its server is away"
    serve_nbdkit
    becomes $nbd alive 15
    detach $nbd
    within 10 eval "! is_alive $manager_pid" || fail "it does not end"
    start manager manager nbd-attach $nbd localhost --port $tls_port "${tls[@]}" --foreground
    within 30 grep -q '^ready' "$state/manager.out" || fail "it does not get ready"
    sleep 3
    ! grep '^watchdog' "$state/manager.out" || fail "nobody wanted to hear of it"
    detach $nbd
}
unsupervised_is_detached() {
    make_disk
    serve_nbdkit
    attach $nbd localhost --port $tls_port "${tls[@]}"
    kill_supervisor
    detach $nbd
}

test_timeout=300
[[ -z ${VM_SOAK:-} ]] || test_timeout=$((300 + VM_SOAK * 5))
run_test "the device goes on without its supervisor, and the next one adopts it" goes_on_alone
run_test "supervisor and server are killed $(rounds 6 100) times in turn" killed_again_and_again "$(rounds 6 100)"
run_test "the same with two connections" killed_again_and_again "$(rounds 2 20)" --connections 2 --io-timeout 10
run_test "adopted while the server is away" without_server
run_test "another export's device is not adopted, nor one that has a supervisor" somebody_elses
run_test "a service manager hands the sockets on to the next supervisor" handed_on
run_test "adopted with TLS asked for since: what was in clear is replaced" tls_since
run_test "the same by hand" tls_since_by_hand
run_test "TLS asked for since, and the kernel has none: not adopted, nothing changed" tls_since_without_tls
run_test "a device is supervised while udev takes note of it" udev_hangs
run_test "a service manager's watchdog is fed" watchdog
run_test "a device without supervisor is detached" unsupervised_is_detached
finish
