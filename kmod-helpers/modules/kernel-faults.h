/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Holes of the kernel that concern an nbd device over kernel TLS, by the versions that have them;
 * what this program does about each. The one table is in kernel-faults.c. */
#ifndef NBDA_MODULES_KERNEL_FAULTS
#define NBDA_MODULES_KERNEL_FAULTS
#include <stdbool.h>
#include <stddef.h>
#include "modules/check-item.h"

/* What uname() tells. RELEASE is its release; VERSION is its version, where Debian has the number
 * of a kernel whose release has none ("6.1.0-41-amd64"). */
struct kernel_version {
	unsigned number[3]; /* 6.1.158; a number that is not there is 0 */
	bool is_vague;      /* the distribution hides the third one */
	char text[64];      /* as it was found, printable */
};

/* All numbers are 0 where there is no version. */
struct kernel_version kernel_version_parse(const char *release, const char *version);
struct kernel_version kernel_version_running(void);

/* Did Red Hat make it, or who rebuilds theirs? Its nbd driver is known to take Unix sockets only.
 * Kernels of others that are named alike, as ELRepo's and Oracle's own, take TCP. */
bool kernel_is_red_hats(const char *release);

/* Is FAULT (a CVE's name) in a kernel of VERSION? False for a name that is not in the table. */
bool kernel_has_fault(const struct kernel_version *version, const char *fault);
/* Is it known that FAULT is not in it? False too where the version does not tell: it hides what was
 * fixed, is a release candidate's, or is none; and for a name that is not in the table. */
bool kernel_is_mended(const struct kernel_version *version, const char *fault);

/* An item for each fault that VERSION has, ROOM at most: CHECK_OK where it does no harm here,
 * CHECK_WARN where only another kernel helps. Returns their number. */
size_t kernel_faults_check(
	const struct kernel_version *version, struct check_item *items, size_t room);

#endif
