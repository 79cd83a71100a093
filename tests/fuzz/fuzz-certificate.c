/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A server's certificate, and what GnuTLS says of its chain: which names it is for, and what is
 * shown of it. The input is a byte that says what was asked for, the status of the chain, a length
 * and the host's name, and the certificate. */
#include "fuzz.h"
#include "tls/credentials-struct.h"
#include "tls/gnutls-library.h"
#include "tls/library.h"
#include "tls/verify.h"
#include <string.h>

static gnutls_certificate_credentials_t no_authorities;
static gnutls_datum_t peer;
static unsigned chain_status;
static bool cannot_verify, has_no_chain;

static const gnutls_datum_t *fake_certificate_get_peers(gnutls_session_t session, unsigned *count)
{
	(void)session;
	*count = has_no_chain ? 0 : 1;
	return has_no_chain ? NULL : &peer;
}

static int fake_certificate_verify_peers(
	gnutls_session_t session, gnutls_typed_vdata_st *data, unsigned elements, unsigned *status)
{
	(void)session;
	FUZZ_CHECK(elements >= 1 && data->type == GNUTLS_DT_KEY_PURPOSE_OID);
	*status = chain_status;
	return cannot_verify ? GNUTLS_E_INTERNAL_ERROR : 0;
}

/* In the place of what GnuTLS does. */
static void put_fakes(void)
{
	libgnutls.certificate_get_peers = fake_certificate_get_peers;
	libgnutls.certificate_verify_peers = fake_certificate_verify_peers;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	FUZZ_CHECK(tls_library_load(NULL) == 0);
	put_fakes();
	return gnutls_certificate_allocate_credentials(&no_authorities);
}

enum { PINNED = 1, CHAIN_VERIFIED = 2, NO_CHAIN = 4, CANNOT_VERIFY = 8, PIN_IS_RIGHT = 16 };

static void pin(struct tls_credentials *creds, const char *text)
{
	struct error err;

	if (tls_pin_parse(creds->pin, text, &err) != 0)
		memset(creds->pin, 0, sizeof(creds->pin));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = {data, size};
	struct tls_credentials creds = {
		.x509 = no_authorities, .trust_name = "the system's authorities"};
	struct tls_info info = {0};
	struct error err;
	uint8_t how = fuzz_u8(&input), len;
	char hostname[256];
	int rc;

	chain_status = how & CHAIN_VERIFIED ? fuzz_u32(&input) : 0;
	len = fuzz_u8(&input);
	fuzz_bytes(&input, hostname, len);
	for (uint8_t i = 0; i < len; i++) /* what no endpoint has: fuzz-uri.c */
		hostname[i] = hostname[i] > ' ' && hostname[i] < 0x7f ? hostname[i] : 'x';
	hostname[len] = 0;
	peer = (gnutls_datum_t){(unsigned char *)input.at, (unsigned)input.left};
	has_no_chain = how & NO_CHAIN;
	cannot_verify = how & CANNOT_VERIFY;
	creds.has_pin = how & PINNED;
	creds.verify_chain = how & CHAIN_VERIFIED;
	for (int i = 0; i < (how & PIN_IS_RIGHT ? 2 : 1); i++) {
		fuzz_soil_error(&err);
		rc = tls_verify_peer(NULL, &creds, hostname, &info, &err);
		FUZZ_CHECK(rc || i > 0 || !creds.has_pin); /* nobody has the pin of zeroes */
		pin(&creds, info.peer_pin);
	}
	fuzz_check_shown(info.peer_name, sizeof(info.peer_name));
	fuzz_check_shown(info.peer_issuer, sizeof(info.peer_issuer));
	fuzz_check_shown(info.peer_pin, sizeof(info.peer_pin));
	if (rc)
		fuzz_check_error(rc, &err);
	else
		FUZZ_CHECK(!has_no_chain && !chain_status &&
			(creds.has_pin || (creds.verify_chain && !cannot_verify)));
	return 0;
}
