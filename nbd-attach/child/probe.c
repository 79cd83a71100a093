/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "child/probe.h"
#include "base/cleanup.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int probe_read(int fd, uint32_t block_size_bytes)
{
	_cleanup_free_ void *block = NULL;
	ssize_t n;

	/* O_DIRECT wants the block's own alignment at most; a page is what any device is content
	 * with. */
	if (posix_memalign(&block, (size_t)sysconf(_SC_PAGESIZE), block_size_bytes))
		return -ENOMEM;
	n = pread(fd, block, block_size_bytes, 0);
	return n == (ssize_t)block_size_bytes ? 0 : n < 0 ? -errno : -EIO;
}

static int read_on_every_cpu(int fd, uint32_t block_size_bytes)
{
	cpu_set_t all, one;
	int rc = 0;

	if (sched_getaffinity(0, sizeof(all), &all) < 0)
		return probe_read(fd, block_size_bytes);
	for (int cpu = 0; rc == 0 && cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &all))
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		sched_setaffinity(0, sizeof(one), &one);
		rc = probe_read(fd, block_size_bytes);
	}
	return rc;
}

/* The device is closed before anybody hears that this is done: an open device cannot be
 * detached. */
static int probe_device(const void *argument, struct error *err)
{
	const struct probe *probe = argument;
	_cleanup_fd_ int fd = -1;
	char path[32];

	(void)err; /* who asked makes the sentence */
	snprintf(path, sizeof(path), "/dev/nbd%d", probe->index);
	fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return probe->every_cpu ? read_on_every_cpu(fd, probe->block_size_bytes) :
				  probe_read(fd, probe->block_size_bytes);
}

int probe_start(struct job *job, const struct probe *probe, struct error *err)
{
	return job_start(job, probe_device, probe, -1, err);
}

int probe_run(const struct probe *probe, int timeout_ms, struct error *err)
{
	int rc = job_run(probe_device, probe, timeout_ms, err);

	if (rc == -ETIMEDOUT) {
		error_set(err, ERROR_SERVER, ETIMEDOUT,
			"the first read through /dev/nbd%d was not answered within %d s",
			probe->index, timeout_ms / 1000);
		return error_hint(err, rc,
			"the server answered while we connected and hangs now: look at its log");
	}
	if (!rc)
		return 0;
	error_set(err, ERROR_SERVER, -rc, "the first read through /dev/nbd%d failed: %s",
		probe->index, strerror(-rc));
	return error_hint(err, rc, "the kernel log says more: dmesg | tail");
}
