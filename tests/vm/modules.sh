#!/bin/bash
# vm: first 6.1~12 6.12~19
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2317,SC2086 # functions are called by name; no device or directory here has spaces
#
# What a kernel lacks is named, and what it has is loaded without being asked. Runs first: once a module is in use, it
# cannot be taken away any more.

# shellcheck source=tests/vm/lib.sh
. /tests/lib.sh

# hide MODULE...: from modprobe, libkmod and the kernel's own requests
hide() {
    local module path
    for module in "$@"; do
        modprobe -r "$module" 2>/dev/null || true
        [[ ! -d /sys/module/${module//-/_} ]] || fail "$module cannot be unloaded"
        path=$(find /lib/modules/ -name "$module.ko*")
        [[ -n $path ]] || fail "there is no module $module"
        mv "$path" "$state/"
        echo "$state/${path##*/} $path" >>"$state/hidden"
    done
    depmod -a 2>/dev/null
}
show_again() {
    local from to
    while read -r from to; do mv "$from" "$to"; done <"$state/hidden"
    depmod -a 2>/dev/null
}

loads_what_it_needs() {
    [[ ! -d /sys/module/nbd && ! -d /sys/module/tls ]] || fail "the VM has loaded nbd or tls too early"
    nbdkit_server 10809 "${nbdkit_x509[@]}" memory 8M
    # shellcheck disable=SC2046 # words are wanted
    attach $nbd localhost --port 10809 $(client_tls x509)
    lsmod
    ! grep -E 'lib(kmod|crypto)' "/proc/$(<"/sys/block/${nbd#/dev/}/pid")/maps" || fail "the supervisor keeps what has loaded the modules"
    write_and_compare $nbd 4
    detach $nbd
}
without_module() { # MODULE ARGUMENT...
    local module=$1
    shift
    trap show_again EXIT
    hide "$module"
    nbdkit_server 10809 "${server[@]}" memory 8M
    expect 6 nbd-attach $nbd localhost --port 10809 "$@"
    says "(^|[^a-z])$module([^a-z]|$)"
    says "modprobe|modules|kernel|install"
    assert_not_attached $nbd
}
without_chacha() {
    trap show_again EXIT
    hide chacha20poly1305
    nbdkit_server 10809 "${nbdkit_x509[@]}" memory 8M
    # shellcheck disable=SC2046
    expect 6 nbd-attach $nbd localhost --port 10809 $(client_tls x509) --tls-priority "$(tls_priority 1.3 CHACHA20-POLY1305)"
    says "chacha20"
    assert_not_attached $nbd
}

server=("${nbdkit_x509[@]}")
# shellcheck disable=SC2046
run_test "without the module tls: refused, named, status 6" without_module tls $(client_tls x509)
server=()
run_test "without the module nbd: refused, named, status 6" without_module nbd
run_test "without the module chacha20poly1305: refused, named, status 6" without_chacha
# `loads_what_it_needs` wants a kernel that nobody has touched; unloading brings it back to that.
modprobe -r nbd tls 2>/dev/null
run_test "nbd, tls and the ciphers are loaded when they are needed" loads_what_it_needs
finish
