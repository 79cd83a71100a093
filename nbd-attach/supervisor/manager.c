/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor/manager.h"
#include "base/clock.h"
#include "output/log.h"
#include "supervisor/notify.h"
#include <stdio.h>

#define WAITING_TOLD_MS 5000

/* Until it knows of our descriptors, a successor will find our links unmonitored, as after a start
 * by hand: that is worth a line. */
static void on_retry(void *owner, short revents)
{
	struct manager *manager = owner;
	int64_t now_ms = monotonic_now_ms();
	bool is_waiting = notify_flush() > 0;

	(void)revents;
	if (!is_waiting && manager->is_waiting_told)
		log_message(LOG_NOTICE,
			"/dev/nbd%d: the service manager reads again what it is told",
			manager->attachment->index);
	if (!is_waiting) {
		manager->waiting_since_ms = -1;
		manager->is_waiting_told = false;
		return;
	}
	loop_call_at(&manager->retry, now_ms + NOTIFY_RETRY_MS);
	if (manager->waiting_since_ms < 0)
		manager->waiting_since_ms = now_ms;
	if (manager->is_waiting_told || now_ms - manager->waiting_since_ms < WAITING_TOLD_MS)
		return;
	manager->is_waiting_told = true;
	log_message(LOG_WARNING,
		"/dev/nbd%d: the service manager does not read: until it does, it keeps nothing "
		"new "
		"for the next supervisor",
		manager->attachment->index);
}

static void on_watchdog(void *owner, short revents)
{
	struct manager *manager = owner;

	(void)revents;
	notify_watchdog();
	loop_call_at(&manager->watchdog, monotonic_now_ms() + manager->watchdog_ms);
}

void manager_init(struct manager *manager, const struct attachment *attachment, struct loop *loop)
{
	*manager = (struct manager){.attachment = attachment,
		.watchdog_ms = notify_watchdog_ms(),
		.waiting_since_ms = -1};
	loop_add(loop, &manager->retry, LOOP_TIME, on_retry, manager);
	loop_add(loop, &manager->watchdog, LOOP_TIME, on_watchdog, manager);
	if (manager->watchdog_ms)
		loop_call_at(&manager->watchdog, monotonic_now_ms());
}

/* It may not have had room for what it was told just now. */
static void retry_soon(struct manager *manager)
{
	loop_call_by(&manager->retry, monotonic_now_ms() + NOTIFY_RETRY_MS);
}

void manager_ready(struct manager *manager, const char *line)
{
	notify_ready(line);
	retry_soon(manager);
}

void manager_status(struct manager *manager, const char *line)
{
	(void)manager;
	notify_status(line);
}

static void link_name(char name[STORED_FD_NAME_SIZE], unsigned at)
{
	snprintf(name, STORED_FD_NAME_SIZE, "link-%u", at);
}

void manager_store_all(struct manager *manager)
{
	char name[STORED_FD_NAME_SIZE];

	if (!notify_can_store())
		return;
	notify_store_fd("netlink", nbd_genl_fd(&manager->attachment->genl));
	for (unsigned i = 0; i < manager->attachment->link_count; i++) {
		link_name(name, i);
		if (manager->attachment->links[i].fd >= 0)
			notify_store_fd(name, manager->attachment->links[i].fd);
		else /* what an adoption did not take: it would keep its server from others */
			notify_forget_fd(name);
	}
	retry_soon(manager);
}

void manager_store_link(struct manager *manager, unsigned at)
{
	char name[STORED_FD_NAME_SIZE];

	if (!notify_can_store())
		return;
	link_name(name, at);
	notify_forget_fd(name);
	if (manager->attachment->links[at].fd >= 0)
		notify_store_fd(name, manager->attachment->links[at].fd);
	retry_soon(manager);
}

void manager_forget_all(struct manager *manager)
{
	char name[STORED_FD_NAME_SIZE];

	if (!notify_can_store())
		return;
	notify_forget_fd("netlink");
	for (unsigned i = 0; i < manager->attachment->link_count; i++) {
		link_name(name, i);
		notify_forget_fd(name);
	}
	retry_soon(manager);
}
