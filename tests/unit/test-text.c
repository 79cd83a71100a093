/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "base/text.h"

static void check(const char *in, size_t len, const char *expect)
{
	char out[256];

	text_sanitise(out, sizeof(out), in, len);
	assert_string_equal(out, expect);
}

static void test_good_text_stays(void **state)
{
	(void)state;
	check("plain text 123 ~", 16, "plain text 123 ~");
	check("K\xc3\xb6ln \xe2\x82\xac \xf0\x9f\x90\xa7", 14,
		"K\xc3\xb6ln \xe2\x82\xac \xf0\x9f\x90\xa7");
	check("", 0, "");
}

static void test_control_characters_go(void **state)
{
	(void)state;
	check("a\033[31mb\nc\rd\te\x7f", 14, "a?[31mb?c?d?e?");
	check("a\0b", 3, "a?b");
	check("\xc2\x9b"
	      "31m",
		5, "?31m"); /* C1 control sequence introducer */
	check("a\xe2\x80\xae"
	      "b",
		5, "a?b"); /* right-to-left override */
	check("a\xe2\x81\xa6"
	      "b",
		5, "a?b"); /* left-to-right isolate */
	check("a\xe2\x80\xa8"
	      "b",
		5, "a?b"); /* line separator */
	check("\xef\xbb\xbf"
	      "a",
		4, "?a"); /* byte order mark */
	check("\xf3\xa0\x81\x81"
	      "a",
		5, "?a"); /* tag letter */
}

static void test_broken_utf8_goes(void **state)
{
	(void)state;
	check("\xff\xfe", 2, "??");
	check("a\xc3", 2, "a?");
	check("\xe2\x82", 2, "??");
	check("\xc0\xaf", 2, "??"); /* overlong '/' */
	check("\xe0\x80\xaf", 3, "???");
	check("\xed\xa0\x80", 3, "???");      /* surrogate */
	check("\xf4\x90\x80\x80", 4, "????"); /* above U+10FFFF */
	check("\xf5\x80\x80\x80", 4, "????");
	check("\x80", 1, "?");
}

static void test_is_cut_with_dots(void **state)
{
	char out[16];

	(void)state;
	text_sanitise(out, 8, "1234567", 7);
	assert_string_equal(out, "1234567");
	text_sanitise(out, 8, "12345678", 8);
	assert_string_equal(out, "1234...");
	text_sanitise(out, 8, "123\xc3\xb6\xc3\xb6\xc3\xb6", 9);
	assert_string_equal(out, "123...");
	text_sanitise(out, 4, "12345", 5);
	assert_string_equal(out, "...");
	text_sanitise(out, 3, "12345", 5);
	assert_string_equal(out, "12");
	text_sanitise(out, 1, "12345", 5);
	assert_string_equal(out, "");
	out[0] = 'x';
	text_sanitise(out, 0, "12345", 5);
	assert_int_equal(out[0], 'x');
}

/* Whatever comes in, what goes out is terminated, valid UTF-8 and without control characters. */
static void test_random_bytes(void **state)
{
	unsigned char in[64];
	char out[40];
	size_t round, i, len, size;

	(void)state;
	srandom(1);
	for (round = 0; round < 200000; round++) {
		len = (size_t)random() % sizeof(in);
		size = 1 + (size_t)random() % sizeof(out);
		for (i = 0; i < len; i++)
			in[i] = (unsigned char)(random() % 4 ? random() | 0x80 : random());
		memset(out, 0x55, sizeof(out));
		text_sanitise(out, size, in, len);
		assert_true(memchr(out, 0, size) != NULL);
		assert_true(text_is_utf8(out, strlen(out)));
		for (i = 0; out[i]; i++)
			assert_true((unsigned char)out[i] >= ' ' && out[i] != 0x7f);
	}
}

static void test_copy(void **state)
{
	char out[4] = "";

	(void)state;
	assert_true(text_copy(out, sizeof(out), "abc"));
	assert_string_equal(out, "abc");
	assert_false(text_copy(out, sizeof(out), "abcd"));
	assert_string_equal(out, "abc");
	assert_true(text_copy(out, sizeof(out), ""));
	assert_string_equal(out, "");
	assert_false(text_copy(out, 0, "a"));
}

static void test_is_utf8(void **state)
{
	(void)state;
	assert_true(text_is_utf8("", 0));
	assert_true(text_is_utf8("a\0b", 3));
	assert_true(text_is_utf8("\xf4\x8f\xbf\xbf", 4));
	assert_false(text_is_utf8("ab\xc3", 3));
	assert_false(text_is_utf8("\xc1\xbf", 2));
	assert_false(text_is_utf8("\xf0\x8f\xbf\xbf", 4));
}

static void test_distance(void **state)
{
	(void)state;
	assert_int_equal(text_distance("list", "list"), 0);
	assert_int_equal(text_distance("lsit", "list"), 1);
	assert_int_equal(text_distance("lst", "list"), 1);
	assert_int_equal(text_distance("lisst", "list"), 1);
	assert_int_equal(text_distance("lisx", "list"), 1);
	assert_int_equal(text_distance("", "ab"), 2);
	assert_int_equal(text_distance("detach", "attach"), 2);
	assert_int_equal(text_distance("boot", "doctor"), TEXT_FAR);
	assert_int_equal(text_distance("123456789012345678901234567890123", "x"), TEXT_FAR);
}

static void test_nearest(void **state)
{
	static const char *const names[] = {"attach", "detach", "list", "info"};

	(void)state;
	assert_string_equal(text_nearest("atach", names, 4), "attach");
	assert_string_equal(text_nearest("dettach", names, 4), "detach");
	assert_string_equal(text_nearest("inof", names, 4), "info");
	assert_null(text_nearest("storage", names, 4));
	/* two letters of four are another word */
	assert_null(text_nearest("lamp", names, 4));
	assert_null(text_nearest("", names, 4));
	assert_null(text_nearest("list", names, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_text_stays),
		cmocka_unit_test(test_control_characters_go),
		cmocka_unit_test(test_broken_utf8_goes),
		cmocka_unit_test(test_is_cut_with_dots),
		cmocka_unit_test(test_random_bytes),
		cmocka_unit_test(test_copy),
		cmocka_unit_test(test_is_utf8),
		cmocka_unit_test(test_distance),
		cmocka_unit_test(test_nearest),
	};

	return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
