/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tls/info.h"
#include <stddef.h>
#include <string.h>

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
