# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2317,SC2154,SC2034 # functions are called by name; variables of lib.sh
# boot: matrix initramfs-tools dracut 6.1
# boot: matrix initramfs-tools dracut trixie 6.12
# boot: matrix dracut forky 7.3
#
# The server and the export come from DHCP's root path, and nothing about them is on the command line. On Debian 12's dracut by network-legacy,
# which the image for 6.1 has, on later ones by systemd-networkd, which asks for a root path there. The server is told by its name, which only
# the name server of DHCP knows.

tap_network
case $LANE in
initramfs-tools) path=storage.example.com/root ;;
dracut) path=nbd:storage.example.com:root ;;
esac
dhcp_on_tap --dhcp-option="17,$path"
serve_root_of_dhcp
guest() { check "the root is on NBD" root_is_nbd; }
case $LANE in
initramfs-tools) boot ip=dhcp ro nbdroot=dhcp root=/dev/nbd0 ;;
dracut) boot ro root=dhcp ;;
esac
check "the file system is clean" fsck_clean root
