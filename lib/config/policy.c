/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config/policy.h"

void device_policy_init(struct device_policy *policy)
{
	*policy = (struct device_policy){
		.connections = 1,
		.connect_timeout_ms = 20000,
		.liveness_timeout_ms = 30000,
		.dead_timeout_sec = 600,
		.request_timeout_sec = POLICY_INFINITE_SEC,
	};
}
