/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config/backend-id.h"
#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <string.h>

int backend_id_format(const struct endpoint *endpoint, char id[BACKEND_ID_SIZE])
{
	char text[sizeof(endpoint->hosts) + sizeof(endpoint->socket_path) +
		sizeof(endpoint->export_name) + 16UL * ENDPOINT_HOSTS_MAX];
	uint8_t hash[32];
	int len = *endpoint->socket_path ? snprintf(text, sizeof(text), "\n0\n") : 0;

	for (size_t i = 0; i < endpoint->host_count; i++)
		len += snprintf(text + len, sizeof(text) - (size_t)len, "%s\n%u\n",
			endpoint->hosts[i].name, endpoint->hosts[i].port);
	/* No host name is empty, so that the empty line that stands for the socket ends their
	 * list. */
	len += snprintf(text + len, sizeof(text) - (size_t)len, "%s\n%s", endpoint->socket_path,
		endpoint->export_name);
	if (gnutls_hash_fast(GNUTLS_DIG_SHA256, text, (size_t)len, hash) < 0)
		return -EIO;
	for (size_t i = 0; i < (BACKEND_ID_SIZE - 1) / 2; i++)
		snprintf(id + 2 * i, 3, "%02x", hash[i]);
	return 0;
}
