/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One small read through a device. */
#ifndef NBDA_CHILD_PROBE
#define NBDA_CHILD_PROBE
#include <stdbool.h>
#include <stdint.h>
#include "child/job.h"

struct probe {
	int index;
	uint32_t block_size_bytes;
	/* one read from each CPU: the driver maps CPUs to connections, so this uses each that has a
	 * CPU at all */
	bool every_cpu;
};

/* Step and abandon it as a job: 0 when the reads were done, -errno as the device or the system
 * said. */
int probe_start(struct job *job, const struct probe *probe, struct error *err);
/* One block of FD, as long as the device's own are: up to a page, which is 64 KiB on some machines.
 * 0 or -errno. */
int probe_read(int fd, uint32_t block_size_bytes);
/* start and wait, for at most TIMEOUT_MS. */
int probe_run(const struct probe *probe, int timeout_ms, struct error *err);

#endif
