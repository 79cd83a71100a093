/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading a supervisor's answer, or what it wrote down: a key that is missing, null or of another
 * type than expected is as good as not there. */
#ifndef NBDA_BASE_JSON_GET
#define NBDA_BASE_JSON_GET
#include <json.h>
#include <stdbool.h>
#include <stdint.h>

/* By value, so that a line can be printed from several of them at once. */
struct text {
	char s[700]; /* room for the longest error's text */
};

/* Borrowed; NULL when there is none. */
json_object *json_get(json_object *object, const char *key);
/* Sanitised for a terminal; empty when there is none. */
struct text json_get_text(json_object *object, const char *key);
/* As it is; false, and BUF is empty, when there is none or it does not fit. */
bool json_get_string(json_object *object, const char *key, char *buf, size_t size);
/* A whole number from 0 on. */
bool json_get_number(json_object *object, const char *key, int64_t *number);
/* The same; 0 when there is none. */
int64_t json_get_number_or_0(json_object *object, const char *key);
bool json_get_true(json_object *object, const char *key);

#endif
