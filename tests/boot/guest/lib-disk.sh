# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# In the test machine, for scenarios of a second disk.

unit_of() { echo "nbd-attach@$1.service"; }
show() { systemctl show --value -p "$2" "$(unit_of "$1")"; } # DEVICE PROPERTY
is_up() { [[ $(show "$1" ActiveState) == active ]]; }
is_attached() { [[ -e /sys/block/$1/pid ]]; }
is_mounted_on() { grep -qE "^/dev/[^ ]+ $1 " /proc/self/mounts; }
# A write that is on the server's disk when it returns.
write_to() { dd if=/dev/urandom of="$1/file" bs=64k count=8 conv=fsync status=none; }
status_of() { nbd-attach status "$1" --json | jq -r ".devices[0]$2"; } # DEVICE FILTER
is_alive() { [[ $(status_of "$1" .state) == alive ]]; }
pid_of() { show "$1" MainPID; }
# Another supervisor than PID serves the device, and has it alive
succeeded() { [[ $(pid_of "$1") != "$2" && $(pid_of "$1") != 0 ]] && is_up "$1" && is_alive "$1"; }
begin_shutdown() { echo "shutdown begins" >/dev/kmsg; } # as the last thing
