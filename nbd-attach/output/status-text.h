/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A device's status, as in nbd-attach(8), JSON, for people. */
#ifndef NBDA_OUTPUT_STATUS_TEXT
#define NBDA_OUTPUT_STATUS_TEXT
#include <json.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Some lines about one device to OUT. Any key may be missing or of another type; text is sanitised
 * here once more, since it comes over a socket and goes to a terminal. NOW is what durations are
 * reckoned from. IS_ROOT: the supervisors would have answered. */
void status_text_print(FILE *out, json_object *status, int64_t now_unix_sec, bool is_root);
/* The state as exit status, for scripts: as in nbd-attach(8), EXIT STATUS. */
int status_text_exit_status(json_object *status);

#endif
