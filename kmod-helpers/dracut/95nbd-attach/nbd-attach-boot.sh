#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# nbd-attach-boot [INTERFACE [ROOT-PATH]]: attach everything, once, whatever calls it first (netroot, an interface that is up, or the
# init queue). In the background: the init queue does one thing at a time, and may have yet to bring up the interface that the server
# is behind. Waits for as long as it takes, and says on the console what for.

# shellcheck source=/dev/null
command -v getarg >/dev/null || . /lib/dracut-lib.sh
PATH=/usr/sbin:/usr/bin:/sbin:/bin

[ ! -e /run/nbd-attach.booted ] || exit 0
netif=${1-} path=${2-} server=''
# As the DHCP clients leave it.
# shellcheck disable=SC1090
[ ! -e "/tmp/dhclient.$netif.dhcpopts" ] || . "/tmp/dhclient.$netif.dhcpopts"
server=${new_next_server-}
[ -n "$path" ] || path=${new_root_path-}
if [ -z "$path" ]; then
    # systemd-networkd's leases
    for link in /sys/class/net/*; do
        lease=$(nbd-attach-leases "${link##*/}")
        [ -n "$lease" ] || continue
        path=$(echo "$lease" | sed -n 's/^ROOT_PATH=//p')
        server=$(echo "$lease" | sed -n 's/^NEXT_SERVER=//p')
        [ -z "$path" ] || break
    done
fi
set -- ${server:+--dhcp-server "$server"} ${path:+--dhcp-root-path "$path"}

NBD_DEVICES='' NBD_ROOT='' NBD_FSTYPE='' NBD_MOUNTOPTS='' NBD_NEEDS_DHCP=''
# A line that cannot be read costs itself alone: the rest of the plan is printed.
eval "$(nbd-attach boot --plan "$@" 2>/dev/null || :)"
# Another interface may yet bring what is missing.
[ -n "$NBD_DEVICES" ] && [ -z "$NBD_NEEDS_DHCP" ] || exit 1

# A root that only DHCP has named is mounted by nobody yet.
mount_root() {
    flags=$NBD_MOUNTOPTS
    if getargbool 0 rw; then mode=rw; else mode=ro; fi
    fstype=${NBD_FSTYPE:-auto}
    if [ -n "${DRACUT_SYSTEMD-}" ]; then
        mkdir -p /run/systemd/system/initrd-root-fs.target.requires
        printf '[Unit]\nBefore=initrd-root-fs.target\nAfter=dracut-pre-mount.service\n[Mount]\nWhere=/sysroot\nWhat=%s\nType=%s\nOptions=%s\n' \
            "$NBD_ROOT" "$fstype" "${flags:+$flags,}$mode" >/run/systemd/system/sysroot.mount
        ln -sf ../sysroot.mount /run/systemd/system/initrd-root-fs.target.requires/sysroot.mount
        systemctl daemon-reload
        # The target was asked for before it had this, and systemd 257 does not ask again.
        systemctl --no-block start sysroot.mount
    else
        # shellcheck disable=SC2154 # dracut's
        printf 'mount -t %s -o %s %s %s\n' "$fstype" "${flags:+$flags,}$mode" "$NBD_ROOT" "$NEWROOT" >"$hookdir/mount/10-nbd-attach.sh"
    fi
}

attach() {
    modprobe -q nbd
    modprobe -q tls
    nbd-attach boot "$@" || warn "nbd-attach: not all that the boot asks for could be attached"
    for device in $NBD_DEVICES; do
        [ -e "/sys/block/$device/pid" ] && continue
        warn "nbd-attach: $device is not attached"
        : >/run/nbd-attach.failed
        rmdir /run/nbd-attach.booting
        return 1
    done
    info "nbd-attach: attached $NBD_DEVICES"
    case "$(getarg root=)" in
    dhcp*) [ -z "$NBD_ROOT" ] || mount_root ;;
    esac
    # At shutdown the devices are detached from the initramfs, when the root is no longer mounted.
    need_shutdown
    # The init queue waits for this, and for nothing else of ours.
    : >/run/nbd-attach.booted
}

# One at a time; the directory stays when all is done, and goes when it failed.
mkdir /run/nbd-attach.booting 2>/dev/null || exit 0
attach "$@" &
