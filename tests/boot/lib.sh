# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2317,SC2153,SC2034 # functions are called by name, variables set and used in other files
#
# What a scenario of tests/boot is made of. It is a bash script that tests/boot/run reads, and which does in order:
#
#   new_root root                   a copy of the built root file system: the disk $work/root.disk (new_disk NAME MIB for another)
#   put root /etc/fstab 644 <file   a file in it, before it is booted (or put_initrd /etc/nbdtab 644 <file: over the initrd's own)
#   serve NAME [nbdkit's options]   nbdkit with that disk, on port 10809, or serve_on PORT NAME ...; the machine sees the host
#                                   as 10.0.2.2, or by the guide's name storage.example.com, which lane initramfs-tools has from
#                                   /etc/hosts of the image, and lane dracut from the name server that DHCP tells.
#                                   Its log is $work/NAME.nbd; "${tls[@]}" are the options for the lane's credentials
#   serve_root_of_dhcp              all of that for a root that only DHCP names
#   guest() { ... }                 runs in the machine, as a service of the booted system, with the helpers of guest/lib.sh:
#                                   check NAME COMMAND..., ok, not_ok, note; what they say comes out as TAP
#   on_NAME() { ... }               runs on the host when the guest says `host NAME ...`; status and last line are the answer
#   when_console PATTERN SEC COMMAND...
#                                   runs on the host, in the background, once the console has shown PATTERN during the next boot
#   boot COMMAND-LINE...            boots, in the lane, until the machine is off; may be called again ($boot_count)
#   check NAME COMMAND...           a test on the host
#
# Lane "local" boots from $work/root.disk as a virtio disk, with eth0 up by ifupdown, and no nbdtab; the command line may be empty.
#
# Also: restart_server NAME SEC, stop_server NAME [SIGNAL], start_server NAME, close_port PORT, open_port; shows PATTERN and
# shows_not PATTERN look at the console of the last boot; hooks_done; fsck_clean NAME; ends_flushed NAME.
#
#   timeout=600           seconds for a boot      memory=1024   MiB       qemu_args+=(...)   more of QEMU
#   expect_off=''         the machine need not end by itself      clean_log=''   errors of the block layer are allowed

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
image=${NBD_VM_BUILD:-$top/build}/boot/$RELEASE
certs=$image/../certs
work=$image/$SCENARIO-$SERIES-$LANE
timeout=600 memory=1024 network=user listen=127.0.0.1 qemu_args=() expect_off=1 clean_log=1 boot_count=0
qemu_pid='' background=() done_at=0 off_at=0
declare -A server_args=() server_port=() disk_offset=()
tls=()

tap_prefix="boot $LANE $RELEASE $SERIES:"
# shellcheck source=tests/lib/tap.sh
. "$top/tests/lib/tap.sh"

