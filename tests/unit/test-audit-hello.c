/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "audit/hello.h"
#include "base/wire.h"
#include <stdlib.h>
#include <string.h>

/* The parts of a hello of ours. */
struct parsed {
	uint16_t version, extension_count;
	size_t suite_count;
	uint16_t suites[256];
	bool has_name;
};

static void parse_extensions(struct wire_reader *reader, struct parsed *parsed)
{
	struct wire_reader list;
	size_t size = wire_read_u16(reader);

	wire_reader_init(&list, wire_read_bytes(reader, size), size);
	while (list.left) {
		parsed->has_name |= wire_read_u16(&list) == 0;
		wire_read_bytes(&list, wire_read_u16(&list));
		parsed->extension_count++;
	}
	assert_false(list.failed);
}

static void parse(const uint8_t *bytes, size_t size, struct parsed *parsed)
{
	struct wire_reader reader;

	*parsed = (struct parsed){0};
	wire_reader_init(&reader, bytes, size);
	assert_int_equal(*(const uint8_t *)wire_read_bytes(&reader, 1), 22);
	wire_read_u16(&reader);
	size = wire_read_u16(&reader);
	assert_int_equal(size, reader.left);
	size = wire_read_u16(&reader); /* the type, and the length's first byte */
	assert_int_equal(size, 1 << 8);
	size = wire_read_u16(&reader);
	assert_int_equal(size, reader.left);
	parsed->version = wire_read_u16(&reader);
	wire_read_bytes(&reader, 32);
	assert_int_equal(*(const uint8_t *)wire_read_bytes(&reader, 1), 0);
	size = wire_read_u16(&reader);
	for (size_t i = 0; i < size / 2; i++)
		parsed->suites[parsed->suite_count++] = wire_read_u16(&reader);
	assert_int_equal(wire_read_u16(&reader), 0x0100);
	if (reader.left)
		parse_extensions(&reader, parsed);
	assert_false(reader.failed);
	assert_int_equal(reader.left, 0);
}

static void encode(struct parsed *parsed, uint16_t version, unsigned suites, const char *host)
{
	const struct hello_offer offer = {.version = version, .suites = suites, .host = host};
	uint8_t bytes[HELLO_MAX_BYTES];
	size_t size = hello_encode(bytes, &offer);

	assert_true(size <= sizeof(bytes));
	parse(bytes, size, parsed);
}

static void a_hello_offers_what_was_asked_for(void **state)
{
	struct parsed parsed;

	(void)state;
	encode(&parsed, HELLO_TLS_1_2, HELLO_SUITES_WEAK, "storage.example.com");
	assert_int_equal(parsed.version, HELLO_TLS_1_2);
	assert_true(parsed.suite_count > 40);
	for (size_t i = 0; i < parsed.suite_count; i++)
		assert_int_equal(hello_suite_class(parsed.suites[i]), HELLO_SUITES_WEAK);
	assert_true(parsed.has_name);
	encode(&parsed, HELLO_TLS_1_0, HELLO_SUITES_STATIC | HELLO_SUITES_FORWARD_SECRET, "");
	assert_int_equal(parsed.version, HELLO_TLS_1_0);
	for (size_t i = 0; i < parsed.suite_count; i++)
		assert_int_not_equal(hello_suite_class(parsed.suites[i]), HELLO_SUITES_WEAK);
	assert_false(parsed.has_name);
}

static void without_a_certificate_none_is_asked_for(void **state)
{
	const struct hello_offer offer = {
		.version = HELLO_TLS_1_2, .suites = ~0U, .without_certificate = true, .host = ""};
	uint8_t bytes[HELLO_MAX_BYTES];
	struct parsed parsed;

	(void)state;
	parse(bytes, hello_encode(bytes, &offer), &parsed);
	assert_true(parsed.suite_count > 30);
	for (size_t i = 0; i < parsed.suite_count; i++)
		assert_true(strstr(hello_suite_name(parsed.suites[i]), "PSK") ||
			strstr(hello_suite_name(parsed.suites[i]), "anon"));
}

