/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Growing a device while it is in use. First each connection is renewed that was told the old size:
 * nbdkit holds to it. Then the driver is told the size, and only while nothing is in flight, for
 * which a process empties the queue (kernel fact size-freezes-queue: no new link could be given to
 * the driver meanwhile). Flushes are not seen (kernel fact unseen-requests). */
#ifndef NBDA_SUPERVISOR_GROWTH
#define NBDA_SUPERVISOR_GROWTH
#include "child/negotiation.h"
#include "supervisor/control.h"
#include "supervisor/engine.h"
#include "supervisor/record.h"
#include "supervisor/sampler.h"

struct growth {
	struct attachment *attachment;
	struct engine *engine;
	struct sampler *sampler;
	struct record *record;
	struct control *control;
	struct loop_source asking, idle_check;
	struct negotiation negotiation; /* asks the server for its size */
	int client;                     /* slot in control; -1: nobody waits for an answer */
};

void growth_init(struct growth *growth, struct attachment *attachment, struct engine *engine,
	struct sampler *sampler, struct record *record, struct control *control, struct loop *loop);
/* Client AT of control asks for it; it is answered now or later. */
void growth_ask(struct growth *growth, size_t at);
/* That client has hung up. */
void growth_forget_client(struct growth *growth, size_t at);
/* A reconnect found the export to be of that size; 0: as the device is. */
void growth_note_offer(struct growth *growth, uint64_t offered_bytes);
/* Grow to what was offered, however long it takes. */
void growth_begin(struct growth *growth);
/* These are called by actions. */
void growth_resize(struct growth *growth, uint64_t size_bytes);
void growth_refuse(struct growth *growth, enum growth_refusal refusal, unsigned at);
bool growth_is_under_way(const struct growth *growth);
void growth_close(struct growth *growth);

#endif
