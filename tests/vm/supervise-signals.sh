#!/bin/bash
# vm: together
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2317,SC2086,SC2154,SC2034 # functions are called by name; no device here has spaces; start sets NAME_pid; others use server_tls
#
# Signals in the middle of a send. The block layer calls the driver from the process that does the I/O, whose signals interrupt a send that waits
# for room in the socket: part of a request is out then, and the rest has to follow, over the same link and under the same tag
# (kernel facts signal-interrupts-send and signal-measurements).

# shellcheck source=tests/vm/lib-supervise.sh
. /tests/lib-supervise.sh

# Where it is a module, it is there as soon as any disk of the machine has asked for it.
modprobe -q mq-deadline || true
# Small, and with a server that is slow rather than busy: so a send waits for room as a rule, and it takes no fast machine.
for direction in rmem wmem; do echo "4096 16384 262144" >/proc/sys/net/ipv4/tcp_$direction; done

since_the_test_began() { dmesg | sed -n "/vm: test: .*/h;//!H;\${x;p}"; }
# kernel_says PATTERN: how often, of this device and in this test
kernel_says() { since_the_test_began | grep -cE "block nbd0: .*($1)|($1).* nbd0" || true; }
strange='Double reply|Wrong magic|Unexpected reply|Suspicious reply|already handled'
strange_replies() { kernel_says "$strange"; }
dead_links() { kernel_says "Receive (control|data) failed|$strange"; }

scheduler_of() { sed 's/.*\[\(.*\)\].*/\1/' "/sys/block/${1#/dev/}/queue/scheduler"; }
set_scheduler() { # NAME
    grep -qw "$1" /sys/block/nbd0/queue/scheduler || skip_test "this kernel has no scheduler $1"
    echo "$1" >/sys/block/nbd0/queue/scheduler
}
serve_slowly() { serve_nbdkit --threads=2 --filter=delay delay-write=${delay_ms:-40}ms; }
# attach_slow plain|tls CONNECTIONS SCHEDULER
attach_slow() {
    local security=("${tls[@]}")
    [[ $1 == tls ]] || security=() server_tls=()
    make_disk 128M
    serve_slowly
    attach $nbd localhost --port $tls_port "${security[@]}" --connections $2
    set_scheduler $3
}

# starts_load NAME OFFSET_MIB PROCESSES SECONDS SIGNAL_US: 4 MiB in each direct request
starts_load() { start "$1" bothered $nbd $2 $3 4 $4 $5; }
load_says() { tail -n 1 "$state/$1.out"; }
# ends_load NAME SECONDS: and it is in the notes
ends_load() {
    local pid=$1_pid
    within $2 eval "! is_alive ${!pid}" || { since_the_test_began | tail -n 30; fail "$1: I/O hangs"; }
    grep -v ^rounds "$state/$1.out" || true
    note "$1: $(load_says $1); strange replies $(strange_replies), dead links $(dead_links), kernel's I/O errors $(kernel_says 'I/O error')"
}
no_harm() { # NAME
    [[ $(load_says $1) =~ ^rounds\ [1-9][0-9]*\ wrong\ 0\ errors\ ([0-9]+)\  ]] || fail "wrong data"
    # Where a link has died 7.3 fails what was half sent (kernel fact partial-send-eio), and one may die there (signal-measurements).
    [[ ${BASH_REMATCH[1]} -eq 0 || ($VM_SERIES != 6.* && $(dead_links) -ge 1) ]] || fail "an error"
    [[ $(strange_replies) -eq 0 ]] || fail "the kernel had replies that fit no request"
}

# Four processes, each interrupted again and again
interrupted() { # plain|tls CONNECTIONS SCHEDULER
    attach_slow $1 $2 $3
    starts_load load 0 4 ${seconds:-12} 20000
    ends_load load 180
}
interrupted_without_harm() {
    interrupted "$@"
    no_harm load
}

# 20 writers are killed, twice; one that nobody bothers reads back what it wrote
killed() { # CONNECTIONS
    local delay_ms=200
    local i pid
    attach_slow tls $1 none
    starts_load bystander 100 1 15 0
    for i in 1 2; do
        starts_load writers 0 20 30 0
        sleep 4
        for pid in $(children_of $writers_pid); do kill -KILL $pid; done
        within 120 eval "! is_alive $writers_pid" || fail "the writers do not die"
    done
    ends_load bystander 180
    no_harm bystander
    note "reconnects $(field $nbd .reconnects)"
}

# A link that dies while part of a request is out. 7.3 then fails that request, whatever we do (kernel fact partial-send-eio): there it is only noted.
dies_in_between() { # SCHEDULER
    local i
    attach_slow tls 1 $1
    starts_load load 0 4 ${seconds:-16} 20000
    for i in 1 2 3 4; do
        sleep 2
        outage 0.5 serve_slowly
    done
    ends_load load 180
    [[ $(load_says load) == *" wrong 0 "* ]] || fail "wrong data"
    [[ $VM_SERIES != 6.* || $(load_says load) == *" errors 0 "* ]] || fail "an error"
}

test_timeout=400
run_test "control: with mq-deadline, what interrupted sends do is only noted" interrupted plain 1 mq-deadline
run_test "interrupted sends in the clear harm nothing" interrupted_without_harm plain 1 none
run_test "interrupted sends over kTLS harm nothing" interrupted_without_harm tls 1 none
run_test "interrupted sends over four kTLS links harm nothing" interrupted_without_harm tls 4 none
run_test "20 writers are killed over one link" killed 1
run_test "20 writers are killed over four links" killed 4
run_test "a link that dies after an interrupted send" dies_in_between none
if [[ $VM_SERIES != 6.* ]]; then
    run_test "control: with mq-deadline, a link that dies after an interrupted send" dies_in_between mq-deadline
    echo "4096 67108864 67108864" >/proc/sys/net/ipv4/tcp_wmem
    run_test "a link that dies, with room in the socket for all that is under way" dies_in_between none
fi

finish
