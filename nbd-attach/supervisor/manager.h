/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The service manager, where there is one: what it is told, what it keeps for our successor, and
 * that it hears of us as often as it wants to. One that does not read is told later, and is not
 * waited for. */
#ifndef NBDA_SUPERVISOR_MANAGER
#define NBDA_SUPERVISOR_MANAGER
#include "supervisor/attachment.h"
#include "supervisor/loop.h"

struct manager {
	const struct attachment *attachment;
	struct loop_source retry, watchdog;
	int64_t watchdog_ms;      /* 0: it does not want to hear of us */
	int64_t waiting_since_ms; /* for it to read; -1: it does */
	bool is_waiting_told;
};

void manager_init(struct manager *manager, const struct attachment *attachment, struct loop *loop);
/* LINE is for people. */
void manager_ready(struct manager *manager, const char *line);
void manager_status(struct manager *manager, const char *line);
/* Keep the netlink socket and each link for a successor. */
void manager_store_all(struct manager *manager);
/* Link AT has another socket now; or, with fd -1, none. */
void manager_store_link(struct manager *manager, unsigned at);
void manager_forget_all(struct manager *manager);

#endif
