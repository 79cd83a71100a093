#!/bin/bash
# vm: together 6.1~27 6.12~64
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2317,SC2086 # functions are called by name; no device or directory here has spaces
#
# Attaching, without regard to ciphers: addresses, transports, options, what the device looks like afterwards, and what
# is refused.

# shellcheck source=tests/vm/lib.sh
. /tests/lib.sh

tls=(--tls --tls-ca "$certs/ca-cert.pem")

plain_tcp() {
    nbdkit_server 10809 memory 16M
    expect 0 nbd-attach $nbd 127.0.0.1 --port 10809
    [[ $(wc -l <<<"$said") -le 1 ]] || fail "more than one line"
    write_and_compare $nbd 8
    detach $nbd
}
short_device_name() {
    nbdkit_server 10809 memory 16M
    attach nbd0 127.0.0.1 --port 10809
    is_attached nbd0 || fail "not attached"
    detach nbd0
}
unix_socket() {
    start nbdkit nbdkit -f -U "$state/nbd.sock" memory 16M
    wait_for_file "$state/nbd.sock"
    attach $nbd "nbd+unix:///?socket=$state/nbd.sock"
    write_and_compare $nbd 8
    detach $nbd
}
unix_socket_tls() {
    start nbdkit nbdkit -f -U "$state/nbd.sock" "${nbdkit_x509[@]}" memory 16M
    wait_for_file "$state/nbd.sock"
    local status=0
    said=$(nbd-attach $nbd "nbds+unix://localhost/?socket=$state/nbd.sock" "${tls[@]}" 2>&1) || status=$?
    echo "$said ($status)"
    [[ $status -ne 0 ]] || fail "attached, although the kernel has no TLS on unix sockets"
    says "unix"
    assert_not_attached $nbd
}
ipv6() {
    listen=::1 nbdkit_server 10809 "${nbdkit_x509[@]}" memory 16M
    attach $nbd ::1 --port 10809 "${tls[@]}"
    write_and_compare $nbd 4
    detach $nbd
    attach $nbd 'nbds://[::1]:10809/' --tls-ca "$certs/ca-cert.pem"
    detach $nbd
}
uri_tls() {
    nbdkit_server 10810 "${nbdkit_x509[@]}" memory 16M
    attach $nbd "nbds://localhost:10810/?tls-certificates=$certs"
    write_and_compare $nbd 4
    detach $nbd
}
named_export() {
    mkdir "$state/dir"
    truncate -s 3M "$state/dir/three"
    truncate -s 5M "$state/dir/five"
    nbdkit_server 10809 "${nbdkit_x509[@]}" file dir="$state/dir"
    attach $nbd localhost five --port 10809 "${tls[@]}"
    [[ $(device_bytes $nbd) -eq 5242880 ]] || fail "$(device_bytes $nbd) bytes"
    detach $nbd
    expect 5 nbd-attach $nbd localhost six --port 10809 "${tls[@]}"
    assert_not_attached $nbd
}
four_connections() {
    nbdkit_server 10809 "${nbdkit_x509[@]}" memory 32M
    attach $nbd localhost --port 10809 "${tls[@]}" --connections 4
    [[ $(ss -Htn state established 'dport = :10809' | wc -l) -eq 4 ]] || fail "not four connections"
    write_and_compare $nbd 16
    detach $nbd
}
no_multi_conn() {
    nbdkit_server 10809 "${nbdkit_x509[@]}" --filter=multi-conn memory 16M multi-conn-mode=disable
    expect 5 nbd-attach $nbd localhost --port 10809 "${tls[@]}" --connections 4
    says "connection"
    assert_not_attached $nbd
    attach $nbd localhost --port 10809 "${tls[@]}" --connections 1
    detach $nbd
}
read_only() {
    nbdkit_server 10809 "${nbdkit_x509[@]}" memory 16M
    attach $nbd localhost --port 10809 "${tls[@]}" --read-only
    [[ $(cat /sys/block/nbd0/ro) -eq 1 ]] || fail "not read-only"
    ! dd if=/dev/zero of=$nbd bs=4096 count=1 conv=fsync || fail "a write went through"
    detach $nbd
}
read_only_server() {
    nbdkit_server 10809 -r "${nbdkit_x509[@]}" memory 16M
    attach $nbd localhost --port 10809 "${tls[@]}"
    [[ $(cat /sys/block/nbd0/ro) -eq 1 ]] || fail "not read-only"
    detach $nbd
    # The device must not keep it for the next one.
    nbdkit_server 10810 "${nbdkit_x509[@]}" memory 16M
    attach $nbd localhost --port 10810 "${tls[@]}"
    write_and_compare $nbd 1
    detach $nbd
}
auto() {
    nbdkit_server 10809 "${nbdkit_x509[@]}" memory 16M
    attach $nbd localhost --port 10809 "${tls[@]}"
    said=$(nbd-attach auto localhost --port 10809 "${tls[@]}" --shared)
    echo "$said"
    local chosen
    chosen=$(grep -oE '/dev/nbd[0-9]+' <<<"$said" | head -n 1)
    [[ -n $chosen && $chosen != "$nbd" ]] || fail "it chose \"$chosen\""
    is_attached "$chosen" || fail "$chosen is not attached"
    write_and_compare "$chosen" 4
    detach "$chosen"
    is_attached $nbd || fail "the wrong one was detached"
    detach $nbd
}
busy() {
    nbdkit_server 10809 "${nbdkit_x509[@]}" memory 16M
    attach $nbd localhost --port 10809 "${tls[@]}"
    expect 9 nbd-attach $nbd localhost --port 10809 "${tls[@]}"
    says "nbd0"
    write_and_compare $nbd 4
    detach $nbd
}
size_zero() {
    nbdkit_server 10809 "${nbdkit_x509[@]}" null 0
    expect 5 nbd-attach $nbd localhost --port 10809 "${tls[@]}"
    says "size|empty|0 bytes"
    assert_not_attached $nbd
}
size_unaligned() {
    nbdkit_server 10809 "${nbdkit_x509[@]}" null 1000001
    expect 5 nbd-attach $nbd localhost --port 10809 "${tls[@]}"
    says "size|multiple|align"
    assert_not_attached $nbd
}
block_sizes() {
    nbdkit_server 10809 "${nbdkit_x509[@]}" --filter=blocksize-policy memory 16M \
        blocksize-minimum=4096 blocksize-preferred=4096 blocksize-maximum=65536 blocksize-error-policy=error
    attach $nbd localhost --port 10809 "${tls[@]}"
    grep . /sys/block/nbd0/queue/{logical_block_size,physical_block_size,max_sectors_kb,max_hw_sectors_kb}
    [[ $(cat /sys/block/nbd0/queue/logical_block_size) -eq 4096 ]] || fail "the minimum is not respected"
    [[ $(cat /sys/block/nbd0/queue/max_sectors_kb) -le 64 ]] || fail "the maximum is not respected"
    # The server refuses what is too large or too small: so this is the proof.
    write_and_compare $nbd 8
    detach $nbd
}
block_size_too_large() {
    nbdkit_server 10809 "${nbdkit_x509[@]}" --filter=blocksize-policy memory 16M \
        blocksize-minimum=65536 blocksize-preferred=65536 blocksize-maximum=1M blocksize-error-policy=error
    local status=0
    said=$(nbd-attach $nbd localhost --port 10809 "${tls[@]}" 2>&1) || status=$?
    echo "$said ($status)"
    if [[ $status -eq 0 ]]; then
        # A kernel that can do large blocks may do so.
        [[ $(cat /sys/block/nbd0/queue/logical_block_size) -eq 65536 ]] || fail "attached with blocks that the server refuses"
        detach $nbd
    else
        says "block"
    fi
}
block_size_option() {
    nbdkit_server 10809 memory 16M
    attach $nbd localhost --port 10809 --block-size 4096
    [[ $(cat /sys/block/nbd0/queue/logical_block_size) -eq 4096 ]]
    detach $nbd
    attach $nbd localhost --port 10809 --block-size 512
    [[ $(cat /sys/block/nbd0/queue/logical_block_size) -eq 512 ]]
    detach $nbd
}
backend() {
    nbdkit_server 10809 "${nbdkit_x509[@]}" memory 16M
    attach $nbd localhost --port 10809 "${tls[@]}"
    local identifier other
    identifier=$(cat /sys/block/nbd0/backend)
    echo "backend: $identifier"
    [[ $identifier =~ ^[0-9a-f]{32}$ ]] || fail "no backend identifier that is safe in a file name"
    expect 0 nbd-attach status $nbd --json
    says "\"backend\": *\"$identifier\""
    detach $nbd
    # The same name for the same export, another one for another.
    attach $nbd localhost --port 10809 "${tls[@]}"
    [[ $(cat /sys/block/nbd0/backend) == "$identifier" ]] || fail "the identifier is not stable"
    detach $nbd
    attach $nbd localhost other --port 10809 "${tls[@]}"
    other=$(cat /sys/block/nbd0/backend)
    [[ $other != "$identifier" ]] || fail "two exports have one identifier"
    detach $nbd
}
status() {
    nbdkit_server 10809 "${nbdkit_x509[@]}" memory 16M
    attach $nbd localhost --port 10809 "${tls[@]}"
    expect 0 nbd-attach status
    says nbd0
    expect 0 nbd-attach status $nbd
    says nbd0
    says 'tls *v?1\.3'
    expect 0 nbd-attach status $nbd --quiet
    expect 1 nbd-attach status $nbd --is-root
    nbd-attach status --json | is_json || fail "status --json is not JSON"
    nbd-attach status $nbd --json | is_json || fail "status $nbd --json is not JSON"
    detach $nbd
    nbd-attach status --json | is_json || fail "status --json is not JSON when nothing is attached"
}
# A server that takes 50 ms for a read, so that what fio and the block layer do besides is little of it: each bound is one of them.
status_agrees_with_fio() {
    nbdkit_server 10809 --filter=delay "${nbdkit_x509[@]}" memory 16M rdelay=50ms
    attach $nbd localhost --port 10809 "${tls[@]}"
    nbd-attach status $nbd --json >"$state/before"
    fio --name=reads --filename=$nbd --direct=1 --ioengine=psync --rw=randread --bs=64k --size=16M --number_ios=40 \
        --output="$state/fio" --output-format=json
    nbd-attach status $nbd --json >"$state/after"
    expect 0 nbd-attach status $nbd
    says 'read: *[0-9.]* MiB in [0-9]* requests, [0-9.]* ms each, [0-9.]* MiB/s while busy'
    jq -r --slurpfile b "$state/before" --slurpfile f "$state/fio" '.devices[0] as $a | $b[0].devices[0] as $b | $f[0].jobs[0].read as $f |
        "status: \($a.io.reads - $b.io.reads) reads, \($a.io.read_bytes - $b.io.read_bytes) bytes, \($a.io.read_ms - $b.io.read_ms) ms, busy \(
        $a.io.busy_ms - $b.io.busy_ms) ms; fio: \($f.total_ios), \($f.io_bytes), \($f.lat_ns.mean / 1e6) ms each, \($f.runtime) ms",
        if $a.io.reads - $b.io.reads == $f.total_ios and $a.io.read_bytes - $b.io.read_bytes == $f.io_bytes then empty
            else "counts differ" end,
        if ($a.io.read_ms - $b.io.read_ms) / $f.total_ios | . >= 49 and . <= $f.lat_ns.mean / 1e6 then empty else "latency differs" end,
        if $a.io.busy_ms - $b.io.busy_ms | . >= 49 * $f.total_ios and . <= $f.runtime + 10 * $f.total_ios then empty
            else "throughput differs" end,
        if $a.io_at_ms - $b.io_at_ms | . >= $f.runtime then empty else "the time between differs" end' "$state/after" | tee "$state/said"
    ! grep differ "$state/said" || fail "status and fio do not agree"
    detach $nbd
    # What it was is not the next attachment's.
    attach $nbd localhost --port 10809 "${tls[@]}"
    nbd-attach status $nbd --json | jq -e '.devices[0].io.read_bytes < 1000000' || fail "a former attachment is counted"
    detach $nbd
}
tells_of_the_server() {
    truncate -s 8M "$state/disk"
    qemu_nbd_server 10809 "$state/disk" x509
    expect 0 nbd-attach list localhost --port 10809 "${tls[@]}"
    says disk
    expect 0 nbd-attach info localhost disk --port 10809 "${tls[@]}"
    says 8388608
    nbd-attach info localhost disk --port 10809 "${tls[@]}" --json | is_json || fail "info --json is not JSON"
    nbd-attach list localhost --port 10809 "${tls[@]}" --json | is_json || fail "list --json is not JSON"
    assert_not_attached $nbd
}
doctor() {
    expect 0 nbd-attach doctor
    says nbd
    says tls
    nbd-attach doctor --json | is_json || fail "doctor --json is not JSON"
}
wrong_ca_attaches_nothing() {
    nbdkit_server 10809 "${nbdkit_x509[@]}" memory 16M
    certtool --generate-privkey --key-type=ecdsa --outfile "$state/key.pem" 2>/dev/null
    printf 'cn = another\nca\ncert_signing_key\nexpiration_days = 9\n' >"$state/template"
    certtool --generate-self-signed --load-privkey "$state/key.pem" --template "$state/template" \
        --outfile "$state/ca.pem" 2>/dev/null
    expect 3 nbd-attach $nbd localhost --port 10809 --tls --tls-ca "$state/ca.pem"
    assert_not_attached $nbd
}
tls_asked_is_tls_or_nothing() {
    nbdkit_server 10809 memory 16M
    expect 3 nbd-attach $nbd localhost --port 10809 "${tls[@]}"
    says "tls"
    assert_not_attached $nbd
}
tls_required() {
    nbdkit_server 10809 "${nbdkit_x509[@]}" memory 16M
    expect 3 nbd-attach $nbd localhost --port 10809
    says "add --tls"
}
nobody_there() {
    expect 4 nbd-attach $nbd 127.0.0.1 --port 10999 "${tls[@]}"
    says "refused|reach"
}
not_root() {
    nbdkit_server 10809 memory 16M
    modprobe nbd
    local status=0
    said=$(busybox su -s /bin/sh nobody -c "nbd-attach $nbd localhost --port 10809" 2>&1) || status=$?
    echo "$said ($status)"
    [[ $status -eq 8 ]] || fail "status $status, not 8"
}

