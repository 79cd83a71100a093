# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# In the test machine: what a scenario's guest() may use. Descriptor 3 is the line to the host.

say() { printf '%s\n' "$*" >&3; }
note() { say "# $*"; }
ok() { say "ok - $*"; }
not_ok() { say "not ok - $*"; }

# host NAME [ARGUMENT...]: the scenario's on_NAME is run on the host; its last line and its status come back
host() {
    local line
    say "@host $*"
    IFS= read -r line <&3 || return 1
    [[ $line != "0 " ]] || return 0
    [[ ${line%% *} -eq 0 ]] || echo "host $*: $line" >&2
    printf '%s\n' "${line#* }"
    return "${line%% *}"
}

# check NAME COMMAND...: a test of that name; what the command prints is shown when it fails
check() {
    local name=$1 log status=0
    shift
    log=$( (set -euo pipefail; "$@") 2>&1 ) || status=$?
    if [[ $status -eq 0 ]]; then ok "$name"; return 0; fi
    not_ok "$name"
    note "status $status: $*"
    while IFS= read -r line; do note "$line"; done <<<"$log"
    return 1
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
