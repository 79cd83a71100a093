/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where an export is: one host or several, or a unix socket, and the export's name. */
#ifndef NBDA_CONFIG_ENDPOINT
#define NBDA_CONFIG_ENDPOINT
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "nbd/nbd-protocol.h"

#define ENDPOINT_DEFAULT_PORT 10809 /* IANA: nbd */
#define ENDPOINT_HOSTS_MAX 8

struct endpoint_host {
	char name[256]; /* name or address without brackets */
	uint16_t port;
};

/* Plain data; a copy is a copy. */
struct endpoint {
	/* of the same disk, in the order in which they are tried */
	struct endpoint_host hosts[ENDPOINT_HOSTS_MAX];
	size_t host_count;                     /* 0 for a unix socket */
	char socket_path[108];                 /* unix socket; empty for TCP */
	char export_name[EXPORT_NAME_MAX + 1]; /* UTF-8; empty is the server's default export */
};

/* Parse HOST and EXPORT (NULL: default). HOST is up to ENDPOINT_HOSTS_MAX parts with commas between
 * them, each "name", "1.2.3.4", "::1", "[::1]", "[::1]:10810" or "name:10810", none twice. A bare
 * IPv6 address takes no port. Unlike in a URI, a port is that of its part only. */
int endpoint_parse(
	struct endpoint *endpoint, const char *host, const char *export_name, struct error *err);

/* PORT for each host, in place of what they had. -EINVAL when that makes two of them the same. */
int endpoint_set_port(struct endpoint *endpoint, uint16_t port, struct error *err);

/* "nbd://host:port/export", or nbds:// with TLS, percent-encoded, for messages and status; always
 * terminated. Of several hosts with one port among them a URI too, "nbds://a,b:10810/export", when
 * none is an IPv6 address; otherwise each shows its own port, for people only. */
void endpoint_format(const struct endpoint *endpoint, bool tls, char *buf, size_t size);

#endif
