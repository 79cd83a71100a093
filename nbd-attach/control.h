/* SPDX-License-Identifier: GPL-2.0-or-later */
/* /run/nbd-attach/nbdN.sock: whoever connects (root) is told the device's status as one JSON text, and the connection ends. */
#ifndef NBDA_CONTROL_H
#define NBDA_CONTROL_H
#include <json.h>
#include "attachment.h"
#include "error.h"

#define CONTROL_DIRECTORY "/run/nbd-attach"

/* Listen for INDEX; -errno. FD non-blocking. */
int control_listen(int index, int *fd, struct error *err);
void control_remove(int index);
/* Accept one connection and answer; never blocks. */
void control_answer(int fd, const struct attachment *attachment);
/* The other side: the supervisor's answer, parsed, or NULL when there is none within a second (nobody watches the device). */
json_object *control_ask(int index);
/* Ask the supervisor to do COMMAND ("resize"). The answer has "ok" (bool), and "error", "hint" and "exit_status" where that is
 * false; the caller frees it. NULL when nobody answers within TIMEOUT_MS. */
json_object *control_command(int index, const char *command, int timeout_ms);
/* Does the device's supervisor still listen? */
bool control_exists(int index);
/* What is told: documented in nbd-attach(8), JSON. */
json_object *control_status(const struct attachment *attachment);

#endif
