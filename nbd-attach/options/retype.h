/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Command lines as somebody could type them: what is told to be tried has the port and the TLS
 * options that were typed before. */
#ifndef NBDA_OPTIONS_RETYPE
#define NBDA_OPTIONS_RETYPE
#include "options/options.h"

struct retyped {
	char s[320]; /* words, with blanks between; cut where a hint could not show more */
};

/* One more word, quoted for a shell where that is needed. */
void retype_word(struct retyped *line, const char *word);
/* The server at arguments[AT], with the port and the options about TLS as they were given. */
void retype_server(struct retyped *line, const struct options *options, int at);
/* In the hint of ERR, "HOST" becomes that server, if there is such an argument. */
void retype_hint(struct error *err, const struct options *options, int at);

#endif
