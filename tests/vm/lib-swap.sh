# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2154 # others set what is used here
#
# What the tests of swap share: a network to the server outside, and the kernel's own counts.

# shellcheck source=tests/vm/lib-supervise.sh
. /tests/lib-supervise.sh

use_network() {
    # A part of some kernels: 7.3's does not say so.
    modprobe -q virtio_pci || true
    modprobe virtio_net
    wait_until 10 test -e /sys/class/net/eth0 || fail "no network"
    ip link set eth0 up
    ip address replace 10.0.2.15/24 dev eth0
}
memory_mib() { echo $(($(sed -n 's/^MemTotal: *\([0-9]*\) kB/\1/p' /proc/meminfo) / 1024)); }
swapped_mib() { awk '/^SwapTotal/ { t = $2 } /^SwapFree/ { f = $2 } END { print int((t - f) / 1024) }' /proc/meminfo; }
vmstat() { awk -v name="$1" '$1 == name { print $2 }' /proc/vmstat; }
# What the machine outside is told.
host() { echo "@host $*" >/dev/ttyS1; }
