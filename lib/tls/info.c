/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tls/info.h"
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const struct {
	int version;
	const char *name;
} versions[] = {{TLS_VERSION_1_2, "1.2"}, {TLS_VERSION_1_3, "1.3"}};

#define VERSION_COUNT (sizeof(versions) / sizeof(versions[0]))

const char *tls_version_name(int version)
{
	for (size_t i = 0; i < VERSION_COUNT; i++)
		if (versions[i].version == version)
			return versions[i].name;
	return "?";
}

int tls_version_parse(const char *name)
{
	for (size_t i = 0; i < VERSION_COUNT; i++)
		if (strcmp(versions[i].name, name) == 0)
			return versions[i].version;
	return 0;
}

#define WARN_SEC (14L * 86400)

void tls_validity_note(struct tls_validity *validity, int64_t from, int64_t until)
{
	int64_t warn_sec =
		until > from && (until - from) / 4 < WARN_SEC ? (until - from) / 4 : WARN_SEC;

	if (!until || (validity->until && validity->until <= until))
		return;
	validity->until = until;
	validity->warn_from = until - warn_sec;
}

void tls_format_date(int64_t when, char *out, size_t size)
{
	time_t time = (time_t)when;
	struct tm tm;

	if (!gmtime_r(&time, &tm) || strftime(out, size, "%Y-%m-%d %H:%M UTC", &tm) == 0)
		snprintf(out, size, "an unreadable date");
}
