/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config/target.h"
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <uriparser/Uri.h>
#include "base/text.h"

struct scheme {
	const char *name;
	bool tls, is_unix;
};

static const struct scheme schemes[] = {
	{"nbd", false, false},
	{"nbds", true, false},
	{"nbd+unix", false, true},
	{"nbds+unix", true, true},
};

#define SHOWN_MAX 100 /* of a foreign word inside a sentence */

/* A word of the user's or of a configuration file, fit for a message. */
struct shown {
	char text[SHOWN_MAX];
};

static struct shown show(const char *bytes, size_t len)
{
	struct shown shown;

	text_sanitise(shown.text, sizeof(shown.text), bytes, len);
	return shown;
}

static int refuse(struct error *err, const char *what)
{
	return error_set(err, ERROR_USAGE, EINVAL, "the NBD URI %s", what);
}

bool target_is_uri(const char *word)
{
	size_t scheme =
		strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.");

	return scheme >= 3 && !strncasecmp(word, "nbd", 3) && !strncmp(word + scheme, "://", 3);
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9'  ? c - '0' :
		c >= 'a' && c <= 'f' ? c - 'a' + 10 :
		c >= 'A' && c <= 'F' ? c - 'A' + 10 :
				       -1;
}

/* Append the percent-decoded LEN bytes to OUT, which holds *USED. WHAT names the part for
 * messages. */
static int decode_into(char *out, size_t size, size_t *used, const char *text, size_t len,
	const char *what, struct error *err)
{
	size_t i;

	for (i = 0; i < len; i++) {
		int c = (unsigned char)text[i];

		if (c == '%') {
			int high = i + 2 < len ? hex_digit(text[i + 1]) : -1;
			int low = i + 2 < len ? hex_digit(text[i + 2]) : -1;

			if (high < 0 || low < 0)
				return error_set(err, ERROR_USAGE, EINVAL,
					"the %s of the NBD URI has a broken %%XX escape", what);
			c = high << 4 | low;
			i += 2;
		}
		if (!c)
			return error_set(err, ERROR_USAGE, EINVAL,
				"the %s of the NBD URI has a NUL byte (%%00)", what);
		if (*used + 1 >= size)
			return error_set(err, ERROR_USAGE, EINVAL,
				"the %s of the NBD URI is longer than %zu bytes", what, size - 1);
		out[(*used)++] = (char)c;
	}
	out[*used] = 0;
	return 0;
}

static int decode_range(
	char *out, size_t size, const UriTextRangeA *range, const char *what, struct error *err)
{
	size_t used = 0;

	out[0] = 0;
	if (!range->first)
		return 0;
	return decode_into(out, size, &used, range->first,
		(size_t)(range->afterLast - range->first), what, err);
}

static int parse_port(uint16_t *port, const char *text, size_t len, struct error *err)
{
	unsigned long value = 0;
	size_t i;

	for (i = 0; i < len && isdigit((unsigned char)text[i]) && value <= 65535; i++)
		value = value * 10 + (unsigned long)(text[i] - '0');
	if (!len || i < len || value < 1 || value > 65535)
		return error_set(err, ERROR_USAGE, EINVAL, "'%s' is not a port (1 to 65535)",
			show(text, len).text);
	*port = (uint16_t)value;
	return 0;
}

static bool is_ipv6(const char *text)
{
	unsigned char address[16];
	char bare[64];
	size_t len = strcspn(text, "%");

	/* The zone of fe80::1%eth0 is the resolver's to check. */
	if (len >= sizeof(bare) || (text[len] && !text[len + 1]))
		return false;
	memcpy(bare, text, len);
	bare[len] = 0;
	return inet_pton(AF_INET6, bare, address) == 1;
}

