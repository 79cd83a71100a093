# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# In the test machine: what a scenario's guest() may use. Descriptor 3 is the line to the host.

# shellcheck source=tests/lib/tap.sh
. /usr/lib/nbd-attach-test/tap.sh

tap_say() { printf '%s\n' "$*" >&3; }
tap_run() { (set -euo pipefail; "$@"); }

# host NAME [ARGUMENT...]: the scenario's on_NAME is run on the host; its last line and its status come back
host() {
    local line
    tap_say "@host $*"
    IFS= read -r line <&3 || return 1
    [[ $line != "0 " ]] || return 0
    [[ ${line%% *} -eq 0 ]] || echo "host $*: $line" >&2
    printf '%s\n' "${line#* }"
    return "${line%% *}"
}

# wait_until SECONDS COMMAND...
wait_until() {
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        ((SECONDS < end)) || { echo "waited in vain for: $*"; return 1; }
        sleep 0.5
    done
}

boot_finished() { [[ $(systemctl is-system-running) =~ ^(running|degraded)$ ]]; }
wait_booted() { wait_until "${1:-120}" boot_finished; }
journal() { journalctl --no-pager -o short-monotonic -b "$@"; }
