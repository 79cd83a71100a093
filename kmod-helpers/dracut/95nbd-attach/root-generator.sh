#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A systemd generator in the initramfs: the mount of a root that the command line names by NBD, which systemd's own generator
# does not understand. Also, nobody gives up waiting for a device that a server will bring some time.

# shellcheck source=/dev/null
command -v getarg >/dev/null || . /lib/dracut-lib.sh
dir=${1-}
[ -n "$dir" ] || exit 1
NBD_DEVICES='' NBD_ROOT='' NBD_FSTYPE='' NBD_MOUNTOPTS=''
eval "$(nbd-attach boot --plan 2>/dev/null || :)"
[ -n "$NBD_DEVICES" ] || exit 0

forever() { # DEVICE
    # systemd-escape, for names as these are
    unit=$(printf '%s' "${1#/}" | sed 's/-/\\x2d/g; s,/,-,g').device
    mkdir -p "$dir/$unit.d"
    printf '[Unit]\nJobTimeoutSec=0\nJobRunningTimeoutSec=0\n' >"$dir/$unit.d/50-nbd-attach.conf"
}
for device in $NBD_DEVICES; do forever "/dev/$device"; done
[ -n "$NBD_ROOT" ] || exit 0
forever "$NBD_ROOT"

case "$(getarg root=)" in
'' | nbd:* | nbds:*) ;;
*) exit 0 ;;
esac
fstype=${NBD_FSTYPE:-$(getarg rootfstype=)}
flags=$NBD_MOUNTOPTS
[ -n "$flags" ] || flags=$(getarg rootflags=)
if getargbool 0 rw; then mode=rw; else mode=ro; fi
mkdir -p "$dir/initrd-root-fs.target.requires"
printf '[Unit]\nBefore=initrd-root-fs.target\nAfter=dracut-pre-mount.service\n[Mount]\nWhere=/sysroot\nWhat=%s\nType=%s\nOptions=%s\n' \
    "$NBD_ROOT" "${fstype:-auto}" "${flags:+$flags,}$mode" >"$dir/sysroot.mount"
ln -sf ../sysroot.mount "$dir/initrd-root-fs.target.requires/sysroot.mount"
exit 0
