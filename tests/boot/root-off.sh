# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2317,SC2154,SC2034 # functions are called by name; variables of lib.sh
# boot: matrix initramfs-tools dracut
#
# Power-off when the server is dead, or when the network is taken down first. What was not written by then is lost, but the machine
# is off within a stated time.

limit=240
guest() {
    check "the root is on NBD" root_is_nbd
    wait_booted
    case $boot_count in
    1) host dead ;;
    2) ip link set eth0 down ;;
    esac
}
on_dead() { stop_server root; }
timeout=600 clean_log=''
new_root root
serve root "${tls[@]}"
in_time() { note "$1: off after $((off_at - done_at)) s"; ((off_at - done_at <= limit)); }
for how in "the server is dead" "the network is down"; do
    boot "$(lane_cmdline)"
    check "$how: off within $limit s" in_time "$how"
    note "$how: off $((off_at - done_at)) s after the order"
    [[ $boot_count -gt 1 ]] || start_server root
done
