/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The datagrams of sd_notify(3) and the descriptors of sd_listen_fds(3), where a service manager
 * asked for the one or passed the other. What it is told of is for people and for a later life of
 * this process: without a manager all of this does nothing. */
#ifndef NBDA_SUPERVISOR_NOTIFY
#define NBDA_SUPERVISOR_NOTIFY
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STORED_FD_NAME_SIZE 32

struct stored_fd {
	char name[STORED_FD_NAME_SIZE];
	int fd; /* close-on-exec */
};

/* Nothing here blocks. A manager that does not read is told later of READY and of descriptors, in
 * their order, by notify_flush(), to be called every NOTIFY_RETRY_MS while it returns more than 0:
 * so many messages wait, and a successor would not have those descriptors. What waits when we end
 * is lost; but then the manager forgets all that it keeps for us. */
#define NOTIFY_RETRY_MS 100
size_t notify_flush(void);

/* STATUS is one line. */
void notify_ready(const char *status);
void notify_status(const char *status);

/* How often to call notify_watchdog(): twice as often as the manager wants to hear of us; 0: it
 * does not (WATCHDOG_USEC and WATCHDOG_PID of the environment). */
int64_t notify_watchdog_ms(void);
void notify_watchdog(void);

/* Is there a manager that descriptors can be given to? Whether it keeps them is the unit's
 * (FileDescriptorStoreMax=): it never says. */
bool notify_can_store(void);
/* Give the manager a duplicate of FD, to be handed to the process that follows us if we die. NAME:
 * lower-case letters, digits and '-'. -ENOTCONN: there is no manager. */
int notify_store_fd(const char *name, int fd);
/* Have it close what it holds under NAME. */
void notify_forget_fd(const char *name);

/* The descriptors that the manager kept for us; the caller owns them. Those without a name as
 * above, and those beyond MAX, are closed. Call it once, before anything is opened: the environment
 * is cleared of them, for us and for our children. */
size_t notify_take_fds(struct stored_fd *fds, size_t max);

#endif
