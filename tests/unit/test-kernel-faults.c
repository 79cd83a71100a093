/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "modules/kernel-faults.h"

#define ROOM 16

static struct kernel_version parsed(const char *release, const char *version)
{
	return kernel_version_parse(release, version);
}

static void assert_version(struct kernel_version version, unsigned first, unsigned second,
	unsigned third, bool is_vague)
{
	assert_int_equal(version.number[0], first);
	assert_int_equal(version.number[1], second);
	assert_int_equal(version.number[2], third);
	assert_int_equal(version.is_vague, is_vague);
}

static void the_number_is_the_kernels_not_the_packages(void **state)
{
	struct kernel_version found;

	(void)state;
	found = parsed("6.1.0-41-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.158-1 (2025-11-09)");
	assert_version(found, 6, 1, 158, false);
	assert_string_equal(found.text, "6.1.158-1");
	assert_version(parsed("6.12.57+deb13-amd64", "#1 SMP Debian 6.12.57-1 (2025-11-05)"), 6, 12,
		57, false);
	assert_version(parsed("7.3.4", "#1 SMP"), 7, 3, 4, false);
	assert_version(parsed("7.2", "#1"), 7, 2, 0, false);
	assert_version(parsed("7.0-rc2", "#1"), 7, 0, 0, false);
	assert_version(parsed("6.8.0-31-generic", "#31-Ubuntu SMP"), 6, 8, 0, true);
	assert_version(parsed("5.14.0-427.el9.x86_64", "#1 SMP"), 5, 14, 0, true);
	assert_version(parsed("", ""), 0, 0, 0, false);
	assert_version(parsed("none", "Debian"), 0, 0, 0, false);
	assert_string_equal(parsed("6.1.2\033[2J", "").text, "6.1.2?[2J");
}

