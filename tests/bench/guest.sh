#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2034,SC2317 # the tables call and read what stands here
#
# The bench, inside its virtual machine: each row of /bench/rows is attached, shown to be what it says, and given each workload of
# /bench/workloads. What comes of it goes to tests/bench/run, a line each:
#
#   cell ROW WORKLOAD UNIT COUNT BUSY_NS ELAPSED_NS SWITCHES CIPHER LOOKS SPREAD_PERMILLE
#                                                                    CIPHER is the kernel's, or -; so many looks, and how wide they lay
#   event ROW WHAT BUSY_NS ELAPSED_NS                                 one of several
#   memory DEVICES PRIVATE_BYTES PSS_BYTES WAKEUPS_PER_MINUTE        of all supervisors together
#   tcrypt TEXT...                                                   what that module says
#   skipped ROW WORKLOAD REASON...
#
# /bench/plan: BENCH_MODE is quick or full, BENCH_ROWS and BENCH_WORKLOADS are patterns, BENCH_WINDOW_SEC, BENCH_LOOKS
# and BENCH_EVENTS how long and how often.

# shellcheck source=/dev/null
. /bench/plan

plain=10.0.2.2:10809 tls=10.0.2.2:10810 ca=(--tls-ca /certs/ca-cert.pem)
only=(--tls-priority "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL")
proxy=(-enable-tls -cacertfile /certs/ca-cert.pem -tlshostname 10.0.2.2)
disk=/dev/nbd0

# --- the clock

