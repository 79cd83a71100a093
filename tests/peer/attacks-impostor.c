// SPDX-License-Identifier: GPL-2.0-or-later
/* An impostor in the server's place, with what certificates it can get. The folders are made by
 * tests/certs/make --all and tests/attacks/certs. */
#include "attack.h"

#define SHOWS(attack_name, folder, reason)                                                         \
	{                                                                                          \
		.name = "certificate " attack_name, .says = (reason), .server_certs = (folder),    \
		.client_certs = (folder)                                                           \
	}

const struct attack impostor_attacks[] = {
	SHOWS("through an intermediate authority", "chain", NULL),
	SHOWS("of another host, by the same authority", "wrong-name", "not for \"localhost\""),
	{.name = "certificate for another address, by the same authority",
		.says = "not for \"127.0.0.1\"",
		.server_certs = "wrong-ip",
		.client_certs = "wrong-ip",
		.host = "127.0.0.1"},
	SHOWS("of the host without its key", "foreign-key",
		"Public key signature verification has failed"),
	SHOWS("by another authority", "other-ca", "not trusted by"),
	SHOWS("signed by itself", "self-signed", "self-signed and not trusted"),
	SHOWS("that has expired", "expired", "expired on 2021"),
	SHOWS("that is not valid yet", "not-yet-valid", "not valid before 2045"),
	SHOWS("that was revoked", "revoked", "has been revoked"),
	SHOWS("of a client, by the same authority", "client-only", "extended key usage"),
	SHOWS("with a weak key (RSA-1024)", "weak", "too weak: its key is RSA with 1024 bits"),
	SHOWS("signed with SHA-1", "sha1", "too weak.*SHA1"),
	SHOWS("with the host in its common name only", "cn-only", "no subject alternative name"),
	SHOWS("with the host in an e-mail address only", "email-only",
		"no subject alternative name"),
	SHOWS("for the host's name, a NUL and another one", "nul-in-name", "not for \"localhost\""),
	SHOWS("for *", "star", "not for \"localhost\""),
	SHOWS("signed by the certificate of another host", "leaf-as-authority",
		"signed by \"CN=other\", which is not trusted"),
	SHOWS("outside of what its authority may sign", "name-constraints",
		"violates the signer's constraints"),
	{.name = "no authority named to the client, and the system's do not know it",
		.says = "not trusted by this system's trusted authorities",
		.no_authority = true},
	{.name = "server with the same pre-shared key", .psk = true, .server_psk = "."},
	{.name = "server with another pre-shared key for the same user",
		.says = "has another key for this user",
		.psk = true,
		.server_psk = "other-psk"},
	{.name = "server with a certificate, to a client that has a pre-shared key",
		.says = "only a pre-shared key was given",
		.psk = true},
};

const size_t impostor_attack_count = sizeof(impostor_attacks) / sizeof(impostor_attacks[0]);
