/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "options/retype.h"
#include "options/option-entry.h"
#include "base/text.h"
#include <stdio.h>
#include <string.h>

/* What stands in a hint for the server. */
#define PLACE "HOST"

static void append(struct retyped *line, const char *text)
{
	size_t used = strlen(line->s);

	text_copy(line->s + used, sizeof(line->s) - used, text);
}

void retype_word(struct retyped *line, const char *word)
{
	bool is_plain = *word && !word[strcspn(word, " \t\n\"'\\$`!*?[]{}()<>|&;#~")];
	char quote[2] = "'";

	if (*line->s)
		append(line, " ");
	if (is_plain) {
		append(line, word);
		return;
	}
	append(line, quote);
	for (; *word; word++) {
		char letter[2] = {*word, 0};

		append(line, *word == '\'' ? "'\\''" : letter);
	}
	append(line, quote);
}

static const char *value_text(
	const struct option_entry *entry, const void *field, char *buf, size_t size)
{
	switch (entry->kind) {
	case KIND_STRING: return field;
	case KIND_PORT: snprintf(buf, size, "%u", *(const uint16_t *)field); return buf;
	case KIND_TLS_MIN:
		text_copy(buf, size,
			*(const enum tls_version *)field == TLS_VERSION_1_2 ? "1.2" : "1.3");
		return buf;
	default: return NULL; /* a flag */
	}
}

void retype_server(struct retyped *line, const struct options *options, int at)
{
	const struct settings *settings = &options->settings;

	retype_word(line, options->arguments[at]);
	for (size_t i = 0; i < option_entry_count; i++) {
		const struct option_entry *entry = &option_entries[i];
		char name[40], buf[16];
		const char *value;

		if (!option_is_given(settings, entry) ||
			(!option_is_about_tls(entry) && entry->kind != KIND_PORT))
			continue;
		snprintf(name, sizeof(name), "--%s", entry->name);
		retype_word(line, name);
		value = value_text(entry, (const char *)settings + entry->offset, buf, sizeof(buf));
		if (value)
			retype_word(line, value);
	}
}

void retype_hint(struct error *err, const struct options *options, int at)
{
	struct retyped server = {""};
	char *place = strstr(err->hint, PLACE), rest[sizeof(err->hint)];

	if (!place || at >= options->argument_count)
		return;
	retype_server(&server, options, at);
	text_copy(rest, sizeof(rest), place + strlen(PLACE));
	snprintf(place, sizeof(err->hint) - (size_t)(place - err->hint), "%s%s", server.s, rest);
	text_make_printable(err->hint);
}
