/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Why a path that a user named is refused to this process. */
#ifndef NBDA_BASE_CLOSED_PATH
#define NBDA_BASE_CLOSED_PATH
#include "base/error.h"

/* PATH was refused with RC (-errno): where that is likely to come of how it was typed, or of a root
 * that may not read what is other users', hint at it. Returns RC. */
int closed_path_hint(struct error *err, int rc, const char *path);

#endif
