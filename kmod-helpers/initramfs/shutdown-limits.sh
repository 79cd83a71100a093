# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
# Sourced in the initramfs once a root is attached over the network: what /run hands to the system's systemd, so that the machine
# is off within a stated time when the server is dead for good.
#
# systemd waits for each unit that hangs, ten minutes for one of its own, and then needs a program from that very disk. So the
# whole of a shutdown has a limit, after which processes are killed and the machine goes off; and that last program is read
# beforehand. A drop-in of the same kind in /etc goes before.
nbd_attach_shutdown_limits() {
	for target in poweroff reboot; do
		mkdir -p "/run/systemd/system/$target.target.d"
		printf '[Unit]\nJobTimeoutSec=2min\nJobTimeoutAction=%s-force\n' "$target" >"/run/systemd/system/$target.target.d/50-nbd-attach.conf"
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
