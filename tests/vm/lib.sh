# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154 # others use what is set here; tap.sh sets tap_failures
#
# What the test scripts inside the VM share. A script is a list of functions and of `run_test NAME FUNCTION [ARG...]`
# lines, and ends with `finish`.
#
# A test function runs in a subshell under set -e: the first command that fails ends the test, and its whole output is
# shown. Whatever it leaves behind (servers, devices, mounts) is cleared away after it, so that each test stands alone.

certs=/certs
state=/run/vm/state
nbd=/dev/nbd0 # the device most tests use
mnt=/mnt

tap_prefix="vm $VM_SERIES:"
# shellcheck source=tests/lib/tap.sh
. /tests/tap.sh

# note TEXT...: a measured number, shown whatever the verdict
note() {
    echo "$*"
    echo "$*" >>"$state/notes"
}
# fail TEXT...: end the test, with the reason
fail() {
    echo "FAILED: $*"
    exit 1
}
# skip_test REASON: end the test without a verdict
skip_test() {
    echo "$*" >"$state/skip"
    exit 0
}
need() {
    local program
    for program in "$@"; do
        command -v "$program" >/dev/null || skip_test "no $program on the machine that built the initramfs"
    done
}

# run_test NAME FUNCTION [ARG...]; test_timeout (seconds) can be set before it
run_test() {
    # The test function sees these too, so they must not take a name that a script uses.
    local test_name=$1 pid watchdog status=0 messages_before=0 began_sec=$SECONDS
    shift
    [[ -z ${VM_TESTS:-} || $test_name =~ $VM_TESTS ]] || return 0
    rm -rf "$state"
    mkdir -p "$state"
    [[ ! -e /run/vm/messages ]] || messages_before=$(wc -l </run/vm/messages)
    printf '@running %s\n' "$test_name"
    echo "vm: test: $test_name" >/dev/kmsg
    (
        set -eE
        trap 'echo "FAILED: line $LINENO: $BASH_COMMAND (status $?)"' ERR
        "$@"
    ) >"$state/log" 2>&1 &
    pid=$!
    (
        sleep "${test_timeout:-120}"
        echo "FAILED: out of its ${test_timeout:-120} s" >>"$state/log"
        kill -KILL "$pid"
    ) >/dev/null 2>&1 &
    watchdog=$!
    wait "$pid" 2>/dev/null || status=$?
    # The watchdog's sleep would live on by itself.
    kill_tree "$watchdog"
    wait "$watchdog" 2>/dev/null

    clear_away >"$state/clear" 2>&1 || status=97
    if [[ $status -ne 0 ]]; then
        not_ok "$test_name"
        tail -n 60 "$state/log" | sed 's/^/#   /'
        [[ $status -ne 97 ]] || sed 's/^/#   clearing away: /' "$state/clear"
        [[ ! -e /run/vm/messages ]] || tail -n +$((messages_before + 1)) /run/vm/messages | tail -n 30 | sed 's/^/#   syslog: /'
        dmesg | sed -n "/vm: test: .*/h;//!H;\${x;p}" | tail -n 15 | sed 's/^/#   kernel: /'
    elif [[ -e $state/skip ]]; then
        skip "$test_name" "$(cat "$state/skip")"
    else
        ok "$test_name"
    fi
    [[ $((SECONDS - began_sec)) -lt 10 ]] || echo "took $((SECONDS - began_sec)) s" >>"$state/notes"
    [[ ! -e $state/notes ]] || sed "s/^/# vm $VM_SERIES:   /" "$state/notes"
}
# run_test_once NAME FUNCTION [ARG...]: what it shows does not depend on the kernel, and is shown on one (tests/vm/check)
run_test_once() { [[ -z ${VM_WHOLE:-} ]] || run_test "$@"; }
finish() {
    : >/run/vm/finished
    [[ $tap_failures -eq 0 ]]
    exit
}

children_of() { cat "/proc/$1/task/$1/children" 2>/dev/null; }
kill_tree() {
    local child children
    children=$(children_of "$1")
    # The parent first: a shell whose child dies goes on with its next command.
    kill -KILL "$1" 2>/dev/null || true
    for child in $children; do kill_tree "$child"; done
}

# --- servers

# start NAME COMMAND...: in the background, its output in the test's state directory; its pid in $NAME_pid
start() {
    local name=$1
    shift
    "$@" </dev/null >"$state/$name.out" 2>&1 &
    printf -v "${name}_pid" %s "$!"
    echo "$!" >>"$state/pids"
}
# stop PID [SIGNAL]: and wait until it is gone
stop() {
    kill "-${2:-TERM}" "$1" 2>/dev/null || return 0
    for _ in $(seq 100); do
        is_alive "$1" || return 0
        sleep 0.1
    done
    fail "process $1 does not end"
}
# A process that nobody has waited for yet is no longer alive either.
is_alive() { [[ -e /proc/$1/stat && $(cut -d ' ' -f 3 "/proc/$1/stat" 2>/dev/null) != Z ]]; }

