/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config/backend-id.h"
#include "base/sha256.h"
#include <stdio.h>
#include <string.h>

void backend_id_format(const struct endpoint *endpoint, char id[BACKEND_ID_SIZE])
{
	char text[sizeof(endpoint->hosts) + sizeof(endpoint->socket_path) +
		sizeof(endpoint->export_name) + 16UL * ENDPOINT_HOSTS_MAX];
	uint8_t hash[SHA256_BYTES];
	int len = *endpoint->socket_path ? snprintf(text, sizeof(text), "\n0\n") : 0;

	for (size_t i = 0; i < endpoint->host_count; i++)
		len += snprintf(text + len, sizeof(text) - (size_t)len, "%s\n%u\n",
			endpoint->hosts[i].name, endpoint->hosts[i].port);
	/* No host name is empty, so that the empty line that stands for the socket ends their
	 * list. */
	len += snprintf(text + len, sizeof(text) - (size_t)len, "%s\n%s", endpoint->socket_path,
		endpoint->export_name);
	sha256(hash, text, (size_t)len);
	for (size_t i = 0; i < (BACKEND_ID_SIZE - 1) / 2; i++)
		snprintf(id + 2 * i, 3, "%02x", hash[i]);
}
