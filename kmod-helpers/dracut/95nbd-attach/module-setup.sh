#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154,SC2317 # dracut's variables; called by name
# Root over NBD, attached by nbd-attach. Takes the place of dracut's own module nbd, and obeys the same command lines.

check() {
    require_binaries nbd-attach || return 1
    # For this host alone: only when its root is on such a device, or nbdtab has lines for the boot.
    if [[ $hostonly ]] || [[ $mount_needs ]]; then
        nbd_attach_is_nbd() { [[ -e /sys/dev/block/$1/pid && $(readlink -f "/sys/dev/block/$1") == */nbd* ]]; }
        for_each_host_dev_and_slaves nbd_attach_is_nbd && return 0
        [[ $mount_needs ]] && return 255
        [[ $(nbd-attach boot --plan --cmdline /dev/null 2>/dev/null) == *"NBD_DEVICES='nbd"* ]] || return 255
    fi
    return 0
}

depends() {
    local module
    echo network rootfs-block
    # A module of its own in newer ones (112), and in older ones (106) none.
    for module in "$dracutbasedir"/modules.d/[0-9][0-9]initqueue; do
        [[ ! -d $module ]] || echo initqueue
    done
}

installkernel() {
    local modules
    modules=$(sed '/^#/d' /usr/lib/nbd-attach/initramfs-modules)
    if [[ -z $modules ]]; then
        dfatal "nbd-attach: /usr/lib/nbd-attach/initramfs-modules has no modules: such an image could attach nothing"
        return 1
    fi
    # shellcheck disable=SC2086 # words are wanted
    hostonly='' instmods $modules
}

install() {
    local file libraries='libkmod.so.2 libgnutls.so.30'
    inst_multiple nbd-attach cat sed mkdir rmdir ln rm mv readlink ip
    inst_multiple -o systemctl
    # What nbd-attach loads itself, for modules and for TLS, and all that this needs: dracut looks for that only in what may be executed,
    # which Debian's libraries may not.
    while read -r file; do
        inst "$file"
    done < <(LD_PRELOAD=$libraries ldd "$(command -v nbd-attach)" 2>/dev/null | sed -n 's/.* => \(\/[^ ]*\) (.*/\1/p')
    for file in $libraries; do
        if ! find "$initdir" -name "$file" | grep -q .; then
            dfatal "nbd-attach: $file is not there: such an image could attach nothing"
            return 1
        fi
    done
    while IFS= read -r file; do
        if [[ ! -r $file ]]; then
            dwarn "nbd-attach: $file is named in nbdtab, but cannot be read; the boot will want it"
            continue
        fi
        # The content at that very name, whatever it is a link to; keys for root alone.
        mkdir -p "$initdir${file%/*}"
        rm -f "$initdir$file"
        cp -L "$file" "$initdir$file"
        if [[ $file == /etc/nbdtab ]]; then chmod 0644 "$initdir$file"; else chmod 0600 "$initdir$file"; fi
    done < <(nbd-attach boot --files)
    inst_simple /usr/lib/nbd-attach/shutdown-limits.sh
    # For root=/dev/disk/by-id/nbd-...
    inst_rules 60-nbd-attach.rules 99-nbd-attach-queue.rules
    [[ ! -e /etc/hosts ]] || inst_simple /etc/hosts
    if [[ ! -e $initdir/etc/nsswitch.conf ]]; then
        printf 'passwd: files\ngroup: files\nhosts: files dns\nservices: files\n' >"$initdir/etc/nsswitch.conf"
        chmod 0644 "$initdir/etc/nsswitch.conf"
    fi
    # 90: netroot reads these again when the root path has come by DHCP.
    inst_hook cmdline 90 "$moddir/parse-nbd-attach.sh"
    inst_hook initqueue/online 90 "$moddir/attach-hook.sh"
    inst_hook initqueue/settled 90 "$moddir/attach-settled.sh"
    inst_hook pre-pivot 90 "$moddir/limits-hook.sh"
    inst_hook shutdown 90 "$moddir/shutdown-nbd-attach.sh"
    inst_script "$moddir/nbd-attach-boot.sh" /sbin/nbd-attach-boot
    inst_script "$moddir/nbd-attach-resolv.sh" /sbin/nbd-attach-resolv
    inst_script "$moddir/nbd-attach-leases.sh" /sbin/nbd-attach-leases
    inst_script "$moddir/nbd-attach-no-network.sh" /sbin/nbd-attach-no-network
    # netroot calls what the scheme of the root path names.
    inst_script "$moddir/nbdroot.sh" /sbin/nbdroot
    inst_script "$moddir/nbdroot.sh" /sbin/nbdsroot
    if dracut_module_included "systemd"; then
        inst_script "$moddir/root-generator.sh" "$systemdutildir/system-generators/dracut-nbd-attach-generator"
    fi
    dracut_need_initqueue
}
