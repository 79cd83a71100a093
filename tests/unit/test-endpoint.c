/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "config/backend-id.h"
#include "config/endpoint.h"
#include "config/nbd-uri.h"

static struct endpoint endpoint;
static struct tls_config tls;
static struct error err;

static void parse(const char *uri)
{
	memset(&err, 0, sizeof(err));
	if (nbd_uri_parse(&endpoint, &tls, uri, &err))
		fail_msg("%s: %s", uri, err.text);
}

static void refused(const char *uri, const char *sentence)
{
	memset(&err, 0, sizeof(err));
	if (nbd_uri_parse(&endpoint, &tls, uri, &err) != -EINVAL)
		fail_msg("%s was taken", uri);
	assert_int_equal(err.kind, ERROR_USAGE);
	if (!strstr(err.text, sentence))
		fail_msg("%s: '%s' lacks '%s'", uri, err.text, sentence);
}

static void test_uri_basics(void **state)
{
	static const struct {
		const char *uri, *host, *export;
		int port;
		bool wanted;
	} table[] = {
		{"nbd://example.com", "example.com", "", 10809, false},
		{"nbd://example.com/", "example.com", "", 10809, false},
		{"nbd://example.com/disk", "example.com", "disk", 10809, false},
		{"nbd://example.com//disk", "example.com", "/disk", 10809, false},
		{"nbd://example.com/a/b/", "example.com", "a/b/", 10809, false},
		{"nbd://example.com/hello%20world", "example.com", "hello world", 10809, false},
		{"nbd://example.com/K%C3%B6ln", "example.com", "K\xc3\xb6ln", 10809, false},
		{"nbd://example.com/a+b%2fc%3Fd", "example.com", "a+b/c?d", 10809, false},
		{"nbd://example.com/../x/./y", "example.com", "../x/./y", 10809, false},
		{"nbds://example.com:1/x", "example.com", "x", 1, true},
		{"NBDS://example.com:65535/x", "example.com", "x", 65535, true},
		{"nbd://example.com:/x", "example.com", "x", 10809, false},
		{"nbds://192.0.2.7:10810/x", "192.0.2.7", "x", 10810, true},
		{"nbds://[2001:db8::1]/x", "2001:db8::1", "x", 10809, true},
		{"nbds://[::1]:10810/", "::1", "", 10810, true},
		{"nbds://[fe80::1%25eth0]/x", "fe80::1%eth0", "x", 10809, true},
		{"nbds://[fe80::1%eth0]:1/x?tls-hostname=a", "fe80::1%eth0", "x", 1, true},
		{"nbd://[fe80::1%25eth0%2e7]/%255B", "fe80::1%eth0.7", "%5B", 10809, false},
		{"nbd://[fe80::1%253]/x", "fe80::1%3", "x", 10809, false},
		{"nbds://al@[fe80::1%eth0]/x", "fe80::1%eth0", "x", 10809, true},
		{"nbds://host/x?x-experiment=1", "host", "x", 10809, true},
		{"nbds://host/x?", "host", "x", 10809, true},
		{"nbds://host?tls-verify-peer=1", "host", "", 10809, true},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		parse(table[i].uri);
		assert_int_equal(endpoint.host_count, 1);
		assert_string_equal(endpoint.hosts[0].name, table[i].host);
		assert_string_equal(endpoint.export_name, table[i].export);
		assert_int_equal(endpoint.hosts[0].port, table[i].port);
		assert_int_equal(tls.wanted, table[i].wanted);
		assert_string_equal(endpoint.socket_path, "");
	}
}

static void test_uri_unix(void **state)
{
	(void)state;
	parse("nbd+unix:///disk?socket=/run/nbd%20sock");
	assert_string_equal(endpoint.socket_path, "/run/nbd sock");
	assert_string_equal(endpoint.export_name, "disk");
	assert_int_equal(endpoint.host_count, 0);
	assert_false(tls.wanted);
	parse("nbds+unix:///?socket=s&tls-hostname=h&tls-psk-file=/k");
	assert_string_equal(endpoint.socket_path, "s");
	assert_string_equal(endpoint.export_name, "");
	assert_string_equal(tls.hostname, "h");
	assert_string_equal(tls.psk_file, "/k");
	assert_true(tls.wanted);
}

