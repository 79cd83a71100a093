// SPDX-License-Identifier: GPL-2.0-or-later
/* dead-conn-timeout INDEX BACKEND SEC: tells the driver how long requests of that device wait for a
 * link. For tests that cannot wait for as long as the supervisor lets the driver do so. */
#include <stdio.h>
#include <stdlib.h>
#include "kernel/nbd-genl.h"

int main(int argc, char **argv)
{
	struct nbd_genl_reconfigure params = {.fd = -1, .set_dead_conn_timeout = true};
	struct nbd_genl genl;
	struct error err;

	if (argc != 4)
		return 2;
	params.index = atoi(argv[1]);
	params.backend_identifier = argv[2];
	params.dead_conn_timeout_sec = strtoull(argv[3], NULL, 10);
	if (nbd_genl_open(&genl, &err) || nbd_genl_reconfigure(&genl, &params, &err)) {
		fprintf(stderr, "dead-conn-timeout: %s\n", err.text);
		return 1;
	}
	nbd_genl_close(&genl);
	return 0;
}
