/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <unistd.h>
#include "nbd/export-info.h"

static struct error err;

static struct export_geometry offer(uint64_t size, uint32_t min, uint32_t preferred, uint32_t max)
{
	struct export_geometry info = {.has_size = true,
		.size_bytes = size,
		.flags = 1,
		.has_block_size = min || preferred || max,
		.block_min_bytes = min,
		.block_preferred_bytes = preferred,
		.block_max_bytes = max};

	return info;
}

static void says(const char *sentence)
{
	if (!strstr(err.text, sentence))
		fail_msg("'%s' lacks '%s'", err.text, sentence);
}

/* The machine's pages are as large as a test wants them. Our definition comes before the C
 * library's for the whole program. */
static long page_bytes = 4096;

long __sysconf(int name); /* glibc's own name for it */

long sysconf(int name)
{
	return name == _SC_PAGESIZE ? page_bytes : __sysconf(name);
}

static void larger_pages_allow_larger_blocks(void **state)
{
	struct export_geometry info = offer(1 << 20, 16384, 16384, 1U << 25);
	uint32_t size;

	(void)state;
	assert_int_equal(export_info_choose_block_size(&info, 0, &size, &err), -EINVAL);
	says("above what the kernel's nbd driver can do (4096, a page)");
	page_bytes = 16384;
	assert_int_equal(export_info_choose_block_size(&info, 0, &size, &err), 0);
	assert_int_equal(size, 16384);
	assert_int_equal(export_info_check_attachable(&info, size, &err), 0);
	info = offer(1 << 20, 65536, 65536, 1U << 25);
	assert_int_equal(export_info_choose_block_size(&info, 0, &size, &err), -EINVAL);
	says("(16384, a page)");
	page_bytes = 65536;
	assert_int_equal(export_info_choose_block_size(&info, 0, &size, &err), 0);
	assert_int_equal(size, 65536);
	page_bytes = 4096;
}

static void test_block_size_chosen(void **state)
{
	static const struct {
		uint32_t min, preferred, override, expect;
	} table[] = {
		{0, 0, 0, 512},
		{1, 4096, 0, 512},
		{512, 4096, 0, 512},
		{1024, 4096, 0, 1024},
		{4096, 65536, 0, 4096},
		{1, 512, 4096, 4096},
		{1024, 4096, 1024, 1024},
		{0, 0, 2048, 2048},
		{512, 512, 512, 512},
	};
	uint32_t size;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct export_geometry info = offer(
			1 << 20, table[i].min, table[i].preferred, table[i].min ? 1U << 25 : 0);

		assert_int_equal(
			export_info_choose_block_size(&info, table[i].override, &size, &err), 0);
		assert_int_equal(size, table[i].expect);
	}
}

static void test_block_size_refused(void **state)
{
	static const struct {
		uint32_t min, preferred, max, override;
		const char *sentence;
		enum error_kind kind;
	} table[] = {
		{65536, 65536, 1 << 25, 0, "above what the kernel's nbd driver can do",
			ERROR_SERVER},
		{4096, 4096, 1 << 25, 512, "at least 4096 bytes", ERROR_SERVER},
		{0, 0, 0, 256, "powers of two from 512", ERROR_USAGE},
		{0, 0, 0, 1000, "powers of two from 512", ERROR_USAGE},
		{0, 0, 0, 1U << 31, "powers of two from 512", ERROR_USAGE},
		{0, 0, 0, UINT32_MAX, "powers of two from 512", ERROR_USAGE},
		{3, 4096, 4096, 0, "minimum block size of 3 bytes is not a power", ERROR_SERVER},
		{131072, 131072, 1 << 25, 0, "minimum block size of 131072", ERROR_SERVER},
		{512, 0, 1 << 25, 0, "preferred block size of 0", ERROR_SERVER},
		{512, 256, 1 << 25, 0, "preferred block size of 256", ERROR_SERVER},
		{4096, 512, 1 << 25, 0, "preferred block size of 512", ERROR_SERVER},
		{512, 5000, 1 << 25, 0, "preferred block size of 5000", ERROR_SERVER},
		{512, 512, 1000, 0, "maximum block size of 1000", ERROR_SERVER},
		{512, 4096, 512, 0, "maximum block size of 512 bytes is below its preferred",
			ERROR_SERVER},
		{512, 4096, 0, 0, "maximum block size of 0", ERROR_SERVER},
		{0, 4096, 1 << 25, 0, "minimum block size of 0", ERROR_SERVER},
	};
	uint32_t size = 7;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct export_geometry info =
			offer(1 << 20, table[i].min, table[i].preferred, table[i].max);

		memset(&err, 0, sizeof(err));
		if (export_info_choose_block_size(&info, table[i].override, &size, &err) != -EINVAL)
			fail_msg("line %zu was taken", i);
		says(table[i].sentence);
		assert_int_equal(err.kind, table[i].kind);
		assert_int_equal(size, 7);
	}
}