static void test_uri_tls_parameters(void **state)
{
	(void)state;
	parse("nbds://alice@host/x?tls-psk-file=/etc/keys.psk&tls-type=psk");
	assert_string_equal(tls.username, "alice");
	assert_string_equal(tls.psk_file, "/etc/keys.psk");
	assert_int_equal(tls.type, TLS_TYPE_PSK);
	parse("nbds://host/x?tls-certificates=/etc/pki/"
	      "a%26b&tls-username=bob&tls-hostname=other.example&tls-type=x509");
	assert_string_equal(tls.certificates_dir, "/etc/pki/a&b");
	assert_string_equal(tls.username, "bob");
	assert_string_equal(tls.hostname, "other.example");
	assert_int_equal(tls.type, TLS_TYPE_X509);
}

static void test_uri_refusals(void **state)
{
	static const struct {
		const char *uri, *sentence;
	} table[] = {
		{"nbd+vsock://2:10809/", "nbd+vsock:// is not supported"},
		{"nbd+ssh://host/", "nbd+ssh:// is not supported"},
		{"http://host/x", "http:// is not supported"},
		{"host", "is not an NBD URI"},
		{"nbd:host", "is not an NBD URI"},
		{"nbd:unix:/tmp/sock", "is not an NBD URI"},
		{"://x", "is not an NBD URI"},
		{"", "is not an NBD URI"},
		{"nbd://", "no host"},
		{"nbd:///disk", "no host"},
		{"nbd://host/x#part", "fragment"},
		{"nbd://host/x#", "fragment"},
		{"nbd://host:0/x", "'0' is not a port"},
		{"nbd://host:65536/x", "'65536' is not a port"},
		{"nbd://host:99999999999999999999/x", "is not a port"},
		{"nbd://host:abc/x", "not well-formed"},
		{"nbd://host:-1/x", "not well-formed"},
		{"nbd://::1/x", "not well-formed"},
		{"nbd://[::1/x", "not well-formed"},
		{"nbd://[v1.x]/", "unknown kind"},
		{"nbd://[v1.x%25eth0]/", "unknown kind"},
		{"nbd://[fe80::1%25]/x", "no interface"},
		{"nbd://[fe80::1%]/x", "no interface"},
		{"nbd://[fe80::1%25a%20b]/x", "neither an IPv6 address"},
		{"nbd://[fe80::1%25a%00]/x", "NUL"},
		{"nbd://[fe80::1%25a%25b]/x", "neither an IPv6 address"},
		{"nbd://[host%25eth0]/x", "not well-formed"},
		{"nbd://host/a b", "not well-formed"},
		{"nbd://host/\xc3\xb6", "not well-formed"},
		{"nbd://host/%zz", "not well-formed"},
		{"nbd://host/%4", "not well-formed"},
		{"nbd://host/a%00b", "export name of the NBD URI has a NUL"},
		{"nbd://ho%00st/", "host of the NBD URI has a NUL"},
		{"nbd://ho%20st/", "is not a host name"},
		{"nbd://-host/", "is not a host name"},
		{"nbd://fe80%3A%3A1%25eth0%0Aroot=/", "neither an IPv6 address"},
		{"nbd://fe80%3A%3A1%25%1B%5B2J/", "neither an IPv6 address"},
		{"nbd://ho%0Ast/", "is not a host name"},
		{"nbd://host/%ff", "not valid UTF-8"},
		{"nbd://alice@host/x", "user name"},
		{"nbds://alice:secret@host/x", "password"},
		{"nbds://alice@host/x?tls-username=bob", "user name twice"},
		{"nbds://host/x?tls-hostname=a&tls-hostname=b", "tls-hostname twice"},
		{"nbds://host/x?tls-verify-peer=0", "nothing turns verification off"},
		{"nbds://host/x?tls-verify-peer=false", "nothing turns verification off"},
		{"nbds://host/x?tls-verify-peer=muchtoolong",
			"tls-verify-peer of the NBD URI is longer"},
		{"nbds://host/x?tls-type=anon", "anonymous"},
		{"nbds://host/x?tls-type=other", "other than x509 or psk"},
		{"nbds://host/x?tls-type=psk&tls-certificates=d", "asks for tls-type=psk"},
		{"nbds://host/x?tls-type=x509&tls-psk-file=f", "asks for tls-type=x509"},
		{"nbds://host/x?tls-certificates=d&tls-psk-file=f",
			"both certificates and a PSK file"},
		{"nbds://host/x?tls-hostnam=a", "unknown query parameter 'tls-hostnam'"},
		{"nbds://host/x?=a", "unknown query parameter ''"},
		{"nbds://host/x?tls-hostname", "tls-hostname has no value"},
		{"nbds://host/x?tls-hostname=", "tls-hostname has no value"},
		{"nbds://host/x?tls-hostname=a%00b", "tls-hostname of the NBD URI has a NUL"},
		{"nbd://host/x?tls-hostname=a",
			"tls-hostname, which means something under TLS only (nbds://)"},
		{"nbd+unix:///x?socket=s&tls-psk-file=a", "nbds+unix://"},
		{"nbd://host/x?socket=/tmp/s", "socket="},
		{"nbd+unix:///x", "no socket=PATH"},
		{"nbd+unix:///x?socket=", "socket has no value"},
		{"nbd+unix:///x?socket=%00abstract", "socket of the NBD URI has a NUL"},
		{"nbd+unix://host/x?socket=s", "names a host or a port"},
		{"nbd://,/x", "empty name among its hosts"},
		{"nbd://a,/x", "empty name among its hosts"},
		{"nbd://,a/x", "empty name among its hosts"},
		{"nbd://a,,b/x", "empty name among its hosts"},
		{"nbd://a%2Cb/x", "'a,b' is not a host name"},
		{"nbd://a:1,b:2/x", "not well-formed"},
		{"nbd://[::1],b/x", "not well-formed"},
		{"nbd://a,[::1]/x", "not well-formed"},
		{"nbd://a,b,A:7/x", "'A' is given twice with port 7"},
		{"nbd://1,2,3,4,5,6,7,8,9/x", "more than 8 hosts"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		refused(table[i].uri, table[i].sentence);
}

static char *repeat(const char *head, char c, size_t count)
{
	size_t len = strlen(head);
	char *text = malloc(len + count + 1);

	memcpy(text, head, len);
	memset(text + len, c, count);
	text[len + count] = 0;
	return text;
}

static void test_uri_lengths(void **state)
{
	char *uri;

	(void)state;
	uri = repeat("nbd://host/", 'e', EXPORT_NAME_MAX);
	parse(uri);
	assert_int_equal(strlen(endpoint.export_name), EXPORT_NAME_MAX);
	free(uri);
	uri = repeat("nbd://host/", 'e', EXPORT_NAME_MAX + 1);
	refused(uri, "export name of the NBD URI is longer than 4096 bytes");
	free(uri);
	uri = repeat("nbd://host/", '/', 100000);
	refused(uri, "longer than 4096 bytes");
	free(uri);
	uri = repeat("nbd+unix:///?socket=", 's', 107);
	parse(uri);
	free(uri);
	uri = repeat("nbd+unix:///?socket=", 's', 108);
	refused(uri, "socket of the NBD URI is longer than 107 bytes");
	free(uri);
	uri = repeat("nbd://", 'h', 256);
	refused(uri, "host of the NBD URI is longer than 255 bytes");
	free(uri);
}

/* Foreign bytes never reach a message as they are. */
static void test_messages_are_printable(void **state)
{
	const char *p;

	(void)state;
	refused("nbd://host/x\033[2J\nboo", "not well-formed");
	for (p = err.text; *p; p++)
		assert_true(*p >= ' ' && *p < 0x7f);
	refused("nbds://host/x?%1b=1", "unknown query parameter");
}

static void test_is_uri(void **state)
{
	(void)state;
	assert_true(nbd_uri_is_one("nbd://h"));
	assert_true(nbd_uri_is_one("NBDS://h"));
	assert_true(nbd_uri_is_one("nbd+unix:///?socket=x"));
	assert_true(nbd_uri_is_one("nbds+unix:///"));
	assert_true(nbd_uri_is_one("nbd+vsock://2"));
	assert_false(nbd_uri_is_one("nbd"));
	assert_false(nbd_uri_is_one("nbd-server:10809"));
	assert_false(nbd_uri_is_one("nbdserver.example.com"));
	assert_false(nbd_uri_is_one("http://x"));
	assert_false(nbd_uri_is_one(""));
	assert_false(nbd_uri_is_one("host/nbd://"));
}

static void test_hosts(void **state)
{
	static const struct {
		const char *word, *host;
		int port;
	} table[] = {
		{"example.com", "example.com", 10809},
		{"1.2.3.4", "1.2.3.4", 10809},
		{"::1", "::1", 10809},
		{"[::1]", "::1", 10809},
		{"[::1]:10810", "::1", 10810},
		{"name:10810", "name", 10810},
		{"2001:db8::1:1081", "2001:db8::1:1081", 10809},
		{"fe80::1%eth0", "fe80::1%eth0", 10809},
		{"[fe80::1%eth0]:1", "fe80::1%eth0", 1},
		{"[fe80::1%25eth0]:1", "fe80::1%eth0", 1},
		{"fe80::1%25eth0", "fe80::1%eth0", 10809},
		{"fe80::1%251", "fe80::1%251", 10809},
		{"fe80::1%25", "fe80::1%25", 10809},
		{"host_with_underscore", "host_with_underscore", 10809},
	};
	static const struct {
		const char *word, *sentence;
	} bad[] = {
		{"", "the host is empty"},
		{":10809", "the host is empty"},
		{"name:", "'' is not a port"},
		{"name:0", "'0' is not a port"},
		{"name:65536", "'65536' is not a port"},
		{"name:1x", "'1x' is not a port"},
		{"name:+1", "'+1' is not a port"},
		{"[::1", "is not an [ADDRESS]"},
		{"[::1]x", "is not an [ADDRESS]"},
		{"[::1]:", "'' is not a port"},
		{"[name]", "is not an IPv6 address"},
		{"[]", "is not an IPv6 address"},
		{"a:b:c", "neither an IPv6 address"},
		{"2001:db8::1:10810", "neither an IPv6 address"},
		{"::1%", "neither an IPv6 address"},
		{"http://x", "is not a host name"},
		{"a/b", "is not a host name"},
		{"a b", "is not a host name"},
		{"-x", "is not a host name"},
		{"user@host", "is not a host name"},
		{"\033[2J", "is not a host name"},
		{"fe80::1%\033[2J", "neither an IPv6 address"},
		{"fe80::1%eth0\n", "neither an IPv6 address"},
		{"[fe80::1%a b]", "is not an IPv6 address"},
		{"fe80::1%a%b", "neither an IPv6 address"},
	};
	char *text;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (endpoint_parse(&endpoint, table[i].word, "x", &err))
			fail_msg("%s: %s", table[i].word, err.text);
		assert_int_equal(endpoint.host_count, 1);
		assert_string_equal(endpoint.hosts[0].name, table[i].host);
		assert_int_equal(endpoint.hosts[0].port, table[i].port);
		assert_string_equal(endpoint.export_name, "x");
	}
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(endpoint_parse(&endpoint, bad[i].word, NULL, &err), -EINVAL);
		if (!strstr(err.text, bad[i].sentence))
			fail_msg("%s: '%s' lacks '%s'", bad[i].word, err.text, bad[i].sentence);
	}
	assert_int_equal(endpoint_parse(&endpoint, "h", NULL, NULL), 0);
	assert_string_equal(endpoint.export_name, "");
	assert_int_equal(endpoint_parse(&endpoint, "h", "\xff", &err), -EINVAL);
	assert_string_equal(err.text, "the export name is not valid UTF-8");
	text = repeat("", 'e', EXPORT_NAME_MAX + 1);
	assert_int_equal(endpoint_parse(&endpoint, "h", text, &err), -EINVAL);
	assert_int_equal(endpoint_parse(&endpoint, text, NULL, &err), -EINVAL);
	assert_string_equal(err.text, "the host name is longer than 255 bytes");
	free(text);
}

