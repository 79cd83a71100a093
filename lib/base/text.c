/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/text.h"
#include <stdint.h>
#include <string.h>

/* Length of the UTF-8 sequence at P, 0 when it is none: overlong forms, surrogates and values above
 * U+10FFFF are not. */
static size_t decode_utf8(const unsigned char *p, size_t len, uint32_t *code)
{
	static const uint32_t lowest[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t need = p[0] < 0x80 ? 1 : p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
	size_t i;

	if (need == 1) {
		*code = p[0];
		return 1;
	}
	if (p[0] < 0xc0 || p[0] > 0xf4 || need > len)
		return 0;
	*code = p[0] & (0x7fU >> need);
	for (i = 1; i < need; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		*code = *code << 6 | (p[i] & 0x3f);
	}
	if (*code < lowest[need] || *code > 0x10ffff || (*code >= 0xd800 && *code <= 0xdfff))
		return 0;
	return need;
}

/* What can move the cursor, hide, or make a line read in another order than it is stored. */
static bool is_showable(uint32_t code)
{
	static const struct {
		uint32_t first, last;
	} hidden[] = {
		{0x00, 0x1f},
		{0x7f, 0x9f},
		{0xad, 0xad},
		{0x61c, 0x61c},
		{0x180e, 0x180e},
		{0x200b, 0x200f},
		{0x2028, 0x202e},
		{0x2060, 0x206f},
		{0xfeff, 0xfeff},
		{0xfff9, 0xfffb},
		{0xe0000, 0xe007f},
	};
	size_t i;

	for (i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++)
		if (code >= hidden[i].first && code <= hidden[i].last)
			return false;
	return true;
}

void text_sanitise(char *out, size_t size, const void *bytes, size_t len)
{
	const unsigned char *p = bytes;
	size_t used = 0, fits = 0, step, width;
	uint32_t code;

	if (!size)
		return;
	while (len) {
		step = decode_utf8(p, len, &code);
		width = step && is_showable(code) ? step : 1;
		if (used + width >= size)
			break;
		if (width == 1)
			out[used] = step && is_showable(code) ? (char)*p : '?';
		else
			memcpy(out + used, p, width);
		used += width;
		/* The last place where "..." could still follow. */
		if (used + 3 < size)
			fits = used;
		if (!step)
			step = 1;
		p += step;
		len -= step;
	}
	if (len && size > 3) {
		memcpy(out + fits, "...", 3);
		used = fits + 3;
	}
	out[used] = 0;
}

void text_make_printable(char *text)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t left = strlen(text), step, width;
	char *out = text;
	uint32_t code;

	for (; left; left -= step, p += step) {
		step = decode_utf8(p, left, &code);
		width = step && is_showable(code) ? step : 1;
		if (!step || !is_showable(code))
			*out = '?';
		else
			memmove(out, p, width);
		out += width;
		step = step ? step : 1;
	}
	*out = 0;
}

bool text_is_utf8(const void *bytes, size_t len)
{
	const unsigned char *p = bytes;
	uint32_t code;
	size_t step;

	for (; len; p += step, len -= step) {
		step = decode_utf8(p, len, &code);
		if (!step)
			return false;
	}
	return true;
}

bool text_is_ascii(const char *text)
{
	while (*text && (unsigned char)*text < 0x80)
		text++;
	return !*text;
}

bool text_copy(char *out, size_t size, const char *text)
{
	size_t len = strlen(text), take;

	if (!size)
		return false;
	take = len < size ? len : size - 1;
	memcpy(out, text, take);
	out[take] = 0;
	return take == len;
}

void text_unescape_octal(char *text)
{
	char *out = text;

	while (*text) {
		if (text[0] == '\\' && text[1] >= '0' && text[1] <= '3' && text[2] >= '0' &&
			text[2] <= '7' && text[3] >= '0' && text[3] <= '7') {
			*out++ = (char)((text[1] - '0') << 6 | (text[2] - '0') << 3 |
				(text[3] - '0'));
			text += 4;
		} else {
			*out++ = *text++;
		}
	}
	*out = 0;
}

#define WORD_MAX 32

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

unsigned text_distance(const char *a, const char *b)
{
	/* rows[i % 3][j]: between the first i letters of A and the first j of B */
	unsigned rows[3][WORD_MAX + 1];
	size_t a_length = strlen(a), b_length = strlen(b);

	if (a_length > WORD_MAX || b_length > WORD_MAX)
		return TEXT_FAR;
	for (size_t j = 0; j <= b_length; j++)
		rows[0][j] = (unsigned)j;
	for (size_t i = 1; i <= a_length; i++) {
		unsigned *row = rows[i % 3], *last = rows[(i - 1) % 3];

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= b_length; j++) {
			row[j] = least(last[j - 1] + (a[i - 1] != b[j - 1]),
				least(last[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = least(row[j], rows[(i - 2) % 3][j - 2] + 1);
		}
	}
	return least(rows[a_length % 3][b_length], TEXT_FAR);
}

const char *text_nearest(const char *typed, const char *const names[], size_t count)
{
	const char *nearest = NULL;
	unsigned least_distance = TEXT_FAR;

	for (size_t i = 0; i < count; i++) {
		unsigned distance = text_distance(typed, names[i]);

		/* of a short word two letters are most of it */
		if (distance >= least_distance || 2UL * distance >= strlen(names[i]))
			continue;
		least_distance = distance;
		nearest = names[i];
	}
	return nearest;
}
