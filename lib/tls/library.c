/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tls/library.h"
#include <gnutls/gnutls.h>
#include <stddef.h>
#include <unistd.h>

const char *tls_hybrid_group(void)
{
	static const char *const names[] = {"X25519-MLKEM768", "SECP256R1-MLKEM768"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (gnutls_group_get_id(names[i]) != GNUTLS_GROUP_INVALID)
			return names[i];
	return NULL;
}

const char *tls_library_version(void)
{
	return gnutls_check_version(NULL);
}

/* GnuTLS tells where it looks, also if nothing is there. */
const char *tls_system_configuration(void)
{
	const char *file = gnutls_get_system_config_file();

	return file && access(file, F_OK) == 0 ? file : NULL;
}

/* Where distributions keep all authorities in one file, as GnuTLS was built to look for. */
const char *tls_system_bundle(size_t at)
{
	static const char *const bundles[] = {"/etc/ssl/certs/ca-certificates.crt",
		"/etc/pki/tls/certs/ca-bundle.crt",
		"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", "/etc/ssl/ca-bundle.pem",
		"/etc/ssl/cert.pem"};

	return at < sizeof(bundles) / sizeof(bundles[0]) ? bundles[at] : NULL;
}