static void assert_hosts(const char *word, const char *expected)
{
	char buf[512] = "", piece[300];
	size_t i;

	for (i = 0; i < endpoint.host_count; i++) {
		snprintf(piece, sizeof(piece), "%s%s %u", i ? ", " : "", endpoint.hosts[i].name,
			endpoint.hosts[i].port);
		strcat(buf, piece);
	}
	if (strcmp(buf, expected))
		fail_msg("%s: %s instead of %s", word, buf, expected);
}

static void test_several_hosts(void **state)
{
	static const struct {
		const char *word, *wanted;
	} table[] =
		{
			{"a,b", "a 10809, b 10809"},
			{"b,a", "b 10809, a 10809"},
			{"host1:10810,[2001:db8::1]:10809,host3",
				"host1 10810, 2001:db8::1 10809, host3 10809"},
			{"::1,1.2.3.4:5,::2", "::1 10809, 1.2.3.4 5, ::2 10809"},
			{"[::1],[::1]:1", "::1 10809, ::1 1"},
			{"a:1,a:2,a", "a 1, a 2, a 10809"},
			{"1,2,3,4,5,6,7,8",
				"1 10809, 2 10809, 3 10809, 4 10809, 5 10809, 6 10809, 7 10809, 8 "
				"10809"},
		},
	  uris[] =
		  {
			  {"nbds://a,b/x", "a 10809, b 10809"},
			  {"nbds://host1,host2:10810/x", "host1 10810, host2 10810"},
			  {"nbds://al@a,192.0.2.7,c:1", "a 1, 192.0.2.7 1, c 1"},
			  {"nbd://%61,b/", "a 10809, b 10809"},
		  },
	  bad[] = {
		  {",", "the list of hosts ',' has an empty part"},
		  {"a,", "empty part"},
		  {",a", "empty part"},
		  {"a,,b", "the list of hosts 'a,,b' has an empty part"},
		  {"a,:1", "the host is empty"},
		  {"a,b:", "'' is not a port"},
		  {"a:1x,b", "'1x' is not a port"},
		  {"a:70000,b", "'70000' is not a port"},
		  {"a, b", "' b' is not a host name"},
		  {"[::1,::2]", "'[::1' is not an [ADDRESS]"},
		  {"[::1]x,b", "'[::1]x' is not an [ADDRESS]"},
		  {"a,-b", "'-b' is not a host name"},
		  {"a,b,a", "'a' is given twice with port 10809"},
		  {"a,A:10809", "'A' is given twice"},
		  {"::1,[::1]", "'::1' is given twice"},
		  {"1,2,3,4,5,6,7,8,9", "more than 8 hosts are given"},
	  };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (endpoint_parse(&endpoint, table[i].word, "x", &err))
			fail_msg("%s: %s", table[i].word, err.text);
		assert_hosts(table[i].word, table[i].wanted);
		assert_string_equal(endpoint.export_name, "x");
	}
	for (i = 0; i < sizeof(uris) / sizeof(uris[0]); i++) {
		parse(uris[i].word);
		assert_hosts(uris[i].word, uris[i].wanted);
	}
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(endpoint_parse(&endpoint, bad[i].word, NULL, &err), -EINVAL);
		if (!strstr(err.text, bad[i].wanted))
			fail_msg("%s: '%s' lacks '%s'", bad[i].word, err.text, bad[i].wanted);
	}
}