static void test_attachable(void **state)
{
	struct export_geometry info = offer(1 << 20, 512, 4096, UINT32_MAX);

	(void)state;
	assert_int_equal(export_info_check_attachable(&info, 512, &err), 0);
	info = offer(1 << 20, 0, 0, 0);
	assert_int_equal(export_info_check_attachable(&info, 4096, &err), 0);
	/* smaller than what it prefers: allowed, the maximum is the size */
	info = offer(512, 1, 4096, 512);
	assert_int_equal(export_info_check_attachable(&info, 512, &err), 0);
	info = offer(INT64_MAX - 511, 0, 0, 0);
	assert_int_equal(export_info_check_attachable(&info, 512, &err), 0);
}

static void test_not_attachable(void **state)
{
	static const struct {
		uint64_t size;
		uint32_t block;
		const char *sentence;
	} table[] = {
		{0, 512, "size of 0 bytes"},
		{1ULL << 63, 512, "above what a block device can have"},
		{UINT64_MAX, 512, "above what a block device can have"},
		{1000, 512, "not a multiple of the device's block size of 512"},
		{512 * 3, 1024, "not a multiple of the device's block size of 1024"},
		{1, 512, "not a multiple"},
		{4096, 0, "not a power of two"},
		{4096, 768, "not a power of two"},
	};
	struct export_geometry info;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		info = offer(table[i].size, 0, 0, 0);
		assert_int_equal(
			export_info_check_attachable(&info, table[i].block, &err), -EINVAL);
		says(table[i].sentence);
	}
	info = offer(512 * 3, 0, 0, 0);
	export_info_check_attachable(&info, 1024, &err);
	assert_non_null(strstr(err.hint, "smaller block size"));
	info = offer(4096, 0, 0, 0);
	info.has_size = false;
	assert_int_equal(export_info_check_attachable(&info, 512, &err), -EINVAL);
	says("did not tell the export's size");
	info = offer(4096, 0, 0, 0);
	info.flags = 2;
	assert_int_equal(export_info_check_attachable(&info, 512, &err), -EINVAL);
	says("without NBD_FLAG_HAS_FLAGS");
	info = offer(512, 256, 512, 512);
	assert_int_equal(export_info_check_attachable(&info, 512, &err), 0);
	info = offer(1024, 256, 512, 256);
	assert_int_equal(export_info_check_attachable(&info, 512, &err), -EINVAL);
	says("maximum block size of 256");
}

static void test_compare(void **state)
{
	struct export_geometry a = offer(1 << 20, 512, 4096, 1 << 25), b = a;

	(void)state;
	assert_int_equal(export_info_compare(&a, &b, &err), 0);
	b.block_preferred_bytes = 65536; /* a hint, not a constraint */
	assert_int_equal(export_info_compare(&a, &b, &err), 0);
	b = a, b.size_bytes += 512;
	assert_int_equal(export_info_compare(&a, &b, &err), -ESTALE);
	says("its size was 1048576 bytes and is now 1049088 bytes");
	assert_int_equal(err.kind, ERROR_SERVER);
	b = a, b.block_min_bytes = 4096;
	assert_int_equal(export_info_compare(&a, &b, &err), -ESTALE);
	says("minimum block size was 512 bytes and is now 4096 bytes");
	b = a, b.block_max_bytes = 1 << 20;
	assert_int_equal(export_info_compare(&a, &b, &err), -ESTALE);
	says("maximum block size");
	b = a, b.has_block_size = false;
	assert_int_equal(export_info_compare(&a, &b, &err), -ESTALE);
	b = a, b.flags |= 1 << 1;
	assert_int_equal(export_info_compare(&a, &b, &err), -ESTALE);
	says("flag READ_ONLY was clear and is now set");
	b = a, b.flags |= 1 << 15;
	assert_int_equal(export_info_compare(&a, &b, &err), -ESTALE);
	says("flag bit 15 was clear");
	b = a, b.has_size = false;
	assert_int_equal(export_info_compare(&a, &b, NULL), -ESTALE);
}

static void test_flag_names(void **state)
{
	(void)state;
	assert_string_equal(export_flag_name(0), "HAS_FLAGS");
	assert_string_equal(export_flag_name(1), "READ_ONLY");
	assert_string_equal(export_flag_name(8), "CAN_MULTI_CONN");
	assert_string_equal(export_flag_name(11), "SEND_FAST_ZERO");
	assert_null(export_flag_name(13));
	assert_null(export_flag_name(16));
	assert_null(export_flag_name(UINT32_MAX));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_block_size_chosen),
		cmocka_unit_test(larger_pages_allow_larger_blocks),
		cmocka_unit_test(test_block_size_refused),
		cmocka_unit_test(test_attachable),
		cmocka_unit_test(test_not_attachable),
		cmocka_unit_test(test_compare),
		cmocka_unit_test(test_flag_names),
	};

	return cmocka_run_group_tests_name("export-info", tests, NULL, NULL);
}
