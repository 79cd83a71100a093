# SPDX-License-Identifier: GPL-2.0-or-later
# boot: matrix local 6.12
# shellcheck shell=bash disable=SC2034,SC2154
# docs/mount.md, block by block: what it says to write is written, what it says to run is run, and after a reboot all of it is there.
# shellcheck source=tests/boot/lib-disk.sh
. "$top/tests/boot/lib-disk.sh"
timeout=600 clean_log=''
new_root root
names=(data archive secret swap)
for name in "${names[@]}"; do new_disk "$name" 64; done
# One name for all: here each export has a port of its own.
port=10809
for name in "${names[@]}"; do
    serve_on $port "$name" "${tls[@]}"
    port=$((port + 1))
done
put_tables
put root /etc/nbdtab </dev/null

# The blocks as a script: "run: sh" as it is, "run: /etc/FILE" as lines that FILE gets
awk '
    /^<!-- run: / { kind = $3; want = 1; next }
    want && /^    / { if (!open) { open = 1; if (kind != "sh") print "cat >>" kind " <<\"END\""; } print substr($0, 5); next }
    open && /^$/ { if (kind != "sh") print "END"; open = want = 0 }' "$top/docs/mount.md" >"$work/guide"
for i in 0 1 2 3; do sed -i -E "s/^(nbd$i )storage\.example\.com(.*)/\110.0.2.2\2,port=$((10809 + i))/" "$work/guide"; done
put root /root/guide <"$work/guide"
check "the guide has blocks of each kind" eval '
    for kind in sh /etc/nbdtab /etc/fstab /etc/crypttab; do grep -qF "run: $kind" "$top/docs/mount.md"; done; [[ $(wc -l <"$work/guide") -gt 25 ]]'

guest() {
    . /usr/lib/nbd-attach-test/lib-disk.sh
    wait_booted
    if [[ $boot_count -eq 1 ]]; then
        # The certificates are where a reader of the guide has them: in the working directory.
        # shellcheck disable=SC2317
        run_guide() { mv /etc/nbd-attach /root/pki && (cd /root/pki && bash -euxo pipefail /root/guide); }
        check "every command of the guide works" run_guide
        return
    fi
    check "all units are up" eval 'systemctl --failed --no-legend; [[ $(systemctl is-system-running) == running ]]'
    check "there is no ordering cycle" eval '! journal | grep -i "ordering cycle"'
    check "nothing is warned of" eval '! journal | grep nbd-attach-generator:'
    check "the disk is mounted" write_to /srv/data
    check "the one on demand is when it is used" eval '! is_mounted_on /srv/archive && ls /srv/archive && write_to /srv/archive'
    check "the encrypted one is" eval 'is_mounted_on /srv/secret && write_to /srv/secret'
    check "swap is on" grep -q ^/dev/nbd3 /proc/swaps
}
boot
boot
check "no error of a disk" no_errors
for name in data archive secret; do check "$name: nothing is written after the last flush" ends_flushed "$name"; done
check "LUKS is closed before its disk is detached" before 'Stopped.*ryptsetup.*secret' 'Stopped.*Remote disk /dev/nbd2'
check "swap is off before its disk is detached" before 'Deactivated swap.*nbd3' 'Stopped.*Remote disk /dev/nbd3'
