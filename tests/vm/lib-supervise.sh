# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154 # others use what is set here, and `start` sets NAME_pid
#
# What the tests of supervision share: a disk whose server is taken away and brought back, load that is verified and whose
# latencies are held against the outages, and the fields of `status`.

# shellcheck source=tests/vm/lib.sh
. /tests/lib.sh

tls=(--tls --tls-ca "$certs/ca-cert.pem")
tls_port=10809
# rounds CHECK SOAK: how many in a check, and how many in a soak that kills nbdkit NBD_SOAK=200 times
rounds() {
    local count=$(($2 * ${VM_SOAK:-0} / 200))
    echo $((count > $1 ? count : $1))
}

# What the supervisors say; it is shown when a test fails.
if ! pidof syslogd >/dev/null; then syslogd -S -O /run/vm/messages; fi

now_ms() { echo $((${EPOCHREALTIME//[.,]/} / 1000)); }

# within SECONDS COMMAND...: by the clock, however long COMMAND takes; the time it took is in $took_ms
within() {
    local began deadline
    began=$(now_ms)
    deadline=$((began + $1 * 1000))
    shift
    until "$@"; do
        took_ms=$(($(now_ms) - began))
        [[ $(now_ms) -lt $deadline ]] || return 1
        sleep 0.1
    done
    took_ms=$(($(now_ms) - began))
}

# --- the disk and its server

# The disk is a file of the VM's tmpfs: what a server has acknowledged is there when that server has been killed.
make_disk() { truncate -s "${1:-64M}" "$state/disk"; }

# Each serves $state/disk, always in the same way, and leaves its process in $server_pid.
serve_nbdkit() { # NBDKIT-OPTION... FILTER-PARAMETER...
    local word options=() parameters=()
    for word; do if [[ $word == -* ]]; then options+=("$word"); else parameters+=("$word"); fi; done
    nbdkit_server $tls_port "${server_tls[@]}" "${options[@]}" file "$state/disk" "${parameters[@]}"
    server_pid=$nbdkit_pid
}
server_tls=("${nbdkit_x509[@]}")
serve_qemu_nbd() {
    qemu_nbd_server $tls_port "$state/disk" x509
    server_pid=$qemu_nbd_pid
}
serve_nbd_server() {
    rm -f "$state/nbd-server.pid"
    nbd_server $tls_port "$state/disk" mutual
    server_pid=$nbd_server_pid
}

# serve_held: the same disk by a plugin that notes each request in $state/requests ("begin pwrite 4096 1048576" is 4096 bytes at 1 MiB, and "end ..."),
# and keeps the first one that `hold PATTERN` (extended) wants until `release`; with `hold_all PATTERN` each.
serve_held() {
    make_held_plugin
    nbdkit_server $tls_port "${server_tls[@]}" sh "$state/plugin"
    server_pid=$nbdkit_pid
}
make_held_plugin() {
    write_held_plugin >"$state/plugin"
    chmod 755 "$state/plugin"
    : >>"$state/requests"
}
write_held_plugin() {
    printf '#!/bin/bash\ncd %s || exit 1\n' "$state"
    cat <<'END'
request="$1 ${3:-} ${4:-}"
keep() {
    echo "begin $request" >>requests
    if [[ -e hold_all && $request =~ $(<hold_all) ]]; then
        : >held
    else
        # One of several that come at once gets it.
        [[ -e hold && $request =~ $(<hold) ]] && mv hold held 2>/dev/null || return 0
    fi
    until [[ -e release ]]; do sleep 0.1; done
}
case $1 in
thread_model) echo parallel ;;
get_size) stat -c %s disk ;;
can_write | can_flush | can_zero) ;;
can_fua) echo none ;;
pread) keep && dd if=disk bs="$3" count=1 iflag=skip_bytes,fullblock skip="$4" status=none ;;
pwrite) keep && dd of=disk bs="$3" count=1 iflag=fullblock oflag=seek_bytes seek="$4" conv=notrunc status=none ;;
zero) keep && dd if=/dev/zero of=disk bs="$3" count=1 oflag=seek_bytes seek="$4" conv=notrunc status=none ;;
flush) keep ;;
*) exit 2 ;;
esac || exit
[[ ! $1 =~ ^(pread|pwrite|zero|flush)$ ]] || echo "end $request" >>requests
END
}
hold() { echo "$1" >"$state/hold"; }
hold_all() { echo "$1" >"$state/hold_all"; }
release() {
    rm -f "$state/hold" "$state/hold_all"
    : >"$state/release"
}
# How many requests of which the note is so (extended, the whole) were begun; each that was begun has ended.
begun() { grep -cxE "begin $1" "$state/requests" || true; }
all_have_ended() { [[ $(grep -c ^begin "$state/requests") -eq $(grep -c ^end "$state/requests") ]]; }

# A server dies with all its processes, and without a word.
kill_server() {
    outage_begins
    kill_tree "$server_pid"
    wait_until 10 eval "! is_alive $server_pid" || fail "the server does not die"
    # The shell's word about it is no news.
    { wait "$server_pid" || true; } 2>/dev/null
}
# outage SECONDS SERVE...: the server is killed, and started again by SERVE after so long
outage() {
    local seconds=$1
    shift
    kill_server
    sleep "$seconds"
    "$@"
    outage_ends
}

