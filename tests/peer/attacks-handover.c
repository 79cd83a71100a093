// SPDX-License-Identifier: GPL-2.0-or-later
/* What comes exactly when the connection goes to the kernel, and later: run only with a kernel that
 * has an nbd driver and TLS (tests/vm/attacks.sh). The first read of a connection of nbd-attach is
 * its own, the second goes through kernel TLS, all later ones are the driver's. */
#include "attack.h"
#include "nbd/nbd-protocol.h"
#include "tls-record.h"

#define OWN_READ 1
#define KERNEL_READ 2
#define DRIVER_READ 6 /* attached, and past the scan for partitions */

#define TICKET "\4\0\0\x12\0\0\x0e\x10\0\0\0\0\1\0\0\4\1\2\3\4\0\0"
#define CLOSE_NOTIFY "\1\0"
#define DATA_RECORD                                                                                \
	"\x17\3\3\0\x10"                                                                           \
	"\x67\x44\x66\x98\0\0\0\0\0\0\0\0\0\0\0\0"

/* On the first connection only: a client that reconnects is served. */
#define RAW(attack_name, read, when, content, bytes)                                               \
	{                                                                                          \
		.name = (attack_name), .peer = {                                                   \
			.first_only = true,                                                        \
			.extra = EXTRA_RAW,                                                        \
			.extra_on_read = (read),                                                   \
			.extra_when = (when),                                                      \
			.raw = &(const struct raw_record){.type = (content),                       \
				.data = (bytes),                                                   \
				.size = sizeof(bytes) - 1}                                         \
		}                                                                                  \
	}
#define KEY_UPDATE(attack_name, read, when)                                                        \
	{                                                                                          \
		.name = (attack_name), .peer = {                                                   \
			.first_only = true,                                                        \
			.extra = EXTRA_KEY_UPDATE,                                                 \
			.extra_on_read = (read),                                                   \
			.extra_when = (when)                                                       \
		}                                                                                  \
	}
#define ON_PATH(attack_name, read, what, ...)                                                      \
	{                                                                                          \
		.name = (attack_name), .on_path = true, .mitm = {                                  \
			.path = {.action = (what),                                                 \
				.record = PATH_READ_REPLY,                                         \
				.on_read = (read),                                                 \
				__VA_ARGS__}                                                       \
		}                                                                                  \
	}
#define INSERT(literal) .insert = (literal), .insert_size = sizeof(literal) - 1

const struct attack handover_attacks[] = {
	{.name = "honest server, attached"},
	{.name = "keys updated before the hand-over", .peer = {.extra = EXTRA_KEY_UPDATE}},
	{.name = "keys updated in both directions before the hand-over",
		.peer = {.extra = EXTRA_KEY_UPDATE_BOTH}},
	RAW("ticket in one piece with the reply to our own read", OWN_READ, EXTRA_BEHIND_READ_REPLY,
		TLS_HANDSHAKE, TICKET),
	KEY_UPDATE("KeyUpdate in one piece with the reply to our own read", OWN_READ,
		EXTRA_BEHIND_READ_REPLY),
	RAW("ticket a moment behind the reply to our own read", OWN_READ, EXTRA_BEHIND_READ_REPLY,
		TLS_HANDSHAKE, TICKET),
	KEY_UPDATE("KeyUpdate a moment behind the reply to our own read", OWN_READ,
		EXTRA_BEHIND_READ_REPLY),
	RAW("ticket before the reply to the read through the kernel", KERNEL_READ,
		EXTRA_BEFORE_READ_REPLY, TLS_HANDSHAKE, TICKET),
	KEY_UPDATE("KeyUpdate before the reply to the read through the kernel", KERNEL_READ,
		EXTRA_BEFORE_READ_REPLY),
	RAW("close_notify before the reply to the read through the kernel", KERNEL_READ,
		EXTRA_BEFORE_READ_REPLY, TLS_ALERT, CLOSE_NOTIFY),
	RAW("ticket in one piece with the reply to the read through the kernel", KERNEL_READ,
		EXTRA_BEHIND_READ_REPLY, TLS_HANDSHAKE, TICKET),
	KEY_UPDATE("KeyUpdate in one piece with the reply to the read through the kernel",
		KERNEL_READ, EXTRA_BEHIND_READ_REPLY),
	RAW("ticket while the driver is given the connection", KERNEL_READ, EXTRA_BEHIND_READ_REPLY,
		TLS_HANDSHAKE, TICKET),
	KEY_UPDATE("KeyUpdate while the driver is given the connection", KERNEL_READ,
		EXTRA_BEHIND_READ_REPLY),
	ON_PATH("bit flipped in the reply to the read through the kernel", KERNEL_READ, PATH_FLIP),
	ON_PATH("reply to the read through the kernel played twice", KERNEL_READ, PATH_TWICE),
	ON_PATH("data record in clear before the reply to the read through the kernel", KERNEL_READ,
		PATH_BEFORE, INSERT(DATA_RECORD)),
	ON_PATH("cut in the reply to the read through the kernel", KERNEL_READ, PATH_CUT_IN),

	RAW("ticket before a reply to the driver", DRIVER_READ, EXTRA_BEFORE_READ_REPLY,
		TLS_HANDSHAKE, TICKET),
	KEY_UPDATE("KeyUpdate before a reply to the driver", DRIVER_READ, EXTRA_BEFORE_READ_REPLY),
	RAW("close_notify before a reply to the driver", DRIVER_READ, EXTRA_BEFORE_READ_REPLY,
		TLS_ALERT, CLOSE_NOTIFY),
	ON_PATH("bit flipped in a reply to the driver", DRIVER_READ, PATH_FLIP),
	ON_PATH("reply to the driver played twice", DRIVER_READ, PATH_TWICE),
	ON_PATH("data record in clear before a reply to the driver", DRIVER_READ, PATH_BEFORE,
		INSERT(DATA_RECORD)),
	ON_PATH("cut in a reply to the driver", DRIVER_READ, PATH_CUT_IN),

	/* In the place of an honest server, which comes back later. */
	{.name = "reconnect to the same server"},
	{.name = "reconnect redirected to another host with its own certificate",
		.server_certs = "wrong-name"},
	{.name = "reconnect redirected to a certificate by another authority",
		.server_certs = "other-ca"},
	{.name = "reconnect without TLS",
		.on_path = true,
		.mitm = {.swallow_starttls = true, .answer = {.type = NBD_REP_ERR_UNSUP}}},
	{.name = "reconnect to a smaller disk", .peer = {.size_bytes = 512 << 10}},
	{.name = "reconnect to a larger disk", .peer = {.size_bytes = 2 << 20}},
};

const size_t handover_attack_count = sizeof(handover_attacks) / sizeof(handover_attacks[0]);
