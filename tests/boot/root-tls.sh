# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2317,SC2154 # functions are called by name; variables of lib.sh
# boot: ci initramfs-tools 6.1
# boot: ci dracut 6.12
# boot: ci initramfs-tools dracut trixie 6.12
# boot: matrix initramfs-tools 6.12
# boot: matrix dracut 6.1
# boot: matrix initramfs-tools dracut trixie forky 7.3
#
# The root file system comes over TLS, and the server is killed once under load: what every change has to pass, in each lane on
# one kernel or the other. The lanes' own command lines: Debian's nbdroot= and dracut's root=nbd:, with the server's name, which /etc/hosts of
# the image knows in the one, and in the other the name server that DHCP tells.

new_root root
serve root "${tls[@]}"

on_restart() { # SECONDS away
    stop_server root
    sleep "$1"
    start_server root
}

guest() {
    check "the root is /dev/nbd0" root_is_nbd
    check "its links are kernel TLS" encrypted
    check "its shutdown has a limit" eval '[[ $(systemctl show --value -p JobTimeoutUSec poweroff.target) == 2min ]]'
    check "the supervisor that began in the initramfs is marked for systemd" marked
    check "no synced write fails or is lost with the server killed and started again" under_load host restart 2
    note "$(acked_writes) synced writes"
    check "status says alive" alive
    check "the kernel's log has no error of the disk" no_disk_errors
}

boot "$(lane_cmdline)"
check "the file system is clean" fsck_clean root
check "nothing was written after the last flush" ends_flushed root
