# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# TAP lines, the same for all suites that are shell: "ok - PREFIX NAME", and with "not ok" the reason in comments.
#
#   tap_prefix   what stands before each name ("install:")          tap_failures   how many tests have failed
#   tap_say      prints a line; define it anew to print elsewhere   tap_run        how check runs its command

tap_prefix=${tap_prefix:-} tap_failures=0

tap_say() { printf '%s\n' "$*"; }
tap_run() { "$@"; }
tap_name() { echo "${tap_prefix:+$tap_prefix }$*"; }

note() { tap_say "# $*"; }
ok() { tap_say "ok - $(tap_name "$*")"; }
not_ok() {
    tap_failures=$((tap_failures + 1))
    tap_say "not ok - $(tap_name "$*")"
}
skip() { tap_say "ok - $(tap_name "$1") # SKIP $2"; } # NAME REASON

# check NAME COMMAND...: a test of that name; the end of what the command prints is shown when it fails
# Below a command whose status is looked at (`||`, `if`) `set -e` does nothing, in a subshell either: a tap_run that sets it would have
# tests that pass over what fails in them. So the status is looked at afterwards.
check() {
    local name=$1 log status line former=$-
    shift
    log=$(mktemp)
    set +e
    tap_run "$@" >"$log" 2>&1
    status=$?
    [[ $former != *e* ]] || set -e
    if [[ $status -eq 0 ]]; then
        ok "$name"
    else
        not_ok "$name"
        note "status $status: $*"
        while IFS= read -r line; do note "  $line"; done < <(tail -n 40 "$log")
    fi
    rm -f "$log"
}
