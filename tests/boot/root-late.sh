# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2317,SC2154,SC2034 # functions are called by name; variables of lib.sh
# boot: matrix initramfs-tools dracut
#
# The server is not there when the machine boots, then comes with a certificate (or a key) that is not accepted, and at last as it
# should be. All that time the console says what is waited for, and what for a change would be of use.

new_root root
if [[ $LANE == dracut ]]; then
    psktool -u alice -p "$work/other.psk" >/dev/null 2>&1
    bad=(--tls=require --tls-psk="$work/other.psk")
else
    bad=(--tls=require --tls-certificates="$certs/other-ca" --tls-verify-peer)
fi
missing='nbd-attach.*(10\.0\.2\.2|storage\.example\.com).*([Cc]onnection refused|refused the connection|not reachable)'
refused='nbd-attach.*(certificate|pre-shared key|PSK|handshake)'

bad_server() { serve root "${bad[@]}"; }
good_server() {
    # Told twice at least: the reason is repeated.
    sleep 50
    stop_server root
    serve root "${tls[@]}"
}
when_console "$missing" 600 bad_server
when_console "$refused" 600 good_server

guest() { check "the root is /dev/nbd0" root_is_nbd; }
clean_log='' timeout=900
# dracut's init queue would not wait that long by itself.
boot "$(lane_cmdline) rd.retry=10"
check "the servers came when the console had asked for them" hooks_done
check "the console said that the server is not there" shows "$missing"
check "the console said that the server is refused" shows "$refused"
told_again() { [[ $(shows "$refused" | wc -l) -ge 2 ]]; }
check "and said it again" told_again
check "the file system is clean" fsck_clean root
