# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2317,SC2154,SC2034 # functions are called by name; variables of lib.sh
# boot: matrix initramfs-tools dracut bookworm trixie 6.12
#
# After a power cut the machine is there before its DHCP server is, by more than the initramfs would wait by itself. The console says what is
# waited for.

tap_network
dhcp_server() {
    # Told twice: it goes on.
    [[ $LANE != dracut ]] || sleep 35
    dhcp_on_tap
}
new_root root
serve root "${tls[@]}"
guest() { check "the root is on NBD" root_is_nbd; }
no_network='nbd-attach: there is no network'
when_console "$no_network" 900 dhcp_server
timeout=1200
boot "$(lane_cmdline) rd.retry=10"
check "the DHCP server came when the console had asked for it" hooks_done
check "the console said that there is no network" shows "$no_network"
check "the file system is clean" fsck_clean root