/* A host name that no resolver would take is better told here than as "name not known". */
static int check_host_name(const char *host, struct error *err)
{
	const char *p;

	if (!*host)
		return error_set(err, ERROR_USAGE, EINVAL, "the host is empty");
	if (*host == '-')
		return error_set(err, ERROR_USAGE, EINVAL, "'%s' is not a host name",
			show(host, strlen(host)).text);
	if (strchr(host, ':'))
		return is_ipv6(host) ? 0 :
				       error_set(err, ERROR_USAGE, EINVAL,
					       "'%s' is neither an IPv6 address nor NAME:PORT",
					       show(host, strlen(host)).text);
	for (p = host; *p; p++)
		if ((unsigned char)*p <= ' ' || *p == 0x7f || strchr(",/@[]?#\\%\"'<>", *p))
			return error_set(err, ERROR_USAGE, EINVAL, "'%s' is not a host name",
				show(host, strlen(host)).text);
	return 0;
}

static int check_export_name(const char *name, struct error *err)
{
	if (strlen(name) > EXPORT_NAME_MAX)
		return error_set(err, ERROR_USAGE, EINVAL,
			"the export name is longer than %d bytes", EXPORT_NAME_MAX);
	if (!text_is_utf8(name, strlen(name)))
		return error_set(err, ERROR_USAGE, EINVAL, "the export name is not valid UTF-8");
	return 0;
}

static int find_scheme(const struct scheme **scheme, const char *uri, struct error *err)
{
	size_t len = strcspn(uri, ":/?#"), i;

	if (!len || strncmp(uri + len, "://", 3)) {
		error_set(err, ERROR_USAGE, EINVAL, "'%s' is not an NBD URI",
			show(uri, strlen(uri)).text);
		return error_hint(err, -EINVAL,
			"a URI starts with nbd://, nbds://, nbd+unix:// or nbds+unix://");
	}
	for (i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		if (strlen(schemes[i].name) == len && !strncasecmp(uri, schemes[i].name, len)) {
			*scheme = &schemes[i];
			return 0;
		}
	}
	error_set(
		err, ERROR_USAGE, EINVAL, "the scheme %s:// is not supported", show(uri, len).text);
	return error_hint(err, -EINVAL, "use nbd://, nbds://, nbd+unix:// or nbds+unix://");
}

/* Room for one more host, or NULL. */
static struct target_host *add_host(struct target *target, struct error *err)
{
	if (target->host_count == TARGET_HOSTS_MAX) {
		error_set(
			err, ERROR_USAGE, EINVAL, "more than %d hosts are given", TARGET_HOSTS_MAX);
		return NULL;
	}
	return &target->hosts[target->host_count++];
}

/* A host given twice would only be tried twice: it is a slip of the pen for another one. */
static int check_each_once(const struct target *target, struct error *err)
{
	for (size_t i = 1; i < target->host_count; i++)
		for (size_t j = 0; j < i; j++)
			if (target->hosts[i].port == target->hosts[j].port &&
				!strcasecmp(target->hosts[i].name, target->hosts[j].name))
				return error_set(err, ERROR_USAGE, EINVAL,
					"the host '%s' is given twice with port %u",
					show(target->hosts[i].name, strlen(target->hosts[i].name))
						.text,
					target->hosts[i].port);
	return 0;
}

int target_set_port(struct target *target, uint16_t port, struct error *err)
{
	for (size_t i = 0; i < target->host_count; i++)
		target->hosts[i].port = port;
	return check_each_once(target, err);
}

/* Cut before decoding: a comma that is written %2C is part of a name, and no name has one. */
static int take_hosts(
	struct target *target, const UriTextRangeA *text, uint16_t port, struct error *err)
{
	UriTextRangeA part = *text;
	bool more = true;

	while (more) {
		const char *comma = memchr(part.first, ',', (size_t)(text->afterLast - part.first));
		struct target_host *host = add_host(target, err);
		int rc;

		if (!host)
			return -EINVAL;
		more = comma != NULL;
		part.afterLast = more ? comma : text->afterLast;
		rc = decode_range(host->name, sizeof(host->name), &part, "host", err);
		if (!rc && !*host->name)
			rc = refuse(err, "has an empty name among its hosts");
		if (!rc)
			rc = check_host_name(host->name, err);
		if (rc)
			return rc;
		host->port = port;
		if (more)
			part.first = comma + 1;
	}
	return check_each_once(target, err);
}

static int take_user(
	struct target *target, const struct scheme *scheme, const UriUriA *uri, struct error *err)
{
	int rc = decode_range(target->tls_username, sizeof(target->tls_username), &uri->userInfo,
		"user name", err);

