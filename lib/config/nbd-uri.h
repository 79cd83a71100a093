/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* NBD URIs, as libnbd spells them (doc/uri.md of the NBD project). */
#ifndef NBDA_CONFIG_NBD_URI
#define NBDA_CONFIG_NBD_URI
#include <stdbool.h>
#include "base/error.h"
#include "config/endpoint.h"
#include "tls/credentials.h"

/* True when TEXT is an NBD URI (nbd:// nbds:// nbd+unix:// nbds+unix:// nbd+vsock://), so that
 * `nbd-attach nbd0 TEXT` can tell one from a host name. */
bool nbd_uri_is_one(const char *text);

/* Parse an NBD URI into ENDPOINT, and into TLS what it says of that; its user part is the PSK
 * identity, its host may be several with commas between them, with one port. -EINVAL with a
 * sentence that names the part at fault; unknown parameters that start with "x-" are ignored.
 * tls-verify-peer=0 and tls-type=anon are refused: nothing turns verification off. */
int nbd_uri_parse(
	struct endpoint *endpoint, struct tls_config *tls, const char *uri, struct error *err);

#endif
