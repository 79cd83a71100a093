/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a negotiator that has been taken over tries. Each is a system call or two, and harmless
 * where it succeeds, as it does for one that is not confined. */
#ifndef NBDA_COMPROMISED_DEEDS
#define NBDA_COMPROMISED_DEEDS
#include <errno.h>
#include <stdint.h>
#include <unistd.h>

struct circumstances {
	int connection; /* -1: not yet */
	int parent_pid;
	int other_pid;       /* another negotiator; 0: none is named */
	uint16_t port;       /* on 127.0.0.1, of a listener that is not the server */
	const char *path;    /* of a Unix socket of such a one */
	const char *service; /* of one of a service that glibc's modules ask */
	const char *secret;
};

struct deed {
	const char *group, *name;
	/* 0: it has worked; else -errno */
	int (*act)(const struct circumstances *at);
};

/* The last one of each has no name. */
extern const struct deed deeds[], socket_deeds[];

#define DEED(name) static int name(const struct circumstances *at)

static inline int result(long rc)
{
	return rc < 0 ? -errno : 0;
}

static inline int result_fd(int fd)
{
	int rc = result(fd);

	if (fd >= 0)
		close(fd);
	return rc;
}

#endif
