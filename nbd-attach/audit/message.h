/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What comes from a probe's process, at its end: of fixed size, and not trusted, since that process
 * has read what the server sent. */
#ifndef NBDA_AUDIT_MESSAGE
#define NBDA_AUDIT_MESSAGE
#include <stdbool.h>
#include <stdint.h>
#include "audit/facts.h"
#include "base/error.h"

struct audit_message {
	bool greeted;
	int32_t rc; /* not greeted: -errno, and ERR says why */
	struct error err;
	struct audit_verdict verdict;
	struct audit_facts facts;
};

/* Make it what it has to be: texts terminated and printable, numbers in their ranges. */
void audit_message_check(struct audit_message *message);

#endif