port_is_open() { ss -Hltn "sport = :$1" | grep -q .; }
wait_for_port() { # PORT
    for _ in $(seq 150); do
        port_is_open "$1" && return 0
        sleep 0.1
    done
    tail -n 20 "$state"/*.out 2>/dev/null || true
    fail "nothing listens on port $1"
}
wait_for_file() { # PATH
    for _ in $(seq 150); do
        [[ -e $1 ]] && return 0
        sleep 0.1
    done
    fail "$1 does not appear"
}
# wait_until SECONDS COMMAND...
wait_until() {
    local tries=$(($1 * 10))
    shift
    for _ in $(seq "$tries"); do
        "$@" && return 0
        sleep 0.1
    done
    return 1
}

# nbdkit_server PORT NBDKIT-ARGUMENT...: in the clear unless the arguments say otherwise; pid in $nbdkit_pid
nbdkit_server() {
    local port=$1
    shift
    # Each address alone: nbdkit listens on both families if it can, and the tests want to know which they talk to.
    start nbdkit nbdkit -f -i "${listen:-127.0.0.1}" -p "$port" --log=stderr "$@"
    wait_for_port "$port"
}
nbdkit_x509=(--tls=require "--tls-certificates=$certs")
nbdkit_mutual=("${nbdkit_x509[@]}" --tls-verify-peer)
nbdkit_psk=(--tls=require "--tls-psk=$certs/keys.psk")

# qemu_nbd_server PORT FILE [none|x509|mutual|psk]: export name "disk"
qemu_nbd_server() {
    local port=$1 file=$2 tls=()
    case ${3:-none} in
    x509) tls=(--object "tls-creds-x509,id=tls0,endpoint=server,dir=$certs,verify-peer=no" --tls-creds tls0) ;;
    mutual) tls=(--object "tls-creds-x509,id=tls0,endpoint=server,dir=$certs,verify-peer=yes" --tls-creds tls0) ;;
    psk) tls=(--object "tls-creds-psk,id=tls0,endpoint=server,dir=$certs" --tls-creds tls0) ;;
    esac
    start qemu_nbd qemu-nbd -t -f raw -x disk -b 127.0.0.1 -p "$port" --shared 8 "${tls[@]}" "$file"
    wait_for_port "$port"
}

# nbd_server PORT FILE [none|mutual]: nbd-server knows TLS with client certificates only: export name "disk"
nbd_server() {
    local config=$state/nbd-server.conf
    {
        printf '[generic]\nport = %s\nlistenaddr = 127.0.0.1\nallowlist = true\n' "$1"
        [[ ${3:-none} != mutual ]] || printf 'force_tls = true\ncertfile = %s\nkeyfile = %s\ncacertfile = %s\n' \
            "$certs/server-cert.pem" "$certs/server-key.pem" "$certs/ca-cert.pem"
        printf '[disk]\nexportname = %s\n' "$2"
    } >"$config"
    # It has no way to stay in the foreground and still serve more than one client.
    nbd-server -C "$config" -p "$state/nbd-server.pid" >"$state/nbd_server.out" 2>&1 </dev/null
    wait_for_port "$1"
    wait_for_file "$state/nbd-server.pid"
    nbd_server_pid=$(cat "$state/nbd-server.pid")
    echo "$nbd_server_pid" >>"$state/pids"
    # It listens first and then searches for primes, under emulation for up to half a minute, before it accepts anyone.
    local greeting=''
    exec 7<>"/dev/tcp/127.0.0.1/$1"
    read -r -N 8 -t 100 -u 7 greeting || true
    exec 7>&-
    [[ $greeting == NBDMAGIC ]] || fail "nbd-server does not greet"
}

# --- devices

# What a user gives for each kind of credentials; for a server on this machine.
client_tls() { # none|x509|mutual|psk
    case $1 in
    none) ;;
    x509) echo --tls --tls-ca "$certs/ca-cert.pem" ;;
    mutual) echo --tls "--tls-certificates=$certs" ;;
    psk) echo --tls --tls-psk "$certs/keys.psk" --tls-username alice ;;
    esac
}

# tls_priority VERSION CIPHER: a GnuTLS priority string that leaves one choice. The PSK key exchanges are in it for the
# tests that use PSK; with certificates they change nothing.
tls_priority() {
    echo "NORMAL:-VERS-ALL:+VERS-TLS$1:-CIPHER-ALL:+$2:+ECDHE-PSK:+DHE-PSK"
}

device_bytes() { echo $(($(cat "/sys/block/${1#/dev/}/size") * 512)); }
is_attached() { [[ -e /sys/block/${1#/dev/}/pid ]]; }
# A bare `! is_attached` would not end a test: set -e passes over a negated command.
assert_not_attached() { ! is_attached "$1" || fail "$1 is attached"; }
supervisor_of() { cat "/sys/block/${1#/dev/}/pid"; }

attach() { nbd-attach "$@"; }
detach() { # DEVICE
    nbd-attach detach "$1"
    assert_not_attached "$1"
}

# expect STATUS COMMAND...: what it printed is then in $said (and in the test's log)
expect() {
    local want=$1 status=0
    shift
    said=$("$@" 2>&1) || status=$?
    printf '$ %s\n%s\n' "$*" "$said"
    [[ $status -eq $want ]] || fail "exit status $status, not $want: $*"
}
# says PATTERN (extended, any case): the last `expect` printed it
says() {
    grep -qiE -- "$1" <<<"$said" || fail "\"$1\" is not in what it said"
}

# pattern_file FILE MIB [SEED]: content of which no block is like another, and which is no two runs' same
pattern_file() {
    # A counter under a block cipher would be nicer, and under emulation too slow.
    head -c $((512 * 1024)) /dev/urandom >"$state/seed"
    local i
    for ((i = 0; i < $2 * 2; i++)); do
        printf 'block %08d of %s %s\n' "$i" "$1" "${3:-}"
        tail -c +40 "$state/seed"
        head -c 40 "$state/seed"
    done | head -c $(($2 * 1048576)) >"$1"
}
drop_caches() {
    sync
    echo 3 >/proc/sys/vm/drop_caches
}
# write_and_compare DEVICE MIB: direct reads, so that they come from the server
write_and_compare() {
    local mib=$2 pattern=/run/vm/pattern.$2
    # Kept for the next test: each has a new server, with an empty disk.
    [[ -e $pattern ]] || pattern_file "$pattern" "$mib"
    dd if="$pattern" of="$1" bs=1M conv=fsync
    drop_caches
    dd if="$1" bs=1M count="$mib" | cmp - "$pattern" || fail "what was read is not what was written"
}

# Before the module tls is loaded there are no numbers, and nothing to count.
tls_stat() { if [[ -e /proc/net/tls_stat ]]; then awk -v name="$1" '$1 == name { print $2 }' /proc/net/tls_stat; else echo 0; fi; }
no_tls_links() { [[ $(tls_stat TlsCurrTxSw) -eq 0 && $(tls_stat TlsCurrRxSw) -eq 0 ]]; }

# is_json: whether stdin is one JSON value. Scalars become V (strings S first), then arrays and objects of V become V,
# from the inside out, until V is all that there is.
is_json() {
    local text before
    text=$(tr -d '\n' | sed -E -e 's/"([^"\\]|\\.)*"/S/g' -e 's/[[:space:]]+/ /g' \
        -e 's/-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?|true|false|null/V/g' -e 's/ //g')
    while before=$text; [[ $text != V ]]; do
        text=$(sed -E -e 's/([[,:])S([],}])/\1V\2/g; s/([[,:])S([],}])/\1V\2/g' \
            -e 's/\[(V(,V)*)?\]/V/g' -e 's/\{(S:V(,S:V)*)?\}/V/g' <<<"$text")
        [[ $text != "$before" ]] || return 1
    done
}

# --- after each test

clear_away() {
    local device pid status=0
    # A network that a test took away.
    [[ ! -d /sys/module/nf_tables ]] || nft flush ruleset
    [[ ! -d /sys/module/sch_netem ]] || tc qdisc del dev lo root 2>/dev/null || true
    sed -n 's|^[^ ]* \(/mnt[^ ]*\) .*|\1|p' /proc/mounts | sort -r | while read -r device; do
        # One whose disk is away hangs.
        timeout -s KILL 20 umount "$device" || umount -l "$device"
    done
    ! command -v dmsetup >/dev/null || [[ ! -e /dev/mapper/control ]] || dmsetup remove_all --force || true
    if [[ -e $state/pids ]]; then
        while read -r pid; do kill_tree "$pid"; done <"$state/pids"
    fi
    # Only now: what is swapped out has to fit into the memory.
    sed -n 's|^\(/dev/[^ ]*\) .*|\1|p' /proc/swaps | while read -r device; do swapoff "$device"; done
    # Anything attached that the test left is taken down, its own way first.
    for device in /sys/block/nbd*/pid; do
        [[ -e $device ]] || continue
        device=/dev/$(basename "$(dirname "$device")")
        echo "$device is left attached"
        timeout -s KILL 20 nbd-attach detach "$device" --force && continue
        pid=$(supervisor_of "$device" 2>/dev/null) && kill -KILL "$pid"
        # A device outlives its supervisor.
        ! command -v nbd-client >/dev/null || timeout -s KILL 20 nbd-client -d "$device"
        wait_until 10 eval "! is_attached $device" || { echo "$device cannot be detached"; status=1; }
    done
    # A front end or a negotiator that hangs would hold up the next test.
    for pid in $(pidof nbd-attach); do
        is_alive "$pid" || continue
        echo "nbd-attach left running: $pid"
        kill -KILL "$pid"
    done
    # Disks that servers kept there would use up the memory. (The log is small, and is wanted still.)
    find "$state" -type f -size +1024k -exec rm -f {} +
    return "$status"
}
