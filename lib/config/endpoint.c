/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config/endpoint.h"
#include "config/endpoint-parts.h"
#include "base/text.h"
#include "tls/library.h"
#include "tls/names.h"
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

struct endpoint_shown endpoint_show(const char *bytes, size_t len)
{
	struct endpoint_shown shown;

	text_sanitise(shown.text, sizeof(shown.text), bytes, len);
	return shown;
}

int endpoint_parse_port(uint16_t *port, const char *text, size_t len, struct error *err)
{
	unsigned long value = 0;
	size_t i;

	for (i = 0; i < len && isdigit((unsigned char)text[i]) && value <= 65535; i++)
		value = value * 10 + (unsigned long)(text[i] - '0');
	if (!len || i < len || value < 1 || value > 65535)
		return error_set(err, ERROR_USAGE, EINVAL, "'%s' is not a port (1 to 65535)",
			endpoint_show(text, len).text);
	*port = (uint16_t)value;
	return 0;
}

/* Neither a name's nor a zone's: what would mean something to a reader or a parser. */
static bool has_foreign_byte(const char *text)
{
	for (const char *p = text; *p; p++)
		if ((unsigned char)*p <= ' ' || *p == 0x7f || strchr(",/@[]?#\\%\"'<>", *p))
			return true;
	return false;
}

static bool is_ipv6(const char *text)
{
	unsigned char address[16];
	char bare[64];
	size_t len = strcspn(text, "%");

	/* Which zones there are in fe80::1%eth0, and how long they are, the resolver knows. */
	if (len >= sizeof(bare) ||
		(text[len] && (!text[len + 1] || has_foreign_byte(text + len + 1))))
		return false;
	memcpy(bare, text, len);
	bare[len] = 0;
	return inet_pton(AF_INET6, bare, address) == 1;
}

/* A host name that no resolver would take is better told here than as "name not known". */
int endpoint_check_host_name(const char *host, struct error *err)
{
	char ascii[256];

	if (!*host)
		return error_set(err, ERROR_USAGE, EINVAL, "the host is empty");
	if (*host == '-')
		return error_set(err, ERROR_USAGE, EINVAL, "'%s' is not a host name",
			endpoint_show(host, strlen(host)).text);
	if (strchr(host, ':'))
		return is_ipv6(host) ? 0 :
				       error_set(err, ERROR_USAGE, EINVAL,
					       "'%s' is neither an IPv6 address nor NAME:PORT",
					       endpoint_show(host, strlen(host)).text);
	if (!text_is_ascii(host) && tls_library_load(err))
		return -ELIBACC;
	if (has_foreign_byte(host) || !tls_names_to_ascii(host, ascii, sizeof(ascii))) {
		error_set(err, ERROR_USAGE, EINVAL, "'%s' is not a host name",
			endpoint_show(host, strlen(host)).text);
		return *host == '/' ? error_hint(err, -EINVAL,
					      "a server's unix socket is given as "
					      "'nbd+unix:///EXPORT?socket=PATH'") :
				      -EINVAL;
	}
	return 0;
}

int endpoint_check_export_name(const char *name, struct error *err)
{
	if (strlen(name) > EXPORT_NAME_MAX)
		return error_set(err, ERROR_USAGE, EINVAL,
			"the export name is longer than %d bytes", EXPORT_NAME_MAX);
	if (!text_is_utf8(name, strlen(name)))
		return error_set(err, ERROR_USAGE, EINVAL, "the export name is not valid UTF-8");
	return 0;
}

struct endpoint_host *endpoint_add_host(struct endpoint *endpoint, struct error *err)
{
	if (endpoint->host_count == ENDPOINT_HOSTS_MAX) {
		error_set(err, ERROR_USAGE, EINVAL, "more than %d hosts are given",
			ENDPOINT_HOSTS_MAX);
		return NULL;
	}
	return &endpoint->hosts[endpoint->host_count++];
}

/* A host given twice would only be tried twice: it is a typo for another one. */
int endpoint_check_each_once(const struct endpoint *endpoint, struct error *err)
{
	for (size_t i = 1; i < endpoint->host_count; i++)
		for (size_t j = 0; j < i; j++)
			if (endpoint->hosts[i].port == endpoint->hosts[j].port &&
				!strcasecmp(endpoint->hosts[i].name, endpoint->hosts[j].name))
				return error_set(err, ERROR_USAGE, EINVAL,
					"the host '%s' is given twice with port %u",
					endpoint_show(endpoint->hosts[i].name,
						strlen(endpoint->hosts[i].name))
						.text,
					endpoint->hosts[i].port);
	return 0;
}

int endpoint_set_port(struct endpoint *endpoint, uint16_t port, struct error *err)
{
	for (size_t i = 0; i < endpoint->host_count; i++)
		endpoint->hosts[i].port = port;
	return endpoint_check_each_once(endpoint, err);
}

/* Cut the *LEN bytes of "[ADDRESS]:PORT" or "NAME:PORT" at *NAME to those of the name; the port's
 * *PORT_LEN bytes are at *PORT, which is NULL without one. */
static int split_host(
	const char **name, size_t *len, const char **port, size_t *port_len, struct error *err)
{
	const char *text = *name, *end = text + *len, *mark;

	*port = NULL;
	if (*len && *text == '[') {
		mark = memchr(text, ']', *len);
		if (!mark || (mark + 1 < end && mark[1] != ':'))
			return error_set(err, ERROR_USAGE, EINVAL,
				"'%s' is not an [ADDRESS] or [ADDRESS]:PORT",
				endpoint_show(text, *len).text);
		*name = text + 1;
		*len = (size_t)(mark - text) - 1;
		*port = mark + 1 < end ? mark + 2 : NULL;
	} else {
		mark = memchr(text, ':', *len);
		if (mark && !memchr(mark + 1, ':', (size_t)(end - mark) - 1)) {
			*len = (size_t)(mark - text);
			*port = mark + 1;
		}
	}
	*port_len = *port ? (size_t)(end - *port) : 0;
	return 0;
}