static void an_address_is_no_name_and_ssl_has_no_extensions(void **state)
{
	struct parsed parsed;
	char name[300];

	(void)state;
	encode(&parsed, HELLO_TLS_1_2, HELLO_SUITES_STATIC, "192.0.2.1");
	assert_false(parsed.has_name);
	encode(&parsed, HELLO_TLS_1_2, HELLO_SUITES_STATIC, "2001:db8::1");
	assert_false(parsed.has_name);
	encode(&parsed, HELLO_SSL_3_0, HELLO_SUITES_STATIC, "storage.example.com");
	assert_int_equal(parsed.extension_count, 0);
	/* all there is, with the longest name, has room */
	memset(name, 'a', 254);
	name[63] = name[127] = name[191] = '.';
	name[253] = 0;
	encode(&parsed, HELLO_TLS_1_2, ~0U, name);
	assert_true(parsed.has_name);
	name[253] = 'a';
	name[254] = 0;
	encode(&parsed, HELLO_TLS_1_2, ~0U, name);
	assert_false(parsed.has_name);
}

/* A server's hello of TLS 1.2, its random ending with TAIL. */
static size_t server_hello(uint8_t *out, uint16_t suite, const char *tail, const void *extensions,
	size_t extensions_size)
{
	uint8_t *at = out + 5;
	size_t size = 2 + 32 + 1 + 2 + 1 + (extensions_size ? 2 + extensions_size : 0);

	out[0] = 22;
	wire_put_u16(out + 1, HELLO_TLS_1_2);
	wire_put_u16(out + 3, (uint16_t)(4 + size));
	at[0] = 2;
	at[1] = 0;
	wire_put_u16(at + 2, (uint16_t)size);
	wire_put_u16(at + 4, HELLO_TLS_1_2);
	memset(at + 6, 'r', 32);
	memcpy(at + 6 + 24, tail, 8);
	at[38] = 0;
	wire_put_u16(at + 39, suite);
	at[41] = 0;
	if (extensions_size) {
		wire_put_u16(at + 42, (uint16_t)extensions_size);
		memcpy(at + 44, extensions, extensions_size);
	}
	return 5 + 4 + size;
}

static const uint8_t both_extensions[] = {0xff, 1, 0, 1, 0, 0, 23, 0, 0};

static void a_servers_hello_is_understood(void **state)
{
	struct hello_answer answer;
	uint8_t bytes[200];
	size_t size =
		server_hello(bytes, 0xc02b, "rrrrrrrr", both_extensions, sizeof(both_extensions));

	(void)state;
	assert_int_equal(hello_decode(bytes, size, &answer), 1);
	assert_int_equal(answer.kind, HELLO_SERVER);
	assert_int_equal(answer.version, HELLO_TLS_1_2);
	assert_int_equal(answer.suite, 0xc02b);
	assert_true(answer.renegotiation_info && answer.extended_master_secret);
	assert_false(answer.downgrade_sentinel);
	size = server_hello(bytes, 0x002f, "DOWNGRD\1", NULL, 0);
	assert_int_equal(hello_decode(bytes, size, &answer), 1);
	assert_int_equal(answer.kind, HELLO_SERVER);
	assert_true(answer.downgrade_sentinel);
	assert_false(answer.renegotiation_info || answer.extended_master_secret);
	size = server_hello(bytes, 0x002f, "DOWNGRD\2", NULL, 0);
	assert_int_equal(hello_decode(bytes, size, &answer), 1);
	assert_false(answer.downgrade_sentinel);
}

static void an_alert_is_a_refusal(void **state)
{
	const uint8_t alert[] = {21, 3, 3, 0, 2, 2, 70}, odd[] = {21, 3, 3, 0, 1, 2};
	struct hello_answer answer;

	(void)state;
	assert_int_equal(hello_decode(alert, sizeof(alert), &answer), 1);
	assert_int_equal(answer.kind, HELLO_ALERT);
	assert_int_equal(answer.alert, 70);
	assert_int_equal(hello_decode(alert, sizeof(alert) - 1, &answer), 0);
	assert_int_equal(hello_decode(odd, sizeof(odd), &answer), 1);
	assert_int_equal(answer.kind, HELLO_NOT_TLS);
}