static void test_one_port_for_all_hosts(void **state)
{
	(void)state;
	assert_int_equal(endpoint_parse(&endpoint, "a:1,b,[::1]:2", NULL, &err), 0);
	assert_int_equal(endpoint_set_port(&endpoint, 7, &err), 0);
	assert_hosts("a:1,b,[::1]:2", "a 7, b 7, ::1 7");
	assert_int_equal(endpoint_parse(&endpoint, "a:1,a:2", NULL, &err), 0);
	assert_int_equal(endpoint_set_port(&endpoint, 7, &err), -EINVAL);
	assert_string_equal(err.text, "the host 'a' is given twice with port 7");
	parse("nbd+unix:///?socket=/s");
	assert_int_equal(endpoint_set_port(&endpoint, 7, &err), 0);
	assert_int_equal(endpoint.host_count, 0);
}

static void test_format_of_several_hosts(void **state)
{
	static const struct {
		const char *word, *formatted;
	} table[] = {
		{"a,b", "nbd://a,b/x"},
		{"a:7,b:7", "nbd://a,b:7/x"},
		{"a,b:7", "nbd://a:10809,b:7/x"},
		{"a,::1", "nbd://a:10809,[::1]:10809/x"},
		{"[::1]:1", "nbd://[::1]:1/x"},
	};
	char buf[256];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		assert_int_equal(endpoint_parse(&endpoint, table[i].word, "x", &err), 0);
		endpoint_format(&endpoint, false, buf, sizeof(buf));
		assert_string_equal(buf, table[i].formatted);
	}
}

