/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of options, for what reads it: the parser, and what says what to type instead. */
#ifndef NBDA_OPTIONS_OPTION_ENTRY
#define NBDA_OPTIONS_OPTION_ENTRY
#include <stdbool.h>
#include <stddef.h>
#include "base/error.h"
#include "config/policy.h"

struct settings;

enum option_kind {
	KIND_FLAG,
	KIND_STRING, /* an array of the structure's own */
	KIND_WORD,   /* a pointer into the command line */
	KIND_TEXT,   /* the same; may be empty */
	KIND_TLS_MIN,
	KIND_PORT,
	KIND_COUNT,
	KIND_BYTES,
	KIND_SECONDS,
	KIND_LONG_SECONDS,
	KIND_RECORDS
};

struct option_entry {
	const char *name;
	char letter;
	enum option_kind kind;
	const char *argument;
	unsigned mask;
	size_t offset, size; /* of the field */
	const char *help;
};

#define OPTIONS_MAX 64 /* settings.given has a bit for each */

extern const struct option_entry option_entries[];
extern const size_t option_entry_count;

/* The one with this LETTER, unless that is 0, or with the LENGTH bytes of NAME, unless NULL. */
const struct option_entry *option_find(int letter, const char *name, size_t length);
bool option_is_given(const struct settings *settings, const struct option_entry *entry);
bool option_is_about_tls(const struct option_entry *entry);
/* Into struct options, or, a setting, into one of settings alone. */
int option_store(
	void *options, const struct option_entry *entry, const char *value, struct error *err);
/* Replacing a link takes a moment, in which nothing must fail. */
int options_check_limits(const struct device_policy *policy, struct error *err);

#endif
