/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Text from strangers. */
#ifndef NBDA_BASE_TEXT
#define NBDA_BASE_TEXT
#include <stddef.h>
#include <stdbool.h>

/* Copy LEN bytes to OUT (SIZE bytes, always terminated) so that a terminal, a log or JSON can show
 * them: valid UTF-8 without control or direction-changing characters stays, everything else becomes
 * '?'; cut at SIZE with "...". */
void text_sanitise(char *out, size_t size, const void *bytes, size_t len);
/* The same in place, of a terminated text, which never grows. */
void text_make_printable(char *text);
bool text_is_utf8(const void *bytes, size_t len);
bool text_is_ascii(const char *text);
/* strlcpy: false when it did not fit. */
bool text_copy(char *out, size_t size, const char *text);

/* How many letters are wrong, missing, too many or in the place of their neighbour, up to
 * TEXT_FAR. */
#define TEXT_FAR 3
unsigned text_distance(const char *a, const char *b);
/* Which of COUNT names may have been meant by TYPED, which is none of them; NULL: none of them. */
const char *text_nearest(const char *typed, const char *const names[], size_t count);

/* In place: /proc/mounts, mountinfo and swaps write space, tab, newline and backslash as \ooo. */
void text_unescape_octal(char *text);

#endif