/* NAME BELOW: the first version of a series that does not have it any more, and one that has. */
static void each_fault_ends_with_its_fix(void **state)
{
	static const struct {
		const char *name, *with, *without;
	} cases[] = {
		{"CVE-2025-38616", "6.0", "5.19.17"},
		{"CVE-2025-38616", "6.1.184", "6.1.185"},
		{"CVE-2025-38616", "6.6.102", "6.6.103"},
		{"CVE-2025-38616", "6.12.42", "6.12.43"},
		{"CVE-2025-38616", "6.15.10", "6.15.11"},
		{"CVE-2025-38616", "6.16.1", "6.17"},
		{"CVE-2025-40080", "5.4", "5.3"},
		{"CVE-2025-40080", "6.1.155", "6.1.156"},
		{"CVE-2025-40080", "6.6.111", "6.6.112"},
		{"CVE-2025-40080", "6.12.52", "6.12.53"},
		{"CVE-2025-40080", "6.17.2", "6.18"},
		{"CVE-2025-68366", "6.1.159", "6.1.160"},
		{"CVE-2025-68366", "6.18.1", "6.18.2"},
		{"CVE-2025-68372", "6.12.62", "6.12.63"},
		{"CVE-2026-23240", "6.1.192", "6.12.75"},
		{"CVE-2026-23240", "6.12.74", "6.18.16"},
		{"CVE-2026-23240", "6.19.5", "6.19.6"},
		{"CVE-2026-23414", "6.1.158", "6.1.157"},
		{"CVE-2026-23414", "6.1.167", "6.1.168"},
		{"CVE-2026-23414", "6.12.79", "6.12.80"},
		{"CVE-2026-23414", "6.18", "6.17.4"},
		{"CVE-2026-23414", "6.19.10", "7.0"},
		{"CVE-2026-74611", "6.1.190", "6.1.191"},
		{"CVE-2026-74611", "6.12.113", "6.12.114"},
		{"CVE-2026-74611", "6.18.44", "6.18.45"},
		{"CVE-2026-74611", "7.1.8", "7.1.9"},
		{"CVE-2026-74611", "6.19.11", "7.2"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct kernel_version with = parsed(cases[i].with, ""),
				      without = parsed(cases[i].without, "");

		if (!kernel_has_fault(&with, cases[i].name))
			fail_msg("%s has %s", cases[i].with, cases[i].name);
		if (kernel_has_fault(&without, cases[i].name))
			fail_msg("%s does not have %s", cases[i].without, cases[i].name);
	}
}

static void mended_is_only_what_is_known_to_be(void **state)
{
	static const struct {
		const char *release, *version;
		bool is_mended;
	} cases[] = {
		{"6.1.190", "", false},
		{"6.1.191", "", true},
		{"6.1.0-56-amd64", "#1 SMP Debian 6.1.192-1 (2026-10-01)", true},
		{"6.1.0-56-amd64", "", false},
		{"6.12.90+deb13-amd64", "#1 SMP Debian 6.12.90-1 (2026-05-01)", false},
		{"6.12.117+deb12-cloud-amd64", "#1 SMP Debian 6.12.117-1~bpo12+1", true},
		{"6.19.14", "", false},
		{"7.2", "", true},
		{"7.2-rc3", "", false},
		{"7.2.0-13-generic", "#13-Ubuntu SMP", false},
		{"6.12.0-55.9.1.el10_0.x86_64", "", false},
		{"7.3.4", "", true},
		{"", "", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct kernel_version version = parsed(cases[i].release, cases[i].version);

		if (kernel_is_mended(&version, "CVE-2026-74611") != cases[i].is_mended)
			fail_msg("%s is %smended", cases[i].release,
				cases[i].is_mended ? "" : "not ");
		assert_false(kernel_is_mended(&version, "CVE-1999-0001"));
	}
}

static void red_hats_kernels_are_known_by_their_release(void **state)
{
	static const char *const red_hats[] = {"4.18.0-553.el8_10.x86_64",
		"5.14.0-427.13.1.el9_4.x86_64", "6.12.0-55.9.1.el10_0.x86_64", "5.14.0-503.el9"};
	static const char *const others[] = {"6.9.1-1.el9.elrepo.x86_64",
		"5.15.0-209.161.7.2.el9uek.x86_64", "6.12.57+deb13-amd64", "6.17.8-300.fc43.x86_64",
		"6.1.0-41-amd64", "6.8.0-31-generic", "6.18.1.elastic", ""};

	(void)state;
	for (size_t i = 0; i < sizeof(red_hats) / sizeof(*red_hats); i++)
		if (!kernel_is_red_hats(red_hats[i]))
			fail_msg("%s", red_hats[i]);
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		if (kernel_is_red_hats(others[i]))
			fail_msg("%s", others[i]);
}

static void a_name_that_nobody_knows_is_in_no_kernel(void **state)
{
	struct kernel_version version = parsed("6.1.1", "");

	(void)state;
	assert_false(kernel_has_fault(&version, "CVE-1999-0001"));
}

static const struct check_item *find(const struct check_item *items, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(items[i].name, name))
			return &items[i];
	fail_msg("no item %s", name);
	return NULL;
}

static void each_is_reported_with_what_is_done_about_it(void **state)
{
	struct check_item items[ROOM] = {0};
	struct kernel_version version = parsed("6.12.50", "");
	const struct check_item *item;
	size_t count = kernel_faults_check(&version, items, ROOM);

	(void)state;
	assert_int_equal(count, 5);
	item = find(items, count, "CVE-2025-40080");
	assert_int_equal(item->state, CHECK_OK);
	assert_non_null(strstr(item->detail, "(by its version); here: it is given TCP and Unix"));
	assert_string_equal(item->remedy, "");
	item = find(items, count, "CVE-2026-23240");
	assert_int_equal(item->state, CHECK_WARN);
	assert_null(strstr(item->detail, "here:"));
	assert_non_null(strstr(item->remedy, "distribution"));
	assert_int_equal(kernel_faults_check(&version, items, 2), 2);
	assert_int_equal(kernel_faults_check(&version, items, 0), 0);
}

/* A text that is cut is as long as its room. */
static void no_text_is_cut(void **state)
{
	struct check_item items[ROOM] = {0};
	struct kernel_version version = parsed("6.1.0-9-other", "");
	size_t count = kernel_faults_check(&version, items, ROOM);

	(void)state;
	assert_true(version.is_vague && count >= 6);
	for (size_t i = 0; i < count; i++) {
		assert_true(strlen(items[i].detail) < sizeof(items[i].detail) - 1);
		assert_true(strlen(items[i].remedy) < sizeof(items[i].remedy) - 1);
		assert_non_null(strstr(items[i].detail, "(by its version, which hides"));
	}
}

static void a_kernel_of_today_has_none(void **state)
{
	struct check_item items[ROOM];
	struct kernel_version version = parsed("7.3.4", ""), none = parsed("", "");

	(void)state;
	assert_int_equal(kernel_faults_check(&version, items, ROOM), 0);
	assert_int_equal(kernel_faults_check(&none, items, ROOM), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_number_is_the_kernels_not_the_packages),
		cmocka_unit_test(each_fault_ends_with_its_fix),
		cmocka_unit_test(mended_is_only_what_is_known_to_be),
		cmocka_unit_test(red_hats_kernels_are_known_by_their_release),
		cmocka_unit_test(a_name_that_nobody_knows_is_in_no_kernel),
		cmocka_unit_test(each_is_reported_with_what_is_done_about_it),
		cmocka_unit_test(no_text_is_cut),
		cmocka_unit_test(a_kernel_of_today_has_none),
	};

	return cmocka_run_group_tests_name("kernel-faults", tests, NULL, NULL);
}
