/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/wire.h"

static void integers_are_big_endian(void **state)
{
	uint8_t bytes[14];

	(void)state;
	wire_put_u16(bytes, 0x0102);
	wire_put_u32(bytes + 2, 0x03040506);
	wire_put_u64(bytes + 6, 0x0708090a0b0c0d0eULL);
	for (uint8_t i = 0; i < sizeof(bytes); i++)
		assert_int_equal(bytes[i], i + 1);
	assert_int_equal(wire_get_u16(bytes), 0x0102);
	assert_int_equal(wire_get_u32(bytes + 2), 0x03040506);
	assert_true(wire_get_u64(bytes + 6) == 0x0708090a0b0c0d0eULL);
}

static void a_reader_stops_at_its_end(void **state)
{
	const uint8_t bytes[7] = {0, 1, 0, 0, 0, 2, 9};
	struct wire_reader reader;

	(void)state;
	wire_reader_init(&reader, bytes, sizeof(bytes));
	assert_int_equal(wire_read_u16(&reader), 1);
	assert_int_equal(wire_read_u32(&reader), 2);
	assert_false(reader.failed);
	assert_int_equal(wire_read_u16(&reader), 0);
	assert_true(reader.failed);
	assert_int_equal(reader.left, 1);
}

static void a_failed_reader_stays_failed(void **state)
{
	const uint8_t bytes[4] = {1, 2, 3, 4};
	struct wire_reader reader;

	(void)state;
	wire_reader_init(&reader, bytes, sizeof(bytes));
	assert_true(wire_read_u64(&reader) == 0);
	assert_null(wire_read_bytes(&reader, 1));
	assert_int_equal(wire_read_u16(&reader), 0);
	assert_true(reader.failed);
}

static void a_length_near_the_top_does_not_wrap(void **state)
{
	const uint8_t bytes[4] = {0};
	struct wire_reader reader;

	(void)state;
	wire_reader_init(&reader, bytes, sizeof(bytes));
	assert_null(wire_read_bytes(&reader, SIZE_MAX));
	assert_true(reader.failed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(integers_are_big_endian),
		cmocka_unit_test(a_reader_stops_at_its_end),
		cmocka_unit_test(a_failed_reader_stays_failed),
		cmocka_unit_test(a_length_near_the_top_does_not_wrap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
