/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/json-get.h"

static json_object *object;

static int setup(void **state)
{
	(void)state;
	object = json_tokener_parse("{\"text\": \"a\\u001bb\", \"number\": 7, \"negative\": -1, "
				    "\"fraction\": 1.5, \"yes\": true, \"nothing\": null}");
	return object ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	json_object_put(object);
	return 0;
}

static void a_string_is_copied_as_it_is_and_shown_sanitised(void **state)
{
	char buf[8];

	(void)state;
	assert_true(json_get_string(object, "text", buf, sizeof(buf)));
	assert_string_equal(buf, "a\033b");
	assert_string_equal(json_get_text(object, "text").s, "a?b");
}

static void what_does_not_fit_is_not_there(void **state)
{
	char buf[4];

	(void)state;
	assert_true(json_get_string(object, "text", buf, 4));
	assert_false(json_get_string(object, "text", buf, 3));
	assert_string_equal(buf, "");
}

static void another_type_is_not_there(void **state)
{
	static const char *const others[] = {"missing", "nothing", "yes", "fraction", "negative"};
	char buf[8] = "former";
	int64_t number;

	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		assert_false(json_get_string(object, others[i], buf, sizeof(buf)));
		assert_string_equal(buf, "");
		assert_string_equal(json_get_text(object, others[i]).s, "");
		assert_false(json_get_number(object, others[i], &number));
		assert_int_equal(json_get_number_or_0(object, others[i]), 0);
	}
	assert_false(json_get_true(object, "number"));
	assert_false(json_get_string(NULL, "text", buf, sizeof(buf)));
	assert_int_equal(json_get_number_or_0(NULL, "number"), 0);
}

static void a_number_is_a_number(void **state)
{
	int64_t number = 0;

	(void)state;
	assert_true(json_get_number(object, "number", &number));
	assert_int_equal(number, 7);
	assert_int_equal(json_get_number_or_0(object, "number"), 7);
	assert_true(json_get_true(object, "yes"));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_string_is_copied_as_it_is_and_shown_sanitised),
		TEST(what_does_not_fit_is_not_there),
		TEST(another_type_is_not_there),
		TEST(a_number_is_a_number),
	};

	return cmocka_run_group_tests_name("json-get", tests, NULL, NULL);
}
