/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef NBDA_TLS_INFO
#define NBDA_TLS_INFO
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tls_version { TLS_VERSION_1_2 = 12, TLS_VERSION_1_3 = 13 };

/* "1.2" or "1.3"; "?" of anything else. */
const char *tls_version_name(int version);
/* 0 when there is no such version. */
int tls_version_parse(const char *name);

/* Unix times; UNTIL is 0 where nothing ends. A warning is due from WARN_FROM on: two weeks before,
 * or a quarter of its life if that is less. */
struct tls_validity {
	int64_t until, warn_from;
};

/* It is the first of several to end. */
void tls_validity_note(struct tls_validity *validity, int64_t from, int64_t until);
/* "2026-11-21 10:00 UTC" */
void tls_format_date(int64_t when, char *out, size_t size);

/* What was negotiated, for people; no pointers. */
struct tls_info {
	int version;             /* enum tls_version; 0: no TLS */
	int kernel_cipher;       /* TLS_CIPHER_* of linux/tls.h */
	char cipher[32];         /* "AES-128-GCM" */
	char group[48];          /* "X25519"; empty for pure PSK */
	char authentication[16]; /* "X.509", "PSK" or "pin" */
	char peer_name[256];     /* the certificate's subject, sanitised; empty with PSK */
	char peer_issuer[256];
	int64_t peer_not_after; /* Unix time; 0 without a certificate */
	/* what a later connection will need: the certificates that the server showed, if they were
	 * verified, with the authority that signed them; ours; lists of revoked ones */
	struct tls_validity chain, own, revocation;
	/* the files of our credentials had changed and could not be used, or not be read */
	bool is_stale;
	char peer_pin[80]; /* "sha256:HEX" of the server's public key, ready for --tls-pin */
};

#endif