# renewed COUNT SECONDS: so many renewals within so long
renewed() {
    within "$2" has $nbd ".renewals >= $1" || fail "only $(field $nbd .renewals) renewals after $2 s"
    note "$(field $nbd .renewals) renewals in $((took_ms / 1000)) s"
}

# The outages of this test, a line each: when it began and when it ended, by the clock that fio logs.
outage_begins() { outage_began=$(now_ms); }
outage_ends() { echo "$outage_began $(now_ms)" >>"$state/outages"; }

# --- load

verified=(--rw=randrw --verify=crc32c --verify_fatal=1 --verify_backlog=256 --verify_state_save=0)

# load NAME DEVICE FIO-ARGUMENT...: direct I/O at depth 16 in the background, until `load_ends NAME`; on $load_file, if that is set
# A log that fio has to enlarge on the way stops it for seconds, which it then counts as its requests' latency. It reads the kernel's clock, by
# which the outages are measured. And never with disable_slat: fio then does not look at its clock when it sends the reads that verify at the end
# of a loop, and counts their latency from whenever the same buffer was used before.
load() {
    local name=$1 device=$2 before
    shift 2
    before=$(completed "$device")
    start "load_$name" fio --name="$name" --filename="${load_file:-$device}" --direct=1 --ioengine=libaio --iodepth=16 --bs=4k \
        --time_based --runtime=36000 --eta=never --output="$state/$name.json" --output-format=json \
        --write_lat_log="$state/$name" --per_job_logs=0 --log_entries=200000 --log_unix_epoch=1 --clocksource=clock_gettime \
        --disable_clat=1 "$@"
    within 20 has_completed "$device" $((before + 16)) || fail "no I/O is done"
}
# has_completed DEVICE COUNT: more than so many requests are completed
has_completed() { [[ $(completed "$1") -gt $2 ]]; }
# moves DEVICE: I/O is completed on it
moves() {
    local before
    before=$(completed "$1")
    sleep 0.1
    [[ $(completed "$1") -gt $before ]]
}
completed() { awk '{ print $1 + $5 }' "/sys/block/${1#/dev/}/stat"; }
has_in_flight() { [[ $(in_flight "$1") -gt 0 ]]; }
in_flight() { awk '{ print $1 + $2 }' "/sys/block/${1#/dev/}/inflight"; }

# load_stops NAME: its result is in $state/NAME.result, its latencies in $state/NAME_lat.log
load_stops() {
    local name=$1 pid=load_$1_pid
    pid=${!pid}
    kill -INT "$pid" 2>/dev/null || true
    within 60 eval "! is_alive $pid" || fail "fio does not end: its I/O hangs"
    # It begins with a word about the signal.
    sed -n '/^{/,$p' "$state/$name.json" >"$state/$name.result"
}
# load_ends NAME: no error, no mismatch
load_ends() {
    local name=$1 error
    load_stops "$name"
    error=$(jq '.jobs[0].error' "$state/$name.result") || error=unknown
    if [[ $error != 0 ]]; then
        cat "$state/load_$name.out"
        fail "fio ended with error $error (84 is a mismatch)"
    fi
    note "$name: $(jq -r '.jobs[0] | "\(.read.total_ios) reads, \(.write.total_ios) writes, longest latency \(
        [.read.lat_ns.max, .write.lat_ns.max] | max / 1000000 | floor) ms"' "$state/$name.result")"
}
# longest_ms NAME: of all requests
longest_ms() { jq '.jobs[0] | [.read.lat_ns.max, .write.lat_ns.max] | max / 1000000 | floor' "$state/$1.result"; }

