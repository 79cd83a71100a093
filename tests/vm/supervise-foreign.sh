#!/bin/bash
# vm: together 6.1~37 6.12~45 newest~25
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2317,SC2086,SC2154 # functions are called by name; no device or directory here has spaces; start sets NAME_pid
#
# In an outage somebody else disconnects the device and attaches another disk there: from then on it is none of ours. Whatever our supervisor was
# about to do, it ends, and the other disk gets its own writes and no one else's.

# shellcheck source=tests/vm/lib-supervise.sh
. /tests/lib-supervise.sh

other_port=10810

# begin OPTION...: our disk on $nbd, and a server with another one
begin() {
    need nbd-client
    pattern_file "$state/disk" 2 ours
    cp "$state/disk" "$state/disk.before"
    pattern_file "$state/other" 2 other
    nbdkit_server $other_port file "$state/other"
    other_pid=$nbdkit_pid
    serve_nbdkit
    attach $nbd localhost --port $tls_port "${tls[@]}" "$@"
    supervisor=$(field $nbd .supervisor_pid)
}
replace_device() { # NBD-CLIENT-OPTION...
    nbd-client -d $nbd
    within 10 eval "! is_attached $nbd" || fail "nbd-client -d does not detach it"
    nbd-client "$@" -N '' 127.0.0.1 $other_port $nbd
    within 10 is_attached $nbd || fail "nbd-client does not attach it"
    # A file that is empty, or none.
    [[ -z $(cat /sys/block/${nbd#/dev/}/backend 2>/dev/null) ]] || fail "it has a backend: $(cat /sys/block/${nbd#/dev/}/backend)"
    settings >"$state/settings"
}
# Some cannot be read, on some kernels.
settings() { grep -s . /sys/block/${nbd#/dev/}/{pid,size,ro} /sys/block/${nbd#/dev/}/queue/* || true; }
# While the supervisor is not looking. What it is to find then can be made ready.
replace_unseen() { # NBD-CLIENT-OPTION...
    kill -STOP $supervisor
    replace_device "$@"
}

has_no_negotiator() {
    local pid
    for pid in $(children_of $supervisor); do ! is_alive $pid || return 1; done
}
attempt_is_under_way() { [[ -n $(client_ports $tls_port) ]]; }
supervisor_ends() {
    within 10 has_ended $supervisor && note "the supervisor ends after $took_ms ms" && return 0
    nbd-attach status $nbd --json
    return 1
}
device_is_the_others() {
    local fresh=$state/fresh
    is_attached $nbd || fail "the other's device was detached"
    settings | diff "$state/settings" - || fail "the other's device was changed"
    timeout -s KILL 10 dd if=$nbd bs=1M count=2 iflag=direct status=none | cmp - "$state/other" || fail "it does not read the other's disk"
    head -c 4096 /dev/urandom >"$fresh"
    timeout -s KILL 10 dd if="$fresh" of=$nbd bs=4k count=1 seek=16 oflag=direct conv=fsync status=none || fail "it takes no write"
    cmp -n 4096 "$state/other" "$fresh" 65536 0 || fail "the write is not on the other's disk"
    cmp "$state/disk" "$state/disk.before" || fail "OUR DISK HAS THE OTHER'S WRITE"
}
# Not waited for beyond that: a request that was sent just before the driver saw the link's end waits for ever
# (kernel fact request-never-fails), and no signal ends that.
write_to_dead_device() {
    start writer dd if="$state/fresh" of=$nbd bs=4k count=1 seek=32 oflag=direct conv=fsync status=none
    within 5 has_ended $writer_pid && wait $writer_pid
}
# The other's link dies, and must find none of ours in its place.
others_link_dies() {
    local ended=$1
    kill_tree $other_pid
    # By another link it would be written to our disk.
    if [[ -n $ended ]]; then write_to_dead_device || true; else within 8 write_to_dead_device || true; fi
    cmp "$state/disk" "$state/disk.before" || fail "OUR DISK HAS A WRITE FOR THE OTHER'S"
}
# ends_and_leaves_it [PATTERN]: the supervisor, and the device; what it says
ends_and_leaves_it() {
    local ended=''
    supervisor_ends && ended=1
    device_is_the_others
    others_link_dies "$ended"
    [[ -n $ended ]] || fail "the supervisor lives on"
    told "$nbd.*${1:-somebody else}" || fail "the supervisor did not say why"
    nbd-client -d $nbd
}

in_an_attempt() {
    begin
    kill_server
    becomes $nbd reconnecting 10
    # From the next attempt on it accepts connections and says nothing.
    kill -STOP $supervisor
    within 30 has_no_negotiator || fail "an attempt goes on"
    serve_nbdkit
    kill -STOP $server_pid
    kill -CONT $supervisor
    within 20 attempt_is_under_way || fail "it does not try"
    replace_device
    kill -CONT $server_pid
    # It may look just when the one device is gone and the other not there.
    ends_and_leaves_it '(somebody else|detached)'
}
replace_in_a_pause() {
    begin
    kill_server
    becomes $nbd reconnecting 10
    replace_unseen
    serve_nbdkit
    kill -CONT $supervisor
}
in_a_pause() {
    replace_in_a_pause
    ends_and_leaves_it
}
while_alive() {
    begin
    replace_unseen
    kill -CONT $supervisor
    ends_and_leaves_it
}
# taken_for_ours: it was not checked what device this is, and our server is back
taken_for_ours() { is_state $nbd alive; }
told_to_end() {
    replace_in_a_pause
    within 20 eval "has_ended $supervisor || taken_for_ours" || fail "it neither ends nor goes on"
    kill -TERM $supervisor || true
    supervisor_ends || fail "the supervisor lives on"
    device_is_the_others
    nbd-client -d $nbd
}
told_to_end_unseen() { # NBD-CLIENT-OPTION...
    begin
    replace_unseen "$@"
    kill -TERM $supervisor
    kill -CONT $supervisor
    supervisor_ends || fail "the supervisor lives on"
    device_is_the_others
    nbd-client -d $nbd
}
time_is_up() {
    begin --dead-timeout 3
    kill_server
    becomes $nbd reconnecting 10
    replace_unseen
    while [[ $(now_ms) -lt $((outage_began + 5000)) ]]; do sleep 0.2; done
    kill -CONT $supervisor
    serve_nbdkit
    ends_and_leaves_it
}

test_timeout=120
run_test "another's device in the place of ours during an attempt: its data stays its own" in_an_attempt
run_test "the same during a pause" in_a_pause
run_test "the same with our server alive" while_alive
run_test "the same, and a signal to our supervisor" told_to_end
run_test "the same, and a signal before our supervisor has looked" told_to_end_unseen
run_test "the same with a device of the old kind, by ioctl" told_to_end_unseen -nonetlink
run_test "the same, and --dead-timeout ends" time_is_up
finish