/* A device in use keeps the identifier that an older version gave it: without it no supervisor
 * would know it again. */
static void test_backend_id(void **state)
{
	static const struct {
		const char *word, *id;
	} table[] = {
		{"storage.example.com:10810", "9be8e9ab217557e89078e03f76158629"},
		{"a,b", "d46da3570471655cbc02ec5ef261f5f6"},
		{"b,a", "b911affe64078926284cc1770de6fa0a"},
	};
	char id[BACKEND_ID_SIZE];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		assert_int_equal(endpoint_parse(&endpoint, table[i].word, "x", &err), 0);
		backend_id_format(&endpoint, id);
		assert_string_equal(id, table[i].id);
	}
	parse("nbd+unix:///x?socket=/run/s");
	backend_id_format(&endpoint, id);
	assert_string_equal(id, "9f0700dd5c6e8f7847538bbbd17ddc87");
}

static void test_format(void **state)
{
	static const struct {
		const char *uri, *formatted;
	} table[] = {
		{"nbd://host", "nbd://host/"},
		{"nbds://host:10809/a%2fb%20c", "nbds://host/a/b%20c"},
		{"nbds://host:1/%25%23%3F", "nbds://host:1/%25%23%3F"},
		{"nbds://[::1]:2/x", "nbds://[::1]:2/x"},
		{"nbds://[fe80::1%eth0]:2/x", "nbds://[fe80::1%25eth0]:2/x"},
		{"nbd+unix:///x?socket=/run/a%26b", "nbd+unix:///x?socket=/run/a%26b"},
		{"nbd://host/K%C3%B6ln%1b", "nbd://host/K%C3%B6ln%1B"},
		{"nbds://a,b:10809/x", "nbds://a,b/x"},
		{"nbds://a,b:10810/x", "nbds://a,b:10810/x"},
	};
	char buf[256];
	size_t i, size;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		parse(table[i].uri);
		endpoint_format(&endpoint, tls.wanted, buf, sizeof(buf));
		assert_string_equal(buf, table[i].formatted);
		for (size = 1; size < strlen(table[i].formatted); size++) {
			memset(buf, 0x55, sizeof(buf));
			endpoint_format(&endpoint, tls.wanted, buf, size);
			assert_true(memchr(buf, 0, size) != NULL);
		}
	}
}

