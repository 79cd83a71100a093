# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Both ends of NVMe over TCP with TLS: who they are, the key that they share (invented), and who negotiates TLS for the kernel.

nvme_target=nqn.2026-11.com.example:bench nvme_host=nqn.2026-11.com.example:client
nvme_psk=3f1c0a5e7b2d9846c1e0f3a2b5d4978610fedcba98765432a1b2c3d4e5f60718

# For AES-128-GCM (SHA-256), as nbd-attach's links have it
nvme_keys() {
    nvme gen-tls-key --hostnqn "$nvme_host" --subsysnqn "$nvme_target" --identity 1 --hmac 1 --secret "$nvme_psk" --insert || return
    # It asks for the name of who is at the other end.
    printf '10.0.2.15 client\n10.0.3.15 target\n' >>/etc/hosts
    printf '[authenticate]\nkeyrings = .nvme\n' >/run/tlshd.conf
    tlshd --stderr --config /run/tlshd.conf &
}
