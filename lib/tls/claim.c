/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tls/claim.h"
#include "tls/gnutls-library.h"
#include "tls/credentials-struct.h"
#include "tls/ktls.h"
#include "tls/priority.h"
#include "tls/verify.h"
#include "base/text.h"
#include <errno.h>
#include <string.h>

static bool may_have_version(const struct tls_credentials *creds, int version)
{
	const unsigned *list;
	int count = libgnutls.priority_protocol_list(creds->priority, &list);

	for (int i = 0; i < count; i++)
		if ((list[i] == GNUTLS_TLS1_2 && version == TLS_VERSION_1_2) ||
			(list[i] == GNUTLS_TLS1_3 && version == TLS_VERSION_1_3))
			return true;
	return false;
}

static bool may_have_cipher(const struct tls_credentials *creds, const struct ktls_cipher *cipher)
{
	const unsigned *list;
	int count = libgnutls.priority_cipher_list(creds->priority, &list);

	for (int i = 0; cipher && i < count; i++)
		if (tls_ktls_cipher((gnutls_cipher_algorithm_t)list[i]) == cipher)
			return true;
	return false;
}

/* Of a certificate that this kind of session cannot have nothing can be said, when it ends least of
 * all. The files may have been renewed since CREDS were made of them: what they can hold counts. */
static void forget_impossible(struct tls_info *info, const struct tls_credentials *creds)
{
	const struct tls_config *config = &creds->config;
	bool has_dir = !creds->psk && *config->certificates_dir,
	     is_verified = !creds->psk && (creds->verify_chain || has_dir),
	     has_own = !creds->psk && (has_dir || *config->cert_file || *config->key_file);

	if (creds->psk) {
		*info->peer_name = *info->peer_issuer = *info->peer_pin = 0;
		info->peer_not_after = 0;
	}
	if (!is_verified)
		info->chain = (struct tls_validity){0};
	if (!is_verified || !has_dir)
		info->revocation = (struct tls_validity){0};
	if (!has_own)
		info->own = (struct tls_validity){0};
}

/* What proves the server was chosen here, and is ours to say. */
static int check_proof(struct tls_info *info, const struct tls_credentials *creds)
{
	uint8_t pin[TLS_PIN_BYTES];

	text_copy(info->authentication, sizeof(info->authentication), tls_authentication(creds));
	forget_impossible(info, creds);
	if (creds->psk || !creds->has_pin)
		return 0;
	if (tls_pin_parse(pin, info->peer_pin, NULL) || memcmp(pin, creds->pin, sizeof(pin)) != 0)
		return -EPROTO;
	return 0;
}

int tls_claim_check(struct tls_info *info, const struct tls_credentials *creds, int fd)
{
	const struct ktls_cipher *cipher = ktls_cipher_find(info->kernel_cipher);
	int rc = fd < 0 ? 0 : ktls_get_state(fd, &info->version, &cipher);

	if (!rc && (!may_have_version(creds, info->version) || !may_have_cipher(creds, cipher)))
		rc = -EPROTO;
	if (rc)
		return -EPROTO;
	info->kernel_cipher = cipher->kernel_cipher;
	text_copy(info->cipher, sizeof(info->cipher), cipher->name);
	return check_proof(info, creds);
}