begin() {
    local free
    rm -rf "$work"
    mkdir -p "$work"
    trap clean_up EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    free=$(df --output=avail -k "$work" | tail -n 1)
    ((free > 3000000)) || { not_ok "less than 3 GB are free in $work"; exit 1; }
    case $LANE in
    initramfs-tools | dracut)
        # The guide's server, whose first word is nbdkit and last ones its plugin.
        read -ra tls < <("$top/tests/boot/guide" "server-$LANE")
        tls=("${tls[@]:1:${#tls[@]}-3}")
        tls=("${tls[@]//\/srv\/pki/"$certs"}")
        ;;
    local) tls=(--tls=require --tls-certificates="$certs" --tls-verify-peer) ;;
    *) not_ok "there is no lane $LANE"; exit 1 ;;
    esac
    mkdir -p "$work/initrd"
    [[ $LANE != dracut ]] || name_server
}
# QEMU's own, 10.0.2.3, asks the one that its host's /etc/resolv.conf names.
name_server() {
    echo 'nameserver 127.0.0.1' >"$work/resolv.conf"
    mount --bind "$work/resolv.conf" /etc/resolv.conf &&
        dnsmasq --conf-file=/dev/null --pid-file="$work/dnsmasq.pid" --user=root --group=root --no-resolv --no-hosts \
            --listen-address=127.0.0.1 --bind-interfaces --address=/storage.example.com/10.0.2.2 ||
        { not_ok "no name server (dnsmasq and /etc/resolv.conf are needed)"; exit 1; }
}
# tap_network [ADDRESS...]: a network of the test's own in place of QEMU's, with 10.0.2.2 and these addresses on this side
tap_network() {
    local address
    ip tuntap add tap0 mode tap
    ip addr add 10.0.2.2/24 dev tap0
    for address; do ip addr add "$address" dev tap0 nodad; done
    ip link set tap0 up
    network='tap,ifname=tap0,script=no,downscript=no' listen=10.0.2.2
}
dnsmasq_on_tap() { # NAME OPTION...
    local name=$1
    shift
    dnsmasq --conf-file=/dev/null --interface=tap0 --except-interface=lo --bind-dynamic --user=root \
        --dhcp-leasefile="$work/$name.leases" --pid-file="$work/$name.pid" "$@" >"$work/$name.log" 2>&1
}
dhcp_on_tap() { # OPTION...; its name server knows the guide's server
    dnsmasq_on_tap dhcp --no-resolv --no-hosts --address=/storage.example.com/10.0.2.2 --dhcp-range=10.0.2.15,10.0.2.20 "$@"
}
clean_up() {
    local pid
    [[ -z $qemu_pid ]] || kill -KILL "$qemu_pid" 2>/dev/null || true
    for pid in "${background[@]}"; do kill "$pid" 2>/dev/null || true; done
    # shellcheck disable=SC2013 # a number in each
    for pid in $(cat "$work"/*.pid 2>/dev/null); do kill -KILL "$pid" 2>/dev/null || true; done
    [[ -n ${BOOT_KEEP:-} ]] || rm -rf "$work"/*.disk "$work"/initrd "$work"/*.cpio
}
finish() {
    local show=60
    if [[ $tap_failures -gt 0 ]]; then
        note "--- the console, last lines ($work/console has all)"
        tail -n "$show" "$work/console" 2>/dev/null | tr -d '\r' | sed 's/^/# /'
        exit 1
    fi
}

# --- disks

new_disk() { truncate -s "${2}M" "$work/$1.disk"; } # NAME MIB
new_root() { # NAME
    cp --reflink=auto --sparse=always "$image/root.ext4" "$work/$1.disk"
    if [[ $LANE == local ]]; then
        printf 'auto lo\niface lo inet loopback\n\nauto eth0\niface eth0 inet static\n address 10.0.2.15/24\n gateway 10.0.2.2\n' |
            put "$1" /etc/network/interfaces
    else
        put "$1" /etc/nbdtab <"$image/nbdtab.$LANE"
    fi
}
put() { # NAME PATH [MODE] <CONTENT
    local content dir='' part
    content=$(mktemp "$work/put.XXXXXX")
    cat >"$content"
    chmod "${3:-644}" "$content"
    {
        while IFS= read -r part; do
            dir+=/$part
            echo "mkdir $dir"
        done < <(dirname "$2" | cut -c 2- | tr / '\n')
        printf 'rm %s\nwrite %s %s\n' "$2" "$content" "$2"
    } | debugfs -w -f - "$(file_system "$1")" >"$work/debugfs.log" 2>&1
    debugfs -R "stat $2" "$(file_system "$1")" 2>/dev/null | grep -q 'Type: regular' || { not_ok "put $2"; cat "$work/debugfs.log"; exit 1; }
    rm -f "$content"
}
# link NAME TARGET PATH: a symbolic link in the disk
link() {
    printf 'rm %s\nsymlink %s %s\n' "$3" "$3" "$2" | debugfs -w -f - "$(file_system "$1")" >/dev/null 2>&1
}
put_initrd() { # PATH [MODE] <CONTENT
    mkdir -p "$work/initrd$(dirname "$1")"
    cat >"$work/initrd$1"
    chmod "${2:-644}" "$work/initrd$1"
}
# The lane's command line, as docs/boot.md has it.
lane_cmdline() { "$top/tests/boot/guide" "cmdline-$LANE"; }
fsck_clean() { e2fsck -fn "$(file_system "$1")"; } # NAME
file_system() { echo "$work/$1.disk${disk_offset[$1]:+?offset=${disk_offset[$1]}}"; }
# into_partition NAME: the file system in that disk becomes the first partition of a larger one
into_partition() {
    local size
    size=$(stat -c %s "$work/$1.disk")
    mv "$work/$1.disk" "$work/$1.part"
    truncate -s $((size + (4 << 20))) "$work/$1.disk"
    printf 'label: gpt\nstart=2048, size=%s\n' $((size / 512)) | sfdisk -q "$work/$1.disk"
    dd if="$work/$1.part" of="$work/$1.disk" bs=1M seek=1 conv=notrunc,sparse status=none
    rm -f "$work/$1.part"
    disk_offset[$1]=$((1 << 20))
}

# --- servers

serve() { serve_on 10809 "$@"; }
serve_on() { # PORT NAME [nbdkit's options]
    local port=$1 name=$2
    shift 2
    server_port[$name]=$port
    server_args[$name]=$(printf '%q ' "$@")
    start_server "$name"
}
# A root of which only DHCP knows, and its name server where that is. In the initramfs the line of nbdtab would do without DHCP: its options
# hold for that server all the same, when it is not for the boot.
serve_root_of_dhcp() {
    new_root root
    put root /etc/nbdtab </dev/null
    sed 's/,root$//' "$image/nbdtab.$LANE" | put_initrd /etc/nbdtab
    printf '127.0.0.1 localhost\n' | put_initrd /etc/hosts
    serve root "${tls[@]}"
}
# The servers are known by files: hooks in the background start and stop them as well.
start_server() { # NAME
    local args
    eval "args=(${server_args[$1]})"
    # As a daemon: in the foreground it would end with the hook that started it.
    nbdkit -P "$work/$1.pid" -i "$listen" -p "${server_port[$1]}" "${args[@]}" --filter=log file "$work/$1.disk" \
        logfile="$work/$1.nbd" logappend=true >>"$work/$1.nbdkit" 2>&1 3>&- || { tail -n 5 "$work/$1.nbdkit"; return 1; }
}
# stop_server NAME [SIGNAL]: by default as a crash would
stop_server() {
    local pid
    pid=$(cat "$work/$1.pid")
    kill "-${2:-KILL}" "$pid"
    while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
    rm -f "$work/$1.pid"
}
# restart_server NAME SECONDS: away for so long
restart_server() {
    stop_server "$1"
    sleep "$2"
    start_server "$1"
}
# For the sake of those who wait for an answer, as a firewall does it, and as one that says no.
close_port() { nft "add table inet closed; add chain inet closed in { type filter hook input priority 0; }; add rule inet closed in tcp dport $1 drop;
    add chain inet closed out { type filter hook output priority 0; }; add rule inet closed out tcp sport $1 drop"; } # PORT
open_port() { nft delete table inet closed; }
# What is acknowledged must be on the disk before the machine is off: nothing is written after the last flush.
# A write that says itself that it has to be on the disk is a flush, too.
ends_flushed() { # NAME
    awk '/ (Write|Zero|Trim) .*fua=0/ { writes++; last = $0 } / (Write|Zero) .*fua=1/ { } / Flush id=/ { writes = 0; flushes++ }
        END { print flushes + 0 " flushes"; if (writes) { print "written after the last flush: " writes ", " last; exit 1 } exit !flushes }' \
        "$work/$1.nbd"
}

# --- the machine

when_console() { # PATTERN SEC COMMAND...: during the next boot
    local pattern=$1 seconds=$2
    shift 2
    : >>"$work/console"
    (
        i=0
        until grep -aqE -- "$pattern" < <(tail -n "+$((console_seen + 1))" "$work/console" 2>/dev/null); do
            ((i++ < seconds * 5)) || { echo "in $seconds s the console did not show: $pattern"; exit 1; }
            sleep 0.2
        done
        "$@"
    ) &
    background+=("$!")
}
hooks_done() { # the commands of when_console have ended, and well
    local pid status=0
    for pid in "${background[@]}"; do wait "$pid" || status=1; done
    background=()
    return "$status"
}
console_seen=0
console() { tail -n "+$((console_seen + 1))" "$work/console" | tr -d '\r'; } # of the last boot
shows() { console | grep -aE -- "$1"; }
shows_not() { ! console | grep -aE -- "$1"; }

answer() { # what the guest asks for: NAME ARGUMENT...
    local word=$1 status=0 said
    shift
    # In this very shell, so that servers started are known afterwards.
    "on_$word" "$@" >"$work/answer" 2>&1 || status=$?
    said=$(tail -n 1 "$work/answer")
    printf '%s %s\n' "$status" "$said" >&"$to_guest"
}

one_initrd() {
    local lane=$LANE
    [[ $lane != local ]] || lane=initramfs-tools
    cat "$image/$SERIES/$lane.initrd"
    # A local root is attached by nobody.
    [[ $LANE != local || -e $work/initrd/etc/nbdtab ]] || put_initrd /etc/nbdtab </dev/null
    # Each archive begins at a multiple of four.
    local size
    size=$(stat -c %s "$image/$SERIES/$lane.initrd")
    head -c $(((4 - size % 4) % 4)) /dev/zero
    (cd "$work/initrd" && find . -mindepth 1 -print0 | cpio --null --quiet -o -H newc -R 0:0)
}

declare accel to_guest from_guest
start_qemu() { # COMMAND-LINE...
    local accel_options=(-accel kvm -cpu host)
    [[ $accel == kvm ]] || accel_options=(-accel "tcg,thread=single" -cpu "max,cx16=off") # as in tests/vm/run
    # shellcheck disable=SC2086 # the command line is words
    qemu-system-x86_64 "${accel_options[@]}" -machine q35 -smp 1 -m "$memory" \
        -nodefaults -no-user-config -no-reboot -display none -rtc base=utc \
        -chardev "file,id=console,path=$work/console,append=on" -device isa-serial,chardev=console \
        -chardev "pipe,id=line,path=$work/line" -device isa-serial,chardev=line \
        -object rng-random,id=rng,filename=/dev/urandom -device virtio-rng-pci,rng=rng \
        "${net[@]}" "${qemu_args[@]}" \
        -kernel "$image/$SERIES/vmlinuz" -initrd "$work/initrd.cpio" \
        -append "$(default_cmdline) $*" </dev/null >"$work/qemu.log" 2>&1 &
    qemu_pid=$!
}
# As tests/vm/run does it: a KVM that does not run Linux shows only now.
start_machine() { # COMMAND-LINE...
    local size reason
    size=$(stat -c %s "$work/console")
    [[ -n ${accel:-} ]] || accel=$("$top/tests/vm/accel")
    start_qemu "$@"
    [[ $accel == kvm ]] || return 0
    ! reason=$("$top/tests/vm/accel" --first-line "$qemu_pid" "$work/qemu.log" "$work/console" "$size") || return 0
    [[ -z ${NBD_VM_ACCEL:-} ]] || { not_ok "KVM runs Linux on this machine ($reason); NBD_VM_ACCEL=tcg emulates"; exit 1; }
    note "KVM does not run Linux on this machine ($reason): it is emulated (NBD_VM_ACCEL=tcg does so at once)"
    kill -KILL "$qemu_pid" 2>/dev/null || true
    wait "$qemu_pid" || true
    accel=tcg
    start_qemu "$@"
}

boot() { # COMMAND-LINE...
    local started=$SECONDS status=0 net=(-netdev "$network,id=n0" -device "virtio-net-pci,netdev=n0,romfile=")
    boot_count=$((boot_count + 1))
    {
        declare -p RELEASE SERIES LANE boot_count
        declare -f guest
    } | put root /usr/lib/nbd-attach-test/scenario
    : >>"$work/console"
    console_seen=$(wc -l <"$work/console")
    one_initrd >"$work/initrd.cpio"
    rm -f "$work"/line.{in,out}
    mkfifo "$work"/line.{in,out}
    exec {from_guest}<>"$work/line.out" {to_guest}<>"$work/line.in"
    [[ $LANE != local ]] || net+=(-drive "if=virtio,format=raw,file=$work/root.disk")
    start_machine "$@"
    follow_guest $((started + timeout))
    wait "$qemu_pid" || status=$?
    qemu_pid=''
    exec {from_guest}>&- {to_guest}>&-
    off_at=$SECONDS
    boot_seconds=$((off_at - started))
    verdict "$status"
}
default_cmdline() {
    printf 'console=ttyS0 loglevel=6 panic=-1 oops=panic net.ifnames=0 random.trust_cpu=on mitigations=off '
    # Emulated beside other work, a clock or a timer that is measured once at boot may be far off: one VM counted 400 s in 80.
    printf 'no_timer_check tsc=unstable clocksource=hpet nosoftlockup rcupdate.rcu_cpu_stall_suppress=1 '
    # Nobody audits, and each record costs a line of the slow port.
    printf 'audit=0 systemd.show_status=1 '
    [[ $LANE != local ]] || printf 'root=UUID=6e62642d-6174-4461-b368-206469736b21 ro '
}

follow_guest() { # DEADLINE
    local line part='' status
    done_said=''
    while kill -0 "$qemu_pid" 2>/dev/null || [[ -n $part ]]; do
        status=0
        IFS= read -r -t 0.5 -u "$from_guest" line || status=$?
        part+=$line
        if [[ $status -ne 0 ]]; then
            kill -0 "$qemu_pid" 2>/dev/null || part=''
            { ((SECONDS < $1)) && ! "$top/tests/vm/accel" --gave-up "$work/qemu.log"; } || kill -KILL "$qemu_pid" 2>/dev/null || true
            continue
        fi
        line=${part%$'\r'} part=''
        printf '%s %s\n' "$(date +%T)" "$line" >>"$work/lines"
        case $line in
        "@host "*) read -ra words <<<"${line#@host }"; answer "${words[@]}" ;;
        "@done"*)
            done_said=1
            done_at=$SECONDS
            ;;
        "@"*) note "${line#@}" ;;
        "ok - "*) ok "${line#ok - }" ;;
        "not ok - "*) not_ok "${line#not ok - }" ;;
        *) tap_say "$line" ;;
        esac
    done
}

verdict() { # QEMU's status
    local what="boot $boot_count"
    if [[ -n $expect_off ]]; then
        if [[ $1 -ne 0 || -z $done_said ]]; then
            not_ok "$what did not come to its end, in $boot_seconds of $timeout s (QEMU's status $1)"
            tail -n 5 "$work/qemu.log" | sed 's/^/# qemu: /'
        else
            ok "$what came to its end, and the machine is off"
            note "boot $LANE $RELEASE $SERIES: $boot_seconds s of wall time"
        fi
    fi
    if shows 'BUG:|WARNING:|Oops|Kernel panic|general protection fault|unable to handle' >"$work/complaints"; then
        not_ok "$what: the kernel complains"
        head -n 20 "$work/complaints" | sed 's/^/# /'
    fi
    if [[ -n $clean_log ]] && shows 'I/O error|EXT4-fs error|[Ss]hutting down sockets|other side returned' >"$work/complaints"; then
        not_ok "$what: no error of the disk, and no link shut before the end"
        head -n 20 "$work/complaints" | sed 's/^/# /'
    fi
}
