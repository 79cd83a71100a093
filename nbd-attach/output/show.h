/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The one gate for what people see. Names and texts come from servers, certificates, DHCP, the
 * kernel's command line, files and other processes: none of them moves a cursor, begins a line or
 * hides what stands in it. Nothing outside of this folder prints (tests/source/check). */
#ifndef NBDA_OUTPUT_SHOW
#define NBDA_OUTPUT_SHOW
#include <json.h>
#include <stdbool.h>
#include <stdio.h>

/* A part of a line: what FMT makes, and a newline is no part of it. */
void show_part(FILE *out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The rest of a line, with its end. */
void show_line(FILE *out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* "nbd-attach: ..." on stderr, a whole line. */
void show_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Each text in OBJECT: who reads JSON shows it. */
void show_clean_json(json_object *object);
/* Cleaned; a line, or with PRETTY several. */
void show_json(json_object *object, bool pretty);
/* Before a new picture of the whole. */
void show_clear(void);

/* For programs, which get the very bytes or nothing: false when VALUE has a control character,
 * which was told. NAME='VALUE' for a shell's eval, an empty value then; a path in a line. */
bool show_assignment(const char *name, const char *value);
bool show_path(const char *path);

#endif
