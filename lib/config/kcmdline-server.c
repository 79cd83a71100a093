/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/text.h"
#include "config/kcmdline.h"
#include "config/kcmdline-parts.h"
#include "config/nbd-uri.h"

bool kcmdline_is_address(const char *text)
{
	unsigned char address[16];

	return inet_pton(AF_INET, text, address) == 1 || inet_pton(AF_INET6, text, address) == 1;
}

static bool is_number(const char *text)
{
	return *text && !text[strspn(text, "0123456789")];
}

bool kcmdline_take_server(const struct kcmdline_source *source, const char *host, const char *port,
	const char *export_name)
{
	struct kcmdline_attachment *attachment = source->attachment;
	unsigned long number = strtoul(port, NULL, 10);
	struct error err;

	if (!*host || strcmp(host, "dhcp") == 0) {
		host = source->dhcp_server;
		if (!host) {
			source->plan->needs_dhcp = true;
			return false;
		}
		attachment->is_dhcps_server = true;
	}
	if (*port && (!is_number(port) || number < 1 || number > 65535)) {
		kcmdline_error(source->plan, source->parameter,
			"the port is not a number from 1 to 65535");
		return false;
	}
	if (endpoint_parse(&attachment->endpoint, host, export_name, &err) ||
		(*port && endpoint_set_port(&attachment->endpoint, (uint16_t)number, &err))) {
		kcmdline_error(source->plan, source->parameter, "%s", err.text);
		return false;
	}
	attachment->port_given = *port;
	for (size_t i = 0; i < attachment->endpoint.host_count; i++)
		attachment->port_given = attachment->port_given ||
			attachment->endpoint.hosts[i].port != ENDPOINT_DEFAULT_PORT;
	return true;
}

bool kcmdline_take_uri(const struct kcmdline_source *source, const char *uri)
{
	struct tls_config *tls = &source->attachment->tls;
	struct endpoint *endpoint = &source->attachment->endpoint;
	struct error err;

	if (nbd_uri_parse(endpoint, tls, uri, &err)) {
		kcmdline_error(source->plan, source->parameter, "%s", err.text);
		return false;
	}
	/* In an initramfs, relative to what? */
	if ((*tls->certificates_dir && *tls->certificates_dir != '/') ||
		(*tls->psk_file && *tls->psk_file != '/') ||
		(*endpoint->socket_path && *endpoint->socket_path != '/')) {
		kcmdline_error(source->plan, source->parameter,
			"a file is named that does not begin with /");
		return false;
	}
	source->attachment->port_given = true; /* a URI leaves nothing to be looked up */
	return true;
}

/* Find the end of the host in TEXT: what follows it. */
static char *host_end(char *text)
{
	char *end = NULL, *slash = strchr(text, '/');

	if (*text == '[')
		end = strchr(text, ']');
	if (end)
		return end + 1;
	/* A bare IPv6 address: nobody's documentation has it, and everybody writes it once. */
	if (slash && slash - text < 64) {
		char address[64] = "";

		memcpy(address, text, (size_t)(slash - text));
		if (strchr(address, ':') && kcmdline_is_address(address))
			return slash;
	}
	return text + strcspn(text, ":/");
}

/* "SRV:PORT/EXPORT", "SRV/EXPORT", "SRV:/path", "SRV:EXPORT": Debian's script, and what its
 * documentation adds. */
static bool take_debian_path(const struct kcmdline_source *source, char *text)
{
	char *host = text, *rest = host_end(text), *port, *slash;
	char kind = *rest;

	if (kind && kind != ':' && kind != '/') {
		kcmdline_error(source->plan, source->parameter,
			"after the address in brackets, :PORT or /EXPORT is wanted");
		return false;
	}
	/* no server: the export keeps the slash, as an NFS path does */
	if (kind == '/' && rest == text)
		return kcmdline_take_server(source, "", "", rest);
	*rest = 0;
	if (!kind)
		return kcmdline_take_server(source, host, "", NULL);
	rest++;
	if (kind == '/')
		return kcmdline_take_server(source, host, "", rest);
	if (*rest == '/')
		return kcmdline_take_server(source, host, "", rest);
	port = rest;
	slash = strchr(rest, '/');
	if (is_number(port))
		return kcmdline_take_server(source, host, port, NULL);
	if (!slash || strspn(port, "0123456789") != (size_t)(slash - port))
		return kcmdline_take_server(source, host, "", rest);
	*slash = 0;
	return kcmdline_take_server(source, host, port, slash + 1);
}

