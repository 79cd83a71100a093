/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/text.h"
#include "config/kcmdline.h"
#include "config/kcmdline-parts.h"

#define INDEX_MAX 1048575 /* a minor number has 20 bits */

void kcmdline_error(struct kcmdline *plan, const char *parameter, const char *fmt, ...)
{
	char shown[KCMDLINE_SHOWN_SIZE], why[220];
	va_list args;

	if (plan->error_count == KCMDLINE_ERRORS_MAX)
		return;
	text_sanitise(shown, sizeof(shown), parameter, strlen(parameter));
	va_start(args, fmt);
	vsnprintf(why, sizeof(why), fmt, args);
	va_end(args);
	snprintf(plan->errors[plan->error_count].text, sizeof(plan->errors[0].text), "%s: %s",
		shown, why);
	plan->error_count++;
}

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

bool kcmdline_next_parameter(
	const char **at, const char *end, char *parameter, size_t size, bool *bad)
{
	const char *p = *at, *first, *last, *equals = NULL;
	bool quoted, in_quotes = false;
	size_t used = 0;

	while (p < end && is_space(*p))
		p++;
	if (p == end)
		return false;
	quoted = *p == '"';
	first = p + quoted;
	for (p = first, in_quotes = quoted; p < end && (in_quotes || !is_space(*p)); p++) {
		if (*p == '=' && !equals)
			equals = p;
		if (*p == '"')
			in_quotes = !in_quotes;
	}
	*at = last = p;
	if (equals && equals + 1 < last && equals[1] == '"') {
		if (last[-1] == '"' && last - 1 > equals + 1)
			last--;
	} else if (quoted && last > first && last[-1] == '"') {
		last--;
	}
	*bad = false;
	for (p = first; p < last; p++) {
		if (equals && p == equals + 1 && *p == '"')
			continue;
		*bad = *bad || used + 1 >= size || (unsigned char)*p < ' ' || *p == 0x7f;
		if (used + 1 < size)
			parameter[used++] = *p ? *p : '?';
	}
	parameter[used] = 0;
	return true;
}

const char *kcmdline_value(const char *parameter, const char *name)
{
	size_t len = strlen(name);

	return strncmp(parameter, name, len) == 0 && parameter[len] == '=' ? parameter + len + 1 :
									     NULL;
}

bool kcmdline_parse_device(struct kcmdline_device *device, const char *text)
{
	unsigned long index, partition = 0;
	const char *p = strncmp(text, "/dev/", 5) == 0 ? text + 5 : text;
	char *end;

	device->index = -1;
	if (strncmp(p, "nbd", 3) != 0 || p[3] < '0' || p[3] > '9')
		return false;
	index = strtoul(p + 3, &end, 10);
	if (*end == 'p' && end[1] >= '1' && end[1] <= '9')
		partition = strtoul(end + 1, &end, 10);
	if (*end || index > INDEX_MAX || partition > 255)
		return false;
	device->index = (int)index;
	snprintf(device->name, sizeof(device->name), partition ? "/dev/nbd%lup%lu" : "/dev/nbd%lu",
		index, partition);
	return true;
}
