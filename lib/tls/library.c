/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tls/library.h"
#include "base/shared-library.h"
#include "tls/gnutls-library.h"
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

struct gnutls_library libgnutls;

SHARED_LIBRARY_NOTE("[{\"feature\":\"tls\",\"description\":\"TLS, and names that are not ASCII\","
		    "\"priority\":\"required\",\"soname\":[\"" GNUTLS_LIBRARY "\"]}]");

static int not_usable(struct error *err, const char *why)
{
	error_set(err, ERROR_OTHER, ELIBACC,
		"GnuTLS cannot be loaded, and there is no TLS without: %s", why);
	return error_hint(err, -ELIBACC,
		"install it: apt-get install libgnutls30; in an initramfs, make that anew then: "
		"update-initramfs -u");
}

/* Of a name that it does not have, or NULL. */
static const char *find_functions(void *library)
{
	const char *missing = NULL;

#define GNUTLS_FIND(name)                                                                          \
	if (!shared_library_find(library, "gnutls_" #name, &libgnutls.name))                       \
		missing = "gnutls_" #name;
	GNUTLS_FUNCTIONS(GNUTLS_FIND)
#undef GNUTLS_FIND
	if (!shared_library_find(library, "gnutls_free", &libgnutls.release))
		missing = "gnutls_free";
	return missing;
}

int tls_library_load(struct error *err)
{
	static bool is_loaded;
	void *library = is_loaded ? NULL : shared_library_open(GNUTLS_LIBRARY);
	const char *missing;
	char why[100];

	if (is_loaded)
		return 0;
	if (!library)
		return not_usable(err, dlerror());
	missing = find_functions(library);
	is_loaded = !missing;
	if (is_loaded)
		return 0;
	snprintf(why, sizeof(why), GNUTLS_LIBRARY " has no %s", missing);
	return not_usable(err, why);
}

const char *tls_hybrid_group(void)
{
	static const char *const names[] = {"X25519-MLKEM768", "SECP256R1-MLKEM768"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (libgnutls.group_get_id(names[i]) != GNUTLS_GROUP_INVALID)
			return names[i];
	return NULL;
}

const char *tls_library_version(void)
{
	return libgnutls.check_version(NULL);
}

/* GnuTLS tells where it looks, also if nothing is there. */
const char *tls_system_configuration(void)
{
	const char *file = libgnutls.get_system_config_file();

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
