# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2317,SC2154,SC2034 # functions are called by name; variables of lib.sh
# boot: matrix dracut trixie 6.12
#
# A router announces IPv6 from the beginning, with which systemd-networkd is done with the interface, and dracut asks it for the root path
# of DHCP, once. The DHCP server, which has one, comes after that.

tap_network 2001:db8::1/64
dnsmasq_on_tap router --port=0 --enable-ra --dhcp-range=2001:db8::,ra-only
serve_root_of_dhcp
guest() { check "the root is on NBD" root_is_nbd; }
without='No dhcp root-path received'
when_console "$without" 600 dhcp_on_tap --dhcp-option="17,nbd:storage.example.com:root"
boot ro root=dhcp
check "the DHCP server came when the interface was up without it" hooks_done
check "the file system is clean" fsck_clean root
