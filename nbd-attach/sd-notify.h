/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The datagram of sd_notify(3), where a service manager asked for it. */
#ifndef NBDA_SD_NOTIFY_H
#define NBDA_SD_NOTIFY_H

void sd_notify_ready(const char *status);

#endif
