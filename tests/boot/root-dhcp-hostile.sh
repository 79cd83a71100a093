# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2317,SC2154,SC2034 # functions are called by name; variables of lib.sh
# boot: ci initramfs-tools 6.1
# boot: matrix dracut forky 7.3
#
# The DHCP server is an attacker's: its root path leads to a disk of the attacker's, in clear. nbdtab asks for TLS for the root, so the
# machine says so and boots from the disk that nbdtab names. On one kernel of each release: what is tried is the program's, not the
# kernel's.

tap_network
dhcp_on_tap --dhcp-option="17,10.0.2.2:10810/root"
new_root root
cp --sparse=always "$work/root.disk" "$work/evil.disk"
serve root "${tls[@]}"
serve_on 10810 evil --tls=off
guest() { check "the root is on NBD" root_is_nbd; }
boot ip=dhcp ro nbdroot=dhcp root=/dev/nbd0
check "the console says what is not believed" shows 'DHCP root-path 10\.0\.2\.2:10810/root: /etc/nbdtab:[0-9]+ asks for TLS'
is_untouched() { grep -q Connect "$work/root.nbd" && ! grep -q Connect "$work/evil.nbd"; }
check "nobody connects to the server that DHCP named" is_untouched
check "the file system is clean" fsck_clean root
