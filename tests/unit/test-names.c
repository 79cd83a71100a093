/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whose a certificate is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include "make-certificate.h"
#include "tls/library.h"
#include "tls/names.h"

/* As it stands in the extension: GnuTLS would not write most of these. */
struct name {
	unsigned char tag; /* of GeneralName (RFC 5280, 4.2.1.6) */
	const char *data;
	size_t size;
};

#define DNS(text) 0x82, text, sizeof(text) - 1
#define IP(text) 0x87, text, sizeof(text) - 1
#define URI(text) 0x86, text, sizeof(text) - 1

#define D16 "0123456789abcdef"
#define D64 D16 D16 D16 D16
#define LONG_NAME D64 "." D64 "." D64 "." D64 "." D64 "." D64 "." D64 "." D64 "." D64

static unsigned char *put_header(unsigned char *at, unsigned char tag, size_t size)
{
	*at++ = tag;
	*at++ = 0x82;
	*at++ = (unsigned char)(size >> 8);
	*at++ = (unsigned char)size;
	return at;
}

static void set_names(gnutls_x509_crt_t crt, const struct name *names, size_t count)
{
	unsigned char names_der[4096], der[4200], *at = names_der;
	size_t size;

	for (size_t i = 0; i < count && names[i].data; i++) {
		at = put_header(at, names[i].tag, names[i].size);
		memcpy(at, names[i].data, names[i].size);
		at += names[i].size;
	}
	size = (size_t)(at - names_der);
	memcpy(put_header(der, 0x30, size), names_der, size);
	assert_int_equal(
		gnutls_x509_crt_set_extension_by_oid(crt, "2.5.29.17", der, size + 4, 0), 0);
}

static bool match(const char *cn, const struct name *names, size_t name_count, const char *host,
	char *shown, size_t size, size_t *count)
{
	struct made made = made_begin(cn, -1, 1);
	bool matches;

	if (names[0].data)
		set_names(made.crt, names, name_count);
	made_sign(&made, NULL);
	matches = tls_names_match(made.crt, host, shown, size, count);
	made_free(&made);
	return matches;
}

