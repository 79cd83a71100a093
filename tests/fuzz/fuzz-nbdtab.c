/* SPDX-License-Identifier: GPL-2.0-or-later */
/* /etc/nbdtab: every line is used, refused with a note, or both warned of and used. */
#include "fuzz.h"
#include "options/nbdtab-options.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct fuzz_file file;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	fuzz_file_open(&file);
	return setenv("NBD_ATTACH_TAB", file.path, 1);
}

static void check_note(const struct nbdtab_options *tab, const struct nbdtab_diagnostic *note)
{
	char text[sizeof(tab->path) + sizeof(*note) + 64];

	FUZZ_CHECK(note->line > 0 && note->column > 0);
	fuzz_check_shown(note->text, sizeof(note->text));
	nbdtab_options_format_diagnostic(tab, note, text, sizeof(text));
	fuzz_check_shown(text, sizeof(text));
}

static void check_entry(const struct nbdtab_options *tab, const struct nbdtab_entry *entry)
{
	const struct nbdtab_line *line = nbdtab_line(tab, entry);

	FUZZ_CHECK(entry->option_count <= NBDTAB_OPTIONS_MAX);
	if (entry->bad) {
		FUZZ_CHECK(nbdtab_reason(&tab->nbdtab, entry) || tab->nbdtab.diagnostics_dropped);
		return;
	}
	FUZZ_CHECK(entry->index >= 0 && entry->host);
	FUZZ_CHECK(nbdtab_find(&tab->nbdtab, entry->index) == entry);
	FUZZ_CHECK(line->endpoint.host_count || *line->endpoint.socket_path);
	FUZZ_CHECK(!*line->endpoint.socket_path || !nbdtab_line_wants_tls(line));
}

/* An option whose name begins with "tls" is for TLS, or the line is not used: no typo leads to a
 * connection in clear. */
static void check_tls(const struct nbdtab_options *tab, const struct nbdtab_entry *entry)
{
	for (size_t i = 0; !entry->bad && i < entry->option_count; i++) {
		const char *name = entry->options[i].name;

		if (strncmp(name + (*name == '_'), "tls", 3) == 0)
			FUZZ_CHECK(nbdtab_line_wants_tls(nbdtab_line(tab, entry)));
	}
}

static void look_up(int index)
{
	static struct config config;
	static struct settings settings;
	struct error err;
	int rc;

	settings_init(&settings);
	fuzz_soil_error(&err);
	rc = nbdtab_options_lookup(index, &settings, &config, &err);
	if (rc)
		fuzz_check_error(rc, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nbdtab_options tab;
	struct error err;
	int index = 0, rc;

	fuzz_file_put(&file, data, size);
	fuzz_soil_error(&err);
	rc = nbdtab_options_load(&tab, &err);
	if (rc) {
		fuzz_check_error(rc, &err);
		return 0;
	}
	for (size_t i = 0; i < tab.nbdtab.diagnostic_count; i++)
		check_note(&tab, &tab.nbdtab.diagnostics[i]);
	for (size_t i = 0; i < tab.nbdtab.entry_count; i++) {
		check_entry(&tab, &tab.nbdtab.entries[i]);
		check_tls(&tab, &tab.nbdtab.entries[i]);
		index = tab.nbdtab.entries[i].index;
	}
	nbdtab_options_free(&tab);
	look_up(index);
	return 0;
}
