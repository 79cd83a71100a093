/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How a device is kept, whatever its server: what a supervisor has to know of its configuration. */
#ifndef NBDA_CONFIG_POLICY
#define NBDA_CONFIG_POLICY
#include <stdbool.h>
#include <stdint.h>

#define POLICY_INFINITE_SEC (-1)

/* Plain data; a copy is a copy. Each field but the last is the option of its name. */
struct device_policy {
	unsigned connections;      /* 1 to LINKS_MAX */
	uint32_t block_size_bytes; /* 0: not given */
	bool read_only, shared, auto_resize;
	/* the device holds the root file system or swap: nothing may be needed from a disk */
	bool root;
	int connect_timeout_ms;
	int liveness_timeout_ms; /* --timeout */
	/* a link with a request unanswered for so long is closed; or POLICY_INFINITE_SEC */
	int64_t request_timeout_sec;
	int io_timeout_ms;        /* 0: chosen by the number of connections */
	int64_t dead_timeout_sec; /* or POLICY_INFINITE_SEC */
	/* for the first connection: 0 does not wait; or POLICY_INFINITE_SEC */
	int64_t wait_sec;
	uint64_t rekey_records; /* 0: the cipher's own limit */
	/* set by "boot": what another attempt may cure is tried for ever, with a line on stderr now
	 * and then */
	bool at_boot;
};

/* What holds where nobody says otherwise. */
void device_policy_init(struct device_policy *policy);

#endif
