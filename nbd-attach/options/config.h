/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a device, or a question to a server, is to be like when all sources have had their say; and
 * which of it cannot be. */
#ifndef NBDA_OPTIONS_CONFIG
#define NBDA_OPTIONS_CONFIG
#include "config/endpoint.h"
#include "options/options.h"

/* Plain data; a copy is a copy. */
struct config {
	struct endpoint endpoint;
	struct tls_config tls;
	struct device_policy policy;
};

/* The one merge. CONFIG has the endpoint, and in its tls what a URI says of that; each of LAYERS,
 * up to a NULL, goes before it and before those in front: URI, nbdtab, command line. What nobody
 * says is settings_init()'s. Names of files and of a socket are whole paths afterwards, from / on;
 * a pkcs11: URL stays as it is. */
int config_merge(struct config *config, const struct settings *const layers[], struct error *err);
/* The server that arguments[AT..] name, a URI or a host and perhaps an export, with the options. */
int config_from_arguments(
	struct config *config, const struct options *options, int at, struct error *err);

/* Can the kernel be attached to it at all? */
int config_check_attachable(const struct config *config, struct error *err);
/* That, and what its policy has against it. */
int config_check_device(const struct config *config, struct error *err);
/* Check what is said of TLS, and load it: NULL in *CREDS when none is wanted. Free with
 * tls_credentials_free(). */
int config_load_credentials(
	const struct config *config, struct tls_credentials **creds, struct error *err);

#endif
