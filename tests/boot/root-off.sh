# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2317,SC2154,SC2034 # functions are called by name; variables of lib.sh
# boot: matrix initramfs-tools dracut
#
# The server dies for good, or the network goes down, as the machine is powered off. What was not written by then is lost, but the
# machine is off within a stated time.

# systemd gets two minutes for its units; then its last program gives 10 s to syncing and 90 s to ending processes, and meanwhile the supervisor
# lets I/O fail: it waits for a minute, from when it sees that program or that the server is gone.
limit=300
guest() {
    check "the root is on NBD" root_is_nbd
    wait_booted
    tap_say "@done" # for what follows may be missed
    systemctl --no-block poweroff
    case $boot_count in
    1) host dead ;;
    2) ip link set eth0 down ;;
    esac
}
on_dead() { stop_server root; }
timeout=1500 clean_log=''
new_root root
serve root "${tls[@]}"
in_time() { ((off_at - done_at <= limit)); }
for how in "the server is dead" "the network is down"; do
    boot "$(lane_cmdline)"
    check "$how: off within $limit s" in_time
    check "$how: I/O has failed, a minute after the last program began" shows 'the machine shuts down and the server is away: I/O fails from now on'
    note "$how: off $((off_at - done_at)) s after the order"
    [[ $boot_count -gt 1 ]] || start_server root
done