# snapshot: now_ns, idle_ns, switches, and sectors that the disk has read and written. One file has both times in nanoseconds, the idle one as
# of the moment when the CPU last woke up: exact where there is one CPU, as it is awake now. No process is started for it. Where that file has
# no idle time, /run/idle has it (idle.c).
snapshot() {
    local line lines fields rounds
    now_ns=0 idle_ns=0
    mapfile -t lines </proc/timer_list
    for line in "${lines[@]}"; do
        case $line in
        "now at "*) line=${line#now at } now_ns=${line% nsecs} ;;
        "  .idle_sleeptime"* | "  .iowait_sleeptime"*) line=${line#*: } idle_ns=$((idle_ns + ${line% nsecs})) ;;
        esac
    done
    mapfile -t lines </proc/stat
    for line in "${lines[@]}"; do
        [[ $line != ctxt\ * ]] || switches=${line#ctxt }
    done
    if [[ -e /run/idle ]]; then
        read -r rounds </run/idle
        idle_ns=$((10#$rounds * 10000))
    fi
    read -r -a fields <"/sys/block/${disk#/dev/}/stat"
    sectors=$((fields[2] + fields[6]))
}
# begin and end measure what is between them: busy_ns, elapsed_ns, switched, moved_sectors
begin() {
    snapshot
    began_ns=$now_ns began_idle_ns=$idle_ns began_switches=$switches began_sectors=$sectors
}
end() {
    snapshot
    elapsed_ns=$((now_ns - began_ns)) switched=$((switches - began_switches)) moved_sectors=$((sectors - began_sectors))
    busy_ns=$((elapsed_ns * BENCH_CPUS - (idle_ns - began_idle_ns)))
}
# Sleeps without a process.
exec 9<> <(:)
pause() { read -r -t "$1" -u 9; } # SECONDS
# wait_until COMMAND...: for ten seconds
wait_until() {
    local tries
    for ((tries = 0; tries < 2000; tries++)); do
        "$@" && return 0
        pause 0.005
    done
    echo "still not after 10 s: $*"
    return 1
}

# --- what rows call

fail() { echo "$*"; return 1; }
# The last line that tells of a failure, or else the last one.
last_words() { { tail -n 1 /run/bench.log; grep -aiE 'error|fail|not ' /run/bench.log; } | tail -n 1 | tr -d '\r'; }
is_attached() { [[ -e /sys/block/nbd0/pid && $(<"/sys/block/${disk#/dev/}/size") -gt 0 ]]; }
is_gone() { [[ ! -e /sys/block/nbd0/pid ]]; }
has_ended() { ! pidof "$1" >/dev/null; }

own() { nbd-attach "$disk" "$@"; }
# own_links CIPHER COUNT: "none" or "any" stands for a cipher, too
own_links() {
    local status ciphers
    status=$(nbd-attach status --json nbd0)
    ciphers=$(jq -r '.devices[0].links | map(if .tls then .tls.cipher else "none" end) | unique | join(" ")' <<<"$status")
    [[ $(jq '.devices[0].links | length' <<<"$status") -eq $2 ]] || fail "not $2 links: $status" || return
    [[ $ciphers == "$1" || ($1 == any && $ciphers != *none*) ]] || fail "cipher $ciphers" || return
    [[ $ciphers == none ]] || cipher=${ciphers,,}
    kernel_tls "$([[ $1 == none ]] && echo 0 || echo "$2")"
}
# kernel_tls COUNT: so many sockets are encrypted by the kernel
kernel_tls() {
    local count
    count=$(awk '$1 == "TlsCurrTxSw" { print $2 }' /proc/net/tls_stat)
    [[ $count -eq $1 ]] || fail "the kernel encrypts $count sockets, not $1"
}
own_end() { nbd-attach detach nbd0; }

# userspace_tls PORT: the link goes to that port, where the server takes TLS alone on 10810, and none is the kernel's
userspace_tls() {
    [[ -n $(ss -Htn state established dst "10.0.2.2:$1") ]] || fail "no connection to port $1" || return
    kernel_tls 0
}
client() { # PROGRAM PORT OPTION...
    local program=$1 port=$2
    shift 2
    "$program" 10.0.2.2 "$port" "$disk" "$@" && wait_until is_attached
}
# The proxy's process, too, has to end.
client_end() { "$1" -d "$disk" && wait_until is_gone && wait_until has_ended nbd-client; }

qemu_nbd() {
    mkdir -p /var/lock
    qemu-nbd --fork -c "$disk" --object tls-creds-x509,id=tls0,endpoint=client,dir=/certs --image-opts \
        driver=raw,file.driver=nbd,file.host=10.0.2.2,file.port=10810,file.tls-creds=tls0 && wait_until is_attached
}
qemu_nbd_end() { qemu-nbd -d "$disk" && wait_until is_gone && wait_until has_ended qemu-nbd; }

nbdfuse_loop() {
    mkdir -p /run/fuse
    # Where libnbd looks by itself: this version reads no file that a URI names.
    mkdir -p /etc/pki && ln -sfn /certs /etc/pki/libnbd
    nbdfuse /run/fuse/nbd nbds://10.0.2.2:10810/ </dev/null &
    modprobe loop && wait_until test -s /run/fuse/nbd && losetup --direct-io=on /dev/loop0 /run/fuse/nbd || return
    disk=/dev/loop0
}
nbdfuse_loop_end() {
    [[ $disk != /dev/loop0 ]] || losetup -d /dev/loop0
    disk=/dev/nbd0
    umount /run/fuse/nbd || umount /run/fuse
    wait_until has_ended nbdfuse
}

# What tests/bench/nvme-target.sh has.
is_beside() {
    [[ ! -e /bench/no-nvme ]] || fail "$(</bench/no-nvme)" || return
    is_slow=1
    local tries
    ip route replace 10.0.3.0/24 via 10.0.2.2 || return
    for ((tries = 0; tries < 120; tries++)); do
        ! (exec 8<>/dev/tcp/10.0.3.15/4420) 2>/dev/null || return 0
        pause 1
    done
    fail "the other end is not there: build/bench/nvme.log"
}
# The slower a server, the less of its answers comes at once. So that this says nothing of who is slow, what comes is looked at each 30 ms, by when
# all is there, as a network card does that coalesces its interrupts; where one is awaited at a time there is nothing to gather.
gather() { # OPTION...
    local ns=30000000
    [[ " $* " != *" --iodepth=1 "* ]] || ns=0
    echo "$ns" >/sys/class/net/eth0/gro_flush_timeout
    echo "$ns" >/sys/class/net/eth0/napi_defer_hard_irqs
}
beside_nvme() { is_beside && own 10.0.3.15:10810 "${ca[@]}" --tls-hostname 10.0.2.2 "$@"; } # OPTION...
# A controller has a queue for its own affairs, and one for each CPU.
nvme_tls() {
    # shellcheck source=tests/bench/nvme.sh
    is_beside && . /bench/nvme.sh || return
    nvme_keys && modprobe nvme-tcp &&
        nvme connect --transport tcp --traddr 10.0.3.15 --trsvcid 4420 --nqn "$nvme_target" --hostnqn "$nvme_host" --tls &&
        wait_until test -s /sys/block/nvme0n1/size && disk=/dev/nvme0n1 && wait_until test -b "$disk"
}
nvme_links() {
    local sockets
    sockets=$(ss -Htni state established dst 10.0.3.15:4420)
    [[ -n $sockets ]] || fail "no connection to port 4420" || return
    # ss names it as the kernel does.
    [[ $sockets == *"cipher: aes-gcm-128"* ]] || fail "not AES-128-GCM: $sockets" || return
    cipher=aes-128-gcm
    kernel_tls 2
}
nvme_tls_end() {
    disk=/dev/nbd0
    nvme disconnect --nqn "$nvme_target"
}

# --- workloads

fio=(fio --name=bench --thread --direct=1 --ioengine=io_uring --norandommap --size=256m)
# The load goes on while it is looked at, so that its start and end are in no figure.
start_load() { # OPTION...
    local tries
    "${fio[@]}" --filename="$disk" --gtod_reduce=1 --randseed=1 --time_based --runtime=1h "$@" </dev/null >/run/bench.log 2>&1 &
    load=$!
    begin
    for ((tries = 0; tries < 500; tries++)); do
        pause 0.02
        end
        [[ $tries -lt 10 || $moved_sectors -lt 4096 ]] || return 0
        kill -0 "$load" 2>/dev/null || return 1
    done
    echo "no load within 10 s" >>/run/bench.log
    return 1
}
end_load() { kill -KILL "$load" && wait "$load"; } 2>/dev/null

# settled COST...: sorted. Sets spread_permille, the width of their middle half; holds where that by the root of their count, by which
# chance may move their middle, is less than 1 %.
settled() {
    local costs=("$@") count=$#
    spread_permille=$(((costs[count - 1 - count / 4] - costs[count / 4]) * 1000 / costs[count / 2]))
    [[ $((spread_permille * spread_permille)) -le $((100 * count)) ]]
}
# Without a process, which would be in the next look.
keep_look() { # COST...
    local at
    for ((at = ${#looks[@]}; at > 0; at--)); do
        [[ ${looks[at - 1]%% *} -gt ${1%% *} ]] || break
        looks[at]=${looks[at - 1]}
    done
    looks[at]=$1
}
# counted COMMAND...: for tests/bench/profile, QEMU counts meanwhile what is executed where
counted() {
    [[ -z $BENCH_PROFILE ]] || bench-start
    "$@"
    [[ -z $BENCH_PROFILE ]] || bench-stop
}
# Looks follow each other, so that a request on the edge of one is in the next: up to a MiB, in 0.1 s the twentieth part of what is read. Their
# sum counts, without those further than a quarter from the middle one: a moment in which the guest or this machine does something else.
# So many looks as it takes to be sure, and BENCH_LOOKS at most.
cell() { # ROW WORKLOAD UNIT OPTION...
    local row=$1 workload=$2 unit=$3 window looks=() spread_permille=0 window_sec=$BENCH_WINDOW_SEC
    shift 3
    if [[ -n $is_slow ]]; then
        gather "$@"
        window_sec=0.5
    fi
    if ! start_load "$@"; then
        end_load
        echo "skipped $row $workload $(last_words)"
        return
    fi
    begin
    for ((window = 1; window <= BENCH_LOOKS; window++)); do
        counted pause "$window_sec"
        end
        # The servers stand still where this machine does.
        [[ $moved_sectors -eq 0 ]] || keep_look "$((busy_ns * 1000 / moved_sectors)) $moved_sectors $busy_ns $elapsed_ns $switched"
        [[ ${#looks[@]} -lt 5 ]] || ! settled "${looks[@]%% *}" || break
        began_ns=$now_ns began_idle_ns=$idle_ns began_switches=$switches began_sectors=$sectors
    done
    end_load
    if [[ ${#looks[@]} -eq 0 ]]; then
        echo "skipped $row $workload no data in $BENCH_LOOKS looks"
        return
    fi
    printf '%s\n' "${looks[@]}" | awk -v middle="$((${#looks[@]} / 2))" -v unit="$unit" -v what="$row $workload" \
        -v rest="$cipher ${#looks[@]} $spread_permille" '
        { cost[NR] = $1; rest_of[NR] = $2 " " $3 " " $4 " " $5 }
        END {
            most = cost[middle + 1] / 4
            for (i = 1; i <= NR; i++) {
                split(rest_of[i], look, " ")
                if (cost[i] - cost[middle + 1] <= most && cost[middle + 1] - cost[i] <= most) {
                    sectors += look[1]; busy += look[2]; elapsed += look[3]; switches += look[4]
                }
            }
            print "cell", what, unit, unit == "GiB" ? sectors / 2097152 : sectors / 8, busy, elapsed, switches, rest
        }'
}

# What is not a matter of I/O alone: so often, and until the disk has it all.
once() { # ROW WORKLOAD UNIT FUNCTION TIMES
    local bytes round failed=
    bytes=$(stat -c %s /bench/tree.tar)
    if ! { mkfs.ext4 -q -F -E nodiscard "$disk" && mount -t ext4 -o noinit_itable "$disk" /mnt; } >/run/bench.log 2>&1; then
        echo "skipped $1 $2 $(last_words)"
        return
    fi
    begin
    for ((round = 0; round < $5; round++)); do "$4" "/mnt/$round" || failed=1; done >/run/bench.log 2>&1
    sync
    end
    umount /mnt
    if [[ -n $failed ]]; then
        echo "skipped $1 $2 $(last_words)"
    else
        awk -v bytes="$((bytes * $5))" -v rest="$busy_ns $elapsed_ns $switched $cipher 1 0" -v what="$1 $2 $3" \
            'BEGIN { print "cell", what, bytes / 1073741824, rest }'
    fi
}
untar() { mkdir "$1" && tar -xf /bench/tree.tar -C "$1"; } # DIRECTORY
git_clone() { git clone -q --no-local /bench/tree.git "$1"; } # DIRECTORY

# --- the tables

strip() { # NAME: without the blanks around it
    local -n text=$1
    text=${text#"${text%%[![:blank:]]*}"}
    text=${text%"${text##*[![:blank:]]}"}
}
# is_wanted NAME PATTERN MODE [WHICH]: whether it is in the quick or full bench, as WHICH or the plan says
is_wanted() { [[ $1 != \#* && $1 =~ ^($2)$ && (${4:-$BENCH_MODE} == full || $3 == *quick*) ]]; }

# A link dies, and a read that waits for the next one is answered.
reconnect() { # ROW
    begin
    ss -HK dst 10.0.2.2 >/dev/null
    if ! dd if="$disk" of=/dev/null bs=4096 count=1 iflag=direct >/run/bench.log 2>&1; then
        echo "skipped $1 reconnect $(last_words)"
        return
    fi
    end
    if [[ $(nbd-attach status --json nbd0 | jq '.devices[0].reconnects') -eq 1 ]]; then
        echo "event $1 reconnect $busy_ns $elapsed_ns"
    else
        echo "skipped $1 reconnect the link did not die"
    fi
}
attach_row() { # NAME ATTACH PROOF DETACH
    { eval "$2" && eval "$3"; } >/run/bench.log 2>&1 && return
    sed "s/^/# /" /run/bench.log
    echo "skipped $1 * $(last_words)"
    eval "$4" >/dev/null 2>&1
    return 1
}
# The first of it loads modules, and is left out.
events() { # NAME ATTACH PROOF DETACH
    local round
    for ((round = 0; round <= BENCH_EVENTS; round++)); do
        begin
        eval "$2" >/run/bench.log 2>&1 || { echo "skipped $1 attach $(last_words)"; return; }
        end
        [[ $round -eq 0 ]] || echo "event $1 attach $busy_ns $elapsed_ns"
        [[ $round -eq 0 || $2 != *own\ * ]] || reconnect "$1"
        begin
        eval "$4" >/run/bench.log 2>&1 || { echo "skipped $1 detach $(last_words)"; return; }
        end
        [[ $round -eq 0 ]] || echo "event $1 detach $busy_ns $elapsed_ns"
    done
}
# longest_wait ROW WHAT RECORDS: of a request, in each of some loads without a pause, where a link is renewed before it has carried RECORDS. Of
# one size, as larger ones take longer by themselves.
longest_wait() {
    local round renewals longest_ns
    if ! own "$tls" "${ca[@]}" --rekey-records "$3" >/run/bench.log 2>&1; then
        echo "skipped $1 $2 $(last_words)"
        return
    fi
    for ((round = 0; round < BENCH_EVENTS; round++)); do
        renewals=$(renewals_so_far)
        longest_ns=$("${fio[@]}" --filename="$disk" --rw=randread --bs=4k --iodepth=16 --number_ios=2500 --output-format=json \
            </dev/null 2>/run/bench.log | jq '.jobs[0].read.clat_ns.max')
        renewals=$(($(renewals_so_far) - renewals))
        if [[ ! $longest_ns =~ ^[0-9]+$ ]]; then
            echo "skipped $1 $2 $(last_words)"
        # Between two of these loads, it met none of their requests.
        elif [[ $2 == longest-request || $renewals -eq 1 ]]; then
            echo "event $1 $2 0 $longest_ns"
        fi
    done
    own_end >/run/bench.log 2>&1
}
# While a link is renewed, which comes in a load of 2,500 requests, of which each way has as many records; and in such a load by itself.
rekey_stall() { # ROW
    longest_wait "$1" longest-request 16777216
    longest_wait "$1" rekey-stall 2500
}
renewals_so_far() { nbd-attach status --json nbd0 | jq '.devices[0].renewals'; }
row() { # NAME ATTACH PROOF DETACH MODE
    local name unit mode options cipher=- which=$BENCH_MODE is_slow=
    [[ $5 != *brief* ]] || which=quick
    attach_row "$@" || return
    while IFS='|' read -r name unit mode options <&5; do
        strip name && strip unit && strip mode
        is_wanted "$name" "$BENCH_WORKLOADS" "$mode" "$which" || continue
        read -r -a options <<<"$options"
        if [[ ${options[0]} == once ]]; then
            once "$1" "$name" "$unit" "${options[@]:1}"
        else
            cell "$1" "$name" "$unit" "${options[@]}"
        fi
    done 5</bench/workloads
    eval "$4" >/run/bench.log 2>&1 || echo "skipped $1 detach $(last_words)"
}

# --- beside the tables

# What the module says of 128 and 256 bits, and of what is not AES; it does not stay loaded.
aead() {
    local mode
    for mode in 211 213; do
        dmesg -c >/dev/null
        modprobe tcrypt "mode=$mode" sec=0 2>/dev/null
        dmesg | grep -aE 'testing speed|operation in' | sed 's/^[^]]*] //; s/^tcrypt: *//; s/^/tcrypt /'
    done
}
# All of them at once, to one disk, which is said to be made for that. Private is what is in no file: here all files are in a ramfs, whose pages
# count as dirty, and those that one process maps as private.
memory() { # DEVICES
    local count=$1 i pids started=() switches_before
    : >/run/bench.log
    modprobe -r nbd && modprobe nbd nbds_max="$count" || return
    begin
    for ((i = 0; i < count; i++)); do nbd-attach "/dev/nbd$i" "$tls" "${ca[@]}" --shared >>/run/bench.log 2>&1 & started+=("$!"); done
    wait "${started[@]}"
    end
    read -r -d '' -a pids < <(cat /sys/block/nbd*/pid | sort -u) || true
    if [[ ${#pids[@]} -ne $count ]]; then
        echo "skipped memory-$count memory $(last_words)"
    else
        [[ $count -eq 1 ]] || echo "event tls attach-$count $busy_ns $elapsed_ns"
        pause 5
        switches_before=$(wakeups "${pids[@]}")
        pause 30
        echo "memory $count $(for i in "${pids[@]}"; do cat "/proc/$i/smaps_rollup"; done | awk '
            /^Anonymous:/ { private += $2 } /^Pss:/ { pss += $2 } END { print private * 1024, pss * 1024 }') $((($(wakeups "${pids[@]}") - switches_before) * 2))"
    fi
    for ((i = 0; i < count; i++)); do nbd-attach detach "nbd$i" >/dev/null 2>&1; done
    modprobe -r nbd && modprobe nbd
}
wakeups() { for i; do cat /proc/"$i"/task/*/status; done | awk '/^voluntary_ctxt_switches/ { n += $2 } END { print n }'; }

# As large as they can be, whatever the host has just to do: in TCP their size follows measured times.
echo 44 >/proc/sys/net/ipv4/tcp_min_tso_segs
# Some are a part of some kernels; udev would load those of the CPU, and ss the two that it asks.
for module in tcp_diag inet_diag virtio_pci virtio_net nbd tls aesni_intel ghash_clmulni_intel chacha_x86_64 poly1305_x86_64; do modprobe "$module" 2>/dev/null; done
# Linux 7.3 has it there no more, and what /proc/stat has of it stands still here.
if ! grep -q idle_sleeptime /proc/timer_list; then
    bench-idle /run/idle &
    wait_until test -s /run/idle || exit 1
fi
[[ -z $BENCH_AEAD ]] || aead
ip link set eth0 up && ip address add 10.0.2.15/24 dev eth0 || exit 1
[[ -z $BENCH_PROFILE ]] || cat /proc/kallsyms >/dev/tcp/10.0.2.2/10811
for devices in $BENCH_MEMORY; do memory "$devices"; done
while IFS='|' read -r name mode attach proof detach <&4; do
    strip name && strip mode
    is_wanted "$name" "$BENCH_ROWS" "$mode" || continue
    row "$name" "$attach" "$proof" "$detach" "$mode"
    [[ $mode != *events* || $BENCH_EVENTS -eq 0 ]] || events "$name" "$attach" "$proof" "$detach"
    [[ $mode != *rekey* ]] || rekey_stall "$name"
done 4</bench/rows
exit 0
