#!/bin/bash
# vm: together 6.12~150
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2317,SC2086,SC2154 # functions are called by name; no device or directory here has spaces; start sets NAME_pid
#
# Sixty-four devices: that they are all back sooner than they were attached (the same handshakes, and no program is started for
# each), what their supervisors weigh, and that they sleep.

# shellcheck source=tests/vm/lib-supervise.sh
. /tests/lib-supervise.sh

count=64

serve_many() {
    nbdkit_server $tls_port "${nbdkit_x509[@]}" --threads=2 file dir="$state/dir"
    server_pid=$nbdkit_pid
}
# A line for each device: its state, and how often it has reconnected.
states() { nbd-attach status --json | jq -r '.devices[] | "\(.state) \(.reconnects)"'; }
all_are() { [[ $(states | grep -cx "$1") -eq $count ]]; }
supervisors() { cat /sys/block/nbd*/pid | sort -u; }
# How often they gave up the CPU by themselves: once for each time that something woke them.
wakeups() {
    local pid
    for pid in $(supervisors); do cat /proc/$pid/task/*/status; done | awk '/^voluntary_ctxt_switches/ { n += $2 } END { print n }'
}

many() {
    local i pids pss own before attach_sec limit_sec
    mkdir "$state/dir"
    for ((i = 0; i < count; i++)); do truncate -s 8M "$state/dir/disk$i"; done
    serve_many
    before=$SECONDS
    for ((i = 0; i < count; i++)); do attach /dev/nbd$i localhost disk$i --port $tls_port "${tls[@]}" >/dev/null; done
    attach_sec=$((SECONDS - before))
    limit_sec=$((attach_sec > 15 ? attach_sec : 15)) # there are pauses, too
    note "$count devices attached in $attach_sec s"
    read -ra pids <<<"$(supervisors | tr '\n' ' ')"
    [[ ${#pids[@]} -eq $count ]] || fail "there are ${#pids[@]} supervisors"

    all_are "alive 0" || fail "attached: $(states | sort | uniq -c | tr '\n' ' ')"
    kill_server
    within 10 all_are "reconnecting 0" || fail "after 10 s without a server: $(states | sort | uniq -c | tr '\n' ' ')"
    serve_many
    within $limit_sec all_are "alive 1" || fail "after $limit_sec s: $(states | sort | uniq -c | tr '\n' ' ')"
    note "all alive $took_ms ms after the server is back: $((took_ms / (attach_sec + 1) / 10)) % of the time that attaching took"

    read -r pss own < <(for i in "${pids[@]}"; do cat /proc/$i/smaps_rollup; done |
        awk '/^Pss:/ { n += $2 } /^Anonymous:/ { if ($2 > most) most = $2 } END { print n, most }')
    note "memory: $((pss / count)) KiB for each supervisor (Pss)"
    # 0.9 MiB, half of it GnuTLS's; what attaching and answering take besides is given back.
    note "$own KiB of its own at most"
    [[ $own -le 1024 ]] || fail "a supervisor has $own KiB of its own"
    [[ $((pss / count)) -le 2048 ]] || fail "more than 2 MiB for each"

    # Each link is looked at when it is made, on a device that has been used lately once more within 32 s, and then every 128 s
    # (core/sampling.c): between these lies an idle minute, and to use a device here would put another look into it.
    sleep 36
    before=$(wakeups)
    sleep 30
    note "$(($(wakeups) - before)) wake-ups of $count supervisors in 30 s"
    [[ $(wakeups) -eq $before ]] || fail "supervisors of idle devices do not sleep"
    for i in 0 31 63; do write_and_compare /dev/nbd$i 1; done
    for ((i = 0; i < count; i++)); do detach /dev/nbd$i; done
}

modprobe -r nbd 2>/dev/null
modprobe nbd nbds_max=$count
test_timeout=300
run_test "$count devices: all back sooner than attached, 2 MiB each at most, no wake-up in an idle half-minute" many
modprobe -r nbd
finish
