/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One small read through a device, by a process of its own: where no link answers it blocks beyond the reach of signals, and that must
 * never be the supervisor. */
#ifndef NBDA_PROBE_H
#define NBDA_PROBE_H
#include <stdbool.h>
#include <stdint.h>
#include "error.h"

struct probe {
	int poll_fd; /* readable when it is done; -1: none runs */
};

/* EVERY_CPU: one read from each CPU: the driver maps CPUs to connections, so this uses each that has a CPU at all. */
int probe_start(struct probe *probe, int index, uint32_t block_size_bytes, bool every_cpu, struct error *err);
/* 1: not finished; 0: the reads were done; -errno: as the device or the system said. After 0 or -errno none runs. */
int probe_step(struct probe *probe);
/* Forget it; it ends by itself when its read does. */
void probe_abandon(struct probe *probe);
/* start and wait, for at most TIMEOUT_MS. */
int probe_run(int index, uint32_t block_size_bytes, bool every_cpu, int timeout_ms, struct error *err);

#endif
