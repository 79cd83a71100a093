# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Shared by the suites that talk to servers on this machine: TAP lines, servers on ephemeral ports, expectations.
# Set SUITE, and BIN to the program under test, before sourcing. $work is removed, and every server killed, at the end.

BUILD=${BUILD:-build}
work=$(mktemp -d)
port=0

# Servers are killed by the ids that they were started with or wrote down.
cleanup() {
	local file
	for file in "$work"/*.pid; do
		[ -s "$file" ] && kill "$(cat "$file")" 2>/dev/null
	done
	wait 2>/dev/null
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

tap_prefix=$SUITE
# shellcheck source=tests/lib/tap.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/tap.sh"

quote_output() { sed 's/^/#   /' "$1" | head -n 30; }

# expect NAME STATUS PATTERN COMMAND...: exit status and an extended regular expression in the output (both streams, lines joined).
# The output stays in $work/out.
expect() {
	local name=$1 status=$2 pattern=$3 got=0
	shift 3
	timeout 30 "$@" >"$work/out" 2>&1 || got=$?
	if [ "$got" -eq "$status" ] && tr '\n' ' ' <"$work/out" | grep -aqiE -- "$pattern"; then
		ok "$name"
		return 0
	fi
	not_ok "$name"
	echo "# command: $*"
	echo "# status $got, expected $status; expected to match: $pattern"
	quote_output "$work/out"
	return 1
}

is_open() { (exec 3<>"/dev/tcp/$1/$2") 2>/dev/null; }

# Below the range that the kernel gives to clients, and free at the moment.
pick_port() {
	for _ in {1..50}; do
		port=$((10000 + RANDOM % 20000))
		is_open 127.0.0.1 $port || return 0
	done
	return 1
}

# start NAME COMMAND...: a server in the foreground that has to listen on $port (of ${address:-127.0.0.1}), or write $ready. Its
# output is in $work/NAME.log; started again on another port if somebody took that one.
start() {
	local name=$1 i
	shift
	rm -f "$work/$name.pid"
	"$@" >"$work/$name.log" 2>&1 &
	echo $! >"$work/$name.pid"
	for ((i = 0; i < 200; i++)); do
		if [ -n "${ready:-}" ]; then
			[ ! -s "$ready" ] && [ ! -S "$ready" ] || return 0
		elif is_open "${address:-127.0.0.1}" $port; then
			return 0
		fi
		kill -0 "$(cat "$work/$name.pid")" 2>/dev/null || break
		sleep 0.05
	done
	echo "# $name does not start: $*"
	quote_output "$work/$name.log"
	return 1
}

stop() {
	local pid
	[ -s "$work/$1.pid" ] || return 0
	pid=$(cat "$work/$1.pid")
	kill "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null
	rm -f "$work/$1.pid"
}

# nbdkit [arguments]: on a free $port
start_nbdkit() {
	local try
	stop nbdkit
	for try in 1 2 3; do
		pick_port
		rm -f "$work/nbdkit.ready"
		ready=$work/nbdkit.ready start nbdkit nbdkit -f -p "$port" -i "${address:-127.0.0.1}" -P "$work/nbdkit.ready" "$@" && return 0
	done
	not_ok "nbdkit starts: $*"
	return "$try"
}

# The scripted server; it chooses its port itself
start_peer() {
	stop peer
	: >"$work/peer.log"
	ready=$work/peer.log start peer "$BUILD/tests/peer" "$@" && port=$(head -n 1 "$work/peer.log") && [[ $port =~ ^[0-9]+$ ]] && return
	not_ok "peer starts: $*"
	return 1
}

has() { command -v "$1" >/dev/null; }

# A client's key on a token of softhsm2, for each user to use; $token_url is its name. Else the last line says what there is not.
# shellcheck disable=SC2034
token_url="pkcs11:token=nbd;object=client;type=private?pin-value=123456"
make_token() { # CERTS
	has softhsm2-util && has p11tool || { echo "softhsm2 or p11tool is not installed"; return 1; }
	mkdir -p "$work/tokens"
	echo "directories.tokendir = $work/tokens" >"$work/softhsm2.conf"
	export SOFTHSM2_CONF=$work/softhsm2.conf
	softhsm2-util --init-token --free --label nbd --pin 123456 --so-pin 123456
	p11tool --list-tokens 2>/dev/null | grep -q 'Label: nbd' || { echo "p11-kit does not know softhsm2's module"; return 1; }
	certtool --to-p8 --load-privkey "$1/client-key.pem" --password "" --outfile "$work/client-key.p8"
	softhsm2-util --import "$work/client-key.p8" --token nbd --label client --id 01 --pin 123456
	chmod -R go+rwX "$work/tokens" # the negotiator is another user
	chmod go+rX "$work" "$work/softhsm2.conf"
}
