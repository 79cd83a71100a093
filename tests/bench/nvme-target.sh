#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the rows nvme-tcp-tls and tls-beside-nvme of the bench are connected to, in a virtual machine of its own, at 10.0.3.15: the kernel's own
# target with a disk in memory, and an nbdkit with another. It says "ready", and is there until it is ended.

# shellcheck source=tests/bench/nvme.sh
. /bench/nvme.sh
set -e
echo 44 >/proc/sys/net/ipv4/tcp_min_tso_segs
for module in virtio_pci virtio_net; do modprobe "$module" 2>/dev/null || true; done
modprobe nvmet-tcp
modprobe brd rd_nr=1 rd_size=524288
ip link set eth0 up
ip address add 10.0.3.15/24 dev eth0
ip route add 10.0.2.0/24 via 10.0.3.2
nvme_keys
mount -t configfs configfs /sys/kernel/config
cd /sys/kernel/config/nvmet
mkdir "subsystems/$nvme_target"
echo 1 >"subsystems/$nvme_target/attr_allow_any_host"
mkdir "subsystems/$nvme_target/namespaces/1"
echo /dev/ram0 >"subsystems/$nvme_target/namespaces/1/device_path"
echo 1 >"subsystems/$nvme_target/namespaces/1/enable"
mkdir ports/1
cd ports/1
echo tcp >addr_trtype
echo ipv4 >addr_adrfam
echo 10.0.3.15 >addr_traddr
echo 4420 >addr_trsvcid
echo tls1.3 >addr_tsas
echo required >addr_treq
nbdkit -p 10810 --tls=require --tls-certificates=/certs memory 512M
ln -s "../../subsystems/$nvme_target" "subsystems/"
echo ready
sleep infinity
