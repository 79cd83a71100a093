# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# boot: matrix local
#
# A machine with a root of its own and no NBD at all: that the builder and the runner work.
new_root root
on_hello() { echo "hello, $1"; }
guest() {
    check "the guest and the host can speak" test "$(host hello you)" = "hello, you"
    wait_booted
    check "all units are up" test "$(systemctl is-system-running)" = running
    systemctl --failed >/dev/ttyS0
}
boot
