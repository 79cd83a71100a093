#!/bin/bash
# vm: by-hand
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2317,SC2086,SC2154 # functions are called by name; no device or directory here has spaces; start sets NAME_pid
#
# The load of swap.sh on nbd-client, whose TLS is a process that all data goes through. For comparison, and no part of `make check`: the
# server is not even killed. How far it came is said every 10 s; on 6.12 nothing is ever said, since the whole machine hangs before, and the
# kernel complains of a kswapd0 that is blocked.
#
#   VM_SCRIPTS=swap-nbd-client.sh VM_TIMEOUT=400 tests/vm/check 6.12

# shellcheck source=tests/vm/lib-swap.sh
. /tests/lib-swap.sh

proxied() {
    local mib name value out ended=''
    mib=$(($(memory_mib) * 3 / 2))
    use_network
    modprobe nbd
    nbd-client -N '' 10.0.2.2 "$VM_HOST_PORT" $nbd -enable-tls -tlshostname localhost -cacertfile "$certs/ca-cert.pem" -swap
    within 10 is_attached $nbd || fail "nbd-client did not attach it"
    mkswap $nbd
    swapon $nbd
    start hog hog "$mib" "$RANDOM" 1
    # No program is started, not even sleep, since there will be no memory for it.
    mkfifo "$state/silence"
    exec 8<>"$state/silence"
    while kill -0 $hog_pid 2>/dev/null && ((SECONDS < 300)); do
        read -rt 10 -u 8 || true
        while read -r name value; do [[ $name != pswpout ]] || out=$value; done </proc/vmstat
        echo "# $SECONDS s: $((out / 256)) MiB written to swap" >/dev/ttyS1
    done
    wait $hog_pid && ended=1
    [[ -n $ended ]] || fail "$mib MiB did not go through it"
}

test_timeout=330
[[ -n ${VM_HOST_PORT:-} ]] || { skip "swap on nbd-client" "needs tests/vm/run --host-server"; finish; }
run_test "memory goes through swap on nbd-client's TLS" proxied
finish
