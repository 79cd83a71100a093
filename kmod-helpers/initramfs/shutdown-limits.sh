# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
# Sourced in the initramfs once the root is mounted: if it came over the network, what /run hands to the system's systemd, so that the
# machine is off within a stated time when the server is dead for good.
#
# systemd waits for each unit that hangs, ten minutes for one of its own, and then needs a program from that very disk. So the
# whole of a shutdown has a limit, after which processes are killed and the machine goes off; and that last program is read
# beforehand. A drop-in of the same kind in /etc goes before.

nbd_attach_is_remote() { # NAME of a block device: is it, or anything below it, an NBD one?
	# Both are done with before this is called again.
	nbd_attach_path=$(readlink -f "/sys/class/block/$1")
	case $nbd_attach_path in
	*/block/nbd*) return 0 ;;
	esac
	# A partition's are its disk's.
	for nbd_attach_slave in "$nbd_attach_path"/slaves/* "${nbd_attach_path%/*}"/slaves/*; do
		[ -e "$nbd_attach_slave" ] || continue
		nbd_attach_is_remote "${nbd_attach_slave##*/}" && return 0
	done
	return 1
}

# Of a local disk a shutdown may take as long as it likes. What is no block device (an overlay, ZFS) may be anywhere: with a device
# attached, it is taken for remote.
nbd_attach_root_is_remote() { # MOUNT-POINT
	nbd_attach_root=''
	while read -r nbd_attach_device nbd_attach_point _; do
		[ "$nbd_attach_point" != "$1" ] || nbd_attach_root=$nbd_attach_device
	done </proc/mounts
	case $nbd_attach_root in
	/dev/*) nbd_attach_root=$(readlink -f "$nbd_attach_root") ;;
	esac
	nbd_attach_root=${nbd_attach_root##*/}
	if [ -n "$nbd_attach_root" ] && [ -e "/sys/class/block/$nbd_attach_root" ]; then
		nbd_attach_is_remote "$nbd_attach_root"
		return
	fi
	for nbd_attach_pid in /sys/block/nbd*/pid; do
		[ ! -e "$nbd_attach_pid" ] || return 0
	done
	return 1
}

nbd_attach_shutdown_limits() { # MOUNT-POINT of the root
	nbd_attach_root_is_remote "$1" || return 0
	# halt-force and kexec-force are younger than systemd 252.
	for target in poweroff:poweroff halt:poweroff reboot:reboot kexec:reboot; do
		mkdir -p "/run/systemd/system/${target%:*}.target.d"
		printf '[Unit]\nJobTimeoutSec=2min\nJobTimeoutAction=%s-force\n' "${target#*:}" \
			>"/run/systemd/system/${target%:*}.target.d/50-nbd-attach.conf"
	done
	mkdir -p /run/systemd/system/multi-user.target.wants
	cat >/run/systemd/system/nbd-attach-read-ahead.service <<-'END'
		[Unit]
		Description=Have in memory what powers this machine off
		Documentation=man:nbd-attach-initramfs(7)

		[Service]
		Type=oneshot
		Nice=19
		ExecStart=/bin/sh -c 'for file in /lib/systemd/systemd-shutdown $(ldd /lib/systemd/systemd-shutdown | grep -o "/[^ ]*"); do cat "$file"; done >/dev/null'
	END
	ln -sf ../nbd-attach-read-ahead.service /run/systemd/system/multi-user.target.wants/nbd-attach-read-ahead.service
}