	if (rc < 0)
		return rc;
	if (uri->userInfo.first &&
		memchr(uri->userInfo.first, ':',
			(size_t)(uri->userInfo.afterLast - uri->userInfo.first)))
		return refuse(err,
			"carries a password: only a PSK identity (nbds://NAME@HOST) can stand "
			"there");
	if (*target->tls_username && !scheme->tls)
		return refuse(
			err, "has a user name, which means something under TLS only (nbds://)");
	return 0;
}

static int take_authority(
	struct target *target, const struct scheme *scheme, const UriUriA *uri, struct error *err)
{
	bool has_host = uri->hostText.first && uri->hostText.afterLast > uri->hostText.first;
	uint16_t port = TARGET_DEFAULT_PORT;
	int rc = take_user(target, scheme, uri, err);

	if (rc < 0)
		return rc;
	if (uri->hostData.ipFuture.first)
		return refuse(err, "has an address of unknown kind");
	if (scheme->is_unix) {
		if (has_host || uri->portText.first)
			return refuse(err,
				"of a unix socket names a host or a port (write "
				"nbd+unix:///EXPORT?socket=PATH)");
		return 0;
	}
	if (!has_host)
		return refuse(err, "names no host");
	/* RFC 3986 allows "host:/" to mean the default. */
	if (uri->portText.first && uri->portText.afterLast > uri->portText.first)
		rc = parse_port(&port, uri->portText.first,
			(size_t)(uri->portText.afterLast - uri->portText.first), err);
	return rc < 0 ? rc : take_hosts(target, &uri->hostText, port, err);
}

/* The path without its first slash is the export's name, slashes and all. */
static int take_export(struct target *target, const UriUriA *uri, struct error *err)
{
	const UriPathSegmentA *segment;
	size_t used = 0;
	int rc;

	for (segment = uri->pathHead; segment; segment = segment->next) {
		if (segment != uri->pathHead) {
			rc = decode_into(target->export_name, sizeof(target->export_name), &used,
				"/", 1, "export name", err);
			if (rc < 0)
				return rc;
		}
		rc = decode_into(target->export_name, sizeof(target->export_name), &used,
			segment->text.first,
			(size_t)(segment->text.afterLast - segment->text.first), "export name",
			err);
		if (rc < 0)
			return rc;
	}
	return check_export_name(target->export_name, err);
}

static int take_verify_peer(struct error *err, const char *value)
{
	if (!strcmp(value, "1") || !strcasecmp(value, "true"))
		return 0;
	refuse(err,
		"asks with tls-verify-peer not to verify the server, and nothing turns "
		"verification off");
	return error_hint(err, -EINVAL,
		"trust one key with --tls-pin sha256:HEX, or a CA with --tls-ca FILE");
}

static int take_tls_type(struct target *target, struct error *err, const char *value)
{
	if (!strcasecmp(value, "x509"))
		target->tls_type = TARGET_TLS_X509;
	else if (!strcasecmp(value, "psk"))
		target->tls_type = TARGET_TLS_PSK;
	else if (!strcasecmp(value, "anon"))
		return refuse(err, "asks for anonymous TLS (tls-type=anon), which verifies nobody");
	else
		return refuse(err, "has a tls-type other than x509 or psk");
	return 0;
}

