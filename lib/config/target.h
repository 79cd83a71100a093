/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What to attach to: one host or several (or a unix socket) and an export, from words on the
 * command line or from an NBD URI. */
#ifndef NBDA_CONFIG_TARGET
#define NBDA_CONFIG_TARGET
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "nbd/nbd-protocol.h"

#define TARGET_DEFAULT_PORT 10809 /* IANA: nbd */
#define TARGET_HOSTS_MAX 8

/* What a URI's tls-type asks for; the caller refuses credentials of another kind. */
enum target_tls_type { TARGET_TLS_ANY, TARGET_TLS_X509, TARGET_TLS_PSK };

struct target_host {
	char name[256]; /* name or address without brackets */
	uint16_t port;
};

struct target {
	/* of the same disk, in the order in which they are tried */
	struct target_host hosts[TARGET_HOSTS_MAX];
	size_t host_count;                     /* 0 for a unix socket */
	char socket_path[108];                 /* unix socket; empty for TCP */
	char export_name[EXPORT_NAME_MAX + 1]; /* UTF-8; empty is the server's default export */
	bool tls;                              /* nbds: or nbds+unix: */
	/* From the URI's query, as libnbd spells it; empty when absent. */
	char tls_certificates[256];
	char tls_psk_file[256];
	char tls_username[128];
	char tls_hostname[256];
	enum target_tls_type tls_type;
};

/* True when WORD is an NBD URI (nbd:// nbds:// nbd+unix:// nbds+unix:// nbd+vsock://), so that
 * `nbd-attach nbd0 WORD` can tell one from a host name. */
bool target_is_uri(const char *word);

/* Parse an NBD URI (doc/uri.md of the NBD project) into TARGET; its user part is the PSK identity,
 * its host may be several with commas between them, with one port. -EINVAL with a sentence that
 * names the part at fault; unknown parameters that start with "x-" are ignored, as the document
 * wants. tls-verify-peer=0 and tls-type=anon are refused: nothing turns verification off. */
int target_parse_uri(struct target *target, const char *uri, struct error *err);

/* Parse HOST and EXPORT (NULL: default). HOST is up to TARGET_HOSTS_MAX parts with commas between
 * them, each "name", "1.2.3.4", "::1", "[::1]", "[::1]:10810" or "name:10810", none twice. A bare
 * IPv6 address takes no port. Unlike in a URI, a port is that of its part only. */
int target_parse_host(
	struct target *target, const char *host, const char *export_name, struct error *err);

/* PORT for each host, in place of what they had. -EINVAL when that makes two of them the same. */
int target_set_port(struct target *target, uint16_t port, struct error *err);

/* "nbds://host:port/export", percent-encoded, for messages and status; always terminated. Of
 * several hosts with one port among them a URI too, "nbds://a,b:10810/export", when none is an IPv6
 * address; otherwise each shows its own port, for people only. */
void target_format(const struct target *target, char *buf, size_t size);

/* Can the kernel be attached to it at all? */
int target_check_attachable(const struct target *target, struct error *err);

#endif
