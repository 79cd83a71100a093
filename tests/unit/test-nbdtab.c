/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "config/nbdtab.h"

static struct nbdtab parse_bytes(const char *text, size_t size)
{
	/* Exactly as long as it is, so that ASan sees a read behind it. */
	char *copy = malloc(size ? size : 1);
	struct nbdtab tab;

	memcpy(copy, text, size);
	assert_int_equal(nbdtab_parse(&tab, copy, size), 0);
	free(copy);
	return tab;
}

static struct nbdtab parse(const char *text)
{
	return parse_bytes(text, strlen(text));
}

/* "INDEX HOST EXPORT [NAME=VALUE ...]" of each entry, bad ones with "!", a line each. */
static const char *render(const struct nbdtab *tab)
{
	static char buf[4096];
	size_t used = 0;

	buf[0] = 0;
	for (size_t i = 0; i < tab->entry_count; i++) {
		const struct nbdtab_entry *entry = &tab->entries[i];

		used += (size_t)snprintf(buf + used, sizeof(buf) - used, "%s%d %s %s",
			entry->bad ? "!" : "", entry->index, entry->host ? entry->host : "()",
			entry->export_name ? entry->export_name : "()");
		for (size_t j = 0; !entry->bad && j < entry->option_count; j++)
			used += (size_t)snprintf(buf + used, sizeof(buf) - used, " %s%s%s",
				entry->options[j].name, entry->options[j].value ? "=" : "",
				entry->options[j].value ? entry->options[j].value : "");
		used += (size_t)snprintf(buf + used, sizeof(buf) - used, "\n");
	}
	return buf;
}

struct good {
	const char *text, *expect;
};