/* One name=value of the query. SEEN has a bit for each parameter. */
static int take_parameter(struct target *target, const struct scheme *scheme, unsigned *seen,
	const char *text, size_t len, struct error *err)
{
	enum { SOCKET, CERTIFICATES, PSK_FILE, USERNAME, HOSTNAME, VERIFY_PEER, TYPE };
	char word[8];
	const struct {
		const char *name;
		char *out;
		size_t size;
	} known[] = {
		[SOCKET] = {"socket", target->socket_path, sizeof(target->socket_path)},
		[CERTIFICATES] = {"tls-certificates", target->tls_certificates,
			sizeof(target->tls_certificates)},
		[PSK_FILE] = {"tls-psk-file", target->tls_psk_file, sizeof(target->tls_psk_file)},
		[USERNAME] = {"tls-username", target->tls_username, sizeof(target->tls_username)},
		[HOSTNAME] = {"tls-hostname", target->tls_hostname, sizeof(target->tls_hostname)},
		[VERIFY_PEER] = {"tls-verify-peer", word, sizeof(word)},
		[TYPE] = {"tls-type", word, sizeof(word)},
	};
	const char *equals = memchr(text, '=', len);
	size_t name_len = equals ? (size_t)(equals - text) : len, used = 0, i;
	int rc;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strlen(known[i].name) == name_len && !memcmp(known[i].name, text, name_len))
			break;
	if (i == sizeof(known) / sizeof(known[0])) {
		if (name_len > 2 && !memcmp(text, "x-", 2))
			return 0;
		return error_set(err, ERROR_USAGE, EINVAL,
			"the NBD URI has an unknown query parameter '%s'",
			show(text, name_len).text);
	}
	if (!equals || equals + 1 == text + len)
		return error_set(err, ERROR_USAGE, EINVAL,
			"the NBD URI's parameter %s has no value", known[i].name);
	if (*seen & 1U << i || (i == USERNAME && *target->tls_username))
		return error_set(err, ERROR_USAGE, EINVAL, "the NBD URI gives %s twice",
			i == USERNAME ? "the user name" : known[i].name);
	*seen |= 1U << i;
	if (i == SOCKET && !scheme->is_unix)
		return refuse(err, "has socket=, which goes with nbd+unix:// or nbds+unix:// only");
	if (i != SOCKET && !scheme->tls)
		return error_set(err, ERROR_USAGE, EINVAL,
			"the NBD URI has %s, which means something under TLS only (%s://)",
			known[i].name, scheme->is_unix ? "nbds+unix" : "nbds");
	rc = decode_into(known[i].out, known[i].size, &used, equals + 1, len - name_len - 1,
		known[i].name, err);
	if (rc < 0)
		return rc;
	return i == VERIFY_PEER ? take_verify_peer(err, word) :
		i == TYPE       ? take_tls_type(target, err, word) :
				  0;
}

static int take_query(struct target *target, const struct scheme *scheme,
	const UriTextRangeA *query, struct error *err)
{
	const char *p = query->first, *end = query->afterLast, *next;
	unsigned seen = 0;
	int rc;

	for (; p && p < end; p = next + 1) {
		next = memchr(p, '&', (size_t)(end - p));
		if (!next)
			next = end;
		if (next == p)
			continue;
		rc = take_parameter(target, scheme, &seen, p, (size_t)(next - p), err);
		if (rc < 0)
			return rc;
	}
	if (scheme->is_unix && !*target->socket_path)
		return refuse(err, "of a unix socket has no socket=PATH");
	if (*target->tls_psk_file && *target->tls_certificates)
		return refuse(err,
			"names both certificates and a PSK file: only one can authenticate the "
			"server");
	if (target->tls_type == TARGET_TLS_PSK && *target->tls_certificates)
		return refuse(err, "names certificates but asks for tls-type=psk");
	if (target->tls_type == TARGET_TLS_X509 && *target->tls_psk_file)
		return refuse(err, "names a PSK file but asks for tls-type=x509");
	return 0;
}

static void cleanup_uri(UriUriA *uri)
{
	uriFreeUriMembersA(uri);
}

int target_parse_uri(struct target *target, const char *uri, struct error *err)
{
	__attribute__((cleanup(cleanup_uri))) UriUriA parsed = {0};
	const struct scheme *scheme = NULL;
	const char *bad = NULL;
	int rc;

	memset(target, 0, sizeof(*target));
	rc = find_scheme(&scheme, uri, err);
	if (rc < 0)
		return rc;
	rc = uriParseSingleUriA(&parsed, uri, &bad);
	if (rc == URI_ERROR_MALLOC)
		return error_set(err, ERROR_OTHER, ENOMEM, "out of memory");
	if (rc != URI_SUCCESS) {
		error_set(err, ERROR_USAGE, EINVAL, "the NBD URI is not well-formed at '%s'",
			show(bad ? bad : uri, strlen(bad ? bad : uri)).text);
		return error_hint(err, -EINVAL,
			"write special characters as %%XX, IPv6 addresses in [brackets], a port as "
			"a number");
	}
	if (parsed.fragment.first)
		return refuse(
			err, "has a fragment (#...); write a '#' of the export's name as %23");
	target->tls = scheme->tls;
	rc = take_authority(target, scheme, &parsed, err);
	if (rc < 0)
		return rc;
	rc = take_export(target, &parsed, err);
	if (rc < 0)
		return rc;
	return take_query(target, scheme, &parsed.query, err);
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
				show(text, *len).text);
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

