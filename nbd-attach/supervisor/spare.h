/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A link to come: its negotiation, and then its socket, which waits until it can be given to the
 * driver. */
#ifndef NBDA_SUPERVISOR_SPARE
#define NBDA_SUPERVISOR_SPARE
#include "child/negotiation.h"
#include "supervisor/condition.h"
#include "supervisor/engine.h"
#include "supervisor/growth.h"

struct spare {
	struct attachment *attachment;
	struct engine *engine;
	struct condition *condition;
	struct growth *growth;
	struct negotiation negotiation;
	/* a negotiation hung where it looks at the files of keys: they may be on this very disk, or
	 * on another that is away. Those in memory count until one has come to its end. */
	bool keeps_credentials;
	struct export_names names; /* of its offer, when none has counted yet */
	struct link link;          /* fd -1: none */
	struct loop_source child, socket;
};

void spare_init(struct spare *spare, struct attachment *attachment, struct engine *engine,
	struct condition *condition, struct growth *growth, struct loop *loop);
/* EVENT_NEGOTIATED, _REFUSED or _NOT_NEGOTIATED follows, or _GONE. Called by an action: HOST is the
 * first, and IS_PINNED the only one. */
void spare_negotiate(struct spare *spare, uint32_t host, bool is_pinned);
void spare_cancel(struct spare *spare);
/* Close the socket that waits. */
void spare_drop(struct spare *spare);
/* It is the caller's from here on. */
struct link spare_take(struct spare *spare);

#endif
