#!/bin/bash
# vm: together 6.12~150
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2317,SC2086,SC2154 # functions are called by name; no device or directory here has spaces; start sets NAME_pid
#
# The cells of tests/attacks/table that need a kernel: what comes exactly at the hand-over of the connection, what the driver makes of it, and
# other servers in place of the first one when nbd-attach or nbd-client reconnect. A cell is a note "cell|CLIENT|OUTCOME|ATTACK".

# shellcheck source=tests/vm/lib-supervise.sh
. /tests/lib-supervise.sh

table=/tests/attacks-table
client_device=/dev/nbd1

serve_attack() { # NAME [OPTION...]
    start attack attacks serve "$certs" "$1" --port $tls_port --disk "$state/disk" "${@:2}"
    wait_for_port $tls_port
}
# It says at its end whether the attack was carried out.
end_attack() {
    stop $attack_pid
    within 5 eval "! port_is_open $tls_port" || fail "the server's port stays open"
    cat "$state/attack.out"
}
make_small_disk() {
    [[ -e /run/vm/attacks-disk ]] || pattern_file /run/vm/attacks-disk 1
    cp /run/vm/attacks-disk "$state/disk"
    cp /run/vm/attacks-disk "$state/as-it-was"
}

# --- what a client does: "refused" or "accepted", and "hangs" or "wrong-data" where it should not

# read_all DEVICE: the whole disk, past the cache. A read that hangs does so in the kernel, until the device is taken away.
read_all() {
    local rc=0
    start reader dd if="$1" bs=64k iflag=direct of="$state/read"
    within $hangs_after has_ended $reader_pid || { outcome=hangs; return; }
    wait $reader_pid || rc=$?
    outcome=refused
    # Of a device that is gone dd reads nothing, and takes that for the end.
    [[ $rc -ne 0 || ! -s $state/read ]] || outcome=accepted
    [[ $outcome == refused ]] || cmp "$state/read" "$state/as-it-was" || outcome=wrong-data
    cat "$state/reader.out"
}
try_nbd_attach() {
    local rc=0
    nbd-attach $nbd localhost confidential-export --port $tls_port "${tls[@]}" --connect-timeout 5 || rc=$?
    case $rc in
    0) read_all $nbd ;;
    3 | 4 | 5) outcome=refused ;;
    *) fail "nbd-attach ended with status $rc" ;;
    esac
}
nbd_client_attach() { # OPTION...
    timeout 20 nbd-client -N confidential-export localhost $tls_port $client_device "$@" -enable-tls -tlshostname localhost \
        -cacertfile "$certs/ca-cert.pem"
}
try_nbd_client() {
    modprobe nbd
    if nbd_client_attach; then read_all $client_device; else outcome=refused; fi
}
detach_nbd_client() { timeout -s KILL 20 nbd-client -d $client_device || true; }

# try_attack CLIENT NAME
try_attack() {
    serve_attack "$2"
    try_$1
    end_attack
    grep -qx "the attack happened" "$state/attack.out" || fail "the attack did not happen"
    [[ $1 != nbd_client ]] || detach_nbd_client
}
# at_many_moments CLIENT NAME: which moment is the right one depends on the machine.
at_many_moments() {
    local delay happened=0 outcomes=''
    for delay in 50 500 2000 16000 128000; do
        serve_attack "$2" --delay-us $delay
        try_$1
        echo "$delay us: $outcome"
        [[ $outcomes == *"$outcome"* ]] || outcomes+=${outcomes:+/}$outcome
        # The driver may be done with it in between.
        ! is_attached $nbd || nbd-attach detach $nbd --force || ! is_attached $nbd
        end_attack
        ! grep -qx "the attack happened" "$state/attack.out" || happened=$((happened + 1))
    done
    [[ $happened -ge 3 ]] || fail "the attack happened $happened times of 5"
    outcome=$outcomes
}

# cell CLIENT EXPECTED NAME
cell() {
    local client=$1 expected=$2 name=$3 hangs_after=15
    [[ $expected != *hangs* ]] || hangs_after=4
    make_small_disk
    case $name in
    "reconnect "*) redirected_$client "$name" ;;
    *" a moment behind the reply to our own read" | *" while the driver is given the connection") at_many_moments $client "$name" ;;
    *) try_attack $client "$name" ;;
    esac
    echo "$client: $outcome, expected $expected"
    note "cell|${client/_/-}|$outcome|$name"
    [[ /$expected/ == */$outcome/* ]] || fail "$outcome, expected $expected"
}

# An honest server, and then another one in its place. Refused: nothing that is read meanwhile comes from that one, and when the honest one is back,
# all goes on.
redirected_nbd_attach() { # NAME
    serve_attack "honest server, attached"
    attach $nbd localhost confidential-export --port $tls_port "${tls[@]}"
    end_attack
    serve_attack "$1"
    start reader dd if=$nbd bs=64k iflag=direct of="$state/read"
    sleep 6
    nbd-attach status $nbd
    outcome=refused
    is_alive $reader_pid || outcome=accepted
    end_attack
    grep -qx "the attack happened" "$state/attack.out" || fail "nobody came to the other server"
    serve_attack "honest server, attached"
    within 30 has_ended $reader_pid || outcome=hangs
    becomes $nbd alive 10
    cmp "$state/read" "$state/as-it-was" || outcome=wrong-data
    detach $nbd
}
redirected_nbd_client() { # NAME
    serve_attack "honest server, attached"
    modprobe nbd
    nbd_client_attach -nonetlink -persist
    end_attack
    serve_attack "$1"
    sleep 3
    read_all $client_device
    detach_nbd_client
}

test_timeout=240
need_attacks() { command -v attacks >/dev/null || fail "no attacks: it was not built"; "$@"; }
# nbd-attach's own in `make check`: others have it wait for what hangs. `make security-table` runs all.
while IFS=$'\t' read -r client expected name; do
    [[ -n ${VM_TESTS:-} || $client == nbd-attach ]] || continue
    run_test "attack on $client: $name" need_attacks cell "${client/-/_}" "$expected" "$name"
done < <(attacks vm $table)
finish
