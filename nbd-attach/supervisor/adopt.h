/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Taking over a configured device whose supervisor is no more: killed, or ended to be upgraded. */
#ifndef NBDA_SUPERVISOR_ADOPT
#define NBDA_SUPERVISOR_ADOPT
#include "supervisor/attachment.h"
#include "supervisor/notify.h"

#define ADOPT_FDS_MAX (LINKS_MAX + 1)

/* Is INDEX configured, for the very export of ENDPOINT? The kernel keeps the backend identifier of
 * CONNECT. */
bool adopt_is_ours(const struct endpoint *endpoint, int index);
/* Fill ATTACHMENT from what the former supervisor left in its state file, what the service manager
 * kept (FDS: "netlink", "link-N"; all are taken or closed), and what the kernel shows. Links whose
 * socket is not among FDS have fd -1. The driver is told our timeouts. */
int adopt_device(struct attachment *attachment, int index, struct stored_fd *fds, size_t fd_count,
	struct error *err);

#endif
