/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef NBDA_CONFIG_LIMITS
#define NBDA_CONFIG_LIMITS

/* Connections of one device. */
#define LINKS_MAX 64

#endif
