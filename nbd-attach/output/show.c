/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "output/show.h"
#include "base/cleanup.h"
#include "base/text.h"
#include <json_visit.h>
#include <stdarg.h>
#include <string.h>

static void show(FILE *out, const char *fmt, va_list args)
{
	_cleanup_free_ char *text = NULL;

	if (vasprintf(&text, fmt, args) < 0) {
		text = NULL;
		return;
	}
	text_make_printable(text);
	fputs(text, out);
}

void show_part(FILE *out, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	show(out, fmt, args);
	va_end(args);
}

void show_line(FILE *out, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	show(out, fmt, args);
	va_end(args);
	fputc('\n', out);
}

/* In one piece: several processes speak on one console. */
void show_note(const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list args;

	va_start(args, fmt);
	if (vasprintf(&text, fmt, args) < 0)
		text = NULL;
	va_end(args);
	if (!text)
		return;
	text_make_printable(text);
	fprintf(stderr, "nbd-attach: %s\n", text);
}

static int clean_text(json_object *value, int flags, json_object *parent, const char *key,
	size_t *index, void *context)
{
	_cleanup_free_ char *text = NULL;

	(void)flags, (void)parent, (void)key, (void)index, (void)context;
	if (!json_object_is_type(value, json_type_string))
		return JSON_C_VISIT_RETURN_CONTINUE;
	text = strdup(json_object_get_string(value));
	if (text)
		text_make_printable(text);
	json_object_set_string(value, text ? text : "");
	return JSON_C_VISIT_RETURN_CONTINUE;
}

void show_clean_json(json_object *value)
{
	json_c_visit(value, 0, clean_text, NULL);
}

void show_json(json_object *object, bool pretty)
{
	show_clean_json(object);
	puts(json_object_to_json_string_ext(object,
		JSON_C_TO_STRING_NOSLASHESCAPE |
			(pretty ? JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED :
				  JSON_C_TO_STRING_PLAIN)));
}

void show_clear(void)
{
	fputs("\033[H\033[2J", stdout);
}

static bool has_control(const char *value)
{
	for (const char *p = value; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return true;
	return false;
}

bool show_assignment(const char *name, const char *value)
{
	bool good = !has_control(value);

	if (!good)
		show_note("%s: it has a control character, and is left empty", name);
	printf("%s='", name);
	/* within single quotes nothing but the quote itself means anything to a shell */
	for (const char *p = good ? value : ""; *p; p++)
		fputs(*p == '\'' ? "'\\''" : (char[]){*p, 0}, stdout);
	puts("'");
	return good;
}

bool show_path(const char *path)
{
	bool good = !has_control(path);

	if (good)
		puts(path);
	else
		show_note("%s: a path with a control character is left out", path);
	return good;
}
