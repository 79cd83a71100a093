#!/bin/bash
# vm: together 6.1~51 6.12~187 newest~25
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2317,SC2086,SC2046 # functions are called by name; no device or directory here has spaces
#
# Attach, write, read back: servers by credentials by TLS version and cipher. Each cipher moves 16 MiB once, through
# nbdkit with a certificate, on each kernel; the other combinations show by 4 MiB that they carry data.

# shellcheck source=tests/vm/lib.sh
. /tests/lib.sh

# serve SERVER CREDENTIALS MIB: the export's name is then in $export
serve() {
    export=''
    case $1/$2 in
    nbdkit/x509) nbdkit_server 10809 "${nbdkit_x509[@]}" memory "${3}M" ;;
    nbdkit/mutual) nbdkit_server 10809 "${nbdkit_mutual[@]}" memory "${3}M" ;;
    nbdkit/psk) nbdkit_server 10809 "${nbdkit_psk[@]}" memory "${3}M" ;;
    qemu-nbd/* | nbd-server/*)
        export=disk
        truncate -s "${3}M" "$state/$export"
        if [[ $1 == qemu-nbd ]]; then
            qemu_nbd_server 10809 "$state/$export" "$2"
        else
            nbd_server 10809 "$state/$export" "$2"
        fi
        ;;
    esac
}
# matrix SERVER CREDENTIALS VERSION CIPHER MIB
matrix() {
    local credentials=$2 version=$3 cipher=$4 mib=$5 before links tx
    serve "$1" "$credentials" "$mib"
    local tls
    read -ra tls <<<"$(client_tls "$credentials")"
    before=$(tls_stat TlsTxSw)
    nbd-attach $nbd 127.0.0.1 ${export:+"$export"} --port 10809 "${tls[@]}" --tls-min "$version" \
        --tls-priority "$(tls_priority "$version" "$cipher")"
    [[ $(device_bytes $nbd) -eq $((mib * 1048576)) ]] || fail "the size is $(device_bytes $nbd)"
    write_and_compare $nbd "$mib"

    cat /proc/net/tls_stat
    links=$(tls_stat TlsCurrTxSw)
    [[ $links -eq 1 ]] || fail "the kernel counts $links TLS links, not 1"
    [[ $(tls_stat TlsCurrRxSw) -eq 1 ]] || fail "the kernel does not receive over TLS"
    tx=$(tls_stat TlsTxSw)
    [[ $tx -gt $before ]] || fail "TlsTxSw did not grow"
    [[ $(tls_stat TlsDecryptError) -eq 0 ]] || fail "records that could not be decrypted"
    said=$(nbd-attach status $nbd --json)
    echo "$said"
    says "${cipher//-/.}"
    detach $nbd
}

refused_psk() { # SERVER VERSION CIPHER
    local status=0
    serve "$1" psk 4
    said=$(nbd-attach $nbd 127.0.0.1 $export --port 10809 $(client_tls psk) --tls-priority "$(tls_priority "$2" "$3")" 2>&1) ||
        status=$?
    echo "$said ($status)"
    [[ $status -eq 2 || $status -eq 3 || $status -eq 4 ]] || fail "status $status"
    assert_not_attached $nbd
}

test_timeout=180
for version in 1.3 1.2; do
    for cipher in AES-128-GCM AES-256-GCM CHACHA20-POLY1305; do
        name="tls$version ${cipher,,}"
        run_test "attach nbdkit x509 $name, 16 MiB" matrix nbdkit x509 $version $cipher 16
        for server in nbdkit qemu-nbd; do
            for credentials in x509 mutual psk; do
                [[ $server/$credentials != nbdkit/x509 ]] || continue
                if [[ $credentials/$version/$cipher == psk/1.3/AES-256-GCM ]]; then
                    # A PSK of GnuTLS belongs to SHA-256, and under TLS 1.3 this cipher to SHA-384.
                    run_test_once "$server psk $name is refused" refused_psk $server $version $cipher
                    continue
                fi
                run_test_once "attach $server $credentials $name" matrix $server $credentials $version $cipher 4
            done
        done
        run_test_once "attach nbd-server mutual $name" matrix nbd-server mutual $version $cipher 4
    done
done
finish
