/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The datagrams of sd_notify(3) and the descriptors of sd_listen_fds(3), where a service manager asked for the one or passed the
 * other. What it is told of is for people and for a later life of this process: without a manager all of this does nothing. */
#ifndef NBDA_SD_NOTIFY_H
#define NBDA_SD_NOTIFY_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SD_FD_NAME_SIZE 32

struct sd_fd {
	char name[SD_FD_NAME_SIZE];
	int fd; /* close-on-exec */
};

/* Nothing here blocks. A manager that does not read is told later of READY and of descriptors, in their order, by sd_notify_flush(), which
 * is to be called again and again while it returns more than 0: so many messages wait. Until it knows of a descriptor, a process that
 * follows us would not have it. What waits when we end is lost; but then the manager forgets all that it keeps for us. */
#define SD_RETRY_MS 100
size_t sd_notify_flush(void);

/* STATUS is one line. */
void sd_notify_ready(const char *status);
void sd_notify_status(const char *status);

/* How often to call sd_notify_watchdog(): twice as often as the manager wants to hear of us; 0: it does not (WATCHDOG_USEC and
 * WATCHDOG_PID of the environment). */
int64_t sd_watchdog_ms(void);
void sd_notify_watchdog(void);

/* Is there a manager that descriptors can be given to? Whether it keeps them is the unit's (FileDescriptorStoreMax=): it never says. */
bool sd_store_available(void);
/* Give the manager a duplicate of FD, to be handed to the process that follows us if we die. NAME: lower-case letters, digits and
 * '-'. -ENOTCONN: there is no manager. */
int sd_store_fd(const char *name, int fd);
/* Have it close what it holds under NAME. */
void sd_forget_fd(const char *name);

/* The descriptors that the manager kept for us; the caller owns them. Those without a name as above, and those beyond MAX, are closed.
 * Call it once, before anything is opened: the environment is cleared of them, for us and for our children. */
size_t sd_take_fds(struct sd_fd *fds, size_t max);

#endif
