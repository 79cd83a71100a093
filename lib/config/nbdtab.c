/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config/nbdtab.h"
#include "config/device-name.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/error.h"
#include "config/nbd-uri.h"
#include "base/text.h"

#define SHOWN_MAX 64
#define FIELDS_MAX 4

struct field {
	char *text; /* NULL: not there */
	unsigned column;
};

static void add_note(
	struct nbdtab *tab, unsigned line, unsigned column, bool bad, const char *fmt, va_list args)
{
	struct nbdtab_diagnostic *diagnostic;

	if (tab->diagnostic_count == NBDTAB_DIAGNOSTICS_MAX) {
		tab->diagnostics_dropped++;
		return;
	}
	diagnostic = &tab->diagnostics[tab->diagnostic_count++];
	diagnostic->line = line;
	diagnostic->column = column;
	diagnostic->bad = bad;
	vsnprintf(diagnostic->text, sizeof(diagnostic->text), fmt, args);
}

void nbdtab_diagnostic(struct nbdtab *tab, struct nbdtab_entry *entry, unsigned column, bool bad,
	const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	add_note(tab, entry->line, column, bad, fmt, args);
	va_end(args);
	if (bad)
		entry->bad = true;
}

/* About a line that has no entry. */
__attribute__((format(printf, 4, 5))) static void bad_line(
	struct nbdtab *tab, unsigned line, unsigned column, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	add_note(tab, line, column, true, fmt, args);
	va_end(args);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Nobody can see what such a byte does to a name, and a message or a script that repeats it would
 * do it again. */
static bool is_control(char c)
{
	return ((unsigned char)c < ' ' && c != '\t') || c == 0x7f;
}

/* Cut LINE into fields, in place. Returns their number; one more than FIELDS_MAX when there are
 * more, with the column of the first of these in *EXTRA. */
static size_t split_fields(char *line, struct field fields[FIELDS_MAX], unsigned *extra)
{
	size_t count = 0;
	char *p = line;

	for (;;) {
		while (is_blank(*p))
			p++;
		if (!*p)
			return count;
		if (count == FIELDS_MAX) {
			*extra = (unsigned)(p - line) + 1;
			return count + 1;
		}
		fields[count++] = (struct field){p, (unsigned)(p - line) + 1};
		while (*p && !is_blank(*p))
			p++;
		if (*p)
			*p++ = 0;
	}
}

static void take_options(struct nbdtab *tab, struct nbdtab_entry *entry, const struct field *field)
{
	char *p = field->text, *end;

	entry->options = calloc(NBDTAB_OPTIONS_MAX, sizeof(*entry->options));
	for (; entry->options && p; p = end) {
		struct nbdtab_option *option = &entry->options[entry->option_count];
		unsigned column = field->column + (unsigned)(p - field->text);
		char *equals;

		end = strchr(p, ',');
		if (end)
			*end++ = 0;
		equals = strchr(p, '=');
		if (!*p || equals == p) {
			nbdtab_diagnostic(tab, entry, column, true, "an option without a name%s",
				*p ? "" : ": a comma too many, or a blank after one");
			return;
		}
		if (entry->option_count == NBDTAB_OPTIONS_MAX) {
			nbdtab_diagnostic(tab, entry, column, true, "more than %d options",
				NBDTAB_OPTIONS_MAX);
			return;
		}
		if (equals)
			*equals++ = 0;
		*option = (struct nbdtab_option){p, equals, column};
		entry->option_count++;
	}
}

/* After an NBD URI there is no export to name; "-" may stand in its column. */
static const struct field *options_field(
	struct nbdtab_entry *entry, const struct field fields[FIELDS_MAX])
{
	if (nbd_uri_is_one(entry->host))
		return fields[2].text && strcmp(fields[2].text, "-") != 0 ? &fields[2] : &fields[3];
	entry->export_name = fields[2].text;
	entry->export_column = fields[2].column;
	return &fields[3];
}

static void take_entry(struct nbdtab *tab, struct nbdtab_entry *entry,
	const struct field fields[FIELDS_MAX], size_t count, unsigned extra)
{
	const struct field *options;

	entry->device_column = fields[0].column;
	if (count < 2) {
		nbdtab_diagnostic(tab, entry, fields[0].column, true,
			"the host is missing: a line is \"device host export [options]\"");
		return;
	}
	entry->host = fields[1].text;
	entry->host_column = fields[1].column;
	options = options_field(entry, fields);
	if (!entry->export_name && !nbd_uri_is_one(entry->host)) {
		nbdtab_diagnostic(tab, entry, fields[1].column, true,
			"the export is missing: a line is \"device host export [options]\"");
		return;
	}
	if (count > FIELDS_MAX || (options == &fields[2] && fields[3].text)) {
		nbdtab_diagnostic(tab, entry, count > FIELDS_MAX ? extra : fields[3].column, true,
			"a field too many: options have no blanks between them");
		return;
	}
	if (options->text)
		take_options(tab, entry, options);
}

/* What is wrong with the bytes of a line, whatever its fields are. The line is cut there: what
 * stands before still tells whose it is. */
static void check_bytes(struct nbdtab *tab, struct nbdtab_entry *entry, size_t len,
	size_t control_at, unsigned char control)
{
	if (control_at < len)
		nbdtab_diagnostic(tab, entry, (unsigned)control_at + 1, true,
			"a control character (byte 0x%02x)", control);
	else if (len > NBDTAB_LINE_MAX)
		nbdtab_diagnostic(tab, entry, NBDTAB_LINE_MAX + 1, true,
			"the line is longer than %d bytes", NBDTAB_LINE_MAX);
}

static int take_device(struct nbdtab *tab, unsigned line, const struct field *field, int *index)
{
	char shown[SHOWN_MAX];
	struct error err;

	if (field->text && device_name_parse(field->text, index, &err) == 0 && *index >= 0)
		return 0;
	text_sanitise(shown, sizeof(shown), field->text ? field->text : "",
		field->text ? strlen(field->text) : 0);
	bad_line(tab, line, field->text ? field->column : 1, "'%s' is not a device such as nbd0",
		shown);
	return -EINVAL;
}

/* LINE has no comment and is not blank. */
static void take_line(struct nbdtab *tab, char *line, size_t len, unsigned number)
{
	struct nbdtab_entry entry = {.line = number}, *former;
	struct field fields[FIELDS_MAX] = {0};
	unsigned extra = 0;
	size_t control_at, count;
	unsigned char control;

	for (control_at = 0; control_at < len && !is_control(line[control_at]); control_at++)
		;
	control = (unsigned char)line[control_at];
	line[control_at] = 0;
	count = split_fields(line, fields, &extra);
	if (take_device(tab, number, &fields[0], &entry.index)) {
		entry.index = NBDTAB_NO_DEVICE;
		entry.bad = true;
		entry.host = count > 1 ? fields[1].text : NULL;
		if (entry.host && tab->entry_count < NBDTAB_ENTRIES_MAX)
			tab->entries[tab->entry_count++] = entry;
		return;
	}
	former = nbdtab_find(tab, entry.index);
	if (former) {
		nbdtab_diagnostic(tab, &entry, fields[0].column, false,
			"nbd%d has a line already, line %u, which is the one that counts",
			entry.index, former->line);
		return;
	}
	if (tab->entry_count == NBDTAB_ENTRIES_MAX) {
		bad_line(tab, number, fields[0].column, "more than %d devices", NBDTAB_ENTRIES_MAX);
		return;
	}
	check_bytes(tab, &entry, len, control_at, control);
	if (!entry.bad)
		take_entry(tab, &entry, fields, count, extra);
	else if (count > 2)
		entry.host = fields[1].text;
	tab->entries[tab->entry_count++] = entry;
}

/* The length without a comment (a '#' within a field is part of it, as for nbd-client), without
 * blanks before it, and without the CR of a file that was edited elsewhere. */
static size_t cut_line(const char *line, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (line[i] == '#' && (i == 0 || is_blank(line[i - 1])))
			break;
	while (i && (is_blank(line[i - 1]) || line[i - 1] == '\r'))
		i--;
	return i;
}

int nbdtab_parse(struct nbdtab *tab, const char *text, size_t size)
{
	static const char byte_order_mark[] = "\xef\xbb\xbf";
	char *p, *end;
	unsigned number = 0;

	*tab = (struct nbdtab){0};
	tab->text = malloc(size + 1);
	tab->entries = calloc(NBDTAB_ENTRIES_MAX, sizeof(*tab->entries));
	tab->diagnostics = calloc(NBDTAB_DIAGNOSTICS_MAX, sizeof(*tab->diagnostics));
	if (!tab->text || !tab->entries || !tab->diagnostics) {
		nbdtab_free(tab);
		return -ENOMEM;
	}
	if (size)
		memcpy(tab->text, text, size);
	tab->text[size] = 0;
	end = tab->text + size;
	p = tab->text;
	if (size >= 3 && memcmp(p, byte_order_mark, 3) == 0)
		p += 3;
	while (p < end) {
		char *next = memchr(p, '\n', (size_t)(end - p));
		size_t len = (size_t)((next ? next : end) - p);

		len = cut_line(p, len);
		p[len] = 0;
		number++;
		if (len)
			take_line(tab, p, len, number);
		p = next ? next + 1 : end;
	}
	return 0;
}

void nbdtab_free(struct nbdtab *tab)
{
	for (size_t i = 0; tab->entries && i < tab->entry_count; i++)
		free(tab->entries[i].options);
	free(tab->entries);
	free(tab->diagnostics);
	free(tab->text);
	*tab = (struct nbdtab){0};
}

struct nbdtab_entry *nbdtab_find(const struct nbdtab *tab, int index)
{
	for (size_t i = 0; i < tab->entry_count; i++)
		if (tab->entries[i].index == index)
			return &tab->entries[i];
	return NULL;
}

const struct nbdtab_diagnostic *nbdtab_reason(
	const struct nbdtab *tab, const struct nbdtab_entry *entry)
{
	for (size_t i = 0; i < tab->diagnostic_count; i++)
		if (tab->diagnostics[i].bad && tab->diagnostics[i].line == entry->line)
			return &tab->diagnostics[i];
	return NULL;
}
