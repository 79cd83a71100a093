/* SPDX-License-Identifier: GPL-2.0-or-later */
/* That links end: the hang-up of those whose socket we have, and the driver's notices. */
#ifndef NBDA_SUPERVISOR_WATCH
#define NBDA_SUPERVISOR_WATCH
#include "supervisor/engine.h"

struct watch {
	const struct attachment *attachment;
	struct engine *engine;
	struct nbd_genl listener;
	struct loop_source notices;
	struct watched_link {
		struct watch *watch;
		unsigned at;
		struct loop_source source;
	} links[LINKS_MAX];
};

#define WATCH_HUNG_UP (POLLRDHUP | POLLHUP | POLLERR)

/* From then on no notice is missed. */
int watch_listen(struct watch *watch, struct error *err);
/* ... and told. Hang-ups are from watch_update() on. */
void watch_begin(struct watch *watch, const struct attachment *attachment, struct engine *engine,
	struct loop *loop);
/* A link may have another socket, or another state. */
void watch_update(struct watch *watch);
void watch_close(struct watch *watch);

#endif