static void good_lines(void **state)
{
	static const struct good table[] = {
		{"", ""},
		{"\n\n   \n\t\n", ""},
		{"# nothing\n  # but comments\n#\n", ""},
		{"nbd0 h e\n", "0 h e\n"},
		{"nbd0 h e", "0 h e\n"},
		{"/dev/nbd7 h e\n", "7 h e\n"},
		{"  nbd0\th   e\t\n", "0 h e\n"},
		{"nbd0 h e\r\nnbd1 h f bs=512\r\n", "0 h e\n1 h f bs=512\n"},
		{"nbd0 h e # why\nnbd1 h f swap # why not\n", "0 h e\n1 h f swap\n"},
		{"nbd0 h e#1 a#b\n", "0 h e#1 a#b\n"},
		{"nbd0 h e swap,persist,bs=4096,_local=x\n",
			"0 h e swap persist bs=4096 _local=x\n"},
		{"nbd0 h e export=,keyfile=pkcs11:object=k\n",
			"0 h e export= keyfile=pkcs11:object=k\n"},
		{"nbd0 a,b:10810,[::1]:7 e\n", "0 a,b:10810,[::1]:7 e\n"},
		{"nbd0 nbds://h/e\n", "0 nbds://h/e ()\n"},
		{"nbd0 nbds://h/e swap\n", "0 nbds://h/e () swap\n"},
		{"nbd0 nbds://h/e -\n", "0 nbds://h/e ()\n"},
		{"nbd0 nbds://h/e - swap\n", "0 nbds://h/e () swap\n"},
		{"nbd0 h -\n", "0 h -\n"},
		{"\xef\xbb\xbfnbd0 h e\n", "0 h e\n"},
		{"# caf\xe9 \x01\nnbd0 h e # \x02\n", "0 h e\n"},
		/* what nbdtab(5) of nbd-client shows */
		{"# swap space, called \"swapexport\" on the server\n# optimize for swap, and try "
		 "to reconnect upon disconnect.\n"
		 "nbd0 nbdserver.example.com swapexport swap,persist\n# other export, called "
		 "\"data\" on the server.\nnbd1 nbdserver.example.com data\n",
			"0 nbdserver.example.com swapexport swap persist\n1 nbdserver.example.com "
			"data\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct nbdtab tab = parse(table[i].text);

		assert_string_equal(render(&tab), table[i].expect);
		assert_int_equal(tab.diagnostic_count, 0);
		nbdtab_free(&tab);
	}
}

struct bad {
	const char *text;
	unsigned line, column;
	const char *says, *entries;
};

static void bad_lines_cost_only_themselves(void **state)
{
	static const struct bad table[] = {
		{"what is this\nnbd1 h e\n", 1, 1, "'what' is not a device", "!-1 is ()\n1 h e\n"},
		{"nbd1 h e\n  nbd0p1 h e", 2, 3, "'nbd0p1' is not a device", "1 h e\n!-1 h ()\n"},
		{"auto h e\nnbd1 h e\n", 1, 1, "'auto' is not a device", "!-1 h ()\n1 h e\n"},
		{"auto\nnbd1 h e\n", 1, 1, "'auto' is not a device", "1 h e\n"},
		{"/dev/sda h e\nnbd1 h e\n", 1, 1, "'/dev/sda' is not", "!-1 h ()\n1 h e\n"},
		{"\x1b[2J h e\nnbd1 h e\n", 1, 1, "is not a device", "1 h e\n"},
		{"nbd0\nnbd1 h e\n", 1, 1, "the host is missing", "!0 () ()\n1 h e\n"},
		{"nbd0 h\nnbd1 h e\n", 1, 6, "the export is missing", "!0 h ()\n1 h e\n"},
		{"nbd0 h e a b\nnbd1 h e\n", 1, 12, "a field too many", "!0 h e\n1 h e\n"},
		{"nbd0 nbd://h/e a b\nnbd1 h e\n", 1, 18, "a field too many",
			"!0 nbd://h/e ()\n1 h e\n"},
		{"nbd0 h e a,,b\nnbd1 h e\n", 1, 12, "without a name", "!0 h e\n1 h e\n"},
		{"nbd0 h e a,\nnbd1 h e\n", 1, 12, "a comma too many", "!0 h e\n1 h e\n"},
		{"nbd0 h e =x\nnbd1 h e\n", 1, 10, "without a name", "!0 h e\n1 h e\n"},
		{"nbd0 h e a\x01\nnbd1 h e\n", 1, 11, "control character (byte 0x01)",
			"!0 h ()\n1 h e\n"},
		{"nbd0 h e a\x7f\nnbd1 h e\n", 1, 11, "control character (byte 0x7f)",
			"!0 h ()\n1 h e\n"},
		{"nbd0 h\x0b e\nnbd1 h e\n", 1, 7, "control character", "!0 () ()\n1 h e\n"},
		{"nbd0 h e\rnbd1 h e\n", 1, 9, "control character (byte 0x0d)", "!0 h ()\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct nbdtab tab = parse(table[i].text);

		assert_int_equal(tab.diagnostic_count, 1);
		assert_true(tab.diagnostics[0].bad);
		assert_int_equal(tab.diagnostics[0].line, table[i].line);
		assert_int_equal(tab.diagnostics[0].column, table[i].column);
		if (!strstr(tab.diagnostics[0].text, table[i].says))
			fail_msg("\"%s\" lacks \"%s\"", tab.diagnostics[0].text, table[i].says);
		assert_null(strchr(tab.diagnostics[0].text, '\x1b'));
		assert_string_equal(render(&tab), table[i].entries);
		nbdtab_free(&tab);
	}
}

static void nul_bytes(void **state)
{
	static const char text[] = "nbd0 h e s\0wap\nnbd1 h e\n\0\nnbd2\0h e\nnbd3 h e";
	struct nbdtab tab = parse_bytes(text, sizeof(text) - 1);

	(void)state;
	assert_string_equal(render(&tab), "!0 h ()\n1 h e\n!2 () ()\n3 h e\n");
	assert_int_equal(tab.diagnostic_count, 3);
	assert_int_equal(tab.diagnostics[0].column, 11);
	assert_int_equal(tab.diagnostics[1].line, 3);
	assert_int_equal(tab.diagnostics[2].line, 4);
	nbdtab_free(&tab);
}

static void first_line_of_a_device_counts(void **state)
{
	struct nbdtab tab = parse("nbd0 h e\nnbd1 h\n/dev/nbd0 other x\nnbd1 h e\n");

	(void)state;
	/* A bad line is not replaced by a later one either: it may have asked for TLS. */
	assert_string_equal(render(&tab), "0 h e\n!1 h ()\n");
	assert_int_equal(tab.diagnostic_count, 3);
	assert_int_equal(tab.diagnostics[1].line, 3);
	assert_false(tab.diagnostics[1].bad);
	assert_non_null(strstr(tab.diagnostics[1].text, "line 1"));
	assert_ptr_equal(nbdtab_reason(&tab, nbdtab_find(&tab, 1)), &tab.diagnostics[0]);
	assert_null(nbdtab_reason(&tab, nbdtab_find(&tab, 0)));
	assert_null(nbdtab_find(&tab, 2));
	nbdtab_free(&tab);
}

static void columns_are_known(void **state)
{
	struct nbdtab tab = parse("\t nbd0 h  exp  a,bc=d,e\n");
	const struct nbdtab_entry *entry = &tab.entries[0];

	(void)state;
	assert_int_equal(entry->device_column, 3);
	assert_int_equal(entry->host_column, 8);
	assert_int_equal(entry->export_column, 11);
	assert_int_equal(entry->options[0].column, 16);
	assert_int_equal(entry->options[1].column, 18);
	assert_int_equal(entry->options[2].column, 23);
	nbdtab_free(&tab);
}

static void limits(void **state)
{
	size_t size = 1 << 20;
	char *text = malloc(size);
	struct nbdtab tab;
	int used;

	(void)state;
	used = sprintf(text, "nbd0 h ");
	memset(text + used, 'x', NBDTAB_LINE_MAX);
	sprintf(text + used + NBDTAB_LINE_MAX, "\nnbd1 h e\n");
	tab = parse(text);
	assert_string_equal(render(&tab), "!0 h ()\n1 h e\n");
	assert_non_null(strstr(tab.diagnostics[0].text, "longer than"));
	nbdtab_free(&tab);

	memset(text, 'x', size - 1);
	text[size - 1] = 0;
	tab = parse(text);
	assert_int_equal(tab.entry_count, 0);
	assert_int_equal(tab.diagnostic_count, 1);
	nbdtab_free(&tab);

	used = sprintf(text, "nbd0 h e ");
	for (int i = 0; i <= NBDTAB_OPTIONS_MAX; i++)
		used += sprintf(text + used, "%so%d", i ? "," : "", i);
	tab = parse(text);
	assert_true(tab.entries[0].bad);
	nbdtab_free(&tab);

	used = 0;
	for (int i = 0; i < NBDTAB_ENTRIES_MAX + 200; i++)
		used += sprintf(text + used, "nbd%d h e\n", i);
	tab = parse(text);
	assert_int_equal(tab.entry_count, NBDTAB_ENTRIES_MAX);
	assert_int_equal(tab.diagnostic_count, NBDTAB_DIAGNOSTICS_MAX);
	assert_int_equal(tab.diagnostics_dropped, 200 - NBDTAB_DIAGNOSTICS_MAX);
	nbdtab_free(&tab);
	free(text);
}

static uint64_t random_state;

static uint32_t random_below(uint32_t limit)
{
	random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(random_state >> 33) % limit;
}

static size_t random_text(char *text, size_t max)
{
	static const char *const words[] = {"nbd0", "nbd1", "/dev/nbd2", " ", "\t", "\n", "\r\n",
		"#", ",", "=", "host", "[::1]:7", "nbds://h/e", "nbd://", "export", "tls", "bs=512",
		"_x", "-", "%41", "\xef\xbb\xbf", "\x01", "p1", "nbd99999999999", "unix", "/run/x",
		"auto"};
	size_t used = 0, len;

	while (used + 20 < max && random_below(60)) {
		const char *word = words[random_below(sizeof(words) / sizeof(words[0]))];

		if (random_below(12) == 0) {
			text[used++] = (char)random_below(256);
			continue;
		}
		len = strlen(word);
		memcpy(text + used, word, len);
		used += len;
	}
	return used;
}

/* Whatever the bytes are: each line is an entry, a diagnostic, or empty; what an entry points to
 * has no control character. */
static void random_bytes(void **state)
{
	char text[2048];

	(void)state;
	random_state = 20261121;
	for (int round = 0; round < 20000; round++) {
		size_t size = random_text(text, sizeof(text)), lines = 1;
		struct nbdtab tab = parse_bytes(text, size);

		for (size_t i = 0; i < size; i++)
			lines += text[i] == '\n';
		assert_true(tab.entry_count <= lines);
		for (size_t i = 0; i < tab.entry_count; i++) {
			const struct nbdtab_entry *entry = &tab.entries[i];

			assert_int_equal(entry->bad, nbdtab_reason(&tab, entry) != NULL);
			assert_true(entry->line >= 1 && entry->line <= lines &&
				(entry->index >= 0 || (entry->bad && entry->host)));
			if (entry->bad)
				continue;
			for (const char *p = entry->host; *p; p++)
				assert_true((unsigned char)*p > ' ' && *p != 0x7f);
			for (size_t j = 0; j < entry->option_count; j++)
				assert_true(*entry->options[j].name &&
					!strpbrk(entry->options[j].name, ",= \t"));
		}
		for (size_t i = 0; i < tab.diagnostic_count; i++)
			assert_true(tab.diagnostics[i].line >= 1 &&
				tab.diagnostics[i].line <= lines &&
				tab.diagnostics[i].column >= 1 && *tab.diagnostics[i].text);
		nbdtab_free(&tab);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_lines),
		cmocka_unit_test(bad_lines_cost_only_themselves),
		cmocka_unit_test(nul_bytes),
		cmocka_unit_test(first_line_of_a_device_counts),
		cmocka_unit_test(columns_are_known),
		cmocka_unit_test(limits),
		cmocka_unit_test(random_bytes),
	};

	return cmocka_run_group_tests_name("nbdtab", tests, NULL, NULL);
}
