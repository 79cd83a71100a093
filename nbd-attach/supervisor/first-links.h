/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The links that a new device begins with. Waits, and says on stderr what for: not for the loop. */
#ifndef NBDA_SUPERVISOR_FIRST_LINKS
#define NBDA_SUPERVISOR_FIRST_LINKS
#include "supervisor/attachment.h"

/* The first one again and again for --wait, then as many as --connections says, each with the same
 * offer. INDEX is for messages. What was negotiated stays in ATTACHMENT, also on failure. */
int first_links_negotiate(struct attachment *attachment, int index, struct error *err);

#endif