# stalls_fit NAME MS: no request waited longer than the outage that it met lasted and MS more; and after each outage I/O
# was done. A request meets an outage when it began before its end and ended after its begin, and what it waited before the
# outage is not the outage's.
stalls_fit() {
    awk -v slack="$2" '
        FNR == NR { began[++n] = $1; ended[n] = $2; next }
        {
            ms = $2 / 1000000
            while (at < n && $1 > ended[at + 1]) at++
            served[at]++
            if (ms > 50)
                for (i = 1; i <= n; i++) {
                    waited = $1 - ($1 - ms > began[i] ? $1 - ms : began[i])
                    if ($1 >= began[i] && $1 - ms <= ended[i] && waited > longest[i]) longest[i] = waited
                }
        }
        END {
            for (i = 1; i <= n; i++) {
                lasted = ended[i] - began[i]
                printf "%d/%d ", lasted, longest[i]
                if (longest[i] > lasted + slack) { bad = bad " " i }
                if (!served[i]) { idle = idle " " i }
                if (longest[i] - lasted > most) most = longest[i] - lasted
            }
            printf "\nat most %d ms more than the outage\n", most
            if (bad) print "FAILED: a request waited too long in outage" bad
            if (idle) print "FAILED: nothing was done after outage" idle
            exit bad != "" || idle != ""
        }' "$state/outages" FS=', ' "$state/$1_lat.log" >"$state/$1.stalls" && rc=0 || rc=$?
    note "outage/longest latency in ms: $(tr '\n' ' ' <"$state/$1.stalls")"
    [[ $rc -eq 0 ]] || { cat "$state/outages"; slowest "$1"; }
    return "$rc"
}
# slowest NAME: a few of them, with when they began and ended, by the clock of the outages
slowest() {
    awk -F ', ' '$2 > 1e9 { ms = $2 / 1000000; printf "%.0f ms: %.0f to %.0f, %s\n", ms, $1 - ms, $1, $3 ? "write" : "read" }' \
        "$state/$1_lat.log" | sort -rn | head -n 20
}
# swaps: when the kernel was without a link and had one again, a line each, by the clock that fio logs
swaps() {
    local now uptime
    now=$(now_ms) uptime=$(cut -d ' ' -f 1 /proc/uptime)
    dmesg | awk -v zero="$(awk -v n="$now" -v u="$uptime" 'BEGIN { printf "%.0f", n - u * 1000 }')" -F '[][]' '
        /vm: test: / { n = 0 }
        /Receive control failed/ { gone = $2 }
        /reconnected socket/ { line[++n] = sprintf("%.0f %.0f", zero + gone * 1000, zero + $2 * 1000) }
        END { for (i = 1; i <= n; i++) print line[i] }'
}
# swaps_under_requests NAME: at how many swaps a request was in flight: it began before the link was gone, and ended when there was one again.
# How long that took is this machine's business. Of uptime there are whole hundredths of a second.
swaps_under_requests() {
    swaps >"$state/swaps"
    awk '
        FNR == NR { gone[++n] = $1 - 15; back[n] = $2; next }
        { for (i = 1; i <= n; i++) if ($1 - $2 / 1000000 < gone[i] && $1 > back[i]) caught[i] = 1 }
        END { for (i in caught) count++; print count + 0 }' "$state/swaps" FS=', ' "$state/$1_lat.log"
}

# --- what status says

# field DEVICE FILTER: of the device's object, by jq
field() { nbd-attach status "$1" --json | jq -r ".devices[0]$2"; }
is_state() { [[ $(field "$1" .state) == "$2" ]]; }
# becomes DEVICE STATE SECONDS
becomes() {
    within "$3" is_state "$1" "$2" && return 0
    nbd-attach status "$1" --json
    fail "$1 is not $2 after $3 s"
}
# has DEVICE FILTER: a filter that says true, as in: has nbd0 '.reconnects >= 3'
has() { [[ $(nbd-attach status "$1" --json | jq ".devices[0] | $2") == true ]]; }
# assert_has DEVICE FILTER: soon, since an attempt may be under way, or a link be renewed, at just this instant; what is counted stays counted
assert_has() {
    local took_ms
    within 3 has "$1" "$2" && return 0
    nbd-attach status "$1" --json
    fail "not so: $2"
}
# stays_still DEVICE SECONDS: nothing is done on it for so long
stays_still() {
    local before
    before=$(completed "$1")
    sleep "$2"
    [[ $(completed "$1") -eq $before ]]
}
# client_ports [PORT]: the source ports of the connections to a server's port
client_ports() { ss -Htn state established "dport = :${1:-$tls_port}" | awk '{ sub(/.*:/, "", $3); print $3 }'; }

# told PATTERN (extended): the supervisors have said so since this test began
# shellcheck disable=SC2154 # run_test's
told() { tail -n +$((messages_before + 1)) /run/vm/messages | grep -qE "$1"; }

# --- the supervisor itself

has_ended() { ! is_alive "$1"; } # PID
kill_supervisor() {
    local pid
    pid=$(field $nbd .supervisor_pid)
    kill -KILL "$pid"
    within 10 has_ended "$pid" || fail "the supervisor does not die"
}
adopt() { # OPTION...
    expect 0 nbd-attach $nbd localhost --port $tls_port "${tls[@]}" "$@"
    says adopted
    [[ $(wc -l <<<"$said") -eq 1 ]] || fail "more than one line"
    [[ $(field $nbd .supervisor_pid) -gt 0 ]] || fail "it has no supervisor"
}

# --- the network

# On the way in: what is dropped on the way out, the sender is told of.
drop_begins() { # MATCH...: of nft, a line each
    local match
    nft add table ip cut
    nft add chain ip cut in '{ type filter hook input priority 0; }'
    for match; do nft add rule ip cut in "$match" counter drop; done
}
drop_ends() {
    nft list table ip cut
    nft delete table ip cut
}
cut_port() { drop_begins "tcp dport $1" "tcp sport $1"; }
# Nobody is told: not the server, not the client.
cut_connection() { # CLIENT-PORT
    drop_begins "tcp sport $1 tcp dport $tls_port" "tcp sport $tls_port tcp dport $1"
}
# close_connection CLIENT-PORT: as a reset does
close_connection() { ss -K "sport = :$1" "dport = :$tls_port"; }
listens() { ss -Hltn "src $1:$tls_port" | grep -q .; } # ADDRESS