/* Not a part without the one before it. */
static void test_what_is_cut_is_the_beginning(void **state)
{
	char whole[128], cut[128];
	size_t size;

	(void)state;
	parse("nbds+unix:///x%20?socket=/s");
	endpoint_format(&endpoint, true, whole, sizeof(whole));
	for (size = 1; size <= strlen(whole) + 1; size++) {
		endpoint_format(&endpoint, true, cut, size);
		assert_true(strlen(cut) < size);
		assert_memory_equal(cut, whole, strlen(cut));
	}
	assert_string_equal(cut, whole);
}

/* Mutations of good URIs: no crash, and what is taken formats to something that is taken again,
 * with the same meaning. */
static void test_random_uris(void **state)
{
	static const char *const seeds[] = {
		"nbds://al@h.x:12/a%20b/c?tls-hostname=x&tls-psk-file=/f",
		"nbd+unix:///e?socket=/r/s", "nbd://[2001:db8::1]:77//x",
		"nbd://[fe80::1%25e0]/%25", "nbds://a,b.c,9:5/x"};
	static const char alphabet[] = "nbds+unix:/?#[]@%0aF&=.-,\xc3\xb6 \n";
	struct endpoint again;
	char uri[128], buf[16384];
	int round;

	(void)state;
	srandom(2);
	for (round = 0; round < 100000; round++) {
		int changes = 1 + (int)(random() % 4);

		snprintf(uri, sizeof(uri), "%s", seeds[round % 4]);
		while (changes--)
			uri[(size_t)random() % strlen(uri)] =
				alphabet[(size_t)random() % (sizeof(alphabet) - 1)];
		if (nbd_uri_parse(&endpoint, &tls, uri, &err))
			continue;
		endpoint_format(&endpoint, tls.wanted, buf, sizeof(buf));
		if (nbd_uri_parse(&again, &tls, buf, &err))
			fail_msg("%s became %s: %s", uri, buf, err.text);
		assert_string_equal(again.export_name, endpoint.export_name);
		assert_memory_equal(again.hosts, endpoint.hosts, sizeof(endpoint.hosts));
		assert_int_equal(again.host_count, endpoint.host_count);
		assert_string_equal(again.socket_path, endpoint.socket_path);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_uri_basics),
		cmocka_unit_test(test_uri_unix),
		cmocka_unit_test(test_uri_tls_parameters),
		cmocka_unit_test(test_uri_refusals),
		cmocka_unit_test(test_uri_lengths),
		cmocka_unit_test(test_messages_are_printable),
		cmocka_unit_test(test_is_uri),
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_several_hosts),
		cmocka_unit_test(test_one_port_for_all_hosts),
		cmocka_unit_test(test_format_of_several_hosts),
		cmocka_unit_test(test_backend_id),
		cmocka_unit_test(test_format),
		cmocka_unit_test(test_what_is_cut_is_the_beginning),
		cmocka_unit_test(test_random_uris),
	};

	return cmocka_run_group_tests_name("endpoint", tests, NULL, NULL);
}
