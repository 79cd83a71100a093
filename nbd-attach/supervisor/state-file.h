/* SPDX-License-Identifier: GPL-2.0-or-later */
/* /run/nbd-attach/nbdN.state: what another supervisor needs to know to adopt the device. In memory
 * (/run), readable for root only, and without secrets: no key, no credential, no path of one. */
#ifndef NBDA_SUPERVISOR_STATE_FILE
#define NBDA_SUPERVISOR_STATE_FILE
#include "supervisor/attachment.h"

/* Write it anew, in one step. What goes wrong is not fatal: an adoption knows less then. But an
 * outage's beginning, and that I/O has failed, are said also where there is no room to write; and
 * the former file stays, or an empty one is made: that the device is ready (udev's rules). */
int state_save(const struct attachment *attachment, struct error *err);
/* Fill in what is known of device INDEX with backend identifier BACKEND: export, flags, block size,
 * links (fd -1), since, outage, failed. -ENOENT when there is no file, -ESTALE when it is of
 * another attachment, -EINVAL when it makes no sense. */
int state_load(struct attachment *attachment, int index, const char *backend);
/* The backend identifier of the attachment that the file is of. -ENOENT: no such file, or one that
 * makes no sense. */
int state_read_backend(int index, char backend[BACKEND_ID_SIZE]);

#endif
