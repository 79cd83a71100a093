/* SPDX-License-Identifier: GPL-2.0-or-later */
/* LD_PRELOAD for a program that uses GnuTLS: tells on stderr, when constructors run, which of the
 * variables that GnuTLS obeys are there. Otherwise that would not be seen: a negotiator could not
 * write the file that SSLKEYLOGFILE names. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

__attribute__((constructor)) static void tell(void)
{
	for (char **variable = environ; *variable; variable++)
		if (strncmp(*variable, "GNUTLS_", 7) == 0 ||
			strncmp(*variable, "SSLKEYLOGFILE=", 14) == 0)
			fprintf(stderr, "environment-shim: %s\n", *variable);
}
