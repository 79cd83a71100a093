# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2317,SC2154,SC2034 # functions are called by name; variables of lib.sh
# boot: matrix initramfs-tools dracut
#
# The server is killed just after the switch to the root, under load (while the page cache is dropped and memory is short), its port
# is closed for two minutes while its certificate changes, and it is killed once more at shutdown. All that a program may see of it
# is that something took longer.

new_root root
mkdir -p "$work/certs"
cp "$certs"/*.pem "$certs/keys.psk" "$work/certs/"
tls=("${tls[@]//"$certs"/"$work/certs"}")
serve root "${tls[@]}"

on_restart() { restart_server root "$1"; }
in_background() { "$@" & background+=("$!"); }
on_away() { # SECONDS: answers at once, since the process that asked may soon miss a page that is on the disk
    stop_server root
    start_later() { sleep "$1"; start_server root; }
    in_background start_later "$1"
}
on_closed() { # SECONDS; meanwhile another key, and another certificate of the same authority
    close_port 10809
    open_later() {
        [[ $LANE != initramfs-tools ]] || cp "$certs"/chain/server-{cert,key}.pem "$work/certs/"
        restart_server root "$1"
        open_port
    }
    in_background open_later "$1"
}

guest() {
    major_faults() { awk '{ print $12 + $13 }' "/proc/$(supervisor)/stat"; }
    # With what is built into the shell: any other program would have to come from the disk.
    squeezed() {
        local chunk i free name kib rest
        host away 30
        echo 3 >/proc/sys/vm/drop_caches
        printf -v chunk '%*s' 1048576 ''
        for ((i = 0; i < 2000; i++)); do
            while read -r name kib rest; do [[ $name != MemAvailable: ]] || free=$kib; done </proc/meminfo
            ((free > 70000)) || break
            printf '%s' "$chunk" >>/mnt/fill || break
        done
        echo 3 >/proc/sys/vm/drop_caches
        tap_say "# $i MiB of memory taken, $free KiB are left"
    }
    give_back() { rm -f /mnt/fill; }
    check "the root is /dev/nbd0" root_is_nbd
    check "booted, though the server was away just after switch_root" wait_booted 400
    check "no synced write fails or is lost: server killed" under_load host restart 4
    mount -t tmpfs -o size=2000m squeeze /mnt
    faults=$(major_faults)
    check "no synced write fails or is lost: caches dropped and memory short while the server is away" under_load squeezed
    give_back
    check "the reconnect needed no page from any disk" test "$(major_faults)" = "$faults"
    check "no synced write fails or is lost: port closed for two minutes, certificate changed meanwhile" under_load host closed 120
    check "status says alive" alive
    check "the kernel's log has no error of the disk" no_disk_errors
}

when_console "\\($RELEASE\\)[^ ]*!" 600 restart_server root 8
when_console 'Stopped target.*Basic System' 1500 restart_server root 5
timeout=1600 memory=640
boot "$(lane_cmdline)"
check "the server was away when it was meant to" hooks_done
check "the file system is clean" fsck_clean root
check "nothing was written after the last flush" ends_flushed root