static void the_host_is_one_of_its_names(void **state)
{
	static const struct {
		struct name names[3];
		const char *host;
		bool matches;
		const char *shown;
	} table[] = {
		{{{DNS("storage.example.com")}}, "storage.example.com", true,
			"storage.example.com"},
		{{{DNS("STORAGE.example.com")}}, "storage.EXAMPLE.com", true,
			"STORAGE.example.com"},
		{{{DNS("a.example.com")}, {DNS("b.example.com")}}, "b.example.com", true,
			"a.example.com, b.example.com"},
		{{{DNS("storage.example.com")}}, "storage.example.co", false,
			"storage.example.com"},
		{{{DNS("xn--bcher-kva.example")}},
			"b\xc3\xbc"
			"cher.example",
			true, "xn--bcher-kva.example"},
		{{{DNS("b\xc3\xbc"
		       "cher.example")}},
			"b\xc3\xbc"
			"cher.example",
			false,
			"b\xc3\xbc"
			"cher.example"},
		/* what makes a name absolute is for the resolver alone */
		{{{DNS("storage.example.com")}}, "storage.example.com.", true,
			"storage.example.com"},
		{{{DNS("storage.example.com")}}, "storage.example.com..", false,
			"storage.example.com"},
		{{{DNS("")}}, "\xff", false, ""},
		/* wildcards: one whole label, the first one, of a domain that is somebody's */
		{{{DNS("*.example.com")}}, "storage.example.com", true, "*.example.com"},
		{{{DNS("*.example.com")}}, "example.com", false, "*.example.com"},
		{{{DNS("*.example.com")}}, ".example.com", false, "*.example.com"},
		{{{DNS("*.example.com")}}, "a.b.example.com", false, "*.example.com"},
		{{{DNS("*.com")}}, "example.com", false, "*.com"},
		{{{DNS("*")}}, "localhost", false, "*"},
		{{{DNS("s*.example.com")}}, "storage.example.com", false, "s*.example.com"},
		{{{DNS("a.*.com")}}, "a.example.com", false, "a.*.com"},
		{{{DNS("*.*.com")}}, "a.example.com", false, "*.*.com"},
		/* a NUL ends no name, neither for us nor for who reads the message */
		{{{DNS("localhost\0.evil.example")}}, "localhost", false,
			"localhost?.evil.example"},
		{{{DNS("localhost\0")}}, "localhost", false, "localhost?"},
		{{{DNS("localhost\n")}}, "localhost", false, "localhost?"},
		{{{DNS("local\x1b[2Jhost")}}, "localhost", false, "local?[2Jhost"},
		/* addresses are addresses, and names are names */
		{{{IP("\x7f\0\0\1")}}, "127.0.0.1", true, "127.0.0.1"},
		{{{DNS("127.0.0.1")}}, "127.0.0.1", false, "127.0.0.1"},
		{{{IP("\x7f\0\0\2")}}, "127.0.0.1", false, "127.0.0.2"},
		{{{IP("\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\1")}}, "fe80::1", true, "fe80::1"},
		{{{IP("\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\1")}}, "fe80::1%eth0", true, "fe80::1"},
		{{{IP("\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\0\0\1")}}, "127.0.0.1", false,
			"::ffff:127.0.0.1"},
		/* of a length that no address has: nothing but its bytes is looked at */
		{{{IP("\x7f\0\0\1\xff")}}, "127.0.0.1", false, "(an address of 5 bytes)"},
		{{{IP("\x7f\0\0\1\0")}}, "127.0.0.1", false, "(an address of 5 bytes)"},
		{{{IP("\x7f\0\0\1\xff\xff\xff\xff")}}, "127.0.0.1", false,
			"(an address of 8 bytes)"},
		/* neither kind */
		{{{URI("https://localhost/")}}, "localhost", false, ""},
		{{{URI("https://localhost/")}, {DNS("localhost")}}, "localhost", true, "localhost"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		char shown[300];
		size_t count;
		bool matches = match("localhost", table[i].names, 3, table[i].host, shown,
			sizeof(shown), &count);

		if (matches != table[i].matches || strcmp(shown, table[i].shown) != 0)
			fail_msg("row %zu, %s: %s, \"%s\"", i, table[i].host,
				matches ? "matches" : "does not match", shown);
	}
}

/* CVE-2026-42012, CVE-2026-42013: a name that could not be read, or of another kind, once made the
 * common name count. */
static void the_common_name_never_counts(void **state)
{
	static const struct name none[1] = {{0}}, too_long[2] = {{DNS(LONG_NAME)}, {DNS("x.test")}},
				 uri[1] = {{URI("https://x.test/")}};
	char shown[300];
	size_t count;

	(void)state;
	assert_false(match("localhost", none, 1, "localhost", shown, sizeof(shown), &count));
	assert_int_equal(count, 0);
	assert_false(match("localhost", uri, 1, "localhost", shown, sizeof(shown), &count));
	assert_int_equal(count, 0);
	assert_false(match("localhost", too_long, 2, "localhost", shown, sizeof(shown), &count));
	assert_int_equal(count, 2);
	assert_true(match("localhost", too_long, 2, "x.test", shown, sizeof(shown), &count));
}

static void a_server_is_told_dns_names_only(void **state)
{
	static const struct {
		const char *host, *sent; /* NULL: nothing */
	} table[] = {
		{"storage.example.com", "storage.example.com"},
		{"storage.example.com.", "storage.example.com"},
		{"localhost", "localhost"},
		{"a_b.example", "a_b.example"},
		{"b\xc3\xbc"
		 "cher.example",
			"xn--bcher-kva.example"},
		{"B\xc3\x9c"
		 "CHER.example.",
			"xn--bcher-kva.example"},
		{"", NULL},
		{".", NULL},
		{"192.0.2.7", NULL},
		{"::1", NULL},
		{"2001:db8::1", NULL},
		{"fe80::1%eth0", NULL},
		{"127.1", NULL},
		{"2130706433", NULL},
		{"a..b", NULL},
		{"a.b..", NULL},
		{"a b", NULL},
		{"a\n", NULL},
		{"\xff.example", NULL},
		{D64 ".example", NULL},
		{LONG_NAME, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		char sent[256];
		bool is_sent = tls_names_for_sni(table[i].host, sent, sizeof(sent));

		if (is_sent != (table[i].sent != NULL) ||
			(is_sent && strcmp(sent, table[i].sent) != 0))
			fail_msg("row %zu, %s: %s", i, table[i].host, is_sent ? sent : "nothing");
	}
}

static void a_list_too_long_to_show_ends_in_dots(void **state)
{
	static const struct name names[3] = {
		{DNS("one.example.com")}, {DNS("two.example.com")}, {DNS("three.example.com")}};
	char shown[24];
	size_t count;

	(void)state;
	assert_true(match("x", names, 3, "three.example.com", shown, sizeof(shown), &count));
	assert_string_equal(shown, "one.example.com...");
	assert_int_equal(count, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_host_is_one_of_its_names),
		cmocka_unit_test(the_common_name_never_counts),
		cmocka_unit_test(a_server_is_told_dns_names_only),
		cmocka_unit_test(a_list_too_long_to_show_ends_in_dots),
	};

	if (tls_library_load(NULL))
		return 1;
	return cmocka_run_group_tests_name("names", tests, NULL, NULL);
}
