/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The parts of a supervisor, each of which owns what it needs: its timers, its children, its state.
 * Here they are only put together, and what the machine says is passed to the one that does it. */
#ifndef NBDA_SUPERVISOR_WIRING
#define NBDA_SUPERVISOR_WIRING
#include "supervisor/announce.h"
#include "supervisor/condition.h"
#include "supervisor/driver-log.h"
#include "supervisor/ending.h"
#include "supervisor/engine.h"
#include "supervisor/expiry.h"
#include "supervisor/failed.h"
#include "supervisor/growth.h"
#include "supervisor/proof.h"
#include "supervisor/receivers.h"
#include "supervisor/record.h"
#include "supervisor/reload.h"
#include "supervisor/renewal.h"
#include "supervisor/sampler.h"
#include "supervisor/spare.h"
#include "supervisor/watch.h"

struct supervisor {
	struct attachment *attachment;
	struct loop loop;
	struct loop_source signals, reaping;
	int signal_fd;
	struct engine engine;
	struct driver_log log;
	uint64_t error_replies_before; /* the newest link was handed over */
	struct watch watch;
	struct receivers receivers;
	struct spare spare;
	struct proof proof;
	struct renewal renewal;
	struct sampler sampler;
	struct growth growth;
	struct failed failed;
	struct ending ending;
	struct condition condition;
	struct expiry expiry;
	struct manager manager;
	struct record record;
	struct control control;
	struct announce announce;
	bool awaited_idle;
};

/* effects.c: of the engine's owner, a struct supervisor. */
struct engine_owner effects_of(struct supervisor *self);
/* The driver's news, a driver_log_function. */
void effects_on_news(void *owner, unsigned news);

/* status.c: documented in nbd-attach(8), JSON. */
json_object *supervisor_status(void *owner);

#endif