/* As in a URI, fe80::1%25eth0: what is all digits is an index. */
static void unescape_zone(char *address)
{
	char *zone = strstr(address, "%25");

	if (zone && is_ipv6(address) && zone[3 + strspn(zone + 3, "0123456789")])
		memmove(zone + 1, zone + 3, strlen(zone + 3) + 1);
}

/* One part of a list of hosts. */
static int take_host(struct endpoint *endpoint, const char *text, size_t len, struct error *err)
{
	struct endpoint_host *host = endpoint_add_host(endpoint, err);
	bool in_brackets = len && *text == '[';
	const char *port;
	size_t port_len;
	int rc = host ? split_host(&text, &len, &port, &port_len, err) : -EINVAL;

	if (rc < 0)
		return rc;
	if (len >= sizeof(host->name))
		return error_set(err, ERROR_USAGE, EINVAL, "the host name is longer than %zu bytes",
			sizeof(host->name) - 1);
	memcpy(host->name, text, len);
	unescape_zone(host->name);
	if (in_brackets && !is_ipv6(host->name))
		return error_set(err, ERROR_USAGE, EINVAL, "'%s' is not an IPv6 address",
			endpoint_show(host->name, len).text);
	rc = endpoint_check_host_name(host->name, err);
	if (rc < 0)
		return rc;
	host->port = ENDPOINT_DEFAULT_PORT;
	return port ? endpoint_parse_port(&host->port, port, port_len, err) : 0;
}

int endpoint_parse(
	struct endpoint *endpoint, const char *host, const char *export_name, struct error *err)
{
	const char *part = host;
	int rc;

	memset(endpoint, 0, sizeof(*endpoint));
	if (strstr(host, "://")) {
		error_set(err, ERROR_USAGE, EINVAL, "'%s' is not a host name",
			endpoint_show(host, strlen(host)).text);
		return error_hint(err, -EINVAL,
			"a URI starts with nbd://, nbds://, nbd+unix:// or nbds+unix://");
	}
	for (;; part++) {
		size_t len = strcspn(part, ",");

		if (!len && strchr(host, ','))
			return error_set(err, ERROR_USAGE, EINVAL,
				"the list of hosts '%s' has an empty part",
				endpoint_show(host, strlen(host)).text);
		rc = take_host(endpoint, part, len, err);
		if (rc < 0)
			return rc;
		part += len;
		if (!*part)
			break;
	}
	rc = endpoint_check_each_once(endpoint, err);
	if (rc < 0 || !export_name)
		return rc;
	rc = endpoint_check_export_name(export_name, err);
	if (rc < 0)
		return rc;
	text_copy(endpoint->export_name, sizeof(endpoint->export_name), export_name);
	return 0;
}

/* Append TEXT to BUF, cut at SIZE; with ESCAPE, all but RFC 3986's unreserved characters and KEEP
 * as %XX. */
static void append(
	char *buf, size_t size, size_t *used, const char *text, bool escape, const char *keep)
{
	char piece[4];
	size_t len = 0;

	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (!escape || (c < 0x80 && isalnum(c)) || strchr("-._~", c) || strchr(keep, c))
			len = (size_t)snprintf(piece, sizeof(piece), "%c", c);
		else
			len = (size_t)snprintf(piece, sizeof(piece), "%%%02X", c);
		/* Never half an escape; and what would fit after it is another's name. */
		if (*used + len >= size) {
			*used = size;
			return;
		}
		memcpy(buf + *used, piece, len + 1);
		*used += len;
	}
}

static void append_host(
	char *buf, size_t size, size_t *used, const struct endpoint_host *host, bool with_port)
{
	bool ipv6 = strchr(host->name, ':');
	char port[16];

	append(buf, size, used, ipv6 ? "[" : "", false, "");
	append(buf, size, used, host->name, true, ":");
	append(buf, size, used, ipv6 ? "]" : "", false, "");
	if (with_port) {
		snprintf(port, sizeof(port), ":%u", host->port);
		append(buf, size, used, port, false, "");
	}
}

static void append_hosts(char *buf, size_t size, size_t *used, const struct endpoint *endpoint)
{
	bool one_port = true;
	size_t i;

	for (i = 0; i < endpoint->host_count; i++)
		if (endpoint->hosts[i].port != endpoint->hosts[0].port ||
			(endpoint->host_count > 1 && strchr(endpoint->hosts[i].name, ':')))
			one_port = false;
	for (i = 0; i < endpoint->host_count; i++) {
		bool last = i + 1 == endpoint->host_count;

		append_host(buf, size, used, &endpoint->hosts[i],
			!one_port || (last && endpoint->hosts[i].port != ENDPOINT_DEFAULT_PORT));
		append(buf, size, used, last ? "" : ",", false, "");
	}
}

void endpoint_format(const struct endpoint *endpoint, bool tls, char *buf, size_t size)
{
	bool is_unix = *endpoint->socket_path;
	size_t used = 0;

	if (!size)
		return;
	buf[0] = 0;
	append(buf, size, &used, tls ? "nbds" : "nbd", false, "");
	append(buf, size, &used, is_unix ? "+unix://" : "://", false, "");
	append_hosts(buf, size, &used, endpoint);
	append(buf, size, &used, "/", false, "");
	append(buf, size, &used, endpoint->export_name, true, "/:@");
	if (is_unix) {
		append(buf, size, &used, "?socket=", false, "");
		append(buf, size, &used, endpoint->socket_path, true, "/");
	}
}
