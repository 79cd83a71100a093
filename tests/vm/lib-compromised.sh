# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154 # others set and use these
#
# What a negotiator that has been taken over may do, and what comes of the rest: on this machine (tests/compromised/check) and in virtual ones,
# whose kernels can more or less. $compromised is the program, tests/compromised/compromised.c.

# deed, and what it comes to: while it resolves a name; while it connects to a number; connected, and until the hand-over.
# "X@N": X where the kernel's Landlock has ABI N or a later one, else it is done.
deeds_expected() { # GROUP
    case $1 in
    others) cat <<'END' ;;
signal              EPERM       EPERM       EPERM
signal-parent       EPERM       EPERM       EPERM
signal-all          EPERM       EPERM       EPERM
signal-thread       EPERM       EPERM       EPERM
queue-signal        EPERM       EPERM       EPERM
signal-by-owner     EPERM       EPERM       EPERM
pidfd               EPERM       EPERM       EPERM
nice-other          EPERM       EPERM       EPERM
pin-other           EPERM       EPERM       EPERM
limit-other         EPERM       EPERM       EPERM
system-v-memory     EPERM       EPERM       EPERM
system-v-messages   EPERM       EPERM       EPERM
message-queue       EPERM       EPERM       EPERM
END
    self) cat <<'END' ;;
root                EPERM       EPERM       EPERM
dumpable            EPERM       EPERM       EPERM
real-time           EPERM       EPERM       EPERM
nice                EPERM       EPERM       EPERM
oom-score           EPERM       EPERM       EPERM
raise-limits        EPERM       EPERM       EPERM
600-mib             ENOMEM      ENOMEM      ENOMEM
100-mib-by-brk      ENOMEM      ENOMEM      ENOMEM
shared-memory       EPERM       EPERM       EPERM
new-code            EPERM       EPERM       EPERM
data-as-code        EPERM       EPERM       EPERM
environment         ENOENT      ENOENT      ENOENT
END
    files) cat <<'END' ;;
read-accounts       EACCES@1    EPERM       EPERM
read-hosts          done        EPERM       EPERM
read-process        EACCES@1    EPERM       EPERM
list-root           EACCES@1    EPERM       EPERM
stat                done        EPERM       EPERM
make-file           EPERM       EPERM       EPERM
make-directory      EPERM       EPERM       EPERM
make-link           EPERM       EPERM       EPERM
change-mode         EPERM       EPERM       EPERM
memory-file         EPERM       EPERM       EPERM
read-stdin          ENODATA     ENODATA     ENODATA
terminal            EPERM       EPERM       EPERM
type                EPERM       EPERM       EPERM
END
    sockets) cat <<'END' ;;
tcp                 done        done        EPERM
tcp-other-port      EACCES@4    EACCES@4    EPERM
fast-open           EPERM       EPERM       EPERM
tcp-bind            EACCES@4    EPERM       EPERM
tcp-listen          EPERM       EPERM       EPERM
accept              EPERM       EPERM       EPERM
udp                 done        EPERM       EPERM
udp-other-port      EACCES@10   EPERM       EPERM
udp-bind            EACCES@10   EPERM       EPERM
unix                EACCES@9    EPERM       EPERM
unix-packets        EPERM       EPERM       EPERM
socketpair          EPERM       EPERM       EPERM
raw                 EPERM       EPERM       EPERM
ping                EPERM       EPERM       EPERM
mptcp               EPERM       EPERM       EPERM
packet              EPERM       EPERM       EPERM
vsock               EPERM       EPERM       EPERM
crypto              EPERM       EPERM       EPERM
routes              done        EPERM       EPERM
generic-netlink     EPERM       EPERM       EPERM
sock-diag           EPERM       EPERM       EPERM
filter-packets      EPERM       EPERM       EPERM
40-descriptors      EMFILE      EMFILE      EPERM
END
    esac
}
deeds_groups=(others self files sockets)
# For which it is killed, at any time.
deeds_killed=(fork fork-as-of-old clone3 thread user-namespace unshare exec exec-of-descriptor ptrace read-memory take-descriptor mount bpf perf
    io-uring userfaultfd key)
# What root can do on any machine. Without these the tests above would show nothing.
deeds_of_root=(fork clone3 thread ptrace read-memory signal signal-parent signal-all signal-thread queue-signal signal-by-owner pidfd
    nice-other pin-other system-v-memory root dumpable nice oom-score 600-mib 100-mib-by-brk shared-memory new-code data-as-code
    environment read-accounts read-hosts read-process list-root stat make-file make-directory make-link change-mode memory-file tcp
    tcp-other-port fast-open tcp-bind tcp-listen accept udp udp-other-port udp-bind unix unix-packets socketpair raw packet routes generic-netlink filter-packets 40-descriptors)