/* "SRV,EXPORT,nbdN", "SRV,EXPORT", "SRV,PORT", and the forms of paths. DEVICE receives the third
 * field. */
static bool take_debian(
	const struct kcmdline_source *source, char *text, struct kcmdline_device *device)
{
	char *last = strrchr(text, ','), *second;

	if (!last)
		return take_debian_path(source, text);
	*last = 0;
	second = strrchr(text, ',');
	/* only here Debian's documentation lets digits be a port, without breaking what its script
	 * does */
	if (!second) {
		if (is_number(last + 1))
			return kcmdline_take_server(source, text, last + 1, NULL);
		return kcmdline_take_server(source, text, "", last + 1);
	}
	if (last[1] && !kcmdline_parse_device(device, last + 1)) {
		kcmdline_error(source->plan, source->parameter,
			"the third part is not a device such as nbd0");
		return false;
	}
	*second = 0;
	return kcmdline_take_server(source, text, "", second + 1);
}

/* The text up to the next ':', and what follows it in *REST (NULL: nothing). */
static char *next_part(char **rest)
{
	char *part = *rest, *colon;

	if (!part)
		return (char *)"";
	colon = strchr(part, ':');
	if (colon)
		*colon = 0;
	*rest = colon ? colon + 1 : NULL;
	return part;
}

/* They end up in shell scripts of an initramfs, which quote them more or less, and they may be
 * DHCP's. */
static bool is_for_mount(const char *text)
{
	return !text[strcspn(text, "'\"\\`$;&|<>(){}*?~!# \t")];
}

/* "SRV:PORT|EXPORT[:FSTYPE[:MOUNTOPTS[:NBDOPTS]]]", after "nbd:". */
static bool take_dracut(const struct kcmdline_source *source, char *text)
{
	struct kcmdline *plan = source->plan;
	char *rest = text, *host, *export_name, *fstype, *mountopts;

	if (*text == '[' && strchr(text, ']')) {
		host = text;
		rest = strchr(text, ']') + 1;
		if (*rest == ':')
			*rest++ = 0;
		else
			rest = NULL;
	} else {
		host = next_part(&rest);
	}
	if (!rest || !*rest || *rest == ':') {
		kcmdline_error(plan, source->parameter,
			"after the server, a port or an export is wanted: nbd:SERVER:EXPORT");
		return false;
	}
	export_name = next_part(&rest);
	fstype = next_part(&rest);
	mountopts = next_part(&rest);
	if (!text_copy(plan->fstype, sizeof(plan->fstype), fstype) ||
		!text_copy(plan->mountopts, sizeof(plan->mountopts), mountopts) ||
		!text_copy(source->attachment->options, sizeof(source->attachment->options),
			rest ? rest : "")) {
		plan->fstype[0] = plan->mountopts[0] = 0;
		kcmdline_error(plan, source->parameter, "a part is too long");
		return false;
	}
	if (!is_for_mount(fstype) || !is_for_mount(mountopts)) {
		plan->fstype[0] = plan->mountopts[0] = 0;
		kcmdline_error(plan, source->parameter,
			"no file system type or mount option has such characters");
		return false;
	}
	return is_number(export_name) ? kcmdline_take_server(source, host, export_name, NULL) :
					kcmdline_take_server(source, host, "", export_name);
}

bool kcmdline_is_dracut(const char *text)
{
	return strncmp(text, "nbd:", 4) == 0 && !nbd_uri_is_one(text);
}

bool kcmdline_take_source(
	const struct kcmdline_source *source, const char *text, struct kcmdline_device *device)
{
	_cleanup_free_ char *copy = strdup(text);

	if (nbd_uri_is_one(text))
		return kcmdline_take_uri(source, text);
	if (!copy) {
		kcmdline_error(source->plan, source->parameter, "out of memory");
		return false;
	}
	return kcmdline_is_dracut(text) ? take_dracut(source, copy + 4) :
					  take_debian(source, copy, device);
}
