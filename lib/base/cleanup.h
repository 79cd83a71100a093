/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Scope cleanup: a variable marked _cleanup_fd_ or _cleanup_free_ is released when it leaves its
 * scope, unless it was stolen. */
#ifndef NBDA_BASE_CLEANUP
#define NBDA_BASE_CLEANUP
#include <stdlib.h>
#include <stdio.h>
#include <unistd.h>
#include <errno.h>

static inline void cleanup_fd(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	errno = saved;
}

static inline void cleanup_free(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_file(FILE **f)
{
	if (*f)
		fclose(*f);
}

static inline int steal_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

static inline void *steal_pointer_(void *p)
{
	void *taken = *(void **)p;

	*(void **)p = NULL;
	return taken;
}

#define steal_pointer(p) ((__typeof__(*(p)))steal_pointer_(p))
#define _cleanup_fd_ __attribute__((cleanup(cleanup_fd)))
#define _cleanup_free_ __attribute__((cleanup(cleanup_free)))
#define _cleanup_file_ __attribute__((cleanup(cleanup_file)))

#endif