/* One part of a list of hosts. */
static int take_host(struct target *target, const char *text, size_t len, struct error *err)
{
	struct target_host *host = add_host(target, err);
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
	if (in_brackets && !is_ipv6(host->name))
		return error_set(err, ERROR_USAGE, EINVAL, "'%s' is not an IPv6 address",
			show(host->name, len).text);
	rc = check_host_name(host->name, err);
	if (rc < 0)
		return rc;
	host->port = TARGET_DEFAULT_PORT;
	return port ? parse_port(&host->port, port, port_len, err) : 0;
}

int target_parse_host(
	struct target *target, const char *host, const char *export_name, struct error *err)
{
	const char *part = host;
	int rc;

	memset(target, 0, sizeof(*target));
	if (strstr(host, "://")) {
		error_set(err, ERROR_USAGE, EINVAL, "'%s' is not a host name",
			show(host, strlen(host)).text);
		return error_hint(err, -EINVAL,
			"a URI starts with nbd://, nbds://, nbd+unix:// or nbds+unix://");
	}
	for (;; part++) {
		size_t len = strcspn(part, ",");

		if (!len && strchr(host, ','))
			return error_set(err, ERROR_USAGE, EINVAL,
				"the list of hosts '%s' has an empty part",
				show(host, strlen(host)).text);
		rc = take_host(target, part, len, err);
		if (rc < 0)
			return rc;
		part += len;
		if (!*part)
			break;
	}
	rc = check_each_once(target, err);
	if (rc < 0 || !export_name)
		return rc;
	rc = check_export_name(export_name, err);
	if (rc < 0)
		return rc;
	text_copy(target->export_name, sizeof(target->export_name), export_name);
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
		if (*used + len >= size)
			return; /* never half an escape */
		memcpy(buf + *used, piece, len + 1);
		*used += len;
	}
}

static void append_host(
	char *buf, size_t size, size_t *used, const struct target_host *host, bool with_port)
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

static void append_hosts(char *buf, size_t size, size_t *used, const struct target *target)
{
	bool one_port = true;
	size_t i;

	for (i = 0; i < target->host_count; i++)
		if (target->hosts[i].port != target->hosts[0].port ||
			(target->host_count > 1 && strchr(target->hosts[i].name, ':')))
			one_port = false;
	for (i = 0; i < target->host_count; i++) {
		bool last = i + 1 == target->host_count;

		append_host(buf, size, used, &target->hosts[i],
			!one_port || (last && target->hosts[i].port != TARGET_DEFAULT_PORT));
		append(buf, size, used, last ? "" : ",", false, "");
	}
}

void target_format(const struct target *target, char *buf, size_t size)
{
	bool is_unix = *target->socket_path;
	size_t used = 0;

	if (!size)
		return;
	buf[0] = 0;
	append(buf, size, &used, target->tls ? "nbds" : "nbd", false, "");
	append(buf, size, &used, is_unix ? "+unix://" : "://", false, "");
	append_hosts(buf, size, &used, target);
	append(buf, size, &used, "/", false, "");
	append(buf, size, &used, target->export_name, true, "/:@");
	if (is_unix) {
		append(buf, size, &used, "?socket=", false, "");
		append(buf, size, &used, target->socket_path, true, "/");
	}
}

int target_check_attachable(const struct target *target, struct error *err)
{
	if (!target->tls || !*target->socket_path)
		return 0;
	error_set(err, ERROR_USAGE, EINVAL,
		"the kernel's TLS is for TCP only: a device over a unix socket cannot have TLS");
	return error_hint(err, -EINVAL,
		"leave TLS out (the socket's permissions guard it), or connect over TCP");
}
