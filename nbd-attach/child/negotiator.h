/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The child's side of an attempt, and the messages that it sends. */
#ifndef NBDA_NEGOTIATOR_H
#define NBDA_NEGOTIATOR_H
#include "child/negotiation.h"

enum attempt_message_type {
	ATTEMPT_MESSAGE_STAGE = 1, /* what the child is about to do, for the message when it is killed in it */
	ATTEMPT_MESSAGE_EXPORT,    /* one entry of a list */
	ATTEMPT_MESSAGE_RESULT,    /* success; the socket is attached when the job was ATTEMPT_ATTACH */
	ATTEMPT_MESSAGE_ERROR,
};

/* One datagram of fixed size for each type; the parent checks every field. */
struct attempt_message {
	uint32_t type;
	union {
		char stage[64];
		struct export_info export;
		struct attempt_result result;
		struct error error;
	};
};

/* Runs in the child and never returns. CHANNEL is its end of the socket pair. */
_Noreturn void negotiator_main(const struct attempt_job *job, int channel);

#endif
