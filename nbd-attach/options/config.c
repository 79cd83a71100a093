/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "options/config.h"
#include <errno.h>

int config_check_attachable(const struct config *config, struct error *err)
{
	if (!config->tls.wanted || !*config->endpoint.socket_path)
		return 0;
	error_set(err, ERROR_USAGE, EINVAL,
		"the kernel's TLS is for TCP only: a device over a unix socket cannot have TLS");
	return error_hint(err, -EINVAL,
		"leave TLS out (the socket's permissions guard it), or connect over TCP");
}
