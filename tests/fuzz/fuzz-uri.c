/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a user, a table or DHCP names as a server: an NBD URI, or a list of hosts and, after a line
 * "--", an export. What is understood is shown, and what is shown is understood as the same. */
#include "config/backend-id.h"
#include "config/device-name.h"
#include "config/nbd-uri.h"
#include "fuzz.h"
#include <stdlib.h>
#include <string.h>

static void check_endpoint(const struct endpoint *endpoint)
{
	FUZZ_CHECK(endpoint->host_count <= ENDPOINT_HOSTS_MAX);
	FUZZ_CHECK(!endpoint->host_count == !!*endpoint->socket_path);
	for (size_t i = 0; i < endpoint->host_count; i++) {
		const struct endpoint_host *host = &endpoint->hosts[i];

		FUZZ_CHECK(*host->name && memchr(host->name, 0, sizeof(host->name)));
		FUZZ_CHECK(host->port != 0);
		for (const char *p = host->name; *p; p++) /* a resolver gets it as it is */
			FUZZ_CHECK((unsigned char)*p > ' ' && *p != 0x7f);
	}
	FUZZ_CHECK(memchr(endpoint->export_name, 0, sizeof(endpoint->export_name)));
}

/* Not with an IPv6 zone, which liburiparser takes for an error, and of several hosts not in all
 * forms. */
static bool is_shown_as_uri(const struct endpoint *endpoint)
{
	if (endpoint->host_count && strchr(endpoint->hosts[0].name, '%'))
		return false;
	for (size_t i = 1; i < endpoint->host_count; i++)
		if (strchr(endpoint->hosts[i].name, ':') ||
			endpoint->hosts[i].port != endpoint->hosts[0].port)
			return false;
	return endpoint->host_count < 2 || !strchr(endpoint->hosts[0].name, ':');
}

static bool same(const struct endpoint *a, const struct endpoint *b)
{
	if (a->host_count != b->host_count || strcmp(a->socket_path, b->socket_path) != 0 ||
		strcmp(a->export_name, b->export_name) != 0)
		return false;
	for (size_t i = 0; i < a->host_count; i++)
		if (a->hosts[i].port != b->hosts[i].port ||
			strcmp(a->hosts[i].name, b->hosts[i].name) != 0)
			return false;
	return true;
}

static void check_shown(const struct endpoint *endpoint, bool tls)
{
	static char text[3 * sizeof(*endpoint)];
	static struct endpoint again;
	static struct tls_config again_tls;
	char cut[40];

	endpoint_format(endpoint, tls, text, sizeof(text));
	fuzz_check_shown(text, sizeof(text));
	endpoint_format(endpoint, tls, cut, sizeof(cut));
	FUZZ_CHECK(memchr(cut, 0, sizeof(cut)) && strncmp(cut, text, strlen(cut)) == 0);
	if (!is_shown_as_uri(endpoint))
		return;
	FUZZ_CHECK(nbd_uri_parse(&again, &again_tls, text, NULL) == 0);
	FUZZ_CHECK(same(endpoint, &again) && again_tls.wanted == tls);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct endpoint endpoint;
	static struct tls_config tls;
	char *parts[2], id[BACKEND_ID_SIZE];
	struct error err;
	int rc, index;

	fuzz_split(data, size, parts, 2);
	fuzz_soil_error(&err);
	tls.wanted = false;
	if (nbd_uri_is_one(parts[0]))
		rc = nbd_uri_parse(&endpoint, &tls, parts[0], &err);
	else
		rc = endpoint_parse(&endpoint, parts[0], *parts[1] ? parts[1] : NULL, &err);
	if (rc) {
		fuzz_check_error(rc, &err);
	} else {
		check_endpoint(&endpoint);
		check_shown(&endpoint, tls.wanted);
		backend_id_format(&endpoint, id);
		FUZZ_CHECK(strlen(id) == 32);
		if (strncmp(parts[0], "nbds", 4) == 0 && nbd_uri_is_one(parts[0]))
			FUZZ_CHECK(tls.wanted);
	}
	fuzz_soil_error(&err);
	rc = device_name_parse(parts[0], &index, &err);
	if (rc)
		fuzz_check_error(rc, &err);
	free(parts[0]);
	free(parts[1]);
	return 0;
}
