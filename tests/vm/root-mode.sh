#!/bin/bash
# vm: last 6.1~62 6.12~111
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2317,SC2086,SC2154 # functions are called by name; no device or directory here has spaces; start sets NAME_pid
#
# --root: a supervisor that needs no disk. This VM's root is its initramfs, so that of an initrd is what is tested by itself; what it is
# on a running system is tested from a root on a disk: on the very disk that it serves.

# shellcheck source=tests/vm/lib-supervise.sh
. /tests/lib-supervise.sh

disk=$mnt/root

status_of() { sed -n "s/^$2:[^0-9]*\([0-9a-f]*\).*/\1/p" "/proc/$1/status"; } # PID KEY
ignores() { # PID SIGNAL-NUMBER
    (((0x$(status_of $1 SigIgn) >> ($2 - 1)) & 1))
}
mark() { head -c 1 "/proc/$1/cmdline"; }
# What is mounted where this process can see it, and is not in memory: by another list than the program's own.
disks_of() { awk '{ type = $0; sub(/.* - /, "", type); sub(/ .*/, "", type) } type !~ /^(ramfs|proc|sysfs|devtmpfs|devpts|tmpfs|tracefs|debugfs)$/' "/proc/$1/mountinfo"; }
is_isolated() { # PID
    local top fd
    [[ -z $(disks_of $1) ]] || fail "it sees $(disks_of $1)"
    top=$(awk '$5 == "/" { sub(/.* - /, ""); print $1 }' /proc/$1/mountinfo)
    [[ $top == ramfs ]] || fail "its root is $top"
    [[ $(ls -A /proc/$1/root/) == $'dev\netc\nproc\nrun\nsys' ]] || fail "in its root is $(ls -A /proc/$1/root/)"
    # The kernel's own pages (vdso) are not to be locked.
    [[ $(status_of $1 VmLck) -ge $(($(status_of $1 VmRSS) - 32)) ]] || fail "$(grep -E 'VmLck|VmRSS' /proc/$1/status)"
    [[ $(cat /proc/$1/oom_score_adj) -eq -1000 ]] || fail "it can be killed for want of memory"
    [[ $(cut -d ' ' -f 41 /proc/$1/stat) -eq 2 ]] || fail "it has no real-time priority"
    for fd in "/proc/$1/fd"/*; do
        # Whatever is on a disk has a device number with a major part.
        [[ $(stat -L -c %d $fd) -lt 256 ]] || fail "it has $(readlink $fd) open"
    done
}
attach_root() { attach $nbd localhost --port $tls_port "${tls[@]}" --root; }

in_an_initrd() {
    local pid
    make_disk
    serve_nbdkit
    attach_root
    pid=$(supervisor_of $nbd)
    is_isolated $pid
    [[ $(mark $pid) == @ ]] || fail "systemd would kill it"
    for signal in 1 2 15; do
        ignores $pid $signal || fail "it does not ignore signal $signal"
        kill -$signal $pid
    done
    sleep 1
    is_alive $pid || fail "it was ended"
    assert_has $nbd '.root and .state == "alive"'
    expect 0 nbd-attach status $nbd
    says 'needs no disk'
    expect 0 nbd-attach status $nbd --is-root
    # An instance without it says so, too.
    detach $nbd
    within 10 eval "! is_alive $pid" || fail "it does not end with its device"
    attach $nbd localhost --port $tls_port "${tls[@]}"
    assert_has $nbd '.root == false'
    pid=$(supervisor_of $nbd)
    ! ignores $pid 15 || fail "it ignores SIGTERM"
    [[ $(mark $pid) == n ]] || fail "it bears the mark"
    detach $nbd
}
# All that another process can ask of it, and taking over from one that was killed.
from_outside() {
    local pid
    make_disk 64M
    serve_nbdkit
    attach_root
    pid=$(supervisor_of $nbd)
    truncate -s 96M "$state/disk"
    expect 0 nbd-attach resize $nbd
    [[ $(device_bytes $nbd) -eq $((96 << 20)) ]] || fail "it has not grown"
    kill -KILL $pid
    wait_until 10 eval "! is_alive $pid" || fail "it does not die"
    expect 0 nbd-attach $nbd localhost --port $tls_port "${tls[@]}" --root
    says adopted
    pid=$(field $nbd .supervisor_pid)
    is_isolated $pid
    outage 1 serve_nbdkit
    becomes $nbd alive 15
    detach $nbd
}
refused() {
    local limit=/proc/sys/user/max_mnt_namespaces before
    make_disk
    serve_nbdkit
    before=$(cat $limit)
    echo 0 >$limit
    said=$(nbd-attach $nbd localhost --port $tls_port "${tls[@]}" --root 2>&1) && status=0 || status=$?
    echo $before >$limit
    echo "$said"
    [[ $status -ne 0 ]] || fail "it was attached"
    says '--root: cannot make a mount namespace'
    says 'CAP_SYS_ADMIN'
    assert_not_attached $nbd
    expect 2 nbd-attach $nbd nbd+unix:///?socket=/tmp/x --root
    says 'may be on a disk'
    expect 2 nbd-attach $nbd localhost --tls --tls-cert $certs/client-cert.pem --tls-key pkcs11:x --root
    says 'token'
}

# --- a reconnect touches nothing

# faults PID: major ones, its own and its children's
faults() { awk '{ sub(/.*\) /, ""); print $10 + $11 }' /proc/$1/stat; }
# traced PID: the server goes and comes, and what the supervisor and its children ask for by name meanwhile is in $state/trace
traced() {
    start strace strace -f -qq -e trace=%file,execve,execveat,open_by_handle_at -e signal=none -o "$state/trace" -p $1
    sleep 2
    outage 1 serve_nbdkit
    # It knows of the server's end, and has ended its work.
    within 30 has $nbd '.reconnects > 0 and .state == "alive"' || fail "no reconnect"
    sleep 1
    stop $strace_pid INT
    grep -q 'openat(' "$state/trace" || fail "nothing was traced: $(head -n 3 "$state/trace")"
}
# A call is one line: where another process came between, strace has written two.
calls() {
    awk '
        / <unfinished \.\.\.>$/ { sub(/ <unfinished \.\.\.>$/, ""); begun[$1] = $0; next }
        $2 == "<..." && ($1 in begun) { end = $0; sub(/^.* resumed>/, "", end); print begun[$1] end; delete begun[$1]; next }
        { print }
        END { for (pid in begun) print begun[pid] }' "$state/trace"
}
# What was found under a name that leads neither to the kernel nor to /run.
found_elsewhere() { calls | grep -E '^[0-9]+ +[a-z0-9_]+\(' | grep -vE 'ENOENT|AT_EMPTY_PATH' | grep -vE '"/(proc|sys|dev|run)(/[^"]*)?"'; }
executed() { grep -E '^[0-9]+ +exec' "$state/trace"; }
touches_nothing() {
    local pid before
    make_disk
    serve_nbdkit
    attach_root
    pid=$(supervisor_of $nbd)
    before=$(faults $pid)
    traced $pid
    note "$(grep -c . "$state/trace") calls in a reconnect; by name: $(grep -oE '"/[^"]*"' "$state/trace" | sort | uniq -c | sort -rn | awk '{ printf "%s %s, ", $2, $1 }')"
    ! executed || fail "it executes something"
    # What is in its /etc is in memory with it: is_isolated.
    ! found_elsewhere | grep -vE '"/etc/(resolv.conf|hosts|nsswitch.conf|gai.conf|host.conf)"|"/"' || fail "it looks elsewhere"
    is_isolated $pid
    [[ $(faults $pid) -eq $before ]] || fail "$(($(faults $pid) - before)) major faults"
    detach $nbd
    # Control: another one does look elsewhere, and is seen to.
    attach $nbd localhost --port $tls_port "${tls[@]}"
    pid=$(supervisor_of $nbd)
    traced $pid
    found_elsewhere | head -n 3
    [[ -n $(found_elsewhere) ]] || fail "the control finds nothing"
    detach $nbd
}

# --- the root is on the disk that is away

# Program, libraries and configuration, as they are here, on a file system on $nbd.
make_root_disk() {
    local file
    make_disk 128M
    serve_nbdkit
    attach $nbd localhost --port $tls_port "${tls[@]}"
    mke2fs -q -t ext4 -F $nbd
    mkdir -p $disk
    mount -t ext4 $nbd $disk
    mkdir -p $disk/{proc,sys,dev,run,usr/sbin,usr/lib}
    for file in bin sbin lib lib64; do ln -s usr/$file $disk/$file; done
    cp -a /etc /certs $disk/
    # By the names that the program asks for; one it loads itself.
    for file in /usr/sbin/nbd-attach $(LD_PRELOAD=libgnutls.so.30 LD_TRACE_LOADED_OBJECTS=1 /usr/sbin/nbd-attach | grep -oE '/[^ ]+'); do
        mkdir -p "$disk$(realpath "$(dirname $file)")"
        cp $file "$disk$(realpath "$(dirname $file)")/"
    done
    kill_supervisor
}
kill_supervisor() {
    local pid
    pid=$(field $nbd .supervisor_pid)
    kill -KILL $pid
    wait_until 10 eval "! is_alive $pid" || fail "the supervisor does not die"
}
# As after switch_root: the file system on $nbd is the root, and the initramfs lies below it.
on_disk() {
    unshare -m sh -c "cd $disk && for d in proc sys dev run; do mount --rbind /\$d \$d; done && mount --move . / && exec chroot . \"\$@\"" sh "$@"
}
adopt_on_disk() { # OPTION...
    expect 0 on_disk /usr/sbin/nbd-attach $nbd localhost --port $tls_port "${tls[@]}" "$@"
    says adopted
    pid=$(field $nbd .supervisor_pid)
    grep -q " $disk ext4 " /proc/mounts || fail "nothing is mounted any more"
    grep -E 'r-x.* /usr/sbin/nbd-attach$' /proc/$pid/maps || fail "it runs from elsewhere"
}
major_faults() { awk '$1 == "pgmajfault" { print $2 }' /proc/vmstat; }
available_mib() { awk '/^MemAvailable/ { print int($2 / 1024) }' /proc/meminfo; }

from_its_own_disk() {
    local pid before i
    make_root_disk
    adopt_on_disk --root
    is_isolated $pid
    [[ $(mark $pid) == / ]] || fail "it bears the mark, and this is no initrd"
    ! ignores $pid 15 || fail "it ignores SIGTERM"
    dd if=/dev/zero of=$disk/load bs=1M count=24
    sync
    load_file=$disk/load load load $nbd "${verified[@]}"
    sleep 3
    drop_caches
    before=$(major_faults)
    for i in 1 2; do
        kill_server
        sleep 1
        # What can leave the memory does so now.
        echo 3 >/proc/sys/vm/drop_caches
        hog $(($(available_mib) - 60)) 1
        serve_nbdkit
        outage_ends
        within 20 moves $nbd || { cat "$state/load_load.out" "$state/load.json"; fail "no I/O 20 s after the server is back, in round $i"; }
        becomes $nbd alive 15
        sleep 3
    done
    [[ $(major_faults) -eq $before ]] || fail "$(($(major_faults) - before)) major faults"
    assert_has $nbd '.reconnects >= 2 and .error_replies == 0'
    # On a running system a signal means what it does without --root: it ends, and leaves a device that is in use. But not while the server is
    # away: what is to start another may have to read that from this disk.
    kill_server
    sleep 1
    kill -TERM $pid
    sleep 3
    is_alive $pid || fail "it has left in an outage"
    serve_nbdkit
    outage_ends
    within 15 eval "! is_alive $pid" || fail "it does not end"
    within 10 moves $nbd || fail "no I/O after it has ended"
    load_ends load
    [[ $(jq '.jobs[0].write.total_ios' "$state/load.result") -gt 100 ]] || fail "nothing was written"
    is_attached $nbd || fail "a disk in use was detached"
    umount $disk || fail "something keeps the disk busy"
    detach $nbd
}
# Control: this is what becomes of one without --root.
without_it() {
    local pid
    make_root_disk
    adopt_on_disk
    mount -o remount,ro $disk # there shall be nothing to lose
    drop_caches
    kill_server
    sleep 1
    serve_nbdkit
    outage_ends
    sleep 12
    [[ $(timeout 10 nbd-attach status $nbd --json | jq -r '.devices[0].state') != alive ]] || fail "it reconnects: the test above proves nothing"
    # Nobody brings it back: each process that waits for it, it too, has to be told that it is gone.
    nbd-attach detach $nbd --force
    for pid in $(pidof nbd-attach || true); do kill -KILL $pid; done
    umount -l $disk
}

# --- the initramfs is emptied, as by run-init(8) and switch_root(8)

emptied() {
    local copy=/run/copy old=$mnt/old pid name
    make_disk
    serve_nbdkit
    attach_root
    pid=$(supervisor_of $nbd)
    # What the test itself needs goes on from a copy.
    mkdir -p $copy $old
    mount --bind / $old
    for name in usr etc certs; do
        cp -a /$name $copy/
        mount --bind $copy/$name /$name
    done
    rm -rf "${old:?}"/{usr,etc,certs}/* $old/tests $old/init
    umount $old
    readlink /proc/$pid/exe | grep deleted || fail "the program is still there"
    load load $nbd "${verified[@]}"
    for _ in 1 2; do
        sleep 2
        outage 1 serve_nbdkit
        within 15 moves $nbd || fail "no I/O 15 s after the server is back"
        becomes $nbd alive 15
    done
    # By name, since localhost is in its copy of /etc/hosts.
    assert_has $nbd '.reconnects == 2 and .error_replies == 0 and .links[0].encryption_proven'
    is_isolated $pid
    load_ends load
    detach $nbd
}

test_timeout=240
run_test "in an initrd: no disk in sight, memory locked, marked, and not ended by signals" in_an_initrd
run_test_once "status, resize, detach and adoption with --root" from_outside
run_test_once "what cannot be done with --root is refused, and says why" refused
run_test_once "a reconnect opens nothing outside of /proc, /sys, /dev and /run, and executes nothing" touches_nothing
run_test_once "control: without --root, the root disk does not come back" without_it
run_test "with the root on the disk that is away, under load and want of memory" from_its_own_disk
run_test_once "the initramfs is emptied, and the server killed twice" emptied
finish
