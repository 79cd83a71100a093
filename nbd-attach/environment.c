/* SPDX-License-Identifier: GPL-2.0-or-later */
/* GnuTLS obeys its environment: SSLKEYLOGFILE has it write the keys of each session into a file,
 * GNUTLS_SYSTEM_PRIORITY_FILE changes what is acceptable, GNUTLS_DEBUG_LEVEL tells all. Only in
 * set-user-ID programs it does not. It reads most of it in its constructor, when it is loaded, so
 * this runs before all constructors. */
#include <stdbool.h>
#include <stddef.h>

/* No library is ready, the sanitizers' neither. */
#define EARLY __attribute__((no_sanitize("address", "undefined")))

EARLY static bool begins_with(const char *text, const char *beginning)
{
	while (*beginning && *text == *beginning) {
		text++;
		beginning++;
	}
	return !*beginning;
}

EARLY static void drop_environment(int argc, char **argv, char **variables)
{
	char **kept = variables;

	(void)argc;
	(void)argv;
	for (; *variables; variables++)
		if (!begins_with(*variables, "GNUTLS_") &&
			!begins_with(*variables, "SSLKEYLOGFILE="))
			*kept++ = *variables;
	*kept = NULL;
}

__attribute__((section(".preinit_array"), used)) static void (*const before_all)(
	int, char **, char **) = drop_environment;
