# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Completion of nbd-attach for bash. tests/install/check compares its words with --help.

_nbd_attach_devices()
{
	local path
	for path in /sys/block/nbd*; do
		[ -e "$path" ] || continue
		# "attached" or "free"; /sys/block/nbdN/pid is there exactly while a device is configured
		if [ -e "$path/pid" ]; then
			[ "$1" = attached ] && echo "/dev/${path##*/}"
		elif [ "$1" = free ]; then
			echo "/dev/${path##*/}"
		fi
	done
}

_nbd_attach_files()
{
	compopt -o filenames 2>/dev/null
	mapfile -t COMPREPLY < <(compgen "$1" -- "$cur")
}

_nbd_attach_words()
{
	mapfile -t COMPREPLY < <(compgen -W "$1" -- "$cur")
}

_nbd_attach()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} command=attach
	local commands="attach boot detach status resize reload list info audit doctor help version"
	local server="--tls --tls-ca --tls-certificates --tls-cert --tls-key --tls-psk --tls-username --tls-hostname --tls-pin
		--tls-min --tls-priority --port --connect-timeout"
	local attach="--connections --timeout --request-timeout --dead-timeout --io-timeout --wait --rekey-records --auto-resize --block-size --read-only --shared
		--root"
	local boot="--plan --files --cmdline --dhcp-server --dhcp-root-path"
	local all="--json --verbose --help --version"
	COMPREPLY=()

	case $prev in
	--tls-ca | --tls-cert | --tls-key | --tls-psk | --cmdline) _nbd_attach_files -f; return ;;
	--tls-certificates) _nbd_attach_files -d; return ;;
	--tls-min) _nbd_attach_words "1.2 1.3"; return ;;
	--block-size | -b) _nbd_attach_words "512 1024 2048 4096"; return ;;
	--tls-pin) _nbd_attach_words "sha256:"; return ;;
	--tls-hostname | --dhcp-server) mapfile -t COMPREPLY < <(compgen -A hostname -- "$cur"); return ;;
	--tls-username | --tls-priority | --port | -p | --connect-timeout | --connections | -C) return ;;
	--dead-timeout | --request-timeout | --wait) _nbd_attach_words "infinity"; return ;;
	--timeout | --io-timeout | --rekey-records | --dhcp-root-path | --idle-time) return ;;
	esac
	if [ "$COMP_CWORD" -gt 1 ] && [[ " $commands " = *" ${COMP_WORDS[1]} "* ]]; then
		command=${COMP_WORDS[1]}
	fi
	if [[ $cur = -* ]]; then
		case $command in
		attach) _nbd_attach_words "$server $attach --foreground $all" ;;
		boot) _nbd_attach_words "$server $attach $boot --verbose --help --version" ;;
		list | info) _nbd_attach_words "$server $all" ;;
		audit) _nbd_attach_words "$server --idle-time $all" ;;
		detach) _nbd_attach_words "--force --own $all" ;;
		status) _nbd_attach_words "--watch --quiet --is-root $all" ;;
		help | version) _nbd_attach_words "--verbose --help --version" ;;
		*) _nbd_attach_words "$all" ;;
		esac
		return
	fi
	if [ "$COMP_CWORD" -eq 1 ]; then
		_nbd_attach_words "$commands auto $(_nbd_attach_devices free)"
		return
	fi
	case $command in
	attach)
		if [ "$prev" = attach ]; then
			_nbd_attach_words "auto $(_nbd_attach_devices free)"
		else
			mapfile -t COMPREPLY < <(compgen -A hostname -- "$cur")
		fi ;;
	detach | status | resize | reload) _nbd_attach_words "$(_nbd_attach_devices attached)" ;;
	help) _nbd_attach_words "$commands" ;;
	list | info | audit) mapfile -t COMPREPLY < <(compgen -A hostname -- "$cur") ;;
	esac
}

complete -F _nbd_attach nbd-attach
