/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config/nbd-uri.h"
#include "config/endpoint-parts.h"
#include "base/cleanup.h"
#include "base/text.h"
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <uriparser/Uri.h>

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

/* What has been read of one. */
struct reader {
	const struct scheme *scheme;
	struct endpoint *endpoint;
	struct tls_config *tls;
	char zone[64]; /* of the IPv6 address, with the % before it */
	unsigned seen; /* a bit for each parameter of the query */
};

/* Bytes with the NUL, less than a struct tls_config has room for. */
#define FILE_SIZE 256
#define NAME_SIZE 128

static int refuse(struct error *err, const char *what)
{
	return error_set(err, ERROR_USAGE, EINVAL, "the NBD URI %s", what);
}

bool nbd_uri_is_one(const char *text)
{
	size_t scheme =
		strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.");

	return scheme >= 3 && !strncasecmp(text, "nbd", 3) && !strncmp(text + scheme, "://", 3);
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

/* NULL: there is none of that name. */
static const struct scheme *find_scheme(const char *uri, struct error *err)
{
	size_t len = strcspn(uri, ":/?#"), i;

	if (!len || strncmp(uri + len, "://", 3)) {
		error_set(err, ERROR_USAGE, EINVAL, "'%s' is not an NBD URI",
			endpoint_show(uri, strlen(uri)).text);
		error_hint(err, -EINVAL,
			"a URI starts with nbd://, nbds://, nbd+unix:// or nbds+unix://");
		return NULL;
	}
	for (i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
		if (strlen(schemes[i].name) == len && !strncasecmp(uri, schemes[i].name, len))
			return &schemes[i];
	error_set(err, ERROR_USAGE, EINVAL, "the scheme %s:// is not supported",
		endpoint_show(uri, len).text);
	error_hint(err, -EINVAL, "use nbd://, nbds://, nbd+unix:// or nbds+unix://");
	return NULL;
}

/* Cut before decoding: a comma that is written %2C is part of a name, and no name has one. */
static int take_hosts(
	struct endpoint *endpoint, const UriTextRangeA *text, uint16_t port, struct error *err)
{
	UriTextRangeA part = *text;
	bool more = true;

	while (more) {
		const char *comma = memchr(part.first, ',', (size_t)(text->afterLast - part.first));
		struct endpoint_host *host = endpoint_add_host(endpoint, err);
		int rc;

		if (!host)
			return -EINVAL;
		more = comma != NULL;
		part.afterLast = more ? comma : text->afterLast;
		rc = decode_range(host->name, sizeof(host->name), &part, "host", err);
		if (!rc && !*host->name)
			rc = refuse(err, "has an empty name among its hosts");
		if (!rc)
			rc = endpoint_check_host_name(host->name, err);
		if (rc)
			return rc;
		host->port = port;
		if (more)
			part.first = comma + 1;
	}
	return endpoint_check_each_once(endpoint, err);
}

/* Take the zone out of "[fe80::1%25eth0]" (RFC 6874), which uriparser does not know, or of
 * "[fe80::1%eth0]", as it is written everywhere else. URI is changed. */
static int cut_zone(struct reader *self, char *uri, struct error *err)
{
	char *authority = strstr(uri, "://") + 3, *end = authority + strcspn(authority, "/?#"),
	     *open = memchr(authority, '[', (size_t)(end - authority)),
	     *close = open ? memchr(open, ']', (size_t)(end - open)) : NULL,
	     *percent = close ? memchr(open, '%', (size_t)(close - open)) : NULL, *zone;
	size_t used = 1;
	int rc;

	if (!percent)
		return 0;
	zone = percent + (strncmp(percent, "%25", 3) == 0 ? 3 : 1);
	if (zone == close)
		return refuse(err, "names no interface after the % of its address");
	self->zone[0] = '%';
	rc = decode_into(
		self->zone, sizeof(self->zone), &used, zone, (size_t)(close - zone), "zone", err);
	if (!rc)
		memmove(percent, close, strlen(close) + 1);
	return rc;
}

/* To the address that it was cut from. */
static int add_zone(struct reader *self, const UriUriA *uri, struct error *err)
{
	struct endpoint_host *host = &self->endpoint->hosts[0];
	size_t used = strlen(host->name);

	if (!uri->hostData.ip6 || used + strlen(self->zone) >= sizeof(host->name))
		return refuse(err, "has a % in its host");
	text_copy(host->name + used, sizeof(host->name) - used, self->zone);
	return endpoint_check_host_name(host->name, err);
}

static int take_user(struct reader *self, const UriUriA *uri, struct error *err)
{
	int rc = decode_range(self->tls->username, NAME_SIZE, &uri->userInfo, "user name", err);

	if (rc < 0)
		return rc;
	if (uri->userInfo.first &&
		memchr(uri->userInfo.first, ':',
			(size_t)(uri->userInfo.afterLast - uri->userInfo.first)))
		return refuse(err,
			"carries a password: only a PSK identity (nbds://NAME@HOST) can stand "
			"there");
	if (*self->tls->username && !self->scheme->tls)
		return refuse(
			err, "has a user name, which means something under TLS only (nbds://)");
	return 0;
}

static int take_authority(struct reader *self, const UriUriA *uri, struct error *err)
{
	bool has_host = uri->hostText.first && uri->hostText.afterLast > uri->hostText.first;
	uint16_t port = ENDPOINT_DEFAULT_PORT;
	int rc = take_user(self, uri, err);

	if (rc < 0)
		return rc;
	if (uri->hostData.ipFuture.first)
		return refuse(err, "has an address of unknown kind");
	if (self->scheme->is_unix) {
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
		rc = endpoint_parse_port(&port, uri->portText.first,
			(size_t)(uri->portText.afterLast - uri->portText.first), err);
	if (!rc)
		rc = take_hosts(self->endpoint, &uri->hostText, port, err);
	return !rc && *self->zone ? add_zone(self, uri, err) : rc;
}

/* The path without its first slash is the export's name, slashes and all. */
static int take_export(struct endpoint *endpoint, const UriUriA *uri, struct error *err)
{
	const UriPathSegmentA *segment;
	size_t used = 0;
	int rc;

	for (segment = uri->pathHead; segment; segment = segment->next) {
		if (segment != uri->pathHead) {
			rc = decode_into(endpoint->export_name, sizeof(endpoint->export_name),
				&used, "/", 1, "export name", err);
			if (rc < 0)
				return rc;
		}
		rc = decode_into(endpoint->export_name, sizeof(endpoint->export_name), &used,
			segment->text.first,
			(size_t)(segment->text.afterLast - segment->text.first), "export name",
			err);
		if (rc < 0)
			return rc;
	}
	return endpoint_check_export_name(endpoint->export_name, err);
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

static int take_tls_type(struct reader *self, struct error *err, const char *value)
{
	if (!strcasecmp(value, "x509"))
		self->tls->type = TLS_TYPE_X509;
	else if (!strcasecmp(value, "psk"))
		self->tls->type = TLS_TYPE_PSK;
	else if (!strcasecmp(value, "anon"))
		return refuse(err, "asks for anonymous TLS (tls-type=anon), which verifies nobody");
	else
		return refuse(err, "has a tls-type other than x509 or psk");
	return 0;
}

enum parameter {
	SOCKET,
	CERTIFICATES,
	PSK_FILE,
	USERNAME,
	HOSTNAME,
	VERIFY_PEER,
	TYPE,
	PARAMETER_COUNT,
};

static const char *const parameters[PARAMETER_COUNT] = {
	[SOCKET] = "socket",
	[CERTIFICATES] = "tls-certificates",
	[PSK_FILE] = "tls-psk-file",
	[USERNAME] = "tls-username",
	[HOSTNAME] = "tls-hostname",
	[VERIFY_PEER] = "tls-verify-peer",
	[TYPE] = "tls-type",
};

static enum parameter find_parameter(const char *name, size_t len)
{
	enum parameter which = 0;

	while (which < PARAMETER_COUNT &&
		(strlen(parameters[which]) != len || memcmp(parameters[which], name, len) != 0))
		which++;
	return which;
}

/* May it stand here? Each but once. */
static int check_parameter(struct reader *self, enum parameter which, struct error *err)
{
	const struct scheme *scheme = self->scheme;

	if (self->seen & 1U << which || (which == USERNAME && *self->tls->username))
		return error_set(err, ERROR_USAGE, EINVAL, "the NBD URI gives %s twice",
			which == USERNAME ? "the user name" : parameters[which]);
	self->seen |= 1U << which;
	if (which == SOCKET && !scheme->is_unix)
		return refuse(err, "has socket=, which goes with nbd+unix:// or nbds+unix:// only");
	if (which != SOCKET && !scheme->tls)
		return error_set(err, ERROR_USAGE, EINVAL,
			"the NBD URI has %s, which means something under TLS only (%s://)",
			parameters[which], scheme->is_unix ? "nbds+unix" : "nbds");
	return 0;
}

static int take_value(
	struct reader *self, enum parameter which, const char *value, size_t len, struct error *err)
{
	char text[8];
	const struct {
		char *out;
		size_t size;
	} places[PARAMETER_COUNT] = {
		[SOCKET] = {self->endpoint->socket_path, sizeof(self->endpoint->socket_path)},
		[CERTIFICATES] = {self->tls->certificates_dir, FILE_SIZE},
		[PSK_FILE] = {self->tls->psk_file, FILE_SIZE},
		[USERNAME] = {self->tls->username, NAME_SIZE},
		[HOSTNAME] = {self->tls->hostname, FILE_SIZE},
		[VERIFY_PEER] = {text, sizeof(text)},
		[TYPE] = {text, sizeof(text)},
	};
	size_t used = 0;
	int rc = decode_into(
		places[which].out, places[which].size, &used, value, len, parameters[which], err);

	if (!rc && which == VERIFY_PEER)
		rc = take_verify_peer(err, text);
	if (!rc && which == TYPE)
		rc = take_tls_type(self, err, text);
	return rc;
}

/* One name=value of the query. */
static int take_parameter(struct reader *self, const char *text, size_t len, struct error *err)
{
	const char *equals = memchr(text, '=', len);
	size_t name_len = equals ? (size_t)(equals - text) : len;
	enum parameter which = find_parameter(text, name_len);
	int rc;

	if (which == PARAMETER_COUNT && name_len > 2 && !memcmp(text, "x-", 2))
		return 0;
	if (which == PARAMETER_COUNT)
		return error_set(err, ERROR_USAGE, EINVAL,
			"the NBD URI has an unknown query parameter '%s'",
			endpoint_show(text, name_len).text);
	if (!equals || equals + 1 == text + len)
		return error_set(err, ERROR_USAGE, EINVAL,
			"the NBD URI's parameter %s has no value", parameters[which]);
	rc = check_parameter(self, which, err);
	return rc ? rc : take_value(self, which, equals + 1, len - name_len - 1, err);
}

static int check_tls(const struct tls_config *tls, struct error *err)
{
	if (*tls->psk_file && *tls->certificates_dir)
		return refuse(err,
			"names both certificates and a PSK file: only one can authenticate the "
			"server");
	if (tls->type == TLS_TYPE_PSK && *tls->certificates_dir)
		return refuse(err, "names certificates but asks for tls-type=psk");
	if (tls->type == TLS_TYPE_X509 && *tls->psk_file)
		return refuse(err, "names a PSK file but asks for tls-type=x509");
	return 0;
}

static int take_query(struct reader *self, const UriTextRangeA *query, struct error *err)
{
	const char *p = query->first, *end = query->afterLast, *next;
	int rc;

	for (; p && p < end; p = next + 1) {
		next = memchr(p, '&', (size_t)(end - p));
		if (!next)
			next = end;
		if (next == p)
			continue;
		rc = take_parameter(self, p, (size_t)(next - p), err);
		if (rc < 0)
			return rc;
	}
	if (self->scheme->is_unix && !*self->endpoint->socket_path)
		return refuse(err, "of a unix socket has no socket=PATH");
	return check_tls(self->tls, err);
}

static void cleanup_uri(UriUriA *uri)
{
	uriFreeUriMembersA(uri);
}

static int take_parsed(struct reader *self, const UriUriA *parsed, struct error *err)
{
	int rc;

	if (parsed->fragment.first)
		return refuse(
			err, "has a fragment (#...); write a '#' of the export's name as %23");
	self->tls->wanted = self->scheme->tls;
	rc = take_authority(self, parsed, err);
	if (!rc)
		rc = take_export(self->endpoint, parsed, err);
	return rc ? rc : take_query(self, &parsed->query, err);
}

int nbd_uri_parse(
	struct endpoint *endpoint, struct tls_config *tls, const char *uri, struct error *err)
{
	__attribute__((cleanup(cleanup_uri))) UriUriA parsed = {0};
	struct reader self = {.endpoint = endpoint, .tls = tls};
	_cleanup_free_ char *copy = strdup(uri);
	const char *bad = NULL;
	int rc;

	memset(endpoint, 0, sizeof(*endpoint));
	memset(tls, 0, sizeof(*tls));
	self.scheme = find_scheme(uri, err);
	if (!self.scheme)
		return -EINVAL;
	if (copy) {
		rc = cut_zone(&self, copy, err);
		if (rc)
			return rc;
	}
	rc = copy ? uriParseSingleUriA(&parsed, copy, &bad) : URI_ERROR_MALLOC;
	if (rc == URI_ERROR_MALLOC)
		return error_set(err, ERROR_OTHER, ENOMEM, "out of memory");
	if (rc != URI_SUCCESS) {
		error_set(err, ERROR_USAGE, EINVAL, "the NBD URI is not well-formed at '%s'",
			endpoint_show(bad ? bad : uri, strlen(bad ? bad : uri)).text);
		return error_hint(err, -EINVAL,
			"write special characters as %%XX, IPv6 addresses in [brackets], a port as "
			"a number");
	}
	return take_parsed(&self, &parsed, err);
}