static void what_is_no_tls_is_none(void **state)
{
	static const char *const others[] = {"\0\3\xe8\x89\4\x55\x65\xa9", "HTTP/1.1 400",
		"\x16\2\0\0\5hello", "\x17\3\3\0\5hello", "\x16\3\3\0\0\0\0\0",
		"\x16\3\3\xff\xff\0\0\0", "\x16\3\3\0\4\x0b\0\0\0"};
	static const size_t sizes[] = {8, 12, 10, 10, 8, 8, 9};
	struct hello_answer answer;

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		assert_int_equal(hello_decode((const uint8_t *)others[i], sizes[i], &answer), 1);
		assert_int_equal(answer.kind, HELLO_NOT_TLS);
	}
}

static void a_hello_may_come_in_pieces(void **state)
{
	uint8_t whole[200], cut[300];
	struct hello_answer answer;
	size_t size =
		server_hello(whole, 0xc02b, "rrrrrrrr", both_extensions, sizeof(both_extensions));

	(void)state;
	for (size_t part = 0; part < size; part++) {
		assert_int_equal(hello_decode(whole, part, &answer), 0);
		assert_int_equal(
			hello_bytes_needed(whole, part), part < 5 ? 5 - part : size - part);
	}
	/* the message cut into two records, at each of its bytes */
	for (size_t first = 1; first < size - 5; first++) {
		size_t second = size - 5 - first;

		memcpy(cut, whole, 5 + first);
		wire_put_u16(cut + 3, (uint16_t)first);
		memcpy(cut + 5 + first, whole, 3);
		wire_put_u16(cut + 5 + first + 3, (uint16_t)second);
		memcpy(cut + 5 + first + 5, whole + 5 + first, second);
		assert_int_equal(hello_decode(cut, 5 + first, &answer), 0);
		assert_int_equal(hello_bytes_needed(cut, 5 + first), 5);
		assert_int_equal(hello_decode(cut, size + 5, &answer), 1);
		assert_int_equal(answer.kind, HELLO_SERVER);
		assert_true(answer.extended_master_secret);
	}
}

static void lengths_that_lie_do_no_harm(void **state)
{
	uint8_t bytes[200];
	struct hello_answer answer;
	size_t size =
		server_hello(bytes, 0xc02b, "rrrrrrrr", both_extensions, sizeof(both_extensions));

	(void)state;
	srand(1);
	for (int i = 0; i < 200000; i++) {
		uint8_t *copy = malloc(size); /* of its size, for the sanitizer */
		size_t part = (size_t)rand() % (size + 1);

		memcpy(copy, bytes, size);
		for (int n = rand() % 4; n >= 0; n--)
			copy[5 * (rand() % 2) + rand() % (size - 5)] = (uint8_t)rand();
		copy = realloc(copy, part ? part : 1);
		hello_decode(copy, part, &answer);
		assert_true(hello_bytes_needed(copy, part) > 0);
		free(copy);
	}
}

static void names_are_known(void **state)
{
	(void)state;
	assert_string_equal(hello_suite_name(0xc02b), "ECDHE_ECDSA_WITH_AES_128_GCM_SHA256");
	assert_null(hello_suite_name(0x1301));
	assert_int_equal(hello_suite_class(0x1301), 0);
	assert_string_equal(hello_version_name(HELLO_TLS_1_1), "TLS 1.1");
	assert_string_equal(hello_version_name(0x0399), "an unknown version of TLS");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_hello_offers_what_was_asked_for),
		cmocka_unit_test(without_a_certificate_none_is_asked_for),
		cmocka_unit_test(an_address_is_no_name_and_ssl_has_no_extensions),
		cmocka_unit_test(a_servers_hello_is_understood),
		cmocka_unit_test(an_alert_is_a_refusal),
		cmocka_unit_test(what_is_no_tls_is_none),
		cmocka_unit_test(a_hello_may_come_in_pieces),
		cmocka_unit_test(lengths_that_lie_do_no_harm),
		cmocka_unit_test(names_are_known),
	};

	return cmocka_run_group_tests_name("audit-hello", tests, NULL, NULL);
}
