/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tls/names.h"
#include "tls/gnutls-library.h"
#include "tls/library.h"
#include "base/text.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define OID_SUBJECT_ALT_NAME "2.5.29.17"

size_t tls_names_parse_address(const char *host, unsigned char address[16])
{
	char bare[INET6_ADDRSTRLEN];
	size_t len = strcspn(host, "%");

	if (inet_pton(AF_INET, host, address) == 1)
		return 4;
	if (len >= sizeof(bare))
		return 0;
	memcpy(bare, host, len);
	bare[len] = 0;
	return inet_pton(AF_INET6, bare, address) == 1 ? 16 : 0;
}

bool tls_names_to_ascii(const char *host, char *out, size_t size)
{
	gnutls_datum_t ascii = {0};
	bool fits;

	if (text_is_ascii(host))
		return text_copy(out, size, host);
	if (tls_library_load(NULL) ||
		libgnutls.idna_map(host, (unsigned)strlen(host), &ascii, 0) < 0)
		return false;
	fits = text_copy(out, size, (const char *)ascii.data);
	gnutls_release(ascii.data);
	return fits;
}

static void cut_last_dot(char *name)
{
	size_t len = strlen(name);

	if (len > 1 && name[len - 1] == '.')
		name[len - 1] = 0;
}

/* Labels of 1 to 63 characters; and a last one of digits is an old way to write an address. */
static bool is_dns_name(const char *name)
{
	static const char letters[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
	const char *label = name;

	if (strlen(name) > 253)
		return false;
	for (;;) {
		size_t len = strspn(label, letters);

		if (!len || len > 63 || (label[len] && label[len] != '.'))
			return false;
		if (!label[len])
			return strspn(label, "0123456789") != len;
		label += len + 1;
	}
}

bool tls_names_for_sni(const char *host, char *out, size_t size)
{
	unsigned char address[16];

	if (tls_names_parse_address(host, address) || !tls_names_to_ascii(host, out, size))
		return false;
	cut_last_dot(out);
	return is_dns_name(out);
}

static bool is_printable_ascii(const gnutls_datum_t *name)
{
	for (unsigned i = 0; i < name->size; i++)
		if (name->data[i] <= ' ' || name->data[i] >= 0x7f)
			return false;
	return name->size > 0;
}

/* A '*' is the whole of the first label, and stands for one label of a domain that has two more
 * (RFC 9525, 6.3; no server is all of .com). */
static bool matches_name(const gnutls_datum_t *name, const char *host)
{
	const char *pattern = (const char *)name->data, *rest;
	size_t size = name->size;

	if (!is_printable_ascii(name))
		return false;
	if (size < 3 || pattern[0] != '*' || pattern[1] != '.')
		return !memchr(pattern, '*', size) && strlen(host) == size &&
			strncasecmp(pattern, host, size) == 0;
	rest = strchr(host, '.');
	return rest && rest != host && memchr(pattern + 2, '.', size - 2) &&
		!memchr(pattern + 1, '*', size - 1) && strlen(rest) == size - 1 &&
		strncasecmp(pattern + 1, rest, size - 1) == 0;
}

static void format_address(const gnutls_datum_t *address, char *out, size_t size)
{
	if (address->size == 4)
		inet_ntop(AF_INET, address->data, out, (socklen_t)size);
	else if (address->size == 16)
		inet_ntop(AF_INET6, address->data, out, (socklen_t)size);
	else
		snprintf(out, size, "(an address of %u bytes)", address->size);
}

/* One more into the list; what does not fit is three dots. */
static void append_name(char *out, size_t size, size_t *used, const char *text)
{
	if (*used + strlen(text) + 6 < size)
		*used += (size_t)snprintf(
			out + *used, size - *used, "%s%s", *used ? ", " : "", text);
	else if (*used + 4 < size && (*used < 3 || strcmp(out + *used - 3, "...") != 0))
		*used += (size_t)snprintf(out + *used, size - *used, "...");
}

static int read_names(gnutls_x509_crt_t crt, gnutls_subject_alt_names_t *names)
{
	gnutls_datum_t extension = {0};
	unsigned critical;
	int rc = libgnutls.x509_crt_get_extension_by_oid2(
		crt, OID_SUBJECT_ALT_NAME, 0, &extension, &critical);

	*names = NULL;
	if (rc == 0)
		rc = libgnutls.subject_alt_names_init(names);
	if (rc == 0)
		rc = libgnutls.x509_ext_import_subject_alt_names(&extension, *names, 0);
	gnutls_release(extension.data);
	return rc;
}

/* What is looked for. */
struct wanted {
	const char *name;
	unsigned char address[16];
	size_t address_size; /* 0: it is a name */
};

static bool is_wanted(const struct wanted *wanted, unsigned type, const gnutls_datum_t *name)
{
	if (type == GNUTLS_SAN_DNSNAME)
		return !wanted->address_size && matches_name(name, wanted->name);
	return wanted->address_size && name->size == wanted->address_size &&
		memcmp(name->data, wanted->address, name->size) == 0;
}

static void format_one(unsigned type, const gnutls_datum_t *name, char *out, size_t size)
{
	if (type == GNUTLS_SAN_DNSNAME)
		text_sanitise(out, size, name->data, name->size);
	else
		format_address(name, out, size);
}

bool tls_names_match(gnutls_x509_crt_t crt, const char *host, char *out, size_t size, size_t *count)
{
	char ascii[300];
	struct wanted wanted = {.name = ascii};
	gnutls_datum_t name;
	gnutls_subject_alt_names_t names;
	bool matches = false;
	size_t used = 0;
	unsigned type;
	int rc = read_names(crt, &names);

	*count = 0;
	*out = 0;
	wanted.address_size = tls_names_parse_address(host, wanted.address);
	if (!tls_names_to_ascii(host, ascii, sizeof(ascii)))
		*ascii = 0; /* as no certificate has it */
	cut_last_dot(ascii);
	for (unsigned i = 0; rc == 0; i++) {
		char text[300];

		rc = libgnutls.subject_alt_names_get(names, i, &type, &name, NULL);
		if (rc < 0 || (type != GNUTLS_SAN_DNSNAME && type != GNUTLS_SAN_IPADDRESS))
			continue;
		format_one(type, &name, text, sizeof(text));
		append_name(out, size, &used, text);
		matches = matches || is_wanted(&wanted, type, &name);
		++*count;
	}
	if (names)
		libgnutls.subject_alt_names_deinit(names);
	return matches;
}
