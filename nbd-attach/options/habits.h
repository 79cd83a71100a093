/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What people type who know nbd-client, or mistype: the line that they meant. */
#ifndef NBDA_OPTIONS_HABITS
#define NBDA_OPTIONS_HABITS
#include <stddef.h>
#include "base/error.h"

/* ERR refuses an option: LETTER, or the long option NAME. If it is one of nbd-client, the hint
 * becomes the whole line as it is typed here. */
void habits_hint(int argc, char **argv, int letter, const char *name, struct error *err);
/* The first argument, WORD, is no device: ERR, which says so, is told what was meant, a
 * subcommand out of COMMANDS, another order, or a device too few. */
void habits_explain_first(int argc, char **argv, const char *word, const char *const commands[],
	size_t count, struct error *err);

#endif
