/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a device, or a question to a server, is to be like. */
#ifndef NBDA_OPTIONS_CONFIG
#define NBDA_OPTIONS_CONFIG
#include "config/endpoint.h"
#include "tls/credentials.h"

/* Plain data; a copy is a copy. */
struct config {
	struct endpoint endpoint;
	struct tls_config tls;
};

/* Can the kernel be attached to it at all? */
int config_check_attachable(const struct config *config, struct error *err);

#endif