run_test "plain TCP" plain_tcp
run_test_once "the device as nbd0, without /dev" short_device_name
run_test "unix socket" unix_socket
run_test_once "unix socket with TLS is refused" unix_socket_tls
run_test_once "IPv6, by address and by URI" ipv6
run_test_once "nbds URI with a certificates directory" uri_tls
run_test_once "the export is the one that is named" named_export
run_test "four connections" four_connections
run_test_once "four connections to a server without multi-conn are refused" no_multi_conn
run_test "--read-only" read_only
run_test "a read-only server makes a read-only device" read_only_server
run_test "auto takes a free device and says which" auto
run_test "a device that is attached is refused, status 9" busy
run_test_once "size 0 is refused" size_zero
run_test_once "a size that is no multiple of a block is refused" size_unaligned
run_test "the server's minimum and maximum block sizes are respected" block_sizes
run_test "a minimum block size beyond the kernel's is not ignored" block_size_too_large
run_test "--block-size" block_size_option
run_test "the backend identifier is set" backend
run_test_once "status and its JSON" status
run_test_once "throughput and latency in status agree with fio's" status_agrees_with_fio
run_test_once "list, info and their JSON" tells_of_the_server
run_test "doctor and its JSON" doctor
run_test_once "another CA: status 3, nothing attached" wrong_ca_attaches_nothing
run_test_once "--tls with a server without TLS: status 3, nothing attached" tls_asked_is_tls_or_nothing
run_test_once "a server that requires TLS says to add --tls" tls_required
run_test_once "no server: status 4" nobody_there
run_test_once "without root: status 8" not_root
finish