# deeds_attempt PHASE DEED COMMAND...: what it says is in $deeds_said
deeds_attempt() {
    local phase=$1 deed=$2
    shift 2
    deeds_said=$(NBDA_PHASE=$phase NBDA_DEED=$deed NBDA_SECRET=treasure "$@" --verbose 2>&1) || true
}
deeds_outcomes() { sed -n 's/^nbd-attach: deed \([a-z0-9-]*\): \(.*\)$/\1 \2/p' <<<"$deeds_said"; }

# deeds_compare GROUP COLUMN ABI: is it as expected?
deeds_compare() {
    diff <(deeds_expected "$1" | awk -v column="$2" -v abi="$3" '{
        split($column, part, "@"); print $1, (part[2] + 0 > abi + 0 ? "done" : part[1]) }') <(deeds_outcomes) && return 0
    printf '%s\n' "$deeds_said" | tail -n 3
    return 1
}
deeds_was_killed() { grep -q 'was killed for a system call that it may not make' <<<"$deeds_said" || { printf '%s\n' "$deeds_said" | tail -n 3; return 1; }; }

# --- a negotiator, looked at from outside

negotiator_of() { # PARENT: its pid in $negotiator
    local tries
    for ((tries = 0; tries < 100; tries++)); do
        for negotiator in $(cat "/proc/$1/task/$1/children" 2>/dev/null); do
            # when it is confined, and not just forked
            grep -q '^Seccomp:[[:space:]]*2' "/proc/$negotiator/status" 2>/dev/null && return 0
        done
        sleep 0.05
    done
    echo "there is no confined child of process $1"
    return 1
}
status_of() { sed -n "s/^$2:[[:space:]]*//p" "/proc/$1/status"; }
# Behind the name, which may have blanks: field 3 is the first.
stat_of() { sed 's/.*) //' "/proc/$1/stat" | cut -d ' ' -f $(($2 - 2)); }
limit_of() { awk -v name="$2" 'index($0, name) == 1 { sub(name " *", ""); print $1, $2 }' "/proc/$1/limits"; }
is() { # WHAT GOT EXPECTED
    [[ $2 == "$3" ]] || { echo "$1: \"$2\", not \"$3\""; return 1; }
}
deeds_own_user=2105540608
# Other numbers than its own: its user's; its group's, which is user nbd-attach's where there is one.
deeds_user=
deeds_group=$(awk -F: '$1 == "nbd-attach" { print $4 }' /etc/passwd)

# Each line of what it has given back. [COUNT]: the filters that it has by then.
is_confined_as_meant() { # PID [COUNT]
    local pid=$1 bad=0 uid gid fd
    read -r uid _ < <(status_of "$pid" Uid)
    read -r gid _ < <(status_of "$pid" Gid)
    is user "$uid" "${deeds_user:-$((deeds_own_user + pid))}" || bad=1
    is group "$gid" "${deeds_group:-$uid}" || bad=1
    is groups "$(status_of "$pid" Groups | tr -d ' \t')" '' || bad=1
    is "no new privileges" "$(status_of "$pid" NoNewPrivs)" 1 || bad=1
    is "capabilities" "$(status_of "$pid" CapEff)$(status_of "$pid" CapPrm)$(status_of "$pid" CapBnd)" "$(printf '0%.0s' {1..48})" || bad=1
    is seccomp "$(status_of "$pid" Seccomp)" 2 || bad=1
    is "its filters" "$(status_of "$pid" Seccomp_filters)" "${2:-1}" || bad=1
    is session "$(stat_of "$pid" 6)" "$pid" || bad=1
    is terminal "$(stat_of "$pid" 7)" 0 || bad=1
    [[ $(stat_of "$pid" 19) -ge 0 ]] || { echo "nice: $(stat_of "$pid" 19)"; bad=1; }
    is "scheduling policy" "$(stat_of "$pid" 41)" "${deeds_policy:-0}" || bad=1
    is "OOM score" "$(cat "/proc/$pid/oom_score_adj")" 0 || bad=1
    is "working directory" "$(readlink "/proc/$pid/cwd")" / || bad=1
    for fd in 0 1 2; do is "descriptor $fd" "$(readlink "/proc/$pid/fd/$fd")" /dev/null || bad=1; done
    # what it had open to resolve is closed: stdio, the channel, the connection
    [[ ${2:-1} -lt 2 ]] || is "open descriptors" "$(find "/proc/$pid/fd" -type l | wc -l)" 5 || bad=1
    is environment "$(tr -d '\0' <"/proc/$pid/environ")" '' || bad=1
    is processes "$(limit_of "$pid" "Max processes")" "0 0" || bad=1
    is "file size" "$(limit_of "$pid" "Max file size")" "0 0" || bad=1
    is descriptors "$(limit_of "$pid" "Max open files")" "32 32" || bad=1
    is core "$(limit_of "$pid" "Max core file size")" "0 0" || bad=1
    is "CPU time" "$(limit_of "$pid" "Max cpu time")" "30 30" || bad=1
    is data "$(limit_of "$pid" "Max data size")" "67108864 67108864" || bad=1
    is "address space" "$(limit_of "$pid" "Max address space")" "268435456 268435456" || bad=1
    return $bad
}
