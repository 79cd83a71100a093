# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Synced writes in the root for as long as something happens, and afterwards the proof that none was lost.

# What has been acknowledged is noted in memory, where no server has a part in it.
load_dir=/var/load acked=/run/acked

writer() { # NUMBER
    local i=0 text block
    while [[ ! -e $acked/stop ]]; do
        i=$((i + 1))
        # 32 bytes, 128 times
        printf -v text 'writer %03d line %011d....\n' "$1" "$i"
        printf -v block '%s' "$text$text$text$text$text$text$text$text"
        block=$block$block$block$block$block$block$block$block
        # shellcheck disable=SC2320 # dd's
        printf '%s' "$block$block" | dd of="$load_dir/$1.$((i % 16))" bs=4k iflag=fullblock conv=fsync 2>>"$acked/$1.errors" ||
            { echo "write $i" >>"$acked/$1.failed"; break; }
        echo "$i" >"$acked/$1.$((i % 16))"
        echo "$i" >"$acked/$1.last"
    done
}
load_start() {
    mkdir -p "$load_dir" "$acked"
    rm -f "$acked"/*
    local n
    load_pids=()
    for n in 1 2; do
        writer "$n" &
        load_pids+=("$!")
    done
    # Both have to be at work.
    wait_until 60 test -s "$acked/1.last" && wait_until 60 test -s "$acked/2.last"
}
acked_writes() { cat "$acked"/*.last | awk '{ n += $1 } END { print n + 0 }'; }
goes_on() { # something was acknowledged since
    local before
    before=$(acked_writes)
    wait_until "${1:-60}" eval "[[ \$(acked_writes) -gt $((before + 1)) ]]"
}
load_stop() {
    : >"$acked/stop"
    wait "${load_pids[@]}"
    ! cat "$acked"/*.failed 2>/dev/null
}
load_right() { # every acknowledged write is on the server, and nothing else
    local file want got
    sync
    echo 3 >/proc/sys/vm/drop_caches
    for file in "$acked"/[12].[0-9]*; do
        want=$(printf 'line %011d' "$(cat "$file")")
        got=$(grep -c "$want" "$load_dir/${file##*/}" || true)
        [[ $got -eq 128 && $(stat -c %s "$load_dir/${file##*/}") -eq 4096 ]] ||
            { echo "${file##*/}: $got lines of 128 are \"$want\""; head -n 2 "$load_dir/${file##*/}"; return 1; }
    done
}
# under_load COMMAND...
under_load() {
    load_start
    sleep 3
    "$@"
    goes_on 120
    sleep 2
    load_stop
    load_right
    echo "$(acked_writes) synced writes"
}

# --- what is true of a root that is attached well
# By its number: the name that it was mounted by may be any.
root_is_nbd() { [[ $(readlink "/sys/dev/block/$(findmnt -rno MAJ:MIN /)" | tee /dev/stderr) == */block/nbd0* ]]; }
encrypted() { awk '$1 ~ /^TlsCurr[TR]x/ { sum += $2 } END { exit sum < 2 }' /proc/net/tls_stat; }
supervisor() { cat /sys/block/nbd0/pid; }
marked() { [[ $(tr '\0' ' ' <"/proc/$(supervisor)/cmdline") == @* ]]; }
alive() { nbd-attach status nbd0 --json | tee /dev/stderr | jq -e '[.. | objects | select(.device? and .state?) | .state == "alive"] | length > 0 and all' >/dev/null; }
no_disk_errors() { ! dmesg | grep -E 'I/O error|EXT4-fs error|hutting down sockets|other side returned'; }
