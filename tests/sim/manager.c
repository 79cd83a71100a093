/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The service manager, and what it keeps for a successor. */
#include "sim.h"
#include "supervisor/notify.h"
#include <stdio.h>
#include <string.h>

#define STORED 8
static struct {
	char name[STORED_FD_NAME_SIZE];
	enum sim_kind kind;
	int id;
} stored[STORED];
static size_t stored_count;

bool notify_can_store(void)
{
	return sim_config.has_manager;
}

void notify_forget_fd(const char *name)
{
	for (size_t i = 0; i < stored_count; i++) {
		if (strcmp(stored[i].name, name) != 0)
			continue;
		if (stored[i].kind == SIM_SOCKET)
			sim_drop_reference(stored[i].id);
		stored[i] = stored[--stored_count];
		return;
	}
}

int notify_store_fd(const char *name, int fd)
{
	int id;
	enum sim_kind kind = sim_kind_of(fd, &id);

	sim_point();
	for (size_t i = 0; i < stored_count; i++)
		if (stored[i].kind == kind && stored[i].id == id)
			return 0; /* as systemd does */
	if (stored_count == STORED)
		sim_violation("the service manager keeps too much");
	snprintf(stored[stored_count].name, STORED_FD_NAME_SIZE, "%s", name);
	stored[stored_count].kind = sim_kind_of(fd, &stored[stored_count].id);
	if (stored[stored_count].kind == SIM_SOCKET)
		sim_sockets[stored[stored_count].id].descriptors++;
	stored_count++;
	return 0;
}

void sim_manager_forget(void)
{
	while (stored_count)
		notify_forget_fd(stored[0].name);
}

size_t notify_take_fds(struct stored_fd *fds, size_t max)
{
	size_t count = 0;

	for (; count < stored_count && count < max; count++) {
		snprintf(fds[count].name, STORED_FD_NAME_SIZE, "%s", stored[count].name);
		fds[count].fd = sim_open(stored[count].kind, stored[count].id);
	}
	return count;
}

size_t notify_flush(void)
{
	return 0;
}

void notify_ready(const char *status)
{
	sim_note("ready: %s", status);
}

void notify_status(const char *status)
{
	sim_note("status: %s", status);
}

int64_t notify_watchdog_ms(void)
{
	return 0;
}

void notify_watchdog(void)
{
}
