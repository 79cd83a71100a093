# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2154,SC2317 # variables of lib.sh, functions called by name
# For scenarios of a second disk: on the host, what puts disks and their files there; guest/lib-disk.sh has what is of use inside.

# The disks' lines in nbdtab: `tab nbd0 10809 [EXTRA-OPTIONS]`
credentials=cacertfile=/etc/nbd-attach/ca-cert.pem,certfile=/etc/nbd-attach/client-cert.pem,keyfile=/etc/nbd-attach/client-key.pem
tab_lines=()
tab() { tab_lines+=("$1 10.0.2.2 - port=$2,$credentials${3:+,$3}"); }
fstab_lines=('UUID=6e62642d-6174-4461-b368-206469736b21 / ext4 errors=remount-ro 0 0')
fstab() { fstab_lines+=("$*"); }
# Write both files into the root; directories to mount on are made by systemd.
put_tables() {
    put root /usr/lib/nbd-attach-test/lib-disk.sh <"$top/tests/boot/guest/lib-disk.sh"
    printf '%s\n' "${tab_lines[@]}" | put root /etc/nbdtab
    printf '%s\n' "${fstab_lines[@]}" | put root /etc/fstab
    # What is under test may stop and isolate: not the test itself.
    printf '[Unit]\nIgnoreOnIsolate=yes\n' | put root /etc/systemd/system/nbd-attach-test.service.d/isolate.conf
}
# partition FILE: a table with one partition, from 1 MiB, of 32 MiB
partition() {
    printf '\0\0\0\0\x83\0\0\0\0\x08\0\0\0\0\x01\0' | dd of="$1" bs=1 seek=446 conv=notrunc status=none
    printf '\x55\xaa' | dd of="$1" bs=1 seek=510 conv=notrunc status=none
}
# line_of PATTERN: number of the last line of the console that shows it
line_of() { console | grep -anE -- "$1" | tail -n 1 | cut -d : -f 1; }
# before PATTERN PATTERN: the last line that shows the first comes before the last one that shows the second
before() {
    local first second
    first=$(line_of "$1") second=$(line_of "$2")
    echo "line ${first:-none}: $1; line ${second:-none}: $2"
    [[ -n $first && -n $second ]] && ((first < second))
}
# A disk that is detached is "shutting down sockets", too: so no clean_log in these scenarios, but this
no_errors() { shows_not 'I/O error|EXT4-fs error|other side returned'; }
# From the beginning of the shutdown to power-off, in seconds by the machine's clock; the guest says when that is, by begin_shutdown
took() { console | sed -nE 's/^\[ *([0-9]+)\..*(shutdown begins|reboot: Power down).*/\1/p' | tail -n 2 | paste -s -d ' ' | awk '{ print $2 - $1 }'; }
within() { seconds=$(took); echo "${seconds:-nothing} s"; [[ -n $seconds ]] && ((seconds <= $1)); }
